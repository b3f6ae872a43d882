//! Clusters behind another process, on real sockets: a DCM that asks through the wire does what one does that reaches the clusters itself.

#![allow(clippy::unwrap_used, clippy::panic, clippy::expect_used)] // Helpers of tests; clippy.toml knows the tests themselves only.

mod away;
mod patience;
mod same;
mod support;
mod wire;
