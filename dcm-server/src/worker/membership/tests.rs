use std::sync::atomic::{AtomicBool, AtomicU32};

use async_trait::async_trait;
use dcm_core::store::{Body, Changes, Document, Error, Key, Position, Precondition, Revision, Scan, Store};
use dcm_store::memory::MemoryStore;
use dcm_test_utils::{builders::Fixture, patience::until_so};

use super::*;

/// How long anything may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

fn tenure(lease: Duration) -> Tenure {
    Tenure::new(Claimant::member(Uid::from_random([1; 16])), Instant::now(), Some(lease))
}

#[tokio::test]
async fn what_wakes_after_its_lease_takes_no_step() {
    let tenure = tenure(Duration::from_millis(100));
    let step = Arc::new(AtomicBool::new(false));
    let stepped = Arc::clone(&step);
    let work = tenure.guard(async move {
        // As a process that is stopped: the thread sleeps, and nobody is polled meanwhile.
        tokio::task::yield_now().await;
        std::thread::sleep(Duration::from_millis(120));
        tokio::task::yield_now().await;
        stepped.store(true, Ordering::SeqCst);
    });
    assert_eq!(work.await, None);
    assert!(!step.load(Ordering::SeqCst));
}

#[tokio::test]
async fn work_goes_on_while_the_lease_is_renewed_and_ends_with_it() {
    let tenure = tenure(Duration::from_millis(200));
    tenure.extend(Instant::now() + Duration::from_millis(400));
    let slow = tokio::time::sleep(Duration::from_millis(250));
    assert_eq!(tenure.guard(slow).await, Some(()));
    let over = tenure.over.clone();
    tokio::spawn(async move { over.cancel() });
    assert_eq!(tenure.guard(std::future::pending::<()>()).await, None);
    assert!(!tenure.is_valid());
}

/// A store that takes no member away, or no new one in, while it is told so.
#[derive(Debug, Default)]
struct Stubborn {
    inner: MemoryStore,
    keeps: AtomicBool,
    shut: AtomicBool,
    refused: AtomicU32,
}

#[async_trait]
impl Store for Stubborn {
    async fn get(&self, key: &Key) -> Result<Option<Document>, Error> {
        self.inner.get(key).await
    }
    async fn scan(&self, scan: Scan) -> Result<Vec<Document>, Error> {
        self.inner.scan(scan).await
    }
    async fn put(&self, key: &Key, body: Body, precondition: Precondition) -> Result<Revision, Error> {
        if self.shut.load(Ordering::SeqCst) {
            return Err(Error::Unavailable("it was told to".into()));
        }
        self.inner.put(key, body, precondition).await
    }
    async fn delete(&self, key: &Key, revision: &Revision) -> Result<(), Error> {
        if self.keeps.load(Ordering::SeqCst) {
            self.refused.fetch_add(1, Ordering::SeqCst);
            return Err(Error::Unavailable("it was told to".into()));
        }
        self.inner.delete(key, revision).await
    }
    async fn watch(&self, prefix: Option<&Key>, from: Option<Position>) -> Result<Changes, Error> {
        self.inner.watch(prefix, from).await
    }
    async fn position(&self) -> Result<Position, Error> {
        self.inner.position().await
    }
    async fn ready(&self) -> Result<(), Error> {
        self.inner.ready().await
    }
}

struct Bench {
    store: Arc<Stubborn>,
    dcm: Dcm,
    membership: Membership,
    seat: Seat,
    news: mpsc::Receiver<News>,
    readiness: Readiness,
}

impl Bench {
    async fn new(lease: Duration) -> Self {
        let store = Arc::<Stubborn>::default();
        let dcm = Fixture::new(Arc::clone(&store) as _).await.unwrap().dcm;
        let (tell, news) = mpsc::channel(100);
        let readiness = Readiness::default();
        let metrics = WorkerMetrics::default();
        let (membership, seat) = Membership::new(dcm.clone(), Some(lease), tell, metrics, readiness.clone());
        Self { store, dcm, membership, seat, news, readiness }
    }

    /// Lets it be a member while something else goes on.
    async fn while_member<T>(&self, story: impl Future<Output = T>) -> T {
        tokio::select! {
            () = self.membership.run() => unreachable!("it never ends"),
            told = story => told,
        }
    }

    async fn members(&self) -> usize {
        self.dcm.members().await.unwrap().len()
    }

    /// Why it carries out no orders now, as it says where it is asked.
    fn why_not(&self) -> Option<String> {
        self.readiness.waiting().into_iter().find(|awaited| awaited.part == PART).map(|awaited| awaited.reason)
    }
}

#[tokio::test]
async fn who_cannot_be_expelled_is_tried_again_after_a_while_and_no_sooner() {
    let lease = Duration::from_millis(1500);
    let mut bench = Bench::new(lease).await;
    bench.store.keeps.store(true, Ordering::SeqCst);
    bench.dcm.join(Duration::from_millis(1)).await.unwrap();
    let refused = || bench.store.refused.load(Ordering::SeqCst);
    bench
        .while_member(async {
            until_so(PATIENCE, "tried", async || refused() > 0).await;
            let begun = Instant::now();
            until_so(PATIENCE, "tried again", async || refused() >= 3).await;
            assert!(begun.elapsed() >= period(lease), "three times within {:?}", begun.elapsed());
            bench.store.keeps.store(false, Ordering::SeqCst);
            until_so(PATIENCE, "expelled", async || bench.members().await == 1).await;
            tokio::time::sleep(period(lease) / 5).await;
        })
        .await;
    // At the beginning, and when it had gone.
    for _ in 0..2 {
        assert!(matches!(bench.news.try_recv(), Ok(News::LookAgain)));
    }
}

#[tokio::test]
async fn who_stops_takes_leave_at_once() {
    let bench = Bench::new(Duration::from_secs(600)).await;
    bench.while_member(until_so(PATIENCE, "joined", async || bench.seat.present().is_some())).await;
    assert_eq!(bench.members().await, 1);
    let begun = Instant::now();
    bench.membership.leave(false).await;
    assert_eq!(bench.members().await, 0);
    assert!(begun.elapsed() < LEAVE && bench.seat.present().is_none());
}

#[tokio::test]
async fn who_was_cut_short_takes_leave_when_what_he_has_sent_has_arrived_and_not_where_that_may_take_long() {
    let lease = Duration::from_secs(5);
    let bench = Bench::new(lease).await;
    bench.while_member(until_so(PATIENCE, "joined", async || bench.seat.present().is_some())).await;
    let begun = Instant::now();
    let leave = async {
        bench.membership.leave(true).await;
        begun.elapsed()
    };
    let look = async {
        tokio::time::sleep((lease - usable(lease)) / 3).await;
        bench.members().await
    };
    let (left_after, there) = tokio::join!(leave, look);
    assert!(there == 1 && left_after >= lease - usable(lease), "{left_after:?}");
    assert_eq!(bench.members().await, 0);

    let bench = Bench::new(Duration::from_secs(600)).await;
    bench.while_member(until_so(PATIENCE, "joined", async || bench.seat.present().is_some())).await;
    bench.membership.leave(true).await;
    assert_eq!(bench.members().await, 1, "the others find out by themselves");
}

#[tokio::test]
async fn a_process_says_while_it_has_no_lease_and_looks_at_all_orders_when_it_has_one_again() {
    let mut bench = Bench::new(Duration::from_millis(1500)).await;
    assert!(bench.why_not().is_some(), "it has not joined yet");
    bench.store.shut.store(true, Ordering::SeqCst);
    let is_there = async |there| until_so(PATIENCE, "there or not", async || bench.why_not().is_none() == there).await;
    bench
        .while_member(async {
            let refused = |why: Option<String>| why.is_some_and(|why| why.contains("could not join"));
            until_so(PATIENCE, "told why", async || refused(bench.why_not())).await;
            bench.store.shut.store(false, Ordering::SeqCst);
            is_there(true).await;
            let tenure = bench.seat.tenure().await;
            bench.dcm.leave(tenure.claimant().id()).await.unwrap();
            is_there(false).await;
            assert!(bench.why_not().unwrap().contains("the lease is lost"), "{:?}", bench.why_not());
            is_there(true).await;
            let anew = bench.seat.tenure().await;
            assert_ne!(anew.claimant().id(), tenure.claimant().id());
        })
        .await;
    for _ in 0..2 {
        assert!(matches!(bench.news.try_recv(), Ok(News::LookAgain)), "who went meanwhile may have left something");
    }
}
