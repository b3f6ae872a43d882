//! The server with its records in MongoDB, while MongoDB fails, and where it cannot be used.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test that fails says where"
)]
#![cfg(all(feature = "mongodb", unix))]

mod faults;
#[path = "../common/process.rs"]
#[allow(dead_code, reason = "shared with other suites")]
mod process;
mod start;
mod support;
