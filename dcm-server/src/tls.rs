//! TLS: what the server shows, whom it asks for a certificate, and what it shows and trusts as a client. Versions 1.2 and 1.3,
//! with the cryptography of aws-lc-rs; files are taken again while the server runs.

mod accept;
mod client;
mod expiry;
mod facts;
mod files;
mod identity;
mod metrics;
mod reload;
mod server;

use std::{io, sync::Arc};

use rustls::crypto::CryptoProvider;

pub use client::{Connecting, Connection, Connector, PeerTls};
pub use files::FileError;
pub use identity::PeerIdentity;
pub(crate) use metrics::TlsMetrics;
pub(crate) use reload::Looks;
pub(crate) use server::{Protocols, ServerTls};

/// The one provider, whatever the process has as its own.
fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

fn other(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> io::Error {
    io::Error::other(error)
}
