#![doc = include_str!("../README.md")]

mod changes;
pub mod encryption;
pub mod key;
#[cfg(feature = "memory")]
pub mod memory;
#[cfg(feature = "mongodb")]
pub mod mongodb;
mod open;
mod revision;
#[cfg(feature = "sled")]
pub mod sled;

#[cfg(feature = "mongodb")]
pub use mongodb::{MongoConfig, MongoProblem, WatchMode};
pub use open::{Config, Holder, InvalidUrl, OpenError, SledConfig, open};

/// The largest document that the stores of this crate take, in bytes of JSON.
pub const DOCUMENT_LIMIT: usize = 16 * 1024 * 1024;

/// How many changes a store remembers for its watches where nothing else is said.
pub const HISTORY: usize = 100_000;
