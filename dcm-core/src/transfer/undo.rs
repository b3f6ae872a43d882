//! Takes back what an import wrote.

use super::{
    Error, Stage, Tell,
    check::Checked,
    line::same,
    write::{Outcome, each, patiently},
};
use crate::store::{Body, Document, Key, Precondition, Revision, Scan, Store};

/// What a merge wrote, in order; what is needed to take it back: where each document is now, and what it was before.
#[derive(Default)]
pub(super) struct Log(Vec<(Key, Option<Revision>, Option<Body>)>);

impl Log {
    pub(super) fn added(&mut self, key: Key, revision: Revision) {
        self.0.push((key, Some(revision), None));
    }

    pub(super) fn overwritten(&mut self, before: Document, revision: Revision) {
        self.0.push((before.key, Some(revision), Some(before.body)));
    }

    pub(super) fn deleted(&mut self, before: Document) {
        self.0.push((before.key, None, Some(before.body)));
    }

    /// Takes all of it back.
    pub(super) async fn undo(self, store: &dyn Store) -> Result<(), Error> {
        for (key, revision, before) in self.0.into_iter().rev() {
            match (revision, before) {
                (Some(revision), None) => store.delete(&key, &revision).await?,
                (revision, Some(body)) => {
                    let precondition = revision.map_or(Precondition::Absent, Precondition::AtRevision);
                    store.put(&key, body, precondition).await?;
                }
                (None, None) => {}
            }
        }
        Ok(())
    }
}

/// Deletes what the file holds from a store that was empty before. Fails where anything but the marker is left.
pub(super) async fn empty(store: &dyn Store, checked: &Checked<'_>, tell: &mut Tell<'_>) -> Result<(), Error> {
    let mut batches = checked.batches();
    loop {
        let batch = batches.next().await?;
        if batch.is_empty() {
            break;
        }
        for deleted in each(batch, |key, body| remove(store, key, body)).await {
            deleted?;
        }
        tell(batches.progress(Stage::Undoing));
    }
    match store.scan(Scan::everything(2)).await?.into_iter().find(|left| !super::marker::is_marker(&left.key)) {
        Some(left) => Err(Error::Raced { key: left.key }),
        None => Ok(()),
    }
}

async fn remove(store: &dyn Store, key: Key, body: Body) -> Result<Outcome, Error> {
    match patiently(async || store.get(&key).await).await? {
        Some(found) if same(&found.body, &body) => {
            patiently(async || store.delete(&key, &found.revision).await).await?;
        }
        _ => {}
    }
    Ok(Outcome::Same)
}
