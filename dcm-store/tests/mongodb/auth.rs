//! Users, passwords, certificates.

use std::{path::PathBuf, sync::Arc};

use dcm_core::store::{Precondition, Store};
use dcm_store::{MongoConfig, MongoProblem, mongodb::MongoStore};
use mongodb::{
    Client,
    bson::{Document, doc},
};
use rcgen::{BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair};

use crate::support::{Bed, body, key, open, problem};

const WHAT: &str = "users and certificates of MongoDB";

/// What a password may look like, and as it is written in a connection string.
const PASSWORD: (&str, &str) = ("s3cret:/?#[]@ü", "s3cret%3A%2F%3F%23%5B%5D%40%C3%BC");

/// Makes users while nobody is asked who he is.
async fn users(bed: &Bed, uri: &str, users: Vec<Document>) {
    let client = Client::with_uri_str(uri).await.unwrap();
    for user in users {
        let database = user.get_str("$db").unwrap_or("admin").to_owned();
        let command: Document = user.into_iter().filter(|(name, _)| name != "$db").collect();
        client.database(&database).run_command(command).await.unwrap();
    }
    client.shutdown().await;
    assert!(bed.server.port() > 0);
}

async fn works(uri: &str) {
    let store = open(uri).await;
    let made = store.put(&key("a/b"), body(1), Precondition::Absent).await.unwrap();
    store.delete(&key("a/b"), &made).await.unwrap();
    for text in [format!("{store:?}"), format!("{:?}", MongoConfig::new(uri).unwrap())] {
        assert!(!text.contains("s3cret") && !text.contains("writer"), "{text}");
    }
    store.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_with_a_password_is_let_in_and_others_are_told_why_not() {
    let Some(mut bed) = Bed::start(&[], WHAT).await else { return };
    let read_write = doc! { "role": "readWrite", "db": "dcm" };
    let both = vec!["SCRAM-SHA-1", "SCRAM-SHA-256"];
    let made = vec![
        doc! { "createUser": "writer", "pwd": PASSWORD.0, "mechanisms": both.clone(), "roles": [read_write.clone()] },
        doc! { "createUser": "reader", "pwd": "s3cret", "roles": [{ "role": "read", "db": "dcm" }] },
        doc! { "createUser": "local", "pwd": "s3cret", "roles": [read_write], "$db": "dcm" },
    ];
    users(&bed, &bed.server.uri(), made).await;
    bed.server.restart_with(&["--auth"]).await;
    let port = bed.server.port();
    let uri = |user: &str, password: &str, rest: &str| format!("mongodb://{user}:{password}@127.0.0.1:{port}/{rest}");
    for mechanism in ["", "&authMechanism=SCRAM-SHA-256", "&authMechanism=SCRAM-SHA-1"] {
        works(&uri("writer", PASSWORD.1, &format!("dcm?authSource=admin{mechanism}"))).await;
    }
    works(&uri("writer", PASSWORD.1, "")).await;
    works(&uri("local", "s3cret", "dcm")).await;
    for wrong in [
        uri("writer", "s3cret-not", "dcm?authSource=admin"),
        uri("nobody", "s3cret", "dcm?authSource=admin"),
        uri("writer", PASSWORD.1, "dcm"),
    ] {
        assert_eq!(problem(&wrong).await, MongoProblem::Login, "{wrong}");
    }
    assert_eq!(problem(&bed.server.uri()).await, MongoProblem::NoLogin);
    let rights = |what| MongoProblem::Rights { what, database: "dcm".to_owned() };
    assert_eq!(problem(&uri("reader", "s3cret", "dcm?authSource=admin")).await, rights("make indexes"));
}

/// A CA, and where it keeps what it signs.
struct Ca {
    folder: PathBuf,
    name: &'static str,
    certificate: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Ca {
    fn new(bed: &Bed, name: &'static str) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap().pem();
        let ca = Self { folder: bed.folder.path().to_owned(), name, certificate, issuer: Issuer::new(params, key) };
        std::fs::write(ca.file("ca"), &ca.certificate).unwrap();
        ca
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{}-{name}.pem", self.name))
    }

    /// Signs a certificate; certificate and key are in one file, and the key in one of its own.
    fn sign(&self, name: &str, hosts: &[&str], usage: ExtendedKeyUsagePurpose) -> (String, String) {
        let hosts: Vec<String> = hosts.iter().map(ToString::to_string).collect();
        let mut params = CertificateParams::new(hosts).unwrap();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, name);
        params.extended_key_usages = vec![usage];
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap().pem();
        let (both, alone) = (self.file(name), self.file(&format!("{name}-key")));
        std::fs::write(&both, format!("{certificate}{}", key.serialize_pem())).unwrap();
        std::fs::write(&alone, key.serialize_pem()).unwrap();
        (both.display().to_string(), alone.display().to_string())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_with_tls_is_reached_and_its_certificate_checked() {
    let Some(mut bed) = Bed::start(&[], WHAT).await else { return };
    let (ca, other) = (Ca::new(&bed, "ca"), Ca::new(&bed, "other"));
    let (certificate, private) = ca.sign("server", &["127.0.0.1"], ExtendedKeyUsagePurpose::ServerAuth);
    bed.server.restart_with(&["--tls-cert-file", &certificate, "--tls-key-file", &private]).await;
    let (plain, port) = (bed.server.uri(), bed.server.port());
    let with = |ca: &Ca| format!("{plain}?tls=true&tlsCAFile={}", ca.file("ca").display());
    works(&with(&ca)).await;
    let found = problem(&with(&other)).await;
    assert!(matches!(found, MongoProblem::UnknownCa { .. }), "{found:?}");
    let found = problem(&format!("{plain}?tls=true")).await;
    assert!(matches!(found, MongoProblem::UnknownCa { .. }), "{found:?}");
    let found = problem(&with(&ca).replace("127.0.0.1", "localhost")).await;
    assert!(matches!(found, MongoProblem::WrongName { .. }), "{found:?}");
    let found = problem(&format!("mongodb://user:s3cret@127.0.0.1:{port}/dcm")).await;
    assert!(matches!(found, MongoProblem::WantsTls { .. }), "{found:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_certificate_is_shown_and_logs_in_by_x509() {
    let Some(mut bed) = Bed::start(&[], WHAT).await else { return };
    let (ca, other) = (Ca::new(&bed, "ca"), Ca::new(&bed, "other"));
    let user = doc! { "createUser": "CN=dcm-writer", "mechanisms": ["MONGODB-X509"], "roles": [{ "role": "readWrite", "db": "dcm" }], "$db": "$external" };
    users(&bed, &bed.server.uri(), vec![user]).await;
    let (certificate, private) = ca.sign("server", &["127.0.0.1"], ExtendedKeyUsagePurpose::ServerAuth);
    let file = ca.file("ca").display().to_string();
    let tls = ["--tls-cert-file", &certificate, "--tls-key-file", &private, "--tls-ca-file", &file];
    let strict: Arc<[&str]> = [&tls[..], &["--tls-require-client-cert", "--auth"]].concat().into();
    bed.server.restart_with(&strict).await;
    let uri = format!("{}dcm?tls=true&tlsCAFile={file}", bed.server.uri());
    let (mine, _) = ca.sign("dcm-writer", &[], ExtendedKeyUsagePurpose::ClientAuth);
    let (stranger, _) = ca.sign("stranger", &[], ExtendedKeyUsagePurpose::ClientAuth);
    let (foreign, _) = other.sign("dcm-writer", &[], ExtendedKeyUsagePurpose::ClientAuth);
    let with = |file: &str| format!("{uri}&tlsCertificateKeyFile={file}&authMechanism=MONGODB-X509");
    works(&with(&mine)).await;
    assert_eq!(problem(&with(&stranger)).await, MongoProblem::Login);
    for refused in [uri.clone(), with(&foreign)] {
        let found = problem(&refused).await;
        assert!(matches!(found, MongoProblem::TlsRefused { .. }), "{found:?}");
    }
    let store = MongoStore::open(MongoConfig::new(&with(&mine)).unwrap()).await.unwrap();
    assert!(store.ready().await.is_ok());
}
