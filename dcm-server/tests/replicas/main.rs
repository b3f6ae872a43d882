//! DCM in several processes: main servers, synchronizers and a CA on one MongoDB, before real API servers, while processes are killed, frozen
//! and replaced.

#![cfg(all(feature = "mongodb", unix))]
#![allow(clippy::expect_used, clippy::panic, clippy::print_stdout, clippy::unwrap_used, reason = "tests")]

#[cfg(target_os = "linux")]
mod apart;
mod authority;
mod ca;
#[expect(dead_code, reason = "the suite of real clusters uses the rest")]
#[path = "../real/clusters.rs"]
mod clusters;
mod fleet;
mod killed;
mod paused;
#[path = "../common/process.rs"]
#[allow(dead_code, reason = "shared with other suites")]
mod process;
mod rolling;
mod starting;
