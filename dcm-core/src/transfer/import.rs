use jiff::Timestamp;

use super::{
    Error, Imported, Input, Mode, Stage, Tell, Unfinished,
    check::{Checked, check},
    marker, undo,
    write::{Outcome, compare, each, write},
};
use crate::{
    keys,
    model::Installation,
    store::{self, Key, Scan, Store, StoreExt},
};

/// How many documents are counted before a store that is not empty is refused.
const COUNTED: usize = 100;

/// How many documents that differ are named.
const NAMED: usize = 10;

/// Writes the documents of an export into a store: all of them, or none.
///
/// # Guarantees
/// The file is read and checked as a whole before anything is written. A failure in the middle is taken back where that is
/// possible. After a crash in the middle, or where it is not, a marker is left: no [`Dcm`](crate::service::Dcm) opens the store
/// then, and an import of the same file goes on.
///
/// # Errors
/// [`Error`], each saying what to do.
pub async fn import(
    store: &dyn Store,
    input: &dyn Input,
    mode: Mode,
    now: Timestamp,
    tell: &mut Tell<'_>,
) -> Result<Imported, Error> {
    let checked = check(input, tell).await?;
    let (revision, mode, resumed) = match marker::load(store).await? {
        // What was begun in an empty store goes on with any options: so did the first run.
        Some(found) if found.value.sha256 == checked.sha256 && [Mode::IntoEmpty, mode].contains(&found.value.mode) => {
            tell(checked.batches().progress(Stage::Writing));
            (found.revision, found.value.mode, true)
        }
        Some(found) => return Err(Error::Unfinished { mode: found.value.mode }),
        None => {
            let mode = if count(store).await?.0 == 0 { Mode::IntoEmpty } else { mode };
            if mode == Mode::IntoEmpty {
                refuse_documents(store).await?;
            }
            if mode != Mode::IntoEmpty {
                compare_all(store, &checked, mode, tell).await?;
            }
            let unfinished = Unfinished { sha256: checked.sha256.clone(), mode, started_at: now };
            tell(checked.batches().progress(Stage::Writing));
            let revision = marker::begin(store, &unfinished).await?;
            // A server that started before it could see the marker has made documents by now.
            if mode == Mode::IntoEmpty
                && let Err(error) = refuse_documents(store).await
            {
                store.delete(&marker::key()?, &revision).await?;
                return Err(error);
            }
            (revision, mode, false)
        }
    };
    let mut log = undo::Log::default();
    let key_ids = checked.key_ids.iter().cloned().collect();
    let mut imported = Imported { documents: checked.documents, bytes: checked.bytes, key_ids, ..Imported::default() };
    match write_all(store, &checked, mode, &mut imported, &mut log, tell).await {
        Ok(()) => {
            store.delete(&marker::key()?, &revision).await?;
            Ok(imported)
        }
        Err(error) => {
            // What an earlier run of a merge wrote is not known, nor what a write whose answer was lost may still do.
            let undone = match mode {
                _ if matches!(error, Error::Store(store::Error::OutcomeUnknown { .. })) => false,
                Mode::IntoEmpty => undo::empty(store, &checked, tell).await.is_ok(),
                _ => !resumed && log.undo(store).await.is_ok(),
            };
            if undone && store.delete(&marker::key()?, &revision).await.is_ok() {
                Err(Error::Undone(Box::new(error)))
            } else {
                Err(Error::Left(Box::new(error)))
            }
        }
    }
}

/// How many documents there are, up to some, and whether there are more.
async fn count(store: &dyn Store) -> Result<(usize, bool), Error> {
    let found = store.scan(Scan::everything(COUNTED + 1)).await?;
    let count = found.iter().filter(|document| !marker::is_marker(&document.key)).count();
    Ok((count.min(COUNTED), count > COUNTED))
}

async fn refuse_documents(store: &dyn Store) -> Result<(), Error> {
    match count(store).await? {
        (0, _) => Ok(()),
        (at_least, more) => Err(Error::NotEmpty { at_least, more }),
    }
}

/// Finds out what a merge would meet, before anything is written.
async fn compare_all(store: &dyn Store, checked: &Checked<'_>, mode: Mode, tell: &mut Tell<'_>) -> Result<(), Error> {
    let this = keys::installation("this").map_err(|error| Error::Read(Box::new(error)))?;
    let there = store.load::<Installation>(&this).await?;
    if let (Some(file), Some(there)) = (&checked.installation, there)
        && *file != there.value.id
    {
        return Err(Error::OtherInstallation { file: file.clone(), store: there.value.id });
    }
    if mode != Mode::Merge {
        return Ok(());
    }
    let (mut keys, mut differing) = (Vec::<Key>::new(), 0);
    let mut batches = checked.batches();
    loop {
        let batch = batches.next().await?;
        if batch.is_empty() {
            break;
        }
        for outcome in each(batch, |key, body| compare(store, key, body)).await {
            if let Outcome::Kept(key) = outcome? {
                differing += 1;
                keys.push(key);
            }
        }
        keys.sort();
        keys.truncate(NAMED);
        tell(batches.progress(Stage::Comparing));
    }
    if differing > 0 { Err(Error::Differs { keys, count: differing }) } else { Ok(()) }
}

/// Deletes the record of the keys that the store's secrets are sealed with: what is added may be sealed with others. Without
/// it the next server counts all of its keys as in use, and looks at every document.
async fn forget_encryption(store: &dyn Store, log: &mut undo::Log) -> Result<(), Error> {
    if let Some(found) = store.get(&encryption()?).await? {
        store.delete(&found.key, &found.revision).await.map_err(|error| match error {
            store::Error::Conflict { key } => Error::Raced { key },
            other => Error::Store(other),
        })?;
        log.deleted(found);
    }
    Ok(())
}

fn encryption() -> Result<Key, Error> {
    keys::encryption("this").map_err(|error| Error::Read(Box::new(error)))
}

async fn write_all(
    store: &dyn Store,
    checked: &Checked<'_>,
    mode: Mode,
    imported: &mut Imported,
    log: &mut undo::Log,
    tell: &mut Tell<'_>,
) -> Result<(), Error> {
    if mode != Mode::IntoEmpty {
        forget_encryption(store, log).await?;
    }
    let mut batches = checked.batches();
    loop {
        let batch = batches.next().await?;
        if batch.is_empty() {
            return Ok(());
        }
        let mut failed = None;
        for outcome in each(batch, |key, body| write(store, mode, key, body)).await {
            match outcome {
                Ok(Outcome::Added(key, revision)) => {
                    imported.added += 1;
                    if mode != Mode::IntoEmpty {
                        log.added(key, revision);
                    }
                }
                Ok(Outcome::Same) => imported.same += 1,
                Ok(Outcome::Kept(_)) => imported.kept += 1,
                Ok(Outcome::Overwritten(before, revision)) => {
                    imported.overwritten += 1;
                    log.overwritten(before, revision);
                }
                Ok(Outcome::LeftOut) => {}
                // The one that tells whether all can be taken back counts.
                Err(error @ Error::Store(store::Error::OutcomeUnknown { .. })) => failed = Some(error),
                Err(error) => failed = failed.or(Some(error)),
            }
        }
        if let Some(error) = failed {
            return Err(error);
        }
        tell(batches.progress(Stage::Writing));
    }
}
