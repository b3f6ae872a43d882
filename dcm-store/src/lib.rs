//! Stores for DCM: memory, sled and MongoDB behind one trait, and the encryption of what they keep.
//!
//! A program that composes DCM calls [`open`] with a [`Config`] and holds an `Arc<dyn Store>` from then on;
//! which backend stands behind it is nobody's business but the configuration's. The backends are public for
//! tests and for what needs their own methods.
//!
//! ```
//! # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
//! use dcm_core::store::{Body, Key, Precondition};
//!
//! let store = dcm_store::open("memory:".parse()?).await?;
//! let key = Key::new(["cluster", "edge", "one"])?;
//! let revision = store.put(&key, Body::from_json(*b"{}"), Precondition::Absent).await?;
//! assert_eq!(store.get(&key).await?.map(|document| document.revision), Some(revision));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

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
