//! Keys, certificate signing requests and certificates for DCM.
//!
//! All cryptography is aws-lc-rs's. Nothing here reads a file, a clock or the environment, and nothing
//! needs a process-wide crypto provider.

pub mod credential;
