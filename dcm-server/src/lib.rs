#![doc = include_str!("../README.md")]

mod assemble;
mod ca;
pub mod cli;
pub mod config;
mod deadline;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
mod grpc;
mod http;
mod metrics;
mod peers;
mod readiness;
mod reencryption;
mod serving;
pub mod shutdown;
pub mod simulated;
mod status;
pub mod telemetry;
pub mod tls;
pub mod worker;

pub use assemble::{Running, StartError, start, start_on};
pub use cli::Cli;
pub use config::Config;

/// Makes aws-lc-rs the cryptography of this process, where none is set yet.
pub fn install_crypto_provider() {
    // An error means that there is one already: whoever set it decides.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
}
