//! The client against real servers, over connections that break.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod errors;
mod lists;
mod many;
mod proxy;
mod retries;
mod support;
mod watches;
