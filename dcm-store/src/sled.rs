//! A store that keeps everything in an embedded [sled](https://docs.rs/sled) in a directory of its own.
//!
//! # How it keeps its promises
//! One thread writes. It takes all the writes that wait, checks their preconditions in order, applies them
//! as one atomic batch, lets sled write its log, calls `fdatasync` on the log's file itself (sled's own
//! flush is `sync_file_range`, which leaves the data in the disk's cache), and only then answers all of
//! them. So many writers share one sync.
//!
//! sled shows a batch to readers before it is synced. Every document carries the number of its write, and
//! the journal knows up to which number all is durable: a read that finds a higher one waits for it. Thus
//! no read returns what a power loss could take back.
//!
//! Documents that were asked for lately are kept as they are, beside sled's cache of parts of its tree, and so are short lists of
//! all that is below a prefix. Only durable ones are,
//! and the writer drops what it has written before it tells anybody, so that nobody who may know better finds an old one.
//!
//! sled puts values above a quarter of a segment into files of their own and never syncs those. Documents
//! larger than 16 KiB are therefore split over several keys within the same batch.
//!
//! # Caveats
//! - sled gives space back to itself, not to the file system: the directory grows to 2 to 4 times the data.
//! - sled may move data that is synced already to a new place in its log and overwrite the old one; it
//!   orders the two by `sync_file_range` only, and syncs truly every half second. On a disk with a volatile
//!   cache, a power loss within that time could hit such a move.
//! - A log that is damaged in the middle is refused when it is opened, or the documents there when they are read; none is
//!   returned that was never written. Damage near its end looks to sled like a write that a crash cut off: it drops that
//!   and what follows without a word, so that older states come back. So it is with an older log. Keep backups.
//! - sled meets some damage with a panic, which the standard error shows. Its caller gets an error, and the store takes no
//!   more writes.
//! - Only one process at a time can have the directory open.

mod files;
mod guard;
mod holder;
mod lately;
mod record;
#[cfg(test)]
mod tests;
mod writer;

use std::{
    fmt,
    path::PathBuf,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    thread::JoinHandle,
};

use ::sled::{Db, IVec};
use async_trait::async_trait;
use dcm_core::store::{Body, Changes, Document, Error, Key, Position, Precondition, Revision, Scan, Store};
use tokio::sync::{mpsc, oneshot};

use crate::{
    OpenError, SledConfig,
    changes::{Journal, unavailable},
    key,
    revision::{self, Expected},
};
use guard::guarded;
use lately::Lately;
use record::{Content, Head};
use writer::{Order, Write, Writer};

/// How many writes may wait for the writer before their callers have to wait to hand theirs in.
const WAITING: usize = 1024;

/// How many documents, or bytes of them, a scan reads before it lets others run.
const PAGE: usize = 64;
const PAGE_BYTES: usize = 1024 * 1024;

/// Which part of sled's cache documents that were asked for lately may take beside it.
const LATELY: u64 = 4;

/// Which part of that lists may take.
const LISTS: u64 = 4;

/// A list with more documents is read each time.
const SHORT: usize = 64;

/// Documents in sled.
///
/// # Guarantees
/// All of [`Store`]'s. An acknowledged write survives `kill -9` and, but for the caveat of the
/// [module](self), power loss. A write goes on when its caller drops the future. A scan is not a snapshot:
/// it sees each document as it was at some moment during the scan.
///
/// After a write to the disk has failed, what sled holds and what the disk holds may differ. From then on
/// the store refuses all writes, and all reads that could rest on the failed write, with
/// [`Error::Unavailable`], until it is opened again. Other reads go on, but for a few: sled puts some of its tree in
/// order only when it is read, which then fails too.
///
/// # Caveats
/// A watch resumes from the last changes of this process only. Documents larger than
/// [`DOCUMENT_LIMIT`](crate::DOCUMENT_LIMIT) and keys longer than [`KEY_LIMIT`](key::KEY_LIMIT) are
/// [`Error::TooLarge`].
pub struct SledStore {
    path: PathBuf,
    db: Db,
    journal: Arc<Journal>,
    lately: Arc<Lately<Document>>,
    /// What was lately found below a prefix, where that was all and little.
    lists: Arc<Lately<Arc<[Document]>>>,
    /// The number of the last write of a batch that deletes something; see [`SledStore::settle`].
    last_delete: Arc<AtomicU64>,
    orders: Option<mpsc::Sender<Order>>,
    writer: Arc<Mutex<Option<JoinHandle<()>>>>,
}

impl SledStore {
    /// Opens the store in a directory, and makes it where there is none.
    ///
    /// # Errors
    /// [`OpenError`], each saying what to do.
    pub async fn open(config: SledConfig) -> Result<Self, OpenError> {
        let path = config.path.clone();
        // Recovery reads the whole log, which may take seconds.
        match tokio::task::spawn_blocking(move || Self::open_blocking(&config)).await {
            Ok(opened) => opened,
            // sled meets some kinds of damage with a panic.
            Err(stopped) => {
                let said = stopped.try_into_panic().map_or_else(|_| "it was stopped".to_owned(), |p| guard::said(&*p));
                Err(OpenError::Corrupt { path, source: format!("sled gave up over it: {said}").into() })
            }
        }
    }

    fn open_blocking(config: &SledConfig) -> Result<Self, OpenError> {
        let opened = files::open(config)?;
        let journal = Arc::new(Journal::new(opened.counter, config.history));
        let (lately, lists) = (config.cache_bytes / LATELY, config.cache_bytes / LATELY / LISTS);
        let (lately, lists) = (Arc::new(Lately::new(lately - lists)), Arc::new(Lately::new(lists)));
        let last_delete = Arc::new(AtomicU64::new(0));
        let (orders, receiver) = mpsc::channel(WAITING);
        let writer = Writer {
            db: opened.db.clone(),
            file: opened.file,
            orders: receiver,
            journal: Arc::clone(&journal),
            lately: Arc::clone(&lately),
            lists: Arc::clone(&lists),
            last_delete: Arc::clone(&last_delete),
            counter: opened.counter,
            reserved: opened.counter,
        };
        let thread = std::thread::Builder::new()
            .name("dcm-store-sled".into())
            .spawn(move || writer.run())
            .map_err(|source| OpenError::Io { path: config.path.clone(), source })?;
        Ok(Self {
            path: config.path.clone(),
            db: opened.db,
            journal,
            lately,
            lists,
            last_delete,
            orders: Some(orders),
            writer: Arc::new(Mutex::new(Some(thread))),
        })
    }

    /// Finishes the writes that wait, and takes no more.
    ///
    /// Dropping the store does the same, but blocks its thread meanwhile. The directory is free for another
    /// process once the store has been dropped.
    pub async fn close(&self) {
        if let Some(orders) = &self.orders {
            // Where nobody takes orders any more, it is closed already.
            let _ = orders.send(Order::Close).await;
        }
        let writer = Arc::clone(&self.writer);
        let joined = tokio::task::spawn_blocking(move || join(&writer)).await;
        if let Err(error) = joined {
            tracing::error!(%error, "waiting for the store's writer failed");
        }
    }

    async fn write(&self, key: &Key, body: Option<Body>, expected: Expected) -> Result<u64, Error> {
        let (reply, answer) = oneshot::channel();
        let write = Write { encoded: key::encode(key), key: key.clone(), body, expected, reply };
        self.journal.check()?;
        let refused = || match self.journal.check() {
            Err(error) => error,
            Ok(()) => unavailable("the store's writer has stopped"),
        };
        let orders = self.orders.as_ref().ok_or_else(refused)?;
        let order = Order::Write(write);
        orders.send(order).await.map_err(|_| refused())?;
        answer.await.unwrap_or_else(|gone| {
            // The writer died with this write in its hands.
            Err(Error::OutcomeUnknown { key: key.clone(), source: Box::new(gone) })
        })
    }

    /// Waits until what a read has seen is durable.
    ///
    /// `newest` is the highest number among the documents found. What was *not* found may have been deleted
    /// by a batch that is not durable yet; where one is on its way, the read waits for that as well.
    async fn settle(&self, newest: u64, complete: bool) -> Result<(), Error> {
        let deleted = if complete { 0 } else { self.last_delete.load(Ordering::SeqCst) };
        self.journal.reached(newest.max(deleted)).await
    }

    /// Reads the rest of a document whose head was found, or `None` where it has been replaced meanwhile.
    async fn finish(&self, key: &Key, head: &IVec) -> Result<Option<(u64, Document)>, Error> {
        let Some(head) = Head::parse(head) else {
            return Err(corrupt(key, "its record is not of a known form"));
        };
        let body = match head.content {
            Content::Whole(json) => Body::from_json(json),
            Content::Split(split) => match split.read(&self.db, head.number).await {
                Ok(Some(json)) => Body::from_json(json),
                Ok(None) => return Ok(None),
                Err(error) => return Err(self.failed(Some(key), error)),
            },
        };
        let document = Document { key: key.clone(), revision: revision::write(head.number), body };
        Ok(Some((head.number, document)))
    }

    /// What a failure of sled's means for a read of a document, or of what lies below a key.
    ///
    /// A failure that sled did not foresee leaves it in a state that nobody knows: nobody may write any more.
    fn failed(&self, key: Option<&Key>, error: ::sled::Error) -> Error {
        if let ::sled::Error::ReportableBug(said) = &error {
            tracing::error!(%said, "sled gave up over its files: they are damaged; the store takes no more writes");
            self.journal.end("the store's files are damaged: stop the server and restore a backup");
        }
        match (key, self.journal.check()) {
            // Why it takes no more writes is also why this read failed, and says what to do.
            (_, Err(ended)) if matches!(error, ::sled::Error::Io(_)) => ended,
            (Some(key), _) => read_failed(key, error),
            (None, _) => unavailable(&format!("{error}: the store may be damaged; if this stays so, restore a backup")),
        }
    }

    /// Reads one document as sled shows it.
    async fn look_up(&self, key: &Key, encoded: &[u8]) -> Result<Option<(u64, Document)>, Error> {
        loop {
            let found = guarded(|| self.db.get(encoded)).map_err(|e| self.failed(Some(key), e))?;
            let Some(head) = found else {
                return Ok(None);
            };
            if let Some(found) = self.finish(key, &head).await? {
                return Ok(Some(found));
            }
            // The chunks are gone because the document was replaced since its head was read: look again.
            // Where it was not, they are missing for good.
            let again = guarded(|| self.db.get(encoded)).map_err(|e| self.failed(Some(key), e))?;
            if again.as_ref() == Some(&head) {
                return Err(corrupt(key, "a part of it is missing"));
            }
        }
    }

    /// Reads some documents on, and answers whether there may be more. `bytes` counts those of all that was found.
    async fn page(&self, scan: &Scan, found: &mut Vec<Document>, bytes: &mut usize) -> Result<bool, Error> {
        let after = found.last().map(|document| &document.key);
        let Some(range) = key::range(scan.prefix.as_ref(), after.or(scan.after.as_ref())) else {
            return Ok(false);
        };
        let mut newest = 0;
        let enough = scan.bytes.min(*bytes + PAGE_BYTES);
        let mut more = false;
        let wanted = (found.len() + PAGE).min(scan.limit);
        let mut heads = self.db.range(range);
        loop {
            if found.len() == wanted || (*bytes >= enough && !found.is_empty()) {
                more = found.len() < scan.limit && *bytes < scan.bytes;
                break;
            }
            let item = guarded(|| heads.next().transpose()).map_err(|e| self.failed(scan.prefix.as_ref(), e))?;
            let Some((encoded, head)) = item else {
                break;
            };
            let Some(key) = key::decode(&encoded) else {
                return Err(unavailable(
                    "the store holds a key that is not of a known form: it is damaged, restore a backup",
                ));
            };
            let finished = match self.finish(&key, &head).await? {
                None => self.look_up(&key, &encoded).await?,
                finished => finished,
            };
            if let Some((number, document)) = finished {
                newest = newest.max(number);
                *bytes += document.body.as_bytes().len();
                found.push(document);
            }
        }
        self.settle(newest, false).await?;
        Ok(more)
    }
}

// Reads run on their caller's thread: they take a microsecond or a few, from sled's cache or the page cache of
// the system, and handing them to another thread would cost ten times that.
/// As much of a whole list as a scan of it asks for.
fn beginning(list: &[Document], scan: &Scan) -> Vec<Document> {
    let (mut found, mut bytes) = (Vec::new(), 0);
    for document in list.iter().take(scan.limit) {
        bytes += document.body.as_bytes().len();
        found.push(document.clone());
        if bytes >= scan.bytes {
            break;
        }
    }
    found
}

#[async_trait]
impl Store for SledStore {
    async fn get(&self, key: &Key) -> Result<Option<Document>, Error> {
        let ticket = match self.lately.find(key) {
            Ok(document) => return Ok(Some(document)),
            Err(ticket) => ticket,
        };
        let found = self.look_up(key, &key::encode(key)).await?;
        let newest = found.as_ref().map_or(0, |(number, _)| *number);
        self.settle(newest, found.is_some()).await?;
        let document = found.map(|(_, document)| document);
        if let Some(document) = &document {
            self.lately.keep(&ticket, key, document);
        }
        Ok(document)
    }

    async fn scan(&self, scan: Scan) -> Result<Vec<Document>, Error> {
        // One that begins in the middle is not the whole list.
        let prefix = scan.prefix.as_ref().filter(|_| scan.after.is_none());
        let ticket = match prefix.map(|prefix| self.lists.find(prefix)) {
            Some(Ok(list)) => return Ok(beginning(&list, &scan)),
            Some(Err(ticket)) => Some(ticket),
            None => None,
        };
        let (mut found, mut bytes) = (Vec::new(), 0);
        while self.page(&scan, &mut found, &mut bytes).await? {
            tokio::task::yield_now().await;
        }
        if let (Some(prefix), Some(ticket)) = (prefix, &ticket)
            && !scan.is_full(&found)
            && found.len() <= SHORT
        {
            self.lists.keep(ticket, prefix, &found.as_slice().into());
        }
        Ok(found)
    }

    async fn put(&self, key: &Key, body: Body, precondition: Precondition) -> Result<Revision, Error> {
        key::check_size(key, body.as_bytes().len())?;
        let expected = Expected::from(&precondition);
        let number = self.write(key, Some(body), expected).await?;
        Ok(revision::write(number))
    }

    async fn delete(&self, key: &Key, revision: &Revision) -> Result<(), Error> {
        self.write(key, None, Expected::at(revision)).await?;
        Ok(())
    }

    async fn watch(&self, prefix: Option<&Key>, from: Option<Position>) -> Result<Changes, Error> {
        self.journal.check()?;
        self.journal.watch(prefix, from.as_ref())
    }

    async fn position(&self) -> Result<Position, Error> {
        Ok(self.journal.position())
    }

    async fn ready(&self) -> Result<(), Error> {
        self.journal.check()
    }
}

impl Drop for SledStore {
    fn drop(&mut self) {
        // Without senders the writer finishes what waits, and ends.
        self.orders = None;
        join(&self.writer);
    }
}

impl fmt::Debug for SledStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // sled's own debug output walks the whole tree.
        f.debug_struct("SledStore").field("path", &self.path).field("journal", &self.journal).finish_non_exhaustive()
    }
}

fn join(writer: &Mutex<Option<JoinHandle<()>>>) {
    let thread = writer.lock().unwrap_or_else(PoisonError::into_inner).take();
    if thread.is_some_and(|thread| thread.join().is_err()) {
        tracing::error!("the store's writer panicked");
    }
}

fn corrupt(key: &Key, reason: &str) -> Error {
    Error::Corrupt { key: key.clone(), reason: format!("{reason}; the store is damaged, restore a backup") }
}

fn read_failed(key: &Key, error: ::sled::Error) -> Error {
    match error {
        ::sled::Error::Corruption { .. } => corrupt(key, "sled found its file damaged"),
        ::sled::Error::ReportableBug(_) => corrupt(key, "sled gave up over its files"),
        error => Error::Unavailable(Box::new(error)),
    }
}
