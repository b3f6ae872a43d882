//! Stores that break their promises on purpose: they show that the suites would notice.

mod restarting;

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use async_trait::async_trait;
use dcm_core::store::{Body, Changes, Document, Error, Key, Position, Precondition, Revision, Scan, Store};
use futures_util::{StreamExt as _, future::ready};
use serde_json::Value;
use tokio::sync::OnceCell;

pub use restarting::RestartingRevisions;

/// What a [`BrokenStore`] does wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fault {
    /// A write is acknowledged and not carried out.
    LosesWrites,
    /// A read answers the state before the last write.
    AnswersStale,
    /// A write is acknowledged, and the next reads do not see it yet.
    AppliesLate,
    /// A write whose precondition does not hold is carried out.
    TwoWinners,
    /// A write whose precondition does not hold is a conflict, and yet carried out.
    WritesOnConflict,
    /// A deletion is acknowledged and not carried out.
    KeepsDeleted,
    /// A deletion takes what is below the document along.
    DeletesBelow,
    /// A read where there is nothing answers what is below.
    FindsWhatIsBelow,
    /// A read answers half of a state and half of the one before.
    MixesStates,
    /// A write fails while another one is on its way, or was when its caller went.
    WritesOneAtATime,
    /// A write that changes no byte is acknowledged without a new revision.
    SkipsTheSame,
    /// A scan leaves a document out.
    SkipsInScans,
    /// A scan answers a document more than its limit.
    ExceedsLimits,
    /// A scan goes on beyond its bound in bytes.
    ExceedsBytes,
    /// The prefix of a scan is a text's, not a path's.
    TakesPrefixesForTexts,
    /// A scan is in the order of the keys' texts.
    SortsTexts,
    /// Whole numbers go through a floating point number.
    RoundsNumbers,
    /// A document that is too large is not available.
    HidesWhatIsTooLarge,
    /// A change is not told to a watch.
    SkipsChanges,
    /// A watch tells what is not below its prefix.
    TellsTooMuch,
    /// A watch from now on begins with the first write.
    TellsTheOld,
    /// A watch from a position begins now.
    ForgetsPositions,
    /// A position that it does not know is taken for the present one.
    TakesAnyPosition,
    /// It says that it is not ready.
    NeverReady,
}

/// How many reads do not see a write that is applied late.
const LATE: u32 = 5;

/// What the store under it refuses, as far as [`Fault::HidesWhatIsTooLarge`] is concerned.
const LARGE: usize = 16 << 20;

/// A store around a store that does one thing wrong, every so many times.
#[derive(Debug)]
pub struct BrokenStore {
    inner: Arc<dyn Store>,
    fault: Fault,
    one_in: u64,
    chances: Arc<AtomicU64>,
    done: Arc<AtomicU64>,
    /// For reads that see what was: the state before the last write, and how often it is still to be seen.
    before: Mutex<HashMap<Key, (Option<Document>, u32)>>,
    writing: AtomicBool,
    start: OnceCell<Position>,
}

impl BrokenStore {
    /// Wraps a store; of so many occasions for its fault it takes one.
    #[must_use]
    pub fn new(inner: Arc<dyn Store>, fault: Fault, one_in: u64) -> Self {
        Self {
            inner,
            fault,
            one_in: one_in.max(1),
            chances: Arc::default(),
            done: Arc::default(),
            before: Mutex::default(),
            writing: AtomicBool::default(),
            start: OnceCell::new(),
        }
    }

    /// How often it did what it should not.
    #[must_use]
    pub fn faults(&self) -> u64 {
        self.done.load(Ordering::SeqCst)
    }

    /// Whether this occasion for a fault is taken.
    fn takes(&self, fault: Fault) -> bool {
        self.fault == fault && take(self.one_in, &self.chances, &self.done)
    }

    /// What a read answers that sees what was.
    fn seen_before(&self, key: &Key) -> Option<Option<Document>> {
        let mut before = self.before.lock().unwrap_or_else(PoisonError::into_inner);
        let (document, left) = before.get_mut(key)?;
        let sees = match self.fault {
            Fault::AppliesLate => *left > 0,
            _ => self.takes(Fault::AnswersStale) || self.takes(Fault::MixesStates),
        };
        *left = left.saturating_sub(1);
        sees.then(|| document.clone())
    }

    /// Remembers the state that a write is for, once the write happened.
    fn remember(&self, before: Option<Document>, key: &Key) {
        let late = if self.takes(Fault::AppliesLate) { LATE } else { 0 };
        let mut all = self.before.lock().unwrap_or_else(PoisonError::into_inner);
        all.insert(key.clone(), (before, late));
    }

    /// Writes without any precondition.
    async fn force(&self, key: &Key, body: Body) -> Result<Revision, Error> {
        let precondition = match self.inner.get(key).await? {
            Some(document) => Precondition::AtRevision(document.revision),
            None => Precondition::Absent,
        };
        self.inner.put(key, body, precondition).await
    }

    /// All documents that a scan may be about, in their order.
    async fn everything(&self) -> Result<Vec<Document>, Error> {
        self.inner.scan(Scan::everything(usize::MAX)).await
    }
}

fn take(one_in: u64, chances: &AtomicU64, done: &AtomicU64) -> bool {
    let taken = (chances.fetch_add(1, Ordering::SeqCst) + 1).is_multiple_of(one_in);
    done.fetch_add(u64::from(taken), Ordering::SeqCst);
    taken
}

fn holds(precondition: &Precondition, current: Option<&Document>) -> bool {
    match (precondition, current) {
        (Precondition::Absent, None) => true,
        (Precondition::AtRevision(revision), Some(document)) => *revision == document.revision,
        _ => false,
    }
}

/// A document of two states, the first half of one and the rest of the other.
fn mixed(before: Option<Document>, now: Option<Document>) -> Option<Document> {
    let (before, now) = (before?, now?);
    let (old, new) = (before.body.as_bytes(), now.body.as_bytes());
    let half = old.len().min(new.len()) / 2;
    let body = Body::from_json([&new[..half], &old[half..]].concat());
    Some(Document { body, ..now })
}

/// What a store makes of a document that knows no numbers but floating point ones.
fn rounded(body: Body) -> Body {
    fn round(value: &mut Value) {
        match value {
            Value::Number(number) => *value = number.as_f64().map_or(Value::Null, Value::from),
            Value::Array(items) => items.iter_mut().for_each(round),
            Value::Object(fields) => fields.values_mut().for_each(round),
            _ => {}
        }
    }
    match serde_json::from_slice::<Value>(body.as_bytes()) {
        Ok(mut value) => {
            round(&mut value);
            Body::from_json(value.to_string().into_bytes())
        }
        Err(_) => body,
    }
}

#[async_trait]
impl Store for BrokenStore {
    async fn get(&self, key: &Key) -> Result<Option<Document>, Error> {
        match self.seen_before(key) {
            Some(before) if self.fault == Fault::MixesStates => Ok(mixed(before, self.inner.get(key).await?)),
            Some(before) => Ok(before),
            None => match self.inner.get(key).await? {
                None if self.takes(Fault::FindsWhatIsBelow) => {
                    Ok(self.inner.scan(Scan::below(key.clone(), 1)).await?.pop())
                }
                found => Ok(found),
            },
        }
    }

    async fn scan(&self, scan: Scan) -> Result<Vec<Document>, Error> {
        let Scan { prefix, after, limit, .. } = scan.clone();
        let is_after = |key: &Key| after.as_ref().is_none_or(|after| key > after);
        if self.takes(Fault::TakesPrefixesForTexts) {
            let prefix = prefix.as_ref().map_or("", Key::as_str);
            let mut found = self.everything().await?;
            found.retain(|d| d.key.as_str() != prefix && d.key.as_str().starts_with(prefix) && is_after(&d.key));
            found.truncate(limit);
            return Ok(found);
        }
        if self.takes(Fault::SortsTexts) {
            let mut found = self.inner.scan(Scan { limit: usize::MAX, ..scan }).await?;
            found.sort_by(|a, b| a.key.as_str().cmp(b.key.as_str()));
            found.truncate(limit);
            return Ok(found);
        }
        if self.takes(Fault::ExceedsLimits) {
            return self.inner.scan(Scan { limit: limit.saturating_add(1), ..scan }).await;
        }
        if scan.bytes < usize::MAX && self.takes(Fault::ExceedsBytes) {
            return self.inner.scan(scan.bytes(usize::MAX)).await;
        }
        let mut found = self.inner.scan(scan).await?;
        if found.len() > 1 && self.takes(Fault::SkipsInScans) {
            found.remove(found.len() / 2);
        }
        Ok(found)
    }

    async fn put(&self, key: &Key, body: Body, precondition: Precondition) -> Result<Revision, Error> {
        if self.fault == Fault::TellsTheOld {
            self.start.get_or_try_init(|| self.inner.position()).await?;
        }
        if self.fault == Fault::WritesOneAtATime {
            if self.writing.swap(true, Ordering::SeqCst) {
                return Err(Error::Unavailable("another write is on its way".into()));
            }
            tokio::task::yield_now().await;
            self.writing.store(false, Ordering::SeqCst);
        }
        let current = self.inner.get(key).await?;
        let allowed = holds(&precondition, current.as_ref());
        if allowed && self.takes(Fault::LosesWrites) {
            return Ok(Revision::new(format!("lost-{}", self.faults())));
        }
        if !allowed && self.takes(Fault::TwoWinners) {
            return self.force(key, body).await;
        }
        if !allowed && self.takes(Fault::WritesOnConflict) {
            self.force(key, body).await?;
            return Err(Error::Conflict { key: key.clone() });
        }
        if body.as_bytes().len() > LARGE && self.takes(Fault::HidesWhatIsTooLarge) {
            return Err(Error::Unavailable("it is too large".into()));
        }
        let same = current.as_ref().filter(|document| allowed && document.body == body);
        if let Some(document) = same.filter(|_| self.takes(Fault::SkipsTheSame)) {
            return Ok(document.revision.clone());
        }
        let body = if self.takes(Fault::RoundsNumbers) { rounded(body) } else { body };
        let written = self.inner.put(key, body, precondition).await?;
        if allowed {
            self.remember(current, key);
        }
        Ok(written)
    }

    async fn delete(&self, key: &Key, revision: &Revision) -> Result<(), Error> {
        let current = self.inner.get(key).await?;
        let allowed = holds(&Precondition::AtRevision(revision.clone()), current.as_ref());
        if allowed && self.takes(Fault::KeepsDeleted) {
            return Ok(());
        }
        self.inner.delete(key, revision).await?;
        if self.takes(Fault::DeletesBelow) {
            for below in self.inner.scan(Scan::below(key.clone(), usize::MAX)).await? {
                self.inner.delete(&below.key, &below.revision).await?;
            }
        }
        if allowed {
            self.remember(current, key);
        }
        Ok(())
    }

    async fn watch(&self, prefix: Option<&Key>, from: Option<Position>) -> Result<Changes, Error> {
        let prefix = prefix.filter(|_| !self.takes(Fault::TellsTooMuch));
        let from = from.filter(|_| !self.takes(Fault::ForgetsPositions));
        let from = from.or_else(|| self.start.get().cloned());
        let changes = match self.inner.watch(prefix, from).await {
            Err(Error::Expired) if self.takes(Fault::TakesAnyPosition) => self.inner.watch(prefix, None).await?,
            other => other?,
        };
        if self.fault != Fault::SkipsChanges {
            return Ok(changes);
        }
        let (one_in, chances, done) = (self.one_in, Arc::clone(&self.chances), Arc::clone(&self.done));
        Ok(changes.filter(move |_| ready(!take(one_in, &chances, &done))).boxed())
    }

    async fn position(&self) -> Result<Position, Error> {
        self.inner.position().await
    }

    async fn ready(&self) -> Result<(), Error> {
        if self.takes(Fault::NeverReady) {
            return Err(Error::Unavailable("it never is".into()));
        }
        self.inner.ready().await
    }
}
