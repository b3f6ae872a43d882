//! The REST edge over a real socket, on every store.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod access;
mod bad_inputs;
mod calls;
mod cluster_records;
mod compression;
mod contention;
mod controllers;
mod description;
mod design;
mod emco;
mod events;
mod limits;
mod lists;
mod methods;
mod metrics;
mod mutation;
mod page;
mod patch;
mod protocol;
mod records;
mod revision;
mod spelling;
mod support;
mod watch;
mod watch_limits;
