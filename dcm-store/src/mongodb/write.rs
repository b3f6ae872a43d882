//! Writing one document, and finding out what became of a write whose answer was lost.

use std::time::Duration;

use dcm_core::store::{BoxError, Error, Key, Revision};
use mongodb::bson::{Document, doc};

use super::{
    Inner,
    failure::{self, WriteFailed},
};

/// How long to wait before a write is tried again, at first and at most.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// A write of one document.
pub(super) enum Change {
    Insert { record: Document, revision: Revision },
    Replace { record: Document, revision: Revision, expected: Revision },
    Delete { expected: Revision },
}

/// What one request to the server said.
enum Said {
    Done,
    /// There was no document in the expected state.
    Missed,
    Failed(WriteFailed),
}

/// What the document shows of a write that missed.
enum Shown {
    /// The write happened.
    Done,
    /// Somebody else's write is what happened to the expected state.
    Lost,
    /// It cannot be told any more whether this write happened before another one.
    Hidden,
}

impl Inner {
    /// Carries out a write.
    ///
    /// Where a request fails so that it may have happened, it is sent again: it names the state that it expects and
    /// the one that it makes, so it happens once at most, and the document shows whether it did.
    pub(super) async fn write(&self, key: &Key, change: Change) -> Result<(), Error> {
        let started = tokio::time::Instant::now();
        let mut doubt: Option<BoxError> = None;
        let mut pause = FIRST_PAUSE;
        loop {
            match self.request(key, &change).await {
                Said::Done => return Ok(()),
                Said::Missed | Said::Failed(WriteFailed::Duplicate) => match self.look(key, &change).await {
                    Ok(Shown::Done) => return Ok(()),
                    Ok(Shown::Lost) => return Err(Error::Conflict { key: key.clone() }),
                    Ok(Shown::Hidden) => {
                        return Err(
                            doubt.map_or_else(|| Error::Conflict { key: key.clone() }, |source| unknown(key, source))
                        );
                    }
                    Err(error) if doubt.is_none() => return Err(error),
                    Err(_) => {}
                },
                Said::Failed(WriteFailed::NotDone(error)) if doubt.is_none() => return Err(Error::Unavailable(error)),
                Said::Failed(WriteFailed::NotDone(_)) => {}
                Said::Failed(WriteFailed::Unknown(error)) => doubt = Some(error),
            }
            if started.elapsed() + pause > self.config.deadline.saturating_sub(FIRST_PAUSE) {
                let source = doubt.unwrap_or_else(|| "MongoDB did not answer in time".into());
                return Err(unknown(key, source));
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    async fn request(&self, key: &Key, change: &Change) -> Said {
        let at = |expected: &Revision| doc! { "_id": key.as_str(), "revision": expected.as_str() };
        let sent = async {
            match change {
                Change::Insert { record, .. } => self.documents.insert_one(record).await.map(|_| true),
                Change::Replace { record, expected, .. } => {
                    self.documents.replace_one(at(expected), record).await.map(|done| done.matched_count > 0)
                }
                Change::Delete { expected } => {
                    self.documents.delete_one(at(expected)).await.map(|done| done.deleted_count > 0)
                }
            }
        };
        match tokio::time::timeout(self.config.attempt, sent).await {
            Ok(Ok(true)) => Said::Done,
            Ok(Ok(false)) => Said::Missed,
            Ok(Err(error)) => Said::Failed(failure::of_write(error)),
            Err(late) => Said::Failed(WriteFailed::Unknown(Box::new(late))),
        }
    }

    /// Looks at the document after a write found it in another state than the expected one.
    async fn look(&self, key: &Key, change: &Change) -> Result<Shown, Error> {
        let found = self.read(key).await?;
        let Some(found) = found else {
            return Ok(Shown::Hidden);
        };
        let is = |name: &str, revision: &Revision| found.get_str(name).is_ok_and(|text| text == revision.as_str());
        Ok(match change {
            Change::Insert { revision, .. } | Change::Replace { revision, .. }
                if is("revision", revision) || is("replaces", revision) =>
            {
                Shown::Done
            }
            // Only one write replaces a state.
            Change::Replace { expected, .. } | Change::Delete { expected } if is("replaces", expected) => Shown::Lost,
            Change::Delete { expected } if is("revision", expected) => Shown::Lost,
            Change::Insert { .. } | Change::Replace { .. } | Change::Delete { .. } => Shown::Hidden,
        })
    }
}

fn unknown(key: &Key, source: BoxError) -> Error {
    Error::OutcomeUnknown { key: key.clone(), source }
}
