//! Watches by polling, for servers without change streams.
//!
//! A look lists the path and the revision of every document, from an index alone, reads the documents whose revision is
//! not the one that was seen before, and appends the differences to a journal, from which all watches of the store read.
//! A state that is replaced between two looks is not seen. Looks are made while somebody watches, and for each position.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex as StdMutex, PoisonError, Weak,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use dcm_core::store::{Changes, Error, Key, Position};
use futures_util::{StreamExt, stream};
use mongodb::{bson::doc, options::FindOptions};
use tokio::{
    sync::{Mutex, Notify, watch},
    time::Instant,
};

use super::{Inner, all, connect::POLLS, failure, record, unavailable};
use crate::changes::{Journal, Recorded};

/// How many documents are listed, and how many are read, by one request.
const LISTED: i64 = 10_000;
const READ: usize = 64;

/// What was seen of the documents, and who wants to know.
pub(super) struct Poller {
    journal: Journal,
    seen: Mutex<Seen>,
    /// How many looks were begun.
    begun: AtomicU64,
    /// Rung after each write of this process.
    bell: Notify,
    /// Counts the looks that failed: watches end then.
    failures: watch::Sender<u64>,
    /// Alive while there are watches.
    audience: StdMutex<Weak<()>>,
}

#[derive(Default)]
struct Seen {
    /// Paths and revisions; `None` before the first look.
    documents: Option<BTreeMap<String, String>>,
    /// The number of the last change.
    number: u64,
    /// The last look that succeeded.
    look: u64,
}

impl Poller {
    pub(super) fn new(history: usize) -> Self {
        Self {
            journal: Journal::new(0, history),
            seen: Mutex::default(),
            begun: AtomicU64::new(0),
            bell: Notify::new(),
            failures: watch::Sender::new(0),
            audience: StdMutex::default(),
        }
    }

    /// Has a change of this process looked at now, not after a whole period.
    pub(super) fn ring(&self) {
        self.bell.notify_one();
    }

    /// The place after everything that was acknowledged before the call.
    pub(super) async fn position(&self, inner: &Inner) -> Result<Position, Error> {
        self.look(inner).await?;
        Ok(self.journal.position())
    }

    /// Streams the changes after a position, or from now on.
    pub(super) async fn watch(
        &self,
        inner: Arc<Inner>,
        prefix: Option<Key>,
        from: Option<Position>,
    ) -> Result<Changes, Error> {
        let failures = self.failures.subscribe();
        self.look(&inner).await?;
        let changes = self.journal.watch(prefix.as_ref(), from.as_ref())?;
        let watching = Watching { changes, failures, _audience: self.join(inner), over: false };
        Ok(stream::unfold(watching, Watching::next).boxed())
    }

    /// Counts a watch in, and has looks made where it is the first.
    fn join(&self, inner: Arc<Inner>) -> Arc<()> {
        let mut audience = self.audience.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(member) = audience.upgrade() {
            return member;
        }
        let member = Arc::new(());
        *audience = Arc::downgrade(&member);
        tokio::spawn(poll(inner, Arc::downgrade(&member)));
        member
    }

    /// Looks at the documents as they are now or later; callers who come together share a look.
    async fn look(&self, inner: &Inner) -> Result<(), Error> {
        let before = self.begun.load(Ordering::SeqCst);
        let mut seen = self.seen.lock().await;
        if seen.look > before {
            return Ok(());
        }
        let look = self.begun.fetch_add(1, Ordering::SeqCst) + 1;
        self.differ(inner, &mut seen).await?;
        seen.look = look;
        Ok(())
    }

    /// Lists all documents, and appends to the journal what differs from what was seen before.
    async fn differ(&self, inner: &Inner, seen: &mut Seen) -> Result<(), Error> {
        let listed = list(inner).await?;
        let Seen { documents, number, .. } = seen;
        let Some(documents) = documents else {
            *documents = Some(listed);
            return Ok(());
        };
        let gone: Vec<String> = documents.keys().filter(|path| !listed.contains_key(*path)).cloned().collect();
        let changed: Vec<&String> = listed
            .iter()
            .filter(|(path, revision)| documents.get(*path) != Some(revision))
            .map(|(path, _)| path)
            .collect();
        // What was seen and what the journal tells change together: where a request fails, the next look goes on.
        for path in gone {
            self.tell(documents, number, path, None);
        }
        for paths in changed.chunks(READ) {
            let mut found = read(inner, paths).await?;
            for path in paths {
                let document = found.remove(*path);
                self.tell(documents, number, (*path).clone(), document);
            }
        }
        Ok(())
    }

    fn tell(
        &self,
        documents: &mut BTreeMap<String, String>,
        number: &mut u64,
        path: String,
        document: Option<dcm_core::store::Document>,
    ) {
        let known = match &document {
            Some(document) => documents.insert(path.clone(), document.revision.to_string()),
            None => documents.remove(&path),
        };
        // Nobody was told of a document that came and went between two requests; a state is told once.
        let revision = document.as_ref().map(|document| document.revision.clone());
        if known.as_deref() == revision.as_ref().map(|revision| revision.as_str()) {
            return;
        }
        let Some(key) = record::key(&path) else { return };
        *number += 1;
        let body = document.map(|document| document.body);
        self.journal.append([Recorded { revision, ..Recorded::numbered(*number, key, body) }]);
    }
}

/// Makes looks for as long as somebody watches.
async fn poll(inner: Arc<Inner>, audience: Weak<()>) {
    let mut rest = Duration::ZERO;
    loop {
        // However many writes ring, half of the time is left to others.
        tokio::time::sleep(rest).await;
        let _ = tokio::time::timeout(inner.config.poll_every, inner.poller.bell.notified()).await;
        if audience.strong_count() == 0 {
            return;
        }
        let started = Instant::now();
        if let Err(error) = inner.poller.look(&inner).await {
            tracing::warn!(error = &error as &dyn std::error::Error, "MongoDB could not be polled for changes");
            inner.poller.failures.send_modify(|failures| *failures += 1);
        }
        rest = started.elapsed().min(inner.config.poll_every);
    }
}

/// The revision of each path.
///
/// The entry of a document that is replaced meanwhile moves. It may be met twice, the newer state last; it is never
/// passed over, since nothing but the entry is read.
async fn list(inner: &Inner) -> Result<BTreeMap<String, String>, Error> {
    let mut listed = BTreeMap::new();
    // What has no path is nothing that DCM wrote, and no string either.
    let mut after = String::new();
    loop {
        let options = FindOptions::builder()
            .projection(doc! { "_id": 0, "path": 1, "revision": 1 })
            .limit(LISTED)
            .max_time(inner.config.deadline)
            .build();
        let page: Vec<_> = in_time(inner, inner.along(POLLS, doc! { "path": { "$gt": &after } }, options, all)).await?;
        for entry in &page {
            let Ok(path) = entry.get_str("path") else { continue };
            // Without a revision it is read, and found corrupt.
            listed.insert(path.to_owned(), entry.get_str("revision").unwrap_or_default().to_owned());
            path.clone_into(&mut after);
        }
        if i64::try_from(page.len()).is_ok_and(|length| length < LISTED) {
            return Ok(listed);
        }
    }
}

/// The documents at these paths that are there.
async fn read(inner: &Inner, paths: &[&String]) -> Result<BTreeMap<String, dcm_core::store::Document>, Error> {
    let ids: Vec<String> = paths.iter().filter_map(|path| record::key(path)).map(|key| key.to_string()).collect();
    let options = FindOptions::builder().max_time(inner.config.deadline).build();
    let find = async { inner.find(doc! { "_id": { "$in": ids } }, options, all).await.map_err(failure::of_read) };
    let found = in_time(inner, find).await?;
    let documents = found.iter().map(|found| record::read(found).map(|read| (record::path(&read.key), read)));
    documents.collect()
}

/// What a request answers within the time of a call.
async fn in_time<T>(inner: &Inner, find: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    tokio::time::timeout(inner.config.deadline, find).await.unwrap_or(Err(Error::Timeout))
}

/// One watch: the journal's changes, until a look fails.
struct Watching {
    changes: Changes,
    failures: watch::Receiver<u64>,
    _audience: Arc<()>,
    over: bool,
}

impl Watching {
    async fn next(mut self) -> Option<(Result<dcm_core::store::Event, Error>, Self)> {
        if self.over {
            return None;
        }
        let item = tokio::select! {
            biased;
            item = self.changes.next() => item?,
            _ = self.failures.changed() => Err(unavailable("MongoDB could not be polled for changes")),
        };
        self.over = item.is_err();
        Some((item, self))
    }
}
