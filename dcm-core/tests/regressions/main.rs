//! What was once wrong: races and crashes that a review found, each played step by step.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails loudly")]

mod access;
mod credentials;
mod orders;
mod records;
mod references;
mod reservations;
mod support;
mod watches;
