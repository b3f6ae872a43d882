//! The document that says that an import is not finished.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Error, Mode};
use crate::{
    keys,
    store::{self, Entry, Key, Store, StoreExt, Stored},
};

/// An import that is going on, or was cut off: written before its first document and deleted after its last.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Unfinished {
    /// The checksum of the file.
    pub sha256: String,
    /// What it does with what the store held before.
    pub mode: Mode,
    /// When it began.
    pub started_at: Timestamp,
}

impl Stored for Unfinished {
    const KIND: &'static str = "Import";
    const VERSION: u32 = 1;
}

pub(super) fn key() -> Result<Key, Error> {
    keys::import("this").map_err(|error| Error::Read(Box::new(error)))
}

/// Whether a document belongs to imports themselves: it is in no export.
pub(super) fn is_marker(key: &Key) -> bool {
    key.segments().next() == Some("import")
}

pub(super) async fn load(store: &dyn Store) -> Result<Option<Entry<Unfinished>>, Error> {
    Ok(store.load(&key()?).await?)
}

/// Fails where an import was not finished.
pub(crate) async fn refuse_unfinished(store: &dyn Store) -> Result<(), Error> {
    match load(store).await? {
        Some(found) => Err(Error::Unfinished { mode: found.value.mode }),
        None => Ok(()),
    }
}

/// Notes that an import begins, and answers the note's revision.
pub(super) async fn begin(store: &dyn Store, unfinished: &Unfinished) -> Result<store::Revision, Error> {
    let key = key()?;
    store.insert(&key, unfinished).await.map_err(|error| match error {
        store::Error::Conflict { key } => Error::Raced { key },
        other => Error::Store(other),
    })
}
