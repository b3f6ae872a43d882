//! A store in one file: every write is a line at its end, and what is in force is in memory.
//!
//! The whole of a backend is here: how it makes revisions, when it acknowledges, how it watches, and what it does when its
//! disk fails. What it leaves out is what a store for years would need: the file only grows.

use std::{
    collections::{BTreeMap, VecDeque},
    fs::{File, OpenOptions},
    hash::{BuildHasher as _, RandomState},
    io::{self, BufRead as _, BufReader, Write as _},
    ops::Bound,
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard},
};

use async_trait::async_trait;
use dcm_core::store::{
    Body, BoxError, Change, Changes, Document, Error, Event, Key, Position, Precondition, Revision, Scan, Store,
};
use futures_util::{StreamExt as _, stream};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use tokio::sync::watch;

/// How many changes a watch can lie back.
const HISTORY: usize = 10_000;

/// The largest document.
const LIMIT: usize = 16 << 20;

/// A store in one file.
#[derive(Clone, Debug)]
pub(crate) struct LogStore(Arc<Log>);

#[derive(Debug)]
struct Log {
    /// Who holds it writes. `None` after a write that failed: what the file ends with is unknown then.
    file: Mutex<Option<File>>,
    /// What is in force; only what is on the disk gets in.
    state: RwLock<State>,
    /// The number of the last write, for those who watch.
    last: watch::Sender<u64>,
}

#[derive(Debug)]
struct State {
    /// Tells this file's positions from those of others.
    id: String,
    documents: BTreeMap<Key, Document>,
    /// The last changes, without gaps: the first has the number `forgotten + 1`.
    changes: VecDeque<Change>,
    forgotten: u64,
}

/// The first line of the file.
#[derive(Serialize, Deserialize)]
struct Head {
    log: String,
}

/// Every other line: one write; without a body a deletion.
#[derive(Serialize, Deserialize)]
struct Line<'a> {
    key: Key,
    #[serde(borrow)]
    body: Option<&'a RawValue>,
}

impl LogStore {
    /// Opens the file, and makes it where there is none.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new().read(true).append(true).create(true).open(path)?;
        // Two processes with one file would not see each other's writes.
        file.try_lock()?;
        let mut state = State { id: String::new(), documents: BTreeMap::new(), changes: VecDeque::new(), forgotten: 0 };
        let mut whole = 0;
        let mut lines = BufReader::new(&file);
        let mut line = String::new();
        while lines.read_line(&mut line)? > 0 && line.ends_with('\n') {
            whole += line.len() as u64;
            if state.id.is_empty() {
                state.id = serde_json::from_str::<Head>(&line)?.log;
            } else {
                let Line { key, body } = serde_json::from_str(&line)?;
                state.apply(key, body.map(|body| Body::from_json(body.get().as_bytes())));
            }
            line.clear();
        }
        // A line that was cut short was never acknowledged.
        file.set_len(whole)?;
        if state.id.is_empty() {
            state.id = format!("{:016x}", RandomState::new().hash_one(0));
            append(&file, &Head { log: state.id.clone() })?;
            // The file's name has to survive too.
            path.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())?;
        }
        let last = watch::Sender::new(state.last());
        Ok(Self(Arc::new(Log { file: Mutex::new(Some(file)), state: RwLock::new(state), last })))
    }

    /// Carries out a write where a wait for the disk holds nobody up, and to its end also where its caller goes away.
    async fn write(&self, key: &Key, body: Option<Body>, precondition: Precondition) -> Result<Revision, Error> {
        let (log, key) = (Arc::clone(&self.0), key.clone());
        let failed = |key: Key, source: BoxError| Error::OutcomeUnknown { key, source };
        let writing = tokio::task::spawn_blocking({
            let key = key.clone();
            move || log.write(key, body, &precondition)
        });
        writing.await.unwrap_or_else(|gone| Err(failed(key, gone.into())))
    }
}

fn append(mut file: &File, line: &impl Serialize) -> io::Result<()> {
    let mut bytes = serde_json::to_vec(line)?;
    // Line breaks in JSON lie between its parts, never inside of a text.
    bytes.iter_mut().filter(|byte| matches!(byte, b'\n' | b'\r')).for_each(|byte| *byte = b' ');
    bytes.push(b'\n');
    file.write_all(&bytes)?;
    file.sync_data()
}

impl Log {
    fn state(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn file(&self) -> MutexGuard<'_, Option<File>> {
        self.file.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Checks, writes, waits for the disk, and only then lets others see it.
    fn write(&self, key: Key, body: Option<Body>, precondition: &Precondition) -> Result<Revision, Error> {
        let mut guard = self.file();
        let file = guard.as_ref().ok_or_else(closed)?;
        let holds = match (precondition, self.state().documents.get(&key)) {
            (Precondition::Absent, None) => true,
            (Precondition::AtRevision(expected), Some(document)) => *expected == document.revision,
            _ => false,
        };
        if !holds {
            return Err(Error::Conflict { key });
        }
        let unreadable =
            |e: serde_json::Error| Error::Corrupt { key: key.clone(), reason: format!("{:?}", e.classify()) };
        let raw = body.as_ref().map(|body| serde_json::from_slice(body.as_bytes())).transpose().map_err(unreadable)?;
        if let Err(error) = append(file, &Line { key: key.clone(), body: raw }) {
            *guard = None;
            return Err(Error::OutcomeUnknown { key, source: error.into() });
        }
        let number = self.state.write().unwrap_or_else(PoisonError::into_inner).apply(key, body);
        self.last.send_replace(number);
        Ok(revision(number))
    }
}

/// One counter for the whole store: no state of any document ever has the revision of another.
fn revision(number: u64) -> Revision {
    Revision::new(number.to_string())
}

fn closed() -> Error {
    Error::Unavailable("a write failed: close the store and open it again".into())
}

impl State {
    fn last(&self) -> u64 {
        self.forgotten + self.changes.len() as u64
    }

    fn apply(&mut self, key: Key, body: Option<Body>) -> u64 {
        let number = self.last() + 1;
        let change = if let Some(body) = body {
            let document = Document { key: key.clone(), revision: revision(number), body };
            self.documents.insert(key, document.clone());
            Change::Put(document)
        } else {
            self.documents.remove(&key);
            Change::Deleted(key)
        };
        self.changes.push_back(change);
        if self.changes.len() > HISTORY {
            self.changes.pop_front();
            self.forgotten += 1;
        }
        number
    }

    fn position(&self, number: u64) -> Position {
        Position::new(format!("{}-{number}", self.id))
    }

    fn number(&self, position: &Position) -> Option<u64> {
        let (id, number) = position.as_str().split_once('-')?;
        let number = number.parse().ok()?;
        (id == self.id && (self.forgotten..=self.last()).contains(&number)).then_some(number)
    }

    /// The first change after a number that is below a prefix, or else the last number that was looked at.
    fn next(&self, after: u64, prefix: Option<&Key>) -> Result<(u64, Option<Event>), Error> {
        let seen = after.checked_sub(self.forgotten).ok_or(Error::Expired)?;
        for (change, number) in self.changes.iter().skip(usize::try_from(seen).unwrap_or(usize::MAX)).zip(after + 1..) {
            let (Change::Put(Document { key, .. }) | Change::Deleted(key)) = change;
            if prefix.is_none_or(|prefix| key.is_below(prefix)) {
                return Ok((number, Some(Event { position: self.position(number), change: change.clone() })));
            }
        }
        Ok((self.last(), None))
    }
}

#[async_trait]
impl Store for LogStore {
    async fn get(&self, key: &Key) -> Result<Option<Document>, Error> {
        Ok(self.0.state().documents.get(key).cloned())
    }

    async fn scan(&self, scan: Scan) -> Result<Vec<Document>, Error> {
        let Scan { prefix, after, limit, bytes } = &scan;
        // Keys sort segment by segment, so that what is below a prefix comes right after it.
        let start = after.as_ref().max(prefix.as_ref()).map_or(Bound::Unbounded, Bound::Excluded);
        let state = self.0.state();
        let found = state.documents.range::<Key, _>((start, Bound::Unbounded)).map(|(_, document)| document);
        let below = found.take_while(|document| prefix.as_ref().is_none_or(|prefix| document.key.is_below(prefix)));
        let (mut answer, mut size) = (Vec::new(), 0);
        for document in below.take(*limit) {
            size += document.body.as_bytes().len();
            answer.push(document.clone());
            if size >= *bytes {
                break;
            }
        }
        Ok(answer)
    }

    async fn put(&self, key: &Key, body: Body, precondition: Precondition) -> Result<Revision, Error> {
        let size = body.as_bytes().len();
        if size > LIMIT {
            return Err(Error::TooLarge { key: key.clone(), size, limit: LIMIT });
        }
        self.write(key, Some(body), precondition).await
    }

    async fn delete(&self, key: &Key, revision: &Revision) -> Result<(), Error> {
        self.write(key, None, Precondition::AtRevision(revision.clone())).await.map(|_| ())
    }

    async fn watch(&self, prefix: Option<&Key>, from: Option<Position>) -> Result<Changes, Error> {
        let at = {
            let state = self.0.state();
            from.map_or(Some(state.last()), |position| state.number(&position)).ok_or(Error::Expired)?
        };
        let (log, prefix, last) = (Arc::clone(&self.0), prefix.cloned(), self.0.last.subscribe());
        // `None` after an error, which ends the stream.
        let start = Some((log, prefix, last, at));
        let changes = stream::unfold(start, async |going_on| {
            let (log, prefix, mut last, mut at) = going_on?;
            loop {
                last.mark_unchanged();
                let next = log.state().next(at, prefix.as_ref());
                match next {
                    Err(error) => return Some((Err(error), None)),
                    Ok((number, Some(event))) => return Some((Ok(event), Some((log, prefix, last, number)))),
                    Ok((number, None)) => at = number,
                }
                last.changed().await.ok()?;
            }
        });
        Ok(changes.boxed())
    }

    async fn position(&self) -> Result<Position, Error> {
        let state = self.0.state();
        Ok(state.position(state.last()))
    }

    async fn ready(&self) -> Result<(), Error> {
        if self.0.file().is_some() { Ok(()) } else { Err(closed()) }
    }
}
