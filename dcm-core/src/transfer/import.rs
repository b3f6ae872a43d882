use std::collections::BTreeSet;

use super::{
    Error, Imported, Input, Mode, Run, Stage, Tell,
    check::{BATCH, Checked, check},
    marker::{self, Held},
    undo,
    write::{Outcome, compare, each, patiently, put, write},
};
use crate::{
    keys,
    model::{Encryption, Installation, SecretKind},
    secret,
    store::{self, Body, Key, Precondition, Scan, Store, StoreExt},
};

/// How many documents, or bytes of them, are counted before a store that is not empty is refused.
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
/// # Caveats
/// Of two runs of the same import the later one counts. The other one looks before each batch and before it repeats a write,
/// and stops; what it is writing, or taking back, when the later one takes over may still happen: a batch at most.
///
/// # Errors
/// [`Error`], each saying what to do.
pub async fn import(
    store: &dyn Store,
    input: &dyn Input,
    mode: Mode,
    run: &Run,
    tell: &mut Tell<'_>,
) -> Result<Imported, Error> {
    let checked = check(input, tell).await?;
    let (held, mode, met) = match marker::load(store).await? {
        // What was begun in an empty store goes on with any options: so did the first run.
        Some(found) if found.value.sha256 == checked.sha256 && [Mode::IntoEmpty, mode].contains(&found.value.mode) => {
            tell(checked.batches().progress(Stage::Writing));
            let mode = found.value.mode;
            (Held::take_over(store, found, run).await?, mode, None)
        }
        Some(found) => return Err(Error::Unfinished { mode: found.value.mode }),
        None => {
            let mode = if count(store).await?.0 == 0 { Mode::IntoEmpty } else { mode };
            if mode == Mode::IntoEmpty {
                refuse_documents(store).await?;
            }
            let met = match mode {
                Mode::IntoEmpty => Met::default(),
                _ => look_before(store, &checked, mode, tell).await?,
            };
            tell(checked.batches().progress(Stage::Writing));
            let held = Held::begin(store, &checked.sha256, mode, run).await?;
            // A server that started before it could see the marker has made documents by now.
            if mode == Mode::IntoEmpty
                && let Err(error) = refuse_documents(store).await
            {
                held.end().await.map_err(left)?;
                return Err(error);
            }
            (held, mode, Some(met))
        }
    };
    let resumed = met.is_none();
    let mut log = undo::Log::default();
    let key_ids = checked.key_ids.iter().cloned().collect();
    let mut imported = Imported { documents: checked.documents, bytes: checked.bytes, key_ids, ..Imported::default() };
    let failed = match write_all(&held, &checked, mode, met, &mut imported, &mut log, tell).await {
        Ok(()) => {
            return match held.end().await {
                Ok(()) => Ok(imported),
                Err(error) => Err(left(error)),
            };
        }
        Err(Error::TakenOver) => return Err(Error::TakenOver),
        Err(error) => error,
    };
    // What an earlier run of a merge wrote is not known, nor what a write whose answer was lost may still do.
    let undone = match mode {
        _ if matches!(failed, Error::Store(store::Error::OutcomeUnknown { .. })) => Ok(false),
        Mode::IntoEmpty => undo::empty(&held, &checked, tell).await,
        _ if resumed => Ok(false),
        _ => log.undo(&held).await,
    };
    let undone = match undone {
        Ok(true) => held.end().await.map(|()| true),
        Ok(false) => held.check().await.map(|()| false),
        Err(error) => Err(error),
    };
    Err(match undone {
        Ok(true) => Error::Undone(Box::new(failed)),
        Err(Error::TakenOver) => Error::TakenOver,
        Ok(false) | Err(_) => Error::Left(Box::new(failed)),
    })
}

/// What a marker means that could not be taken away.
fn left(error: Error) -> Error {
    match error {
        Error::TakenOver => error,
        other => Error::Left(Box::new(other)),
    }
}

/// How many documents there are, up to some, and whether there may be more.
async fn count(store: &dyn Store) -> Result<(usize, bool), Error> {
    // The marker has a few bytes only, so that the scan does not end with it.
    let scan = Scan::everything(COUNTED + 1).bytes(Scan::PAGE_BYTES);
    let found = store.scan(scan.clone()).await?;
    let count = found.iter().filter(|document| !marker::is_marker(&document.key)).count();
    Ok((count.min(COUNTED), count > COUNTED || scan.is_full(&found)))
}

async fn refuse_documents(store: &dyn Store) -> Result<(), Error> {
    match count(store).await? {
        (0, _) => Ok(()),
        (at_least, more) => Err(Error::NotEmpty { at_least, more }),
    }
}

/// What a merge meets in a store.
#[derive(Default)]
struct Met {
    /// The ids of the keys that what it writes is sealed with. What the store keeps needs none of the file's.
    key_ids: BTreeSet<String>,
    /// The first documents that differ.
    differing: Vec<Key>,
    count: u64,
}

/// Refuses a merge that cannot be, before anything is written.
async fn look_before(store: &dyn Store, checked: &Checked<'_>, mode: Mode, tell: &mut Tell<'_>) -> Result<Met, Error> {
    let this = keys::installation("this").map_err(|error| Error::Read(Box::new(error)))?;
    let there = store.load::<Installation>(&this).await?;
    if let (Some(file), Some(there)) = (&checked.installation, there)
        && *file != there.value.id
    {
        return Err(Error::OtherInstallation { file: file.clone(), store: there.value.id });
    }
    let met = compare_all(store, checked, mode, tell).await?;
    if mode == Mode::Merge && met.count > 0 {
        return Err(Error::Differs { keys: met.differing, count: met.count });
    }
    Ok(met)
}

async fn compare_all(store: &dyn Store, checked: &Checked<'_>, mode: Mode, tell: &mut Tell<'_>) -> Result<Met, Error> {
    let mut met = Met::default();
    let mut batches = checked.batches();
    loop {
        let batch = batches.next().await?;
        if batch.is_empty() {
            return Ok(met);
        }
        let compare = async |key, body: Body| Ok((compare(store, key, body.clone()).await?, body));
        for compared in each(batch, compare).await {
            let (outcome, body) = compared?;
            let is_written = match outcome {
                Outcome::Kept(key) => {
                    met.count += 1;
                    met.differing.push(key);
                    mode == Mode::MergeOverwriting
                }
                outcome => matches!(outcome, Outcome::Added(..)),
            };
            if is_written {
                secret::note_key_ids_of(&body, &mut met.key_ids);
            }
        }
        met.differing.sort();
        met.differing.truncate(NAMED);
        tell(batches.progress(Stage::Comparing));
    }
}

/// Counts the keys that what is to be written is sealed with as in use before any of it is there. So the next server does not
/// start without one, and looks at every document.
async fn admit_keys(held: &Held<'_>, key_ids: &BTreeSet<String>, log: &mut undo::Log) -> Result<(), Error> {
    let key = keys::encryption("this").map_err(|error| Error::Read(Box::new(error)))?;
    let found = patiently(async || held.store.get(&key).await).await?;
    let old = found.as_ref().map(|found| found.body.read::<Encryption>(&key)).transpose()?;
    let mut record = match &old {
        Some(old) => old.clone(),
        // Only a look at all of them tells.
        None => Encryption { in_use: sealed_with(held.store).await?, given_up: Vec::new(), pass: None },
    };
    for id in key_ids {
        record.put_in_use(id);
    }
    record.pass = None;
    if old.as_ref() == Some(&record) || record.in_use.is_empty() {
        return Ok(());
    }
    let body = Body::write(&key, &record)?;
    match found {
        Some(found) => {
            let revision = put(held, &key, &body, Precondition::AtRevision(found.revision.clone())).await?;
            log.overwritten(found, revision);
        }
        None => log.added(key.clone(), put(held, &key, &body, Precondition::Absent).await?),
    }
    Ok(())
}

/// The ids of the keys that the store's secrets are sealed with.
async fn sealed_with(store: &dyn Store) -> Result<BTreeSet<String>, Error> {
    let mut ids = BTreeSet::new();
    for kind in SecretKind::all() {
        let root = Key::new([kind.root]).map_err(|error| Error::Read(Box::new(error)))?;
        let mut rest = Some(Scan::below(root, BATCH).bytes(Scan::PAGE_BYTES));
        while let Some(scan) = rest {
            let page = patiently(async || store.scan(scan.clone()).await).await?;
            for document in &page {
                secret::note_key_ids_of(&document.body, &mut ids);
            }
            rest = scan.rest(&page);
        }
    }
    Ok(ids)
}

async fn write_all(
    held: &Held<'_>,
    checked: &Checked<'_>,
    mode: Mode,
    met: Option<Met>,
    imported: &mut Imported,
    log: &mut undo::Log,
    tell: &mut Tell<'_>,
) -> Result<(), Error> {
    if mode != Mode::IntoEmpty {
        let met = match met {
            Some(met) => met,
            None => compare_all(held.store, checked, mode, tell).await?,
        };
        admit_keys(held, &met.key_ids, log).await?;
    }
    let mut batches = checked.batches();
    loop {
        let batch = batches.next().await?;
        if batch.is_empty() {
            return Ok(());
        }
        held.check().await?;
        let mut failed = None;
        for outcome in each(batch, |key, body| write(held, mode, key, body)).await {
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
