//! Keys, certificate signing requests and certificates for DCM: the users', and the CAs of logical clouds.
//!
//! All cryptography is aws-lc-rs's. Nothing here reads a file, a clock or the environment, and nothing
//! needs a process-wide crypto provider.

pub mod ca;
pub mod credential;
#[cfg(feature = "grpc")]
pub mod grpc;
