//! Writing one document, and finding out what became of a write whose answer was lost.

use std::{sync::atomic::Ordering, time::Duration};

use dcm_core::store::{BoxError, Error, Key, Revision};
use mongodb::{
    ClientSession,
    bson::{Bson, Document, doc},
};
use tokio::time::{Instant, sleep, timeout, timeout_at};

use super::{
    Inner,
    connect::Topology,
    failure::{self, WriteFailed},
};

/// How long to wait before a write is tried again, at first and at most.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// What names a write to the server: a session, and a number in it.
type Name = (ClientSession, i64);

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

/// What the document shows of a write.
#[derive(Debug, PartialEq, Eq)]
enum Shown {
    /// The write happened.
    Done,
    /// Somebody else's write is what happened to the expected state.
    Lost,
    /// The expected state is still there.
    Stands,
    /// There is no document: it may have been made and deleted since.
    Gone,
    /// It cannot be told any more whether this write happened before another one.
    Hidden,
}

impl Inner {
    /// Carries out a write.
    ///
    /// Where a request fails so that it may have happened, it is sent again: it names the state that it expects and
    /// the one that it makes, so it happens once at most, and the document shows whether it did.
    ///
    /// All its requests have one name, a session and a number in it: a server that carried one out answers the others as
    /// it answered that one, whoever is the primary by then. Where that is not known, the document tells.
    ///
    /// A request that was given up may still lie before the server. A replacement or deletion that it takes up later finds its
    /// state gone for ever. An insert would bring back what was deleted meanwhile: its name has been used, so that it is not
    /// carried out again. Where there are no such names an insert is sent once only.
    pub(super) async fn write(&self, key: &Key, change: Change) -> Result<(), Error> {
        let end = Instant::now() + self.config.deadline;
        let mut name = self.name().await?;
        let once = name.is_none() && matches!(change, Change::Insert { .. });
        let mut doubt: Option<BoxError> = None;
        let mut refused: Option<BoxError> = None;
        let mut pause = FIRST_PAUSE;
        loop {
            let left = self.left_to_send(end);
            let said = match (&doubt, once || left.is_zero()) {
                (Some(_), true) => Said::Missed,
                _ => self.request(key, &change, name.as_mut(), left).await,
            };
            match said {
                Said::Done => break,
                Said::Missed | Said::Failed(WriteFailed::Duplicate) => {
                    match self.look(key, &change, name.as_mut(), end).await {
                        Ok(Shown::Done) => break,
                        Ok(Shown::Lost) => return Err(Error::Conflict { key: key.clone() }),
                        Ok(Shown::Stands) => {}
                        Ok(Shown::Gone) if doubt.is_some() && once => {}
                        Ok(Shown::Gone | Shown::Hidden) => {
                            return Err(doubt
                                .map_or_else(|| Error::Conflict { key: key.clone() }, |source| unknown(key, source)));
                        }
                        Err(error) => doubt = doubt.or_else(|| Some(Box::new(error))),
                    }
                }
                Said::Failed(WriteFailed::NotDone(error)) if doubt.is_none() && refused.is_none() => {
                    return Err(Error::Unavailable(error));
                }
                // A new primary may still be looked for, or what the first request did.
                Said::Failed(WriteFailed::NotDone(error) | WriteFailed::Elsewhere(error)) => refused = Some(error),
                Said::Failed(WriteFailed::Unknown(error)) => doubt = Some(error),
            }
            if Instant::now() + pause >= end {
                return Err(match (doubt, refused) {
                    (None, Some(refused)) => Error::Unavailable(refused),
                    (doubt, _) => unknown(key, doubt.unwrap_or_else(|| "MongoDB did not answer in time".into())),
                });
            }
            sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
        if let Some((session, _)) = &name {
            self.note(session);
        }
        Ok(())
    }

    /// For how long a request may go on: what is left after it is for looking at what became of it.
    fn left_to_send(&self, end: Instant) -> Duration {
        let left = end.saturating_duration_since(Instant::now());
        left.saturating_sub(self.config.deadline / 6).min(self.config.attempt)
    }

    /// A session and a number in it, which name the write to the server; a server that is alone knows no such names.
    async fn name(&self) -> Result<Option<Name>, Error> {
        if !self.fenced {
            return Ok(None);
        }
        let session = self.client.start_session().causal_consistency(false).await.map_err(failure::of_read)?;
        // Sessions are used again and again, and a number must be above all that went before in its session.
        let number = self.writes.fetch_add(1, Ordering::Relaxed);
        Ok(Some((session, number)))
    }

    async fn request(&self, key: &Key, change: &Change, name: Option<&mut Name>, within: Duration) -> Said {
        let mut command = command(self.documents.name(), key, change);
        command.insert("writeConcern", self.concern.clone());
        let sent = async {
            match name {
                Some((session, number)) => {
                    command.insert("txnNumber", *number);
                    self.database.run_command(command).session(session).await
                }
                None => self.database.run_command(command).await,
            }
        };
        match timeout(within, sent).await {
            Ok(Ok(answer)) => said(&answer),
            Ok(Err(error)) => Said::Failed(failure::of_write(&error)),
            Err(late) => Said::Failed(WriteFailed::Unknown(Box::new(late))),
        }
    }

    /// Looks at the document after a write found it in another state than the expected one, or did not answer.
    async fn look(&self, key: &Key, change: &Change, name: Option<&mut Name>, end: Instant) -> Result<Shown, Error> {
        let look = async {
            let found = self.read(key, name.map(|(session, _)| session)).await?;
            let shown = shown(change, found.as_ref());
            if shown == Shown::Done && self.topology == Topology::Standalone {
                self.flush(key).await?;
            }
            Ok(shown)
        };
        timeout_at(end, look).await.unwrap_or(Err(Error::Timeout))
    }

    /// Waits until what was seen is in the journal: a stand-alone server shows what is not there yet.
    async fn flush(&self, key: &Key) -> Result<(), Error> {
        let nothing = doc! { "_id": key.as_str(), "revision": "" };
        self.documents.delete_one(nothing).await.map(drop).map_err(failure::of_read)
    }
}

/// A write as the server takes it.
///
/// It is not one of the driver's own writes: those it sends a second time by itself, and does not say so.
fn command(collection: &str, key: &Key, change: &Change) -> Document {
    let at = |expected: &Revision| doc! { "_id": key.as_str(), "revision": expected.as_str() };
    match change {
        Change::Insert { record, .. } => doc! { "insert": collection, "documents": [record.clone()] },
        Change::Replace { record, expected, .. } => {
            doc! { "update": collection, "updates": [{ "q": at(expected), "u": record.clone() }] }
        }
        Change::Delete { expected } => {
            doc! { "delete": collection, "deletes": [{ "q": at(expected), "limit": 1 }] }
        }
    }
}

/// What the answer to a write says.
fn said(answer: &Document) -> Said {
    fn text(error: &Document) -> &str {
        error.get_str("errmsg").unwrap_or("without a reason")
    }
    let first = answer.get_array("writeErrors").ok().and_then(|errors| errors.first()?.as_document());
    if let Some(error) = first {
        return Said::Failed(failure::of_write_error(number(error, "code"), text(error)));
    }
    if let Ok(error) = answer.get_document("writeConcernError") {
        return Said::Failed(failure::of_write_concern(number(error, "code"), text(error)));
    }
    match number(answer, "n") {
        Some(0) => Said::Missed,
        Some(_) => Said::Done,
        None => Said::Failed(WriteFailed::Unknown("the server did not say how many documents it wrote".into())),
    }
}

/// A whole number; servers write the same one in several types.
fn number(document: &Document, name: &str) -> Option<i64> {
    match document.get(name)? {
        Bson::Int32(number) => Some((*number).into()),
        Bson::Int64(number) => Some(*number),
        Bson::Double(number) if number.fract() == 0.0 => Some(*number as i64),
        _ => None,
    }
}

/// What a document, or that there is none, says of a write.
fn shown(change: &Change, found: Option<&Document>) -> Shown {
    let Some(found) = found else {
        return Shown::Gone;
    };
    let is = |name: &str, revision: &Revision| found.get_str(name).is_ok_and(|text| text == revision.as_str());
    match change {
        Change::Insert { revision, .. } | Change::Replace { revision, .. }
            if is("revision", revision) || is("replaces", revision) =>
        {
            Shown::Done
        }
        Change::Replace { expected, .. } | Change::Delete { expected } if is("revision", expected) => Shown::Stands,
        // Only one write replaces a state.
        Change::Replace { expected, .. } | Change::Delete { expected } if is("replaces", expected) => Shown::Lost,
        Change::Insert { .. } | Change::Replace { .. } | Change::Delete { .. } => Shown::Hidden,
    }
}

fn unknown(key: &Key, source: BoxError) -> Error {
    Error::OutcomeUnknown { key: key.clone(), source }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REVISIONS: [&str; 3] = ["before", "mine", "other"];

    fn changes() -> [Change; 3] {
        let [expected, revision, _] = REVISIONS.map(Revision::new);
        let record = Document::new();
        [
            Change::Insert { record: record.clone(), revision: revision.clone() },
            Change::Replace { record, revision, expected: expected.clone() },
            Change::Delete { expected },
        ]
    }

    #[test]
    fn a_router_that_lost_a_shard_does_not_know_what_became_of_a_write() {
        let failed =
            |code: i32| doc! { "ok": 1, "n": 0, "writeErrors": [{ "index": 0, "code": code, "errmsg": "made up" }] };
        for code in [6, 7, 89, 91, 133, 189, 9_001, 10_107, 11_602] {
            let said = said(&failed(code));
            assert!(matches!(said, Said::Failed(WriteFailed::Unknown(_))), "{code}");
        }
        assert!(matches!(said(&failed(121)), Said::Failed(WriteFailed::NotDone(_))));
        assert!(matches!(said(&failed(11_000)), Said::Failed(WriteFailed::Duplicate)));
    }

    #[test]
    fn the_document_tells_what_became_of_a_write() {
        let seen = |revision: &str, replaces: &str| Some(doc! { "revision": revision, "replaces": replaces });
        for (found, expected) in [
            (None, [Shown::Gone, Shown::Gone, Shown::Gone]),
            (seen("mine", "before"), [Shown::Done, Shown::Done, Shown::Lost]),
            (seen("other", "mine"), [Shown::Done, Shown::Done, Shown::Hidden]),
            (seen("other", "before"), [Shown::Hidden, Shown::Lost, Shown::Lost]),
            (seen("before", "older"), [Shown::Hidden, Shown::Stands, Shown::Stands]),
            (seen("other", "another"), [Shown::Hidden, Shown::Hidden, Shown::Hidden]),
        ] {
            let told = changes().map(|change| shown(&change, found.as_ref()));
            assert_eq!(told, expected, "{found:?}");
        }
    }
}
