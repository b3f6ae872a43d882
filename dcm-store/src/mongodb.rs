//! A store that keeps everything in [MongoDB](https://www.mongodb.com/docs/manual/), through the official driver.
//!
//! # How it keeps its promises
//! Every document is one MongoDB document (its form is in `record`), every write one conditional write of one
//! document: an insert under a unique id, or a replacement or deletion of the document that has the expected revision. A revision is a
//! random number, so it names the write too: after an answer was lost, the document tells whether that write happened.
//!
//! Writes are acknowledged when a majority has them in its journal; reads of one document are linearizable where the
//! deployment can do that (a replica set or a sharded cluster), scans see what a majority has, and all that was acknowledged to
//! this store: they name the time of the newest such write to the server, which waits until it is there.
//!
//! # Caveats
//! - A scan during the seconds in which a new primary is elected may miss the newest writes of other processes: it may come
//!   from the old primary, or from the new one before that knows what a majority has.
//! - A write that is repeated after its answer was lost, and that somebody overwrote twice or deleted meanwhile, stays
//!   [`Error::OutcomeUnknown`].

mod address;
mod connect;
mod diagnosis;
mod failure;
mod meta;
mod poll;
mod problem;
mod record;
mod watch;
mod write;

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use dcm_core::store::{Body, Changes, Document as Stored, Error, Key, Position, Precondition, Revision, Scan, Store};
use futures_util::TryStreamExt;
use mongodb::{
    Client, ClientSession, Collection, Database,
    bson::{Document, doc},
    error::Error as MongoError,
    event::{EventHandler, command::CommandEvent},
    options::{FindOptions, Hint, ReadConcern},
};
use tokio::sync::{Mutex, Semaphore};

pub use address::{MongoConfig, WatchMode};
use connect::{Connected, SCANS, Topology};
use poll::Poller;
pub use problem::MongoProblem;
use write::Change;

use crate::{OpenError, key, revision};

/// Documents in MongoDB.
///
/// # Guarantees
/// All of [`Store`]'s. A write goes on when its caller drops the future. A scan is not a snapshot: it sees each document as
/// it was at some moment during the scan. No call takes longer than [`MongoConfig::deadline`] and [`MongoConfig::wait`] together.
///
/// # Caveats
/// Those of the [module](self). Documents larger than 16 MiB less 8 KiB and keys longer than [`KEY_LIMIT`](key::KEY_LIMIT)
/// are [`Error::TooLarge`].
#[derive(Clone)]
pub struct MongoStore(Arc<Inner>);

struct Inner {
    config: MongoConfig,
    client: Client,
    database: Database,
    documents: Collection<Document>,
    topology: Topology,
    /// Whether a server knows a write by a session and a number in it, and carries it out once only.
    fenced: bool,
    /// The number of the next write.
    writes: AtomicI64,
    /// The server's time up to which reads must see everything: that of the newest write that was acknowledged, or position
    /// that was given out.
    written: AtomicU64,
    /// When a write is acknowledged, as a command says it.
    concern: Document,
    /// Tells this database from all others.
    id: String,
    poller: Poller,
    tails: watch::Tails,
    /// Held while indexes are made again.
    indexing: Arc<Mutex<()>>,
    /// One place for each connection that calls may hold: the driver's own queue for them has no bound.
    places: Semaphore,
    /// One place for each connection that watches may hold, so that they leave calls the others.
    watching: Semaphore,
    /// A place for everybody who opens a watch: they share looks, and what each needs of connections it asks for itself.
    watchers: Semaphore,
    /// One place for each of these that watches may hold which go on from long ago: one is left to what all others read.
    catching_up: Semaphore,
    /// One place for each connection on which watches are opened: who opens one does not queue behind those that listen.
    openings: Semaphore,
}

impl MongoStore {
    /// Reaches the server, and makes there what the store needs.
    ///
    /// # Errors
    /// [`OpenError`], each saying what to do.
    pub async fn open(config: MongoConfig) -> Result<Self, OpenError> {
        Self::connect(config, None).await
    }

    /// The same, and tells an observer of each command that is sent and of each answer, contents included.
    ///
    /// # Errors
    /// Those of [`open`](Self::open).
    pub async fn open_observed(config: MongoConfig, observer: EventHandler<CommandEvent>) -> Result<Self, OpenError> {
        Self::connect(config, Some(observer)).await
    }

    async fn connect(config: MongoConfig, observer: Option<EventHandler<CommandEvent>>) -> Result<Self, OpenError> {
        let Connected { client, documents, connections, topology, fenced, id } =
            connect::connect(&config, observer).await?;
        let database = client.database(&config.database);
        let poller = Poller::new(config.history);
        let watches = (connections / WATCHES).max(2);
        let opened = (watches / OPENINGS).max(1);
        let places = Semaphore::new(connections.saturating_sub(watches));
        let watching = Semaphore::new(watches - opened);
        let catching_up = Semaphore::new((watches - opened).saturating_sub(1).max(1));
        let openings = Semaphore::new(opened);
        let (writes, written) = (AtomicI64::new(1), AtomicU64::new(0));
        let concern = connect::durable_document(&config);
        let inner = Inner {
            config,
            client,
            database,
            documents,
            topology,
            fenced,
            writes,
            written,
            concern,
            id,
            poller,
            tails: watch::Tails::default(),
            indexing: Arc::default(),
            places,
            watching,
            watchers: Semaphore::new(Semaphore::MAX_PERMITS),
            catching_up,
            openings,
        };
        Ok(Self(Arc::new(inner)))
    }

    /// Closes all connections.
    pub async fn close(&self) {
        self.0.client.clone().shutdown().immediate(true).await;
    }

    /// Runs a call in a task of its own, in one of these places among the connections, and within its time.
    ///
    /// A driver's future that is dropped closes its connection; a task goes on when its caller goes away. A call that breaks
    /// off is like one that is late: nobody knows what it did.
    async fn run<T, F>(
        &self,
        places: fn(&Inner) -> &Semaphore,
        late: Error,
        call: impl FnOnce(Arc<Inner>) -> F,
    ) -> Result<T, Error>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, Error>> + Send + 'static,
    {
        let inner = Arc::clone(&self.0);
        let (wait, deadline) = (inner.config.wait, inner.config.deadline);
        let work = call(Arc::clone(&inner));
        let task = tokio::spawn(async move {
            let place = tokio::time::timeout(wait, places(&inner).acquire()).await;
            let Ok(Ok(_place)) = place else {
                return Some(Err(unavailable("all connections to MongoDB are busy")));
            };
            tokio::time::timeout(deadline, work).await.ok()
        });
        task.await.unwrap_or_default().unwrap_or(Err(late))
    }

    async fn write(&self, key: &Key, change: Change) -> Result<(), Error> {
        let late = Error::OutcomeUnknown { key: key.clone(), source: "MongoDB did not answer in time".into() };
        let key = key.clone();
        let write = |inner: Arc<Inner>| async move {
            let written = inner.write(&key, change).await;
            inner.poller.ring();
            written
        };
        self.run(|inner| &inner.places, late, write).await
    }
}

/// Whether changes are found by polling.
fn polls(config: &MongoConfig, topology: Topology) -> bool {
    config.watch == WatchMode::Polling || topology == Topology::Standalone
}

impl Inner {
    fn polls(&self) -> bool {
        polls(&self.config, self.topology)
    }

    /// One document as it is: what was acknowledged before is seen, whoever is the primary.
    async fn read(&self, key: &Key, session: Option<&mut ClientSession>) -> Result<Option<Document>, Error> {
        let concern = match self.topology {
            Topology::ReplicaSet | Topology::Sharded if self.config.linearizable => ReadConcern::linearizable(),
            _ => ReadConcern::majority(),
        };
        let attempt = self.config.attempt;
        let mut find = self.documents.find_one(doc! { "_id": key.as_str() }).read_concern(concern);
        if let Some(session) = session {
            find = find.session(session);
        }
        // The server gives up a little before, so that its connection can be used further.
        let found = tokio::time::timeout(attempt, find.max_time(attempt * 4 / 5).into_future()).await;
        found.map_err(|_| Error::Timeout)?.map_err(failure::of_read)
    }

    /// Remembers the server's time of an acknowledged write, from its session. What is not acknowledged may be undone, and a
    /// new primary would wait for its time in vain.
    fn note(&self, session: &ClientSession) {
        if let Some(time) = session.operation_time() {
            self.written.fetch_max(watch::number(time), Ordering::SeqCst);
        }
    }

    /// What a find answers, of a state in which everything is there that was acknowledged to this store. `take` is handed one
    /// document after the other, and says whether it wants more.
    async fn find<T: Default>(
        &self,
        filter: Document,
        options: FindOptions,
        take: impl Fn(&mut T, Document) -> bool,
    ) -> Result<T, MongoError> {
        let mut taken = T::default();
        let find = self.documents.find(filter).with_options(options);
        let written = self.written.load(Ordering::SeqCst);
        if written == 0 {
            let mut cursor = find.await?;
            while cursor.try_next().await?.is_some_and(|next| take(&mut taken, next)) {}
            return Ok(taken);
        }
        let mut session = self.client.start_session().causal_consistency(true).await?;
        session.advance_operation_time(watch::timestamp(written));
        let mut cursor = find.session(&mut session).await?;
        let mut documents = cursor.stream(&mut session);
        while documents.try_next().await?.is_some_and(|next| take(&mut taken, next)) {}
        drop(documents);
        Ok(taken)
    }

    /// The same along one of our indexes, in its order. Where somebody dropped that, it is made again first.
    async fn along<T: Default>(
        &self,
        index: &str,
        filter: Document,
        options: FindOptions,
        take: impl Fn(&mut T, Document) -> bool,
    ) -> Result<T, Error> {
        let mut options = options;
        options.sort = Some(doc! { "path": 1 });
        options.hint = Some(Hint::Name(index.to_owned()));
        match self.find(filter.clone(), options.clone(), &take).await {
            Err(error) if failure::lacks_index(&error) => {
                self.index().await?;
                self.find(filter, options, take).await.map_err(failure::of_read)
            }
            found => found.map_err(failure::of_read),
        }
    }

    /// Makes the indexes that are missing. That may take longer than a call, and goes on then; one does it for all.
    async fn index(&self) -> Result<(), Error> {
        // Those who wait hold connections that others could use.
        let only = tokio::time::timeout(PATIENCE, Arc::clone(&self.indexing).lock_owned()).await;
        let only = only.map_err(|_| unavailable("the indexes are being made again"))?;
        let documents = self.documents.clone();
        let made = tokio::spawn(async move {
            let _only = only;
            tokio::time::timeout(INDEXING, connect::make_indexes(&documents)).await
        });
        match made.await {
            Ok(Ok(made)) => made.map_err(|(_, error)| failure::of_read(error)),
            Ok(Err(_)) | Err(_) => Err(unavailable("the indexes could not be made")),
        }
    }

    async fn scan(&self, mut scan: Scan) -> Result<Vec<Stored>, Error> {
        let mut found: Vec<Stored> = Vec::new();
        loop {
            let left = scan.limit.saturating_sub(found.len());
            let limit = i64::try_from(left).unwrap_or(i64::MAX);
            let options = FindOptions::builder().limit(limit).max_time(self.config.deadline).build();
            let bytes = scan.bytes;
            let met = self.along(SCANS, filter(&scan), options, |met: &mut Met, next| met.take(&next, bytes)).await?;
            found.extend(met.documents);
            if let Some(error) = met.failure {
                return Err(error);
            }
            if met.records < left || met.bytes >= scan.bytes || found.len() >= scan.limit {
                return Ok(found);
            }
            scan.bytes -= met.bytes;
            scan.after = found.last().map(|last| last.key.clone());
        }
    }
}

/// What a find of a scan meets.
#[derive(Default)]
struct Met {
    documents: Vec<Stored>,
    bytes: usize,
    records: usize,
    failure: Option<Error>,
}

impl Met {
    /// Takes up the next document, and says whether it is not enough yet.
    fn take(&mut self, record: &Document, enough: usize) -> bool {
        self.records += 1;
        match record::read(record) {
            Ok(next) => self.meet(next),
            Err(error) => self.failure = Some(error),
        }
        self.failure.is_none() && self.bytes < enough
    }

    /// One that is deleted and made again meanwhile may be met in both its lives: the later one counts.
    fn meet(&mut self, next: Stored) {
        self.bytes += next.body.as_bytes().len();
        match self.documents.last_mut() {
            Some(last) if last.key == next.key => {
                self.bytes -= last.body.as_bytes().len();
                *last = next;
            }
            _ => self.documents.push(next),
        }
    }
}

/// Takes all documents.
fn all(taken: &mut Vec<Document>, next: Document) -> bool {
    taken.push(next);
    true
}

/// Which documents a scan is about. The bounds of `_id` say nothing new, but tell a sharded cluster whom to ask.
fn filter(scan: &Scan) -> Document {
    let mut paths = Document::new();
    let mut filter = Document::new();
    if let Some(prefix) = &scan.prefix {
        let (from, to) = record::paths(prefix);
        paths.extend(doc! { "$gte": from, "$lt": to });
        let (from, to) = record::ids(prefix);
        filter.insert("_id", doc! { "$gte": from, "$lt": to });
    }
    if let Some(after) = &scan.after {
        paths.insert("$gt", record::path(after));
    }
    if !paths.is_empty() {
        filter.insert("path", paths);
    }
    filter
}

#[async_trait]
impl Store for MongoStore {
    async fn get(&self, key: &Key) -> Result<Option<Stored>, Error> {
        let key = key.clone();
        let found = self
            .run(|inner| &inner.places, Error::Timeout, |inner| async move { inner.read(&key, None).await })
            .await?;
        found.as_ref().map(record::read).transpose()
    }

    async fn scan(&self, scan: Scan) -> Result<Vec<Stored>, Error> {
        self.run(|inner| &inner.places, Error::Timeout, |inner| async move { inner.scan(scan).await }).await
    }

    async fn put(&self, key: &Key, body: Body, precondition: Precondition) -> Result<Revision, Error> {
        key::check_size(key, body.as_bytes().len())?;
        let revision = revision::random();
        let expected = match precondition {
            Precondition::Absent => None,
            Precondition::AtRevision(revision) => Some(revision),
        };
        let record = record::write(key, &body, revision.as_str(), expected.as_ref())?;
        let change = match expected {
            None => Change::Insert { record, revision: revision.clone() },
            Some(expected) => Change::Replace { record, revision: revision.clone(), expected },
        };
        self.write(key, change).await?;
        Ok(revision)
    }

    async fn delete(&self, key: &Key, revision: &Revision) -> Result<(), Error> {
        self.write(key, Change::Delete { expected: revision.clone() }).await
    }

    async fn watch(&self, prefix: Option<&Key>, from: Option<Position>) -> Result<Changes, Error> {
        let prefix = prefix.cloned();
        let watch = |inner: Arc<Inner>| async move {
            if inner.polls() {
                inner.poller.watch(Arc::clone(&inner), prefix, from).await
            } else {
                watch::open(inner, prefix, from).await
            }
        };
        self.run(|inner| &inner.watchers, Error::Timeout, watch).await
    }

    fn watches_by_looking(&self) -> bool {
        self.0.polls()
    }

    async fn position(&self) -> Result<Position, Error> {
        let position = |inner: Arc<Inner>| async move {
            if inner.polls() { inner.poller.position(&inner).await } else { watch::position(&inner).await }
        };
        self.run(|inner| &inner.watchers, Error::Timeout, position).await
    }

    async fn ready(&self) -> Result<(), Error> {
        // A server that answers may still lack the index, without which there are no scans.
        let look = |inner: Arc<Inner>| async move {
            let path = doc! { "_id": 0, "path": 1 };
            let options = FindOptions::builder().projection(path).limit(1).max_time(READY * 4 / 5).build();
            let found = tokio::time::timeout(READY, inner.along(SCANS, doc! {}, options, all)).await;
            found.unwrap_or(Err(Error::Timeout)).map(drop)
        };
        self.run(|inner| &inner.places, Error::Timeout, look).await
    }
}

/// One connection of so many is for watches, and of those one of so many to open them on.
const WATCHES: usize = 5;
const OPENINGS: usize = 4;

/// How long it may take to make indexes again. A server that is asked goes on after that.
const INDEXING: Duration = Duration::from_secs(600);

/// How long a call waits for another one that makes them.
const PATIENCE: Duration = Duration::from_secs(1);

/// How long a readiness probe waits for an answer.
const READY: Duration = Duration::from_secs(2);

impl fmt::Debug for MongoStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MongoStore")
            .field("config", &self.0.config)
            .field("topology", &self.0.topology)
            .finish_non_exhaustive()
    }
}

fn unavailable(reason: &str) -> Error {
    Error::Unavailable(reason.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_that_is_made_again_during_a_scan_is_met_once() {
        let met = |key: &str, revision: &str| {
            let (key, revision) = (key.parse().unwrap(), Revision::new(revision));
            Stored { key, revision, body: Body::from_json(*b"{}") }
        };
        let mut all = Met::default();
        for next in [met("a/a", "1"), met("a/b", "2"), met("a/b", "3"), met("a/c", "4")] {
            all.meet(next);
        }
        assert_eq!(all.documents, [met("a/a", "1"), met("a/b", "3"), met("a/c", "4")]);
        assert_eq!(all.bytes, 3 * "{}".len(), "what was given up is not counted");
    }
}
