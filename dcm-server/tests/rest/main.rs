//! The REST edge over a real socket, on every store.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod access;
mod bad_inputs;
mod calls;
mod compression;
mod design;
mod methods;
mod metrics;
mod mutation;
mod protocol;
mod records;
mod revision;
mod spelling;
mod support;
