//! Takes back what an import wrote.

use super::{
    Error, Stage, Tell,
    check::Checked,
    line::same,
    marker::{Held, is_marker},
    write::{Outcome, each, patiently},
};
use crate::store::{Body, Document, Key, Precondition, Revision, Scan};

/// How many bytes are kept to take a merge back; one that needs more is not taken back.
const MOST_BYTES: usize = 256 * 1024 * 1024;

/// What a merge wrote, in order; what is needed to take it back: where each document is now, and what it was before.
#[derive(Default)]
pub(super) struct Log {
    written: Vec<(Key, Revision, Option<Body>)>,
    bytes: usize,
    is_too_long: bool,
}

impl Log {
    pub(super) fn added(&mut self, key: Key, revision: Revision) {
        self.note(key, revision, None);
    }

    pub(super) fn overwritten(&mut self, before: Document, revision: Revision) {
        self.note(before.key, revision, Some(before.body));
    }

    fn note(&mut self, key: Key, revision: Revision, before: Option<Body>) {
        if self.is_too_long {
            return;
        }
        self.bytes += key.as_str().len() + revision.as_str().len();
        self.bytes += before.as_ref().map_or(0, |body| body.as_bytes().len());
        if self.bytes > MOST_BYTES {
            *self = Self { is_too_long: true, ..Self::default() };
        } else {
            self.written.push((key, revision, before));
        }
    }

    /// Takes all of it back; whether that is possible.
    pub(super) async fn undo(self, held: &Held<'_>) -> Result<bool, Error> {
        for (key, revision, before) in self.written.into_iter().rev() {
            // Each time: a run that has taken over counts what it finds.
            held.check().await?;
            match before {
                None => held.patiently(async || held.store.delete(&key, &revision).await).await?,
                Some(body) => {
                    let precondition = Precondition::AtRevision(revision);
                    let put = async || held.store.put(&key, body.clone(), precondition.clone()).await;
                    held.patiently(put).await?;
                }
            }
        }
        Ok(!self.is_too_long)
    }
}

/// Deletes what the file holds from a store that was empty before; whether nothing but the marker is left.
pub(super) async fn empty(held: &Held<'_>, checked: &Checked<'_>, tell: &mut Tell<'_>) -> Result<bool, Error> {
    let mut batches = checked.batches();
    loop {
        let batch = batches.next().await?;
        if batch.is_empty() {
            break;
        }
        for deleted in each(batch, |key, body| remove(held, key, body)).await {
            deleted?;
        }
        tell(batches.progress(Stage::Undoing));
    }
    let left = held.store.scan(Scan::everything(2)).await?;
    Ok(left.iter().all(|document| is_marker(&document.key)))
}

async fn remove(held: &Held<'_>, key: Key, body: Body) -> Result<Outcome, Error> {
    match patiently(async || held.store.get(&key).await).await? {
        Some(found) if same(&found.body, &body) => {
            held.check().await?;
            held.patiently(async || held.store.delete(&key, &found.revision).await).await?;
        }
        _ => {}
    }
    Ok(Outcome::Same)
}
