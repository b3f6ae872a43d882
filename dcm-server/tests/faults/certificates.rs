//! Certificates that the cluster's own CA signed, good and bad ones.

use std::time::Duration;

use rcgen::{CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair};
use serde_json::{Value, json};
use time::OffsetDateTime;

use crate::bed::Bed;

/// A certificate with its key, both PEM.
pub(crate) struct Pair {
    pub(crate) certificate: String,
    pub(crate) key: String,
}

/// From when until when a certificate is valid.
#[derive(Clone, Copy)]
pub(crate) enum Validity {
    Now,
    Past,
    Future,
    For(Duration),
}

impl Validity {
    fn bounds(self) -> (OffsetDateTime, OffsetDateTime) {
        #[allow(clippy::disallowed_methods, reason = "a certificate's dates are the machine's")]
        let now = OffsetDateTime::from(std::time::SystemTime::now());
        let hour = Duration::from_secs(3600);
        match self {
            Self::Now => (now - hour, now + hour),
            Self::Past => (now - 2 * hour, now - hour),
            Self::Future => (now + hour, now + 2 * hour),
            Self::For(time) => (now - hour, now + time),
        }
    }
}

fn params(name: &str, validity: Validity) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    (params.not_before, params.not_after) = validity.bounds();
    params.is_ca = IsCa::ExplicitNoCa;
    params
}

fn signed(bed: &Bed, params: &CertificateParams) -> Pair {
    let ca = Issuer::from_ca_cert_pem(&bed.file("ca.crt"), KeyPair::from_pem(&bed.file("ca.key")).unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    Pair { certificate: params.signed_by(&key, &ca).unwrap().pem(), key: key.serialize_pem() }
}

fn server_params(host: &str, validity: Validity) -> CertificateParams {
    let mut params = params("kube-apiserver", validity);
    let names = CertificateParams::new([host.to_owned()]).unwrap().subject_alt_names;
    params.subject_alt_names = names;
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params
}

/// A server's certificate by the cluster's CA.
pub(crate) fn server(bed: &Bed, host: &str, validity: Validity) -> Pair {
    signed(bed, &server_params(host, validity))
}

/// A server's certificate by nobody whom anybody knows.
pub(crate) fn stranger(host: &str) -> Pair {
    let key = KeyPair::generate().unwrap();
    let certificate = server_params(host, Validity::Now).self_signed(&key).unwrap();
    Pair { certificate: certificate.pem(), key: key.serialize_pem() }
}

/// A kubeconfig for the cluster with a client certificate by its CA.
pub(crate) fn client(bed: &Bed, name: &str, validity: Validity) -> Value {
    let mut params = params(name, validity);
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    let pair = signed(bed, &params);
    let user = json!({
        "client-certificate-data": data_encoding::BASE64.encode(pair.certificate.as_bytes()),
        "client-key-data": data_encoding::BASE64.encode(pair.key.as_bytes()),
    });
    kubeconfig(bed, &bed.url(), &user)
}

/// A kubeconfig for the cluster, or for whoever stands before it.
pub(crate) fn kubeconfig(bed: &Bed, server: &str, user: &Value) -> Value {
    let ca = data_encoding::BASE64.encode(bed.file("ca.crt").as_bytes());
    json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "c",
        "clusters": [{ "name": "k", "cluster": { "server": server, "certificate-authority-data": ca } }],
        "users": [{ "name": "u", "user": user }],
        "contexts": [{ "name": "c", "context": { "cluster": "k", "user": "u" } }],
    })
}
