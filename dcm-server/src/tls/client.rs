//! The client's side: how one role reaches another.

use std::{
    fmt, io,
    path::Path,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use dcm_core::secret::Secret;
use http::Uri;
use hyper_util::rt::TokioIo;
use rustls::{ClientConfig, pki_types::ServerName, sign::SingleCertAndKey};
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, client::TlsStream};

use super::{
    FileError, TlsMetrics,
    expiry::Expiry,
    facts::Served,
    files::{Fault, Named, Pair},
    other, provider,
    reload::{Looks, Reloaded, Source},
};
use crate::config::TlsOptions;

/// How long a connection may take to be there, and secure.
const WITHIN: Duration = Duration::from_secs(10);

/// What a role trusts and shows when it calls another one: the CA of `--peer-ca`, and its own certificate.
#[derive(Clone, Debug)]
pub struct PeerTls {
    files: Arc<Reloaded<ClientFiles>>,
    looks: Arc<Looks>,
    metrics: TlsMetrics,
}

impl PeerTls {
    /// Reads the files: the CAs that other roles' certificates come from (`--peer-ca`), and the certificate and key that are shown to
    /// them (`--peer-cert`, `--peer-key`). From then on they are taken again when they change, for connections that are made later.
    /// Must be called in a tokio runtime.
    ///
    /// # Errors
    /// Where one of them cannot be used.
    pub fn open(peer_ca: &Path, own: Option<(&Path, &Path)>) -> Result<Self, FileError> {
        Self::with(peer_ca, own.map(|(cert, key)| Pair::new(Pair::PEER, cert, key)))
    }

    /// Likewise, with what is configured: where no other pair is, that of the server is shown. `None` where nothing says whom to trust.
    pub(crate) fn of(options: &TlsOptions) -> Result<Option<Self>, FileError> {
        let own = options.shown_to_peers();
        let own = own.map(|(names, (cert, key))| Pair::new(names, cert, key));
        options.peer_ca.as_deref().map(|peer_ca| Self::with(peer_ca, own)).transpose()
    }

    fn with(peer_ca: &Path, own: Option<Pair>) -> Result<Self, FileError> {
        let metrics = TlsMetrics::default();
        let expiry = Expiry::new("other roles", metrics.clone());
        let source = ClientFiles { ca: Named::new("--peer-ca", peer_ca), own, expiry };
        let files = Arc::new(Reloaded::open(source, metrics.clone())?);
        let looks = Arc::new(Looks::start(vec![files.clone()]));
        Ok(Self { files, looks, metrics })
    }

    /// What makes connections, for `tonic::transport::Endpoint::connect_with_connector` and others.
    #[must_use]
    pub fn connector(&self) -> Connector {
        Connector { tls: self.clone() }
    }

    pub(crate) const fn metrics(&self) -> &TlsMetrics {
        &self.metrics
    }

    /// Takes changed files now, instead of within seconds.
    pub async fn reload(&self) {
        self.looks.now().await;
    }
}

#[derive(Debug)]
struct ClientFiles {
    ca: Named,
    own: Option<Pair>,
    expiry: Expiry,
}

#[derive(Debug)]
struct Made {
    config: Arc<ClientConfig>,
    /// What the certificate says that is shown.
    shown: Option<Served>,
}

impl Source for ClientFiles {
    type Made = Made;

    const NAME: &'static str = "TLS with other roles";

    fn read(&self) -> Result<Vec<Secret>, FileError> {
        let own = self.own.iter().flat_map(|own| [&own.cert, &own.key]);
        std::iter::once(&self.ca).chain(own).map(Named::read).collect()
    }

    fn make(&self, files: &[Secret]) -> Result<Made, FileError> {
        let mut files = files.iter();
        let none = Secret::new("");
        let mut next = || files.next().unwrap_or(&none);
        let roots = self.ca.roots(next())?;
        let refused = |why| self.ca.wrong(Fault::Refused(why));
        let builder = ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
            .map_err(refused)?
            .with_root_certificates(roots);
        let mut shown = None;
        let mut config = match &self.own {
            None => builder.with_no_client_auth(),
            Some(own) => {
                let certified = own.certified(next(), next())?;
                shown = Some(own.served(&certified)?);
                builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(certified)))
            }
        };
        config.alpn_protocols = vec![b"h2".to_vec()];
        Ok(Made { config: Arc::new(config), shown })
    }

    fn tell(&self, made: &Made, is_new: bool) {
        if is_new {
            tracing::info!(ca = %self.ca.path.display(), "TLS with other roles trusts this CA");
        }
        if let Some((own, shown)) = self.own.as_ref().zip(made.shown.as_ref()) {
            self.expiry.tell(own, shown, is_new);
        }
    }
}

/// Connects to another role over TLS and HTTP/2, each time with the files that are in force.
///
/// What it is given says where to connect to and whom to expect there; that it speaks TLS does not hang on `https`: a tonic that is
/// built with TLS of its own takes that for an order to put it on top, so such an `Endpoint` is made with `http://`.
#[derive(Clone, Debug)]
pub struct Connector {
    tls: PeerTls,
}

impl Connector {
    async fn connect(self, uri: Uri) -> io::Result<Connection> {
        let host = uri.host().ok_or_else(|| other("a role's address must name a host"))?;
        let port = uri.port_u16().unwrap_or(443);
        let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host).to_owned();
        let connecting = async move {
            let stream = TcpStream::connect((bare.as_str(), port)).await?;
            stream.set_nodelay(true)?;
            let name = ServerName::try_from(bare).map_err(other)?;
            let connector = TlsConnector::from(Arc::clone(&self.tls.files.get().config));
            connector.connect(name, stream).await
        };
        let timed = tokio::time::timeout(WITHIN, connecting).await;
        let stream = timed.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
        if stream.get_ref().1.alpn_protocol() != Some(b"h2") {
            return Err(other("who is there does not speak HTTP/2 over TLS"));
        }
        Ok(TokioIo::new(stream))
    }
}

/// A connection to another role.
pub type Connection = TokioIo<TlsStream<TcpStream>>;

/// A connection that is being made.
pub struct Connecting(Pin<Box<dyn Future<Output = io::Result<Connection>> + Send>>);

impl fmt::Debug for Connecting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Connecting")
    }
}

impl Future for Connecting {
    type Output = io::Result<Connection>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.as_mut().poll(cx)
    }
}

impl tower::Service<Uri> for Connector {
    type Response = Connection;
    type Error = io::Error;
    type Future = Connecting;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Connecting {
        Connecting(Box::pin(self.clone().connect(uri)))
    }
}
