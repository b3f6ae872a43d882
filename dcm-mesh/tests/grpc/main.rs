//! The CA over gRPC, on real sockets: what any CA promises, and what lies between the two ends.

#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout)] // Helpers of tests; clippy.toml knows the tests themselves only.

mod conformance;
mod messages;
mod patience;
mod support;
