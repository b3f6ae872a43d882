//! Apply, terminate and delete, on the memory store and fake clusters.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails loudly")]

mod apply;
mod identity;
mod objects;
mod policy;
mod removal;
mod status;
mod support;
