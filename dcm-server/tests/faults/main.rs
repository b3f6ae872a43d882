//! What may go wrong on a real cluster: provoked on a testbed of these tests' own, told in the status with a
//! reason and words that somebody can act on, and healed without a new order when it goes away.
//!
//! `docs/faults.md` says what each fault looks like; the tests hold the program to what stands there.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout, reason = "a test fails loudly")]

mod bed;
mod certificates;
mod page;
mod proxy;
mod setting;

mod answers;
mod clock;
mod credential;
mod namespace;
mod objects;
mod server;
mod trust;
mod webhook;
