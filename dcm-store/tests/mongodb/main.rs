//! The MongoDB store on servers that are wrong, fail, or are asked for more than usual.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test that fails says where"
)]
#![cfg(all(feature = "mongodb", unix))]

mod auth;
mod chaos;
mod outcome;
mod start;
mod support;
