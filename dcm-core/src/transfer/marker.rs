//! The document that says that an import is not finished.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{
    Error, Mode, Run,
    write::{ATTEMPTS, is_away, patiently},
};
use crate::{
    keys,
    model::Uid,
    store::{self, Body, Entry, Key, Precondition, Revision, Store, StoreExt, Stored},
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
    /// The run that goes on with it: the last one that took it over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<Uid>,
}

impl Stored for Unfinished {
    const KIND: &'static str = "Import";
    const VERSION: u32 = 1;
}

fn key() -> Result<Key, Error> {
    keys::import("this").map_err(|error| Error::Read(Box::new(error)))
}

/// Whether a document belongs to imports themselves, or to a process that is at work: it is in no export.
pub(super) fn is_marker(key: &Key) -> bool {
    matches!(key.segments().next(), Some("import" | "member"))
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

/// The marker as one run wrote it. The store is this run's as long as it is there in this state: another run of the same
/// import may think that this one has ended, and write its own in its place.
pub(super) struct Held<'a> {
    pub(super) store: &'a dyn Store,
    key: Key,
    revision: Revision,
}

impl<'a> Held<'a> {
    /// Marks the store at the beginning of an import.
    pub(super) async fn begin(store: &'a dyn Store, sha256: &str, mode: Mode, run: &Run) -> Result<Self, Error> {
        let (sha256, run, started_at) = (sha256.to_owned(), Some(run.id.clone()), run.at);
        Self::mark(store, &Unfinished { sha256, mode, started_at, run }, Precondition::Absent).await
    }

    /// Goes on with an import: the run before, should it be at work yet, stops.
    pub(super) async fn take_over(store: &'a dyn Store, found: Entry<Unfinished>, run: &Run) -> Result<Self, Error> {
        let unfinished = Unfinished { run: Some(run.id.clone()), ..found.value };
        Self::mark(store, &unfinished, Precondition::AtRevision(found.revision)).await
    }

    async fn mark(store: &'a dyn Store, unfinished: &Unfinished, precondition: Precondition) -> Result<Self, Error> {
        let key = key()?;
        let body = Body::write(&key, unfinished)?;
        let revision = match patiently(async || store.put(&key, body.clone(), precondition.clone()).await).await {
            Ok(revision) => revision,
            Err(store::Error::Conflict { .. }) => return Err(Error::TakenOver),
            Err(unknown @ store::Error::OutcomeUnknown { .. }) => {
                match patiently(async || store.load::<Unfinished>(&key).await).await {
                    Ok(Some(found)) if found.value == *unfinished => found.revision,
                    _ => return Err(Error::Left(Box::new(unknown.into()))),
                }
            }
            Err(error) => return Err(error.into()),
        };
        Ok(Self { store, key, revision })
    }

    /// Fails where the store is another run's, or nobody's any more.
    pub(super) async fn check(&self) -> Result<(), Error> {
        match patiently(async || self.store.get(&self.key).await).await? {
            Some(found) if found.revision == self.revision => Ok(()),
            _ => Err(Error::TakenOver),
        }
    }

    /// Asks a store again that could not serve, and thus changed nothing, as long as it is this run's.
    pub(super) async fn patiently<T>(&self, call: impl AsyncFn() -> Result<T, store::Error>) -> Result<T, Error> {
        for _ in 1..ATTEMPTS {
            match call().await {
                Err(error) if is_away(&error) => self.check().await?,
                other => return Ok(other?),
            }
        }
        Ok(call().await?)
    }

    /// Takes the marker away: the import is finished, or was taken back.
    pub(super) async fn end(self) -> Result<(), Error> {
        match patiently(async || self.store.delete(&self.key, &self.revision).await).await {
            Err(store::Error::Conflict { .. }) => Err(Error::TakenOver),
            Err(unknown @ store::Error::OutcomeUnknown { .. }) => {
                match patiently(async || self.store.get(&self.key).await).await {
                    Ok(None) => Ok(()),
                    Ok(Some(found)) if found.revision != self.revision => Err(Error::TakenOver),
                    _ => Err(unknown.into()),
                }
            }
            other => Ok(other?),
        }
    }
}
