//! Fakes, builders and conformance suites for tests of DCM and of what embeds it.

pub mod address;
pub mod broken;
pub mod builders;
#[cfg(feature = "ca")]
pub mod ca;
pub mod clusters;
pub mod cutter;
pub mod environment;
pub mod faulty;
pub mod linearizability;
pub mod mongodb;
pub mod patience;
pub mod ports;
pub mod rights;
pub mod store;
pub mod synchronizer;
pub mod trace;
