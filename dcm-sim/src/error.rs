//! Why a cluster could not be started.

/// Why a simulated cluster could not be started or a kubeconfig could not be made.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No loopback port could be opened.
    #[error("no loopback port can be opened")]
    Listen(#[source] std::io::Error),
    /// A key or certificate could not be made.
    #[error("a key or certificate can't be made")]
    Certificate(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// A document is not one that the cluster can take.
    #[error("the cluster refuses the object: {0}")]
    Refused(String),
}

impl Error {
    pub(crate) fn certificate(error: impl std::error::Error + Send + Sync + 'static) -> Self {
        Self::Certificate(Box::new(error))
    }
}
