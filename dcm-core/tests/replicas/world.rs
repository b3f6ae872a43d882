//! What the workers of the simulation live in: time, a store whose writes arrive when they will, and clusters that take
//! their time. Everything hangs on one seed.

use std::{
    collections::BTreeMap,
    future::poll_fn,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    task::Poll,
    time::Duration,
};

use async_trait::async_trait;
use dcm_core::{
    model::{ClusterStatus, Uid},
    store::{Body, Changes, Document, Error, Key, Position, Precondition, Revision, Scan, Store, StoreExt as _},
    sync::{
        CertificateRequest, ClusterAccess, Comparison, CutOff, Desired, Facts, Failure, Grant, IssuedToken, Removal,
        Report, Synchronizer, TokenRequest,
    },
};
use dcm_store::memory::MemoryStore;
use dcm_test_utils::clusters::FakeClusters;
use futures_util::FutureExt as _;

use crate::revoker::{CutOffs, bound};

/// Time that passes when the simulation says so, in milliseconds.
#[derive(Debug, Default)]
pub(crate) struct Time(AtomicU64);

impl Time {
    pub(crate) fn now(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }

    pub(crate) fn pass(&self, milliseconds: u64) {
        self.0.fetch_add(milliseconds, Ordering::SeqCst);
    }

    pub(crate) async fn until(&self, at: u64) {
        looking(|| (self.now() >= at).then_some(())).await;
    }
}

/// Looks at each poll, until there is something. Whoever has several futures in hand polls only those that woke it.
async fn looking<T>(mut look: impl FnMut() -> Option<T>) -> T {
    poll_fn(|context| {
        let found = look();
        if found.is_none() {
            context.waker().wake_by_ref();
        }
        found.map_or(Poll::Pending, Poll::Ready)
    })
    .await
}

/// Lets others go first.
pub(crate) async fn step() {
    let mut stepped = false;
    looking(|| std::mem::replace(&mut stepped, true).then_some(())).await;
}

/// Who a worker is at present.
pub(crate) type Me = Arc<Mutex<Option<Uid>>>;

/// The store that all share, and what is on its way to it.
#[derive(Debug, Default)]
pub(crate) struct Sea {
    pub(crate) store: MemoryStore,
    on_the_way: Mutex<Vec<Letter>>,
}

/// What became of a write, once that is known: the revision that it made, if it made one.
type Answer = Arc<Mutex<Option<Result<Option<Revision>, Error>>>>;

/// A write that was sent. It arrives, whatever became of who sent it.
#[derive(Debug)]
struct Letter {
    from: Option<Uid>,
    key: Key,
    /// `None` deletes.
    body: Option<Body>,
    precondition: Precondition,
    answer: Answer,
}

impl Sea {
    /// How many writes are on their way.
    pub(crate) fn letters(&self) -> usize {
        self.on_the_way.lock().unwrap().len()
    }

    /// Lets one of the writes arrive.
    pub(crate) fn arrive(&self, chance: usize) {
        let letter = {
            let mut all = self.on_the_way.lock().unwrap();
            if all.is_empty() {
                return;
            }
            let at = chance % all.len();
            all.swap_remove(at)
        };
        let before = now(self.store.get(&letter.key)).unwrap();
        let written = match letter.body.clone() {
            Some(body) => now(self.store.put(&letter.key, body, letter.precondition.clone())).map(Some),
            None => match &letter.precondition {
                Precondition::AtRevision(revision) => now(self.store.delete(&letter.key, revision)).map(|()| None),
                Precondition::Absent => unreachable!("nobody deletes what is not there"),
            },
        };
        if written.is_ok() {
            self.judge(&letter, before);
        }
        *letter.answer.lock().unwrap() = Some(written);
    }

    /// Nothing that was begun under an old claim may arrive after a newer one.
    fn judge(&self, letter: &Letter, before: Option<Document>) {
        let Some(from) = &letter.from else { return };
        let segments: Vec<&str> = letter.key.segments().collect();
        match segments[0] {
            "status" => {
                let read = |document: Body| document.read::<ClusterStatus>(&letter.key).unwrap();
                let before = before.map(|document| read(document.body));
                let after = letter.body.clone().map(read);
                let token = |status: &Option<ClusterStatus>| status.as_ref().map_or(0, |status| status.token);
                let claims = after.as_ref().is_some_and(|after| after.token == token(&before) + 1);
                let holder = before.and_then(|before| before.holder);
                if claims {
                    assert_eq!(after.unwrap().holder.as_ref(), Some(from), "claimed for somebody else");
                    if let Some(holder) = holder.filter(|holder| holder != from) {
                        assert!(!self.is_member(&holder), "{holder} is there, and {from} took its claim over");
                    }
                } else {
                    assert_eq!(holder.as_ref(), Some(from), "a write to {} without a claim", letter.key);
                }
            }
            // Where none was, one too many does no harm.
            "credential" if before.is_some() => {
                let key = format!("status/{}/{}", segments[1], segments[2]).parse().unwrap();
                let status = now(self.store.load::<ClusterStatus>(&key)).unwrap();
                let holder = status.and_then(|status| status.value.holder);
                assert_eq!(holder.as_ref(), Some(from), "a write to {} without a claim", letter.key);
            }
            _ => {}
        }
    }

    pub(crate) fn is_member(&self, member: &Uid) -> bool {
        now(self.store.get(&format!("member/{member}").parse().unwrap())).unwrap().is_some()
    }
}

/// What the memory store answers at once.
pub(crate) fn now<F: Future>(future: F) -> F::Output {
    future.now_or_never().expect("the memory store answers at once")
}

/// The store as one process reaches it.
#[derive(Debug)]
pub(crate) struct Reach {
    pub(crate) sea: Arc<Sea>,
    /// `None` for those who give orders: they reach it soon, or would lose every race against the many others.
    pub(crate) me: Option<Me>,
}

impl Reach {
    /// An answer is on its way.
    async fn step_back(&self) {
        if self.me.is_some() {
            step().await;
        }
    }

    async fn send(&self, key: &Key, body: Option<Body>, precondition: Precondition) -> Result<Option<Revision>, Error> {
        let from = self.me.as_ref().and_then(|me| me.lock().unwrap().clone());
        let answer = Arc::new(Mutex::new(None));
        let letter = Letter { from, key: key.clone(), body, precondition, answer: Arc::clone(&answer) };
        self.sea.on_the_way.lock().unwrap().push(letter);
        looking(|| answer.lock().unwrap().take()).await
    }
}

#[async_trait]
impl Store for Reach {
    async fn get(&self, key: &Key) -> Result<Option<Document>, Error> {
        step().await;
        let found = self.sea.store.get(key).await;
        self.step_back().await;
        found
    }
    async fn scan(&self, scan: Scan) -> Result<Vec<Document>, Error> {
        step().await;
        let found = self.sea.store.scan(scan).await;
        self.step_back().await;
        found
    }
    async fn put(&self, key: &Key, body: Body, precondition: Precondition) -> Result<Revision, Error> {
        if self.me.is_none() {
            return self.sea.store.put(key, body, precondition).await;
        }
        Ok(self.send(key, Some(body), precondition).await?.expect("a put has a revision"))
    }
    async fn delete(&self, key: &Key, revision: &Revision) -> Result<(), Error> {
        if self.me.is_none() {
            return self.sea.store.delete(key, revision).await;
        }
        self.send(key, None, Precondition::AtRevision(revision.clone())).await.map(drop)
    }
    async fn watch(&self, prefix: Option<&Key>, from: Option<Position>) -> Result<Changes, Error> {
        self.sea.store.watch(prefix, from).await
    }
    async fn position(&self) -> Result<Position, Error> {
        self.sea.store.position().await
    }
    async fn ready(&self) -> Result<(), Error> {
        Ok(())
    }
}

/// Clusters that take their time, and notice who asks them.
#[derive(Debug)]
pub(crate) struct Slow {
    pub(crate) clusters: Arc<FakeClusters>,
    pub(crate) sea: Arc<Sea>,
    pub(crate) me: Me,
    /// Who is asking which cluster for which logical cloud.
    pub(crate) asking: Arc<Mutex<BTreeMap<(String, Uid), Uid>>>,
    pub(crate) cut_off: Arc<CutOffs>,
}

/// A request that is open.
struct Asking<'a>(&'a Slow, (String, Uid));

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        self.0.asking.lock().unwrap().remove(&self.1);
    }
}

impl Slow {
    /// A request for a logical cloud begins, or goes on: whoever makes it must have the cluster's claim.
    fn ask(&self, access: &ClusterAccess, cloud: &Uid) -> Asking<'_> {
        let me = self.me.lock().unwrap().clone().expect("who asks is a member");
        let cluster = access.cluster.to_string();
        let key = format!("status/{cloud}/{cluster}").parse().unwrap();
        let status = now(self.sea.store.load::<ClusterStatus>(&key)).unwrap().expect("a claim before a request");
        assert_eq!(status.value.holder.as_ref(), Some(&me), "asked {cluster} without its claim");
        let what = (cluster, cloud.clone());
        let before = self.asking.lock().unwrap().insert(what.clone(), me.clone());
        assert!(before.is_none_or(|before| before == me || !self.sea.is_member(&before)), "two at work on {what:?}");
        Asking(self, what)
    }
}

#[async_trait]
impl Synchronizer for Slow {
    async fn probe(&self, access: &ClusterAccess) -> Result<Facts, Failure> {
        step().await;
        self.clusters.probe(access).await
    }
    async fn capabilities(&self, access: &ClusterAccess) -> Result<BTreeMap<String, Vec<String>>, Failure> {
        self.clusters.capabilities(access).await
    }
    async fn apply(&self, access: &ClusterAccess, desired: &Desired) -> Report {
        for _ in 0..4 {
            let asking = self.ask(access, &desired.owner.cloud);
            step().await;
            drop(asking);
        }
        let _asking = self.ask(access, &desired.owner.cloud);
        let report = self.clusters.apply(access, desired).await;
        let cluster = access.cluster.as_str();
        self.cut_off.judge(cluster, bound(&self.clusters, cluster));
        report
    }
    async fn sign(&self, access: &ClusterAccess, request: &CertificateRequest) -> Result<String, Failure> {
        let asking = self.ask(access, &request.owner.cloud);
        step().await;
        drop(asking);
        self.clusters.sign(access, request).await
    }
    async fn token(&self, access: &ClusterAccess, request: &TokenRequest) -> Result<IssuedToken, Failure> {
        self.clusters.token(access, request).await
    }
    async fn compare(&self, access: &ClusterAccess, desired: &Desired) -> Result<Comparison, Failure> {
        self.clusters.compare(access, desired).await
    }
    async fn cut_off(&self, access: &ClusterAccess, cut: &CutOff) -> Result<Vec<Grant>, Failure> {
        step().await;
        let left = self.clusters.cut_off(access, cut).await;
        step().await;
        left
    }
    async fn remove(&self, access: &ClusterAccess, removal: &Removal) -> Report {
        for _ in 0..3 {
            let asking = self.ask(access, &removal.owner.cloud);
            step().await;
            drop(asking);
        }
        let _asking = self.ask(access, &removal.owner.cloud);
        self.clusters.remove(access, removal).await
    }
}

/// As long as a lease is here, in milliseconds.
pub(crate) const LEASE: Duration = Duration::from_millis(300);

/// Whoever gives orders reaches the store at once.
#[async_trait]
impl Store for Sea {
    async fn get(&self, key: &Key) -> Result<Option<Document>, Error> {
        self.store.get(key).await
    }
    async fn scan(&self, scan: Scan) -> Result<Vec<Document>, Error> {
        self.store.scan(scan).await
    }
    async fn put(&self, key: &Key, body: Body, precondition: Precondition) -> Result<Revision, Error> {
        self.store.put(key, body, precondition).await
    }
    async fn delete(&self, key: &Key, revision: &Revision) -> Result<(), Error> {
        self.store.delete(key, revision).await
    }
    async fn watch(&self, prefix: Option<&Key>, from: Option<Position>) -> Result<Changes, Error> {
        self.store.watch(prefix, from).await
    }
    async fn position(&self) -> Result<Position, Error> {
        self.store.position().await
    }
    async fn ready(&self) -> Result<(), Error> {
        self.store.ready().await
    }
}
