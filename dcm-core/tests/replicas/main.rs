//! Several processes on one store: who works on a cluster, and what becomes of those who were thought dead.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails loudly")]

mod claims;
mod revoker;
mod simulation;
mod stale;
#[path = "../regressions/support.rs"]
#[allow(dead_code, reason = "shared with the suite of regressions")]
mod support;
mod takeovers;
mod worker;
mod world;
