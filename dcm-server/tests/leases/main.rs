//! Several servers on one store: they share the work, and take over from each other.
//!
//! Simulated clusters live in this process and outlive every server. Where a MongoDB server is given, each test has its turn on it, too,
//! and servers in processes of their own are killed and paused.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout, reason = "a test fails loudly")]

mod bed;
mod looking;
#[cfg(all(feature = "mongodb", unix))]
mod processes;
mod shared;
