//! One document of an import.

use futures_util::{StreamExt as _, stream};

use super::{Error, Mode, line::same, marker::Held};
use crate::store::{self, Body, Document, Key, Precondition, Revision, Store};

/// How many documents are worked on at once: a store's writers share a sync.
const AT_ONCE: usize = 128;

/// How often a store is asked that cannot serve now: a database that is busy makes some of so many wait for too long.
pub(super) const ATTEMPTS: usize = 3;

/// What became of a document.
pub(super) enum Outcome {
    /// It was not there, and is at this revision now.
    Added(Key, Revision),
    /// It was there, the same.
    Same,
    /// Another one was there, and stays.
    Kept(Key),
    /// Another one was there; this one is at this revision now.
    Overwritten(Document, Revision),
    /// A merge does not take it over.
    LeftOut,
}

/// Works on all documents of a batch, each to its end, and answers what became of each.
pub(super) async fn each<'a, T, F>(batch: Vec<(Key, Body)>, work: impl Fn(Key, Body) -> F) -> Vec<Result<T, Error>>
where
    F: Future<Output = Result<T, Error>> + 'a,
{
    stream::iter(batch).map(|(key, body)| work(key, body)).buffer_unordered(AT_ONCE).collect().await
}

/// Whether a document tells of its own store only: with which keys its secrets are sealed.
fn is_own(key: &Key) -> bool {
    key.segments().next() == Some("encryption")
}

/// Whether a store could not serve, and thus changed nothing. It waits by itself before it says so.
pub(super) const fn is_away(error: &store::Error) -> bool {
    matches!(error, store::Error::Unavailable(_) | store::Error::Timeout)
}

/// Asks a store again that could not serve.
pub(super) async fn patiently<T>(call: impl AsyncFn() -> Result<T, store::Error>) -> Result<T, store::Error> {
    for _ in 1..ATTEMPTS {
        match call().await {
            Err(error) if is_away(&error) => {}
            other => return other,
        }
    }
    call().await
}

/// Compares a document with the store's, and writes nothing.
pub(super) async fn compare(store: &dyn Store, key: Key, body: Body) -> Result<Outcome, Error> {
    if is_own(&key) {
        return Ok(Outcome::LeftOut);
    }
    Ok(match patiently(async || store.get(&key).await).await? {
        None => Outcome::Added(key, Revision::new("")),
        Some(found) if same(&found.body, &body) => Outcome::Same,
        Some(found) => Outcome::Kept(found.key),
    })
}

/// Writes a document.
pub(super) async fn write(held: &Held<'_>, mode: Mode, key: Key, body: Body) -> Result<Outcome, Error> {
    if mode == Mode::IntoEmpty {
        match put(held, &key, &body, Precondition::Absent).await {
            Err(Error::Raced { .. }) => {}
            other => return other.map(|revision| Outcome::Added(key, revision)),
        }
    } else if is_own(&key) {
        return Ok(Outcome::LeftOut);
    }
    let Some(found) = patiently(async || held.store.get(&key).await).await? else {
        let revision = put(held, &key, &body, Precondition::Absent).await?;
        return Ok(Outcome::Added(key, revision));
    };
    if same(&found.body, &body) {
        return Ok(Outcome::Same);
    }
    match mode {
        Mode::MergeKeeping => Ok(Outcome::Kept(key)),
        Mode::MergeOverwriting => {
            let revision = put(held, &key, &body, Precondition::AtRevision(found.revision.clone())).await?;
            Ok(Outcome::Overwritten(found, revision))
        }
        Mode::IntoEmpty | Mode::Merge => Err(Error::Raced { key }),
    }
}

/// Writes, and finds out what happened where the answer was lost.
pub(super) async fn put(
    held: &Held<'_>,
    key: &Key,
    body: &Body,
    precondition: Precondition,
) -> Result<Revision, Error> {
    match held.patiently(async || held.store.put(key, body.clone(), precondition.clone()).await).await {
        Err(Error::Store(store::Error::Conflict { key })) => Err(Error::Raced { key }),
        Err(Error::Store(unknown @ store::Error::OutcomeUnknown { .. })) => {
            match patiently(async || held.store.get(key).await).await {
                Ok(Some(found)) if same(&found.body, body) => Ok(found.revision),
                _ => Err(Error::Store(unknown)),
            }
        }
        other => other,
    }
}
