use std::path::{Path, PathBuf};

use clap::Args;

use super::values;

/// With whom connections are secure. All files are PEM, and are taken again when they change.
#[derive(Args, Clone, Debug, Default, PartialEq, Eq)]
#[command(next_help_heading = "TLS")]
pub struct TlsOptions {
    /// The file with the server's certificate, and behind it those of the CAs between it and its root: HTTP and gRPC are then served
    /// over TLS only; with --role ca and --role synchronizer gRPC alone, as their HTTP is for probes and metrics. Also shown to
    /// other roles, where no --peer-cert is.
    #[arg(long, env = "DCM_TLS_CERT", value_name = "FILE")]
    pub tls_cert: Option<PathBuf>,

    /// The file with that certificate's private key: PKCS#8, PKCS#1 or SEC1, not encrypted.
    #[arg(long, env = "DCM_TLS_KEY", value_name = "FILE")]
    pub tls_key: Option<PathBuf>,

    /// The file with the CAs of clients' certificates: whoever has none of them is turned away.
    #[arg(long, env = "DCM_CLIENT_CA", value_name = "FILE")]
    pub client_ca: Option<PathBuf>,

    /// A client that is served: a URI (spiffe://...) or host name of his certificate, or its common name where it has no such
    /// name at all; may be repeated. In the environment, commas stand between several, so a common name with a comma is for the
    /// flag or the file [default: whoever has a certificate of the client CA].
    #[arg(long, env = "DCM_ALLOWED_IDENTITY", value_name = "NAME", value_delimiter = ',', value_parser = values::identity)]
    pub allowed_identity: Vec<String>,

    /// The file with the CAs that other roles' certificates come from.
    #[arg(long, env = "DCM_PEER_CA", value_name = "FILE")]
    pub peer_ca: Option<PathBuf>,

    /// The file with the certificate that is shown to other roles [default: that of --tls-cert].
    #[arg(long, env = "DCM_PEER_CERT", value_name = "FILE")]
    pub peer_cert: Option<PathBuf>,

    /// The file with that certificate's private key [default: that of --tls-key].
    #[arg(long, env = "DCM_PEER_KEY", value_name = "FILE")]
    pub peer_key: Option<PathBuf>,
}

impl TlsOptions {
    /// Certificate and key, where both are given.
    #[must_use]
    pub fn own(&self) -> Option<(&Path, &Path)> {
        self.tls_cert.as_deref().zip(self.tls_key.as_deref())
    }

    /// The certificate and key that are shown to other roles, with the options that name them.
    #[must_use]
    pub fn shown_to_peers(&self) -> Option<([&'static str; 2], (&Path, &Path))> {
        let theirs = self.peer_cert.as_deref().zip(self.peer_key.as_deref());
        let theirs = theirs.map(|pair| (["--peer-cert", "--peer-key"], pair));
        theirs.or_else(|| Some((["--tls-cert", "--tls-key"], self.own()?)))
    }

    /// Whether any file is named that is taken again when it changes.
    #[must_use]
    pub const fn has_files(&self) -> bool {
        self.tls_cert.is_some() || self.peer_ca.is_some()
    }

    /// Whether clients have to show who they are.
    #[must_use]
    pub fn authenticates(&self) -> bool {
        self.own().is_some() && self.client_ca.is_some()
    }
}
