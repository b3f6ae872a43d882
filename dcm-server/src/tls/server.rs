//! The server's side: its certificate, and whom it lets in.

use std::{path::Path, sync::Arc};

use dcm_core::secret::Secret;
use rustls::{
    ServerConfig,
    server::{NoServerSessionStorage, WebPkiClientVerifier},
    sign::SingleCertAndKey,
};

use super::{
    FileError, TlsMetrics,
    expiry::Expiry,
    facts::Served,
    files::{Fault, Named, Pair},
    provider,
    reload::{Look, Looks, Reloaded, Source},
};

/// What an edge speaks below TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocols {
    /// HTTP/2 and HTTP/1.1.
    Http,
    /// HTTP/2 alone.
    Http2,
}

/// The server's side of TLS, for all listeners.
#[derive(Clone, Debug)]
pub(crate) struct ServerTls {
    files: Arc<Reloaded<ServerFiles>>,
    metrics: TlsMetrics,
}

impl ServerTls {
    /// Reads the files. With a client CA, whoever has no certificate of it is turned away.
    pub(crate) fn open(cert: &Path, key: &Path, client_ca: Option<&Path>) -> Result<Self, FileError> {
        let metrics = TlsMetrics::default();
        let source = ServerFiles {
            pair: Pair::new(Pair::SERVER, cert, key),
            client_ca: client_ca.map(|path| Named::new("--client-ca", path)),
            expiry: Expiry::new("clients", metrics.clone()),
        };
        let files = Arc::new(Reloaded::open(source, metrics.clone())?);
        Ok(Self { files, metrics })
    }

    pub(crate) const fn metrics(&self) -> &TlsMetrics {
        &self.metrics
    }

    /// What a new connection is made with.
    pub(super) fn config(&self, protocols: Protocols) -> Arc<ServerConfig> {
        let made = self.files.get();
        Arc::clone(match protocols {
            Protocols::Http => &made.http,
            Protocols::Http2 => &made.http2,
        })
    }

    /// Whether the certificate says that a host is this server.
    pub(crate) fn goes_by(&self, host: &str) -> bool {
        self.files.get().served.goes_by(host)
    }

    /// Takes changed files from now on. Must be called in a tokio runtime.
    pub(crate) fn reload(&self) -> Looks {
        let files: Arc<dyn Look> = self.files.clone();
        Looks::start(vec![files])
    }
}

#[derive(Debug)]
struct ServerFiles {
    pair: Pair,
    client_ca: Option<Named>,
    expiry: Expiry,
}

#[derive(Debug)]
struct Made {
    http: Arc<ServerConfig>,
    http2: Arc<ServerConfig>,
    served: Served,
}

impl Source for ServerFiles {
    type Made = Made;

    const NAME: &'static str = "the server's TLS";

    fn read(&self) -> Result<Vec<Secret>, FileError> {
        [Some(&self.pair.cert), Some(&self.pair.key), self.client_ca.as_ref()]
            .into_iter()
            .flatten()
            .map(Named::read)
            .collect()
    }

    fn make(&self, files: &[Secret]) -> Result<Made, FileError> {
        let mut files = files.iter();
        let none = Secret::new("");
        let mut next = || files.next().unwrap_or(&none);
        let certified = self.pair.certified(next(), next())?;
        let served = self.pair.served(&certified)?;
        let refused = |why| self.pair.cert.wrong(Fault::Refused(why));
        let builder = ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
            .map_err(refused)?;
        let builder = match &self.client_ca {
            None => builder.with_no_client_auth(),
            Some(ca) => {
                let roots = Arc::new(ca.roots(next())?);
                let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider()).build();
                builder.with_client_cert_verifier(verifier.map_err(|why| ca.wrong(Fault::NoTrust(why)))?)
            }
        };
        let mut http = builder.with_cert_resolver(Arc::new(SingleCertAndKey::from(certified)));
        if self.client_ca.is_some() {
            // Who resumes a session shows no certificate: it may have run out since, or its CA be trusted no more.
            http.session_storage = Arc::new(NoServerSessionStorage {});
            http.send_tls13_tickets = 0;
        }
        let mut http2 = http.clone();
        http.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        http2.alpn_protocols = vec![b"h2".to_vec()];
        Ok(Made { http: Arc::new(http), http2: Arc::new(http2), served })
    }

    fn tell(&self, made: &Made, is_new: bool) {
        self.expiry.tell(&self.pair, &made.served, is_new);
    }
}
