//! Main servers without a way to the clusters: what a client waits for goes through a synchronizer, and comes out the same.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "tests")]

mod apart;
#[path = "../replicas/authority.rs"]
mod authority;
mod bed;
mod same;
