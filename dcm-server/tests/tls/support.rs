//! CAs, certificates, servers, and clients of other makes.

use std::{
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::Arc,
};

use dcm_server::{Config, Running, StartError, start};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, SanType, date_time_ymd,
};
use rustls::{ClientConfig, RootCertStore, crypto::aws_lc_rs, pki_types::ServerName};
use tempfile::TempDir;
use time::OffsetDateTime;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

/// A CA.
pub(crate) struct Ca {
    issuer: Issuer<'static, KeyPair>,
    pub(crate) pem: String,
}

/// A certificate and its key.
pub(crate) struct Pair {
    pub(crate) cert: String,
    pub(crate) key: String,
}

impl Ca {
    pub(crate) fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Self { issuer: Issuer::new(params, key), pem }
    }

    /// For whoever has these names, with a key of his own.
    pub(crate) fn issue(&self, names: &[&str]) -> Pair {
        self.issue_until(names, date_time_ymd(2040, 1, 1), KeyPair::generate().unwrap())
    }

    pub(crate) fn issue_until(&self, names: &[&str], end: OffsetDateTime, key: KeyPair) -> Pair {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, names[0]);
        params.subject_alt_names = names.iter().map(|name| san(name)).collect();
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        (params.not_before, params.not_after) = (date_time_ymd(2020, 1, 1), end);
        Pair { cert: params.signed_by(&key, &self.issuer).unwrap().pem(), key: key.serialize_pem() }
    }

    /// The server's.
    pub(crate) fn server(&self) -> Pair {
        self.issue(&["dcm.example.com", "localhost", "127.0.0.1"])
    }
}

fn san(name: &str) -> SanType {
    match name.parse() {
        Ok(address) => SanType::IpAddress(address),
        Err(_) if name.contains("://") => SanType::URI(name.try_into().unwrap()),
        Err(_) => SanType::DnsName(name.try_into().unwrap()),
    }
}

/// Files, and a server that is told of them.
pub(crate) struct Place(pub(crate) TempDir);

impl Place {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn put(&self, name: &str, text: &str) -> String {
        std::fs::write(self.path(name), text).unwrap();
        self.path(name).display().to_string()
    }

    /// The files of a pair, and the options that name them.
    pub(crate) fn pair(&self, pair: &Pair) -> [String; 2] {
        let (cert, key) = (self.put("tls.crt", &pair.cert), self.put("tls.key", &pair.key));
        [format!("--tls-cert={cert}"), format!("--tls-key={key}")]
    }

    /// A server with a pair, and with what else is told.
    pub(crate) async fn serve(&self, pair: &Pair, more: &[&str]) -> Server {
        let files = self.pair(pair);
        let all: Vec<_> = files.iter().map(String::as_str).chain(more.iter().copied()).collect();
        Server(attempt(&all).await.unwrap())
    }
}

/// Starts a server with nothing but what is told.
pub(crate) async fn attempt(options: &[&str]) -> Result<Running, StartError> {
    dcm_server::install_crypto_provider();
    let anywhere =
        if options.iter().any(|option| option.starts_with("--http=")) { None } else { Some("--http=127.0.0.1:0") };
    let all = [Some("--store=memory:"), Some("--grpc=127.0.0.1:0"), anywhere]
        .into_iter()
        .flatten()
        .chain(options.iter().copied());
    start(Config::from_options(all).unwrap()).await
}

pub(crate) struct Server(pub(crate) Running);

impl Server {
    pub(crate) fn port(&self) -> u16 {
        self.0.http_addr().port()
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("https://localhost:{}{path}", self.port())
    }

    /// What is counted, as whoever is let in reads it.
    pub(crate) async fn metric(&self, client: &Client, name: &str) -> f64 {
        let text = client.get(self, "/metrics").await.unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_else(|| panic!("{name}: {text}"));
        line.trim().parse().unwrap()
    }
}

/// A client that makes a connection for each request.
#[derive(Clone)]
pub(crate) struct Client(Arc<ClientConfig>);

impl Client {
    pub(crate) fn new(trusts: &Ca, shows: Option<&Pair>) -> Self {
        use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _};
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(trusts.pem.as_bytes()).unwrap()).unwrap();
        let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots);
        let config = match shows {
            None => builder.with_no_client_auth(),
            Some(pair) => {
                let cert = CertificateDer::from_pem_slice(pair.cert.as_bytes()).unwrap();
                let key = PrivateKeyDer::from_pem_slice(pair.key.as_bytes()).unwrap();
                builder.with_client_auth_cert(vec![cert], key).unwrap()
            }
        };
        Self(Arc::new(config))
    }

    pub(crate) async fn connect(&self, server: &Server) -> std::io::Result<TlsStream<TcpStream>> {
        let stream = TcpStream::connect(server.0.http_addr()).await?;
        TlsConnector::from(Arc::clone(&self.0)).connect(ServerName::try_from("localhost").unwrap(), stream).await
    }

    /// The whole answer.
    pub(crate) async fn get(&self, server: &Server, path: &str) -> std::io::Result<String> {
        let mut stream = self.connect(server).await?;
        ask(&mut stream, path).await
    }
}

/// Sends one request, and reads to the end of the connection.
pub(crate) async fn ask(stream: &mut TlsStream<TcpStream>, path: &str) -> std::io::Result<String> {
    let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

/// The number of a certificate that a connection was shown.
pub(crate) fn shown(stream: &TlsStream<TcpStream>) -> Vec<u8> {
    stream.get_ref().1.peer_certificates().unwrap()[0].to_vec()
}

/// Runs a program, and returns whether it was content, and all that it said.
pub(crate) fn run(program: &str, options: &[&str], input: &str) -> (bool, String) {
    let mut child = Command::new(program)
        .args(options)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    let done = child.wait_with_output().unwrap();
    let said = [done.stdout, done.stderr].concat();
    (done.status.success(), String::from_utf8_lossy(&said).into_owned())
}

pub(crate) fn curl(options: &[&str]) -> (bool, String) {
    run("curl", &[&["--silent", "--show-error", "--noproxy", "*", "--max-time", "20"], options].concat(), "")
}

pub(crate) fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}
