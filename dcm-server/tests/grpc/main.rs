//! The gRPC edge over real sockets, beside REST: what one says, the other says too.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod asked;
mod bounds;
mod conditions;
mod errors;
mod lifecycle;
mod lists;
mod many;
mod many_watched;
mod resources;
mod same;
mod server;
mod status_notify;
mod support;
mod synchronizer;
mod watch_bounds;
mod watches;
