//! The MongoDB store on real servers: what it sends, what it makes of changes, and of servers that are wrong, fail, or are
//! asked for more than usual.
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
mod plans;
mod scans;
mod start;
mod support;
mod watches;
