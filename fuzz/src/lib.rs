//! What is fuzzed, and what must hold of it: one module per target, each with a plain function that takes any bytes and
//! panics where a promise is broken.
//!
//! `fuzz_targets/` hands these functions to libFuzzer. `dcm-server/tests/corpus.rs` takes this file as a module and
//! replays the committed corpus, without any of that: so paths in here begin with `super`, never with `crate`.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a broken promise is a panic here")]

pub mod bodies;
pub mod credentials;
pub mod documents;
pub mod keys;
pub mod kubeconfigs;
pub mod names;
pub mod quantities;
pub mod queries;
mod reference;
mod world;

/// A target: its name, which is also that of the folder of its corpus, and its function.
pub type Target = (&'static str, fn(&[u8]));

/// All targets.
pub const TARGETS: [Target; 8] = [
    ("bodies", bodies::run),
    ("credentials", credentials::run),
    ("documents", documents::run),
    ("keys", keys::run),
    ("kubeconfigs", kubeconfigs::run),
    ("names", names::run),
    ("quantities", quantities::run),
    ("queries", queries::run),
];
