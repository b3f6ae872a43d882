//! Orders that nobody was told of, or that others leave.

use std::ops::ControlFlow;

use async_trait::async_trait;
use dcm_core::{
    lifecycle::Event,
    model::ClusterStatus,
    name::ReferenceName,
    service::{Claimant, CloudId, Work},
    store::{Body, Changes, Document, Error, Position, Precondition, Scan, Store, StoreExt as _},
};
use dcm_store::memory::MemoryStore;
use dcm_test_utils::{
    builders::{Fixture, cloud_id},
    faulty::FaultyStore,
};

use super::*;

/// A store in which whoever asks for a cluster's registration waits for ever, while it is told so.
#[derive(Debug)]
struct Hanging {
    inner: Arc<FaultyStore>,
    hangs: AtomicBool,
}

#[async_trait]
impl Store for Hanging {
    async fn get(&self, key: &Key) -> Result<Option<Document>, Error> {
        if self.hangs.load(Ordering::SeqCst) && key.as_str().starts_with("cluster/") {
            std::future::pending::<()>().await;
        }
        self.inner.get(key).await
    }
    async fn scan(&self, scan: Scan) -> Result<Vec<Document>, Error> {
        self.inner.scan(scan).await
    }
    async fn put(&self, key: &Key, body: Body, precondition: Precondition) -> Result<Revision, Error> {
        self.inner.put(key, body, precondition).await
    }
    async fn delete(&self, key: &Key, revision: &Revision) -> Result<(), Error> {
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

/// A worker's dispatcher with all that reaches it. The DCM's own wake rings nothing: each order is one that was missed.
struct Bench {
    f: Fixture,
    store: Arc<FaultyStore>,
    hanging: Arc<Hanging>,
    dispatcher: Dispatcher,
    tell: mpsc::Sender<News>,
    news: mpsc::Receiver<News>,
}

async fn bench(clusters: &[&str]) -> Bench {
    let store = Arc::new(FaultyStore::new(Arc::new(MemoryStore::new())));
    let hanging = Arc::new(Hanging { inner: Arc::clone(&store), hangs: false.into() });
    let f = Fixture::new(Arc::clone(&hanging) as _).await.unwrap();
    f.register(clusters).await.unwrap();
    f.create_cloud("lc-1", "ns-1", clusters).await.unwrap();
    let (seat, _rank) = Seat::at(0);
    let shared = Shared {
        lanes: Lanes::new(8),
        absences: Arc::default(),
        metrics: WorkerMetrics::default(),
        seat,
        cut_short: Arc::default(),
    };
    let dispatcher = Dispatcher {
        dcm: f.dcm.clone(),
        bell: Arc::default(),
        shared,
        stop: CancellationToken::new(),
        drivers: JoinSet::new(),
        bells: HashMap::new(),
        left_to_others: BTreeMap::new(),
        owed: None,
    };
    let (tell, news) = mpsc::channel(NEWS);
    Bench { f, store, hanging, dispatcher, tell, news }
}

fn id() -> CloudId {
    cloud_id("lc-1")
}

async fn apply(dcm: &Dcm) -> Key {
    dcm.apply(&id(), Event::Apply, false).await.unwrap();
    dcm.waiting_orders(None, 1).await.unwrap().remove(0)
}

/// How long it takes from now until something is so, looked at every few milliseconds.
async fn until(mut is_so: impl AsyncFnMut() -> ControlFlow<()>) -> Duration {
    let begun = Instant::now();
    while is_so().await.is_continue() {
        assert!(begun.elapsed() < Duration::from_secs(600), "never");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    begun.elapsed()
}

async fn until_carried_out(dcm: &Dcm) -> Duration {
    until(async || match dcm.waiting_orders(None, 1).await {
        Ok(waiting) if waiting.is_empty() => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    })
    .await
}

#[tokio::test(start_paused = true)]
async fn an_order_that_nobody_was_told_of_is_found_by_a_look() {
    let Bench { f, dispatcher, news, .. } = bench(&["c1"]).await;
    tokio::spawn(dispatcher.run(news));
    // The look of the start finds nothing.
    tokio::time::sleep(Duration::from_secs(1)).await;
    apply(&f.dcm).await;
    assert!(until_carried_out(&f.dcm).await <= LOOK_EVERY);
}

#[tokio::test(start_paused = true)]
async fn waiting_orders_that_could_not_be_read_are_looked_for_again_soon() {
    let Bench { f, store, dispatcher, news, .. } = bench(&["c1"]).await;
    apply(&f.dcm).await;
    store.fail_after(0);
    tokio::spawn(dispatcher.run(news));
    tokio::time::sleep(LOOK_AGAIN / 5).await;
    assert!(store.has_failed());
    store.mend();
    assert!(until_carried_out(&f.dcm).await < LOOK_AGAIN * 2);
}

#[tokio::test(start_paused = true)]
async fn an_order_that_changes_again_and_again_is_helped_with_all_the_same() {
    let Bench { f, dispatcher, tell, news, .. } = bench(&["c1"]).await;
    tokio::spawn(dispatcher.run(news));
    tokio::time::sleep(Duration::from_secs(1)).await;
    let order = apply(&f.dcm).await;
    let changes = async {
        for number in 0.. {
            let news = News::Changed(order.clone(), Revision::new(format!("r{number}")));
            tell.send(news).await.unwrap();
            tokio::time::sleep(LEFT_TO_OTHERS / 3).await;
        }
    };
    tokio::select! {
        () = changes => {}
        took = until_carried_out(&f.dcm) => {
            assert!((LEFT_TO_OTHERS..LEFT_TO_OTHERS * 3).contains(&took), "{took:?}");
        }
    }
}

#[tokio::test]
async fn an_order_that_is_rung_for_while_its_driver_ends_gets_another_one() {
    for (ring, again) in [
        (OrderBell::ring as fn(&OrderBell), true),
        (|bell| bell.changed(Some(Revision::new("2"))), true),
        (|bell| bell.changed(None), false),
        (|_| {}, false),
    ] {
        let Bench { f, mut dispatcher, .. } = bench(&["c1"]).await;
        let order = apply(&f.dcm).await;
        let bell = Arc::<OrderBell>::default();
        dispatcher.bells.insert(order.clone(), Arc::clone(&bell));
        ring(&bell);
        dispatcher.reap(Ok(order.clone()));
        assert_eq!((dispatcher.bells.contains_key(&order), dispatcher.drivers.len()), (again, usize::from(again)));
    }
}

#[tokio::test]
async fn the_bell_of_a_driver_that_ended_badly_stands_in_nobodys_way() {
    let Bench { f, mut dispatcher, .. } = bench(&["c1"]).await;
    let order = apply(&f.dcm).await;
    let (other, alive) = ("order/other".parse::<Key>().unwrap(), Arc::<OrderBell>::default());
    dispatcher.bells.insert(order.clone(), Arc::default());
    dispatcher.bells.insert(other.clone(), Arc::clone(&alive));
    let failed = tokio::spawn(async { panic!("a driver") }).await;
    dispatcher.reap(failed);
    assert_eq!(dispatcher.bells.keys().collect::<Vec<_>>(), [&other]);
    dispatcher.look(false).await;
    assert!(dispatcher.bells.contains_key(&order));
}

/// A claim that somebody has who never ends, and who is there.
async fn held_by_another(f: &Fixture, store: &FaultyStore, cluster: &str) -> Claimant {
    let member = f.dcm.join(Duration::from_secs(15)).await.unwrap();
    let another = Claimant::member(member.value.id);
    let order = f.dcm.waiting_orders(None, 1).await.unwrap().remove(0);
    let Work::Cloud(work) = f.dcm.open_order(&order).await.unwrap() else { panic!("no work") };
    let tasks = f.dcm.tasks(&work).await.unwrap();
    let task = tasks.iter().find(|task| task.reference.name.as_str() == cluster).unwrap();
    for calls in 3.. {
        store.fail_after(calls);
        f.dcm.attempt(&work, task, &another).await.unwrap_err();
        store.mend();
        if another.claims() > 0 {
            break;
        }
    }
    another
}

#[tokio::test(start_paused = true)]
async fn what_another_one_holds_who_goes_without_a_word_is_taken_over_all_the_same() {
    let Bench { f, store, dispatcher, news, .. } = bench(&["c1", "c2"]).await;
    apply(&f.dcm).await;
    let another = held_by_another(&f, &store, "c1").await;
    // What keeps the driver at work.
    f.clusters.set_down("default/c2", true);
    tokio::spawn(dispatcher.run(news));
    tokio::time::sleep(Duration::from_secs(10)).await;
    let status = async || {
        let status = f.dcm.status(&id()).await.unwrap();
        let c1 = ReferenceName::new("c1").unwrap();
        status.clusters.into_iter().find(|(name, _)| *name == c1).and_then(|(_, status)| status)
    };
    let is_reached = |status: Option<ClusterStatus>| status.is_some_and(|status| status.reached);
    assert!(!is_reached(status().await), "it was another one's");
    f.dcm.leave(another.id()).await.unwrap();
    let took = until(async || match is_reached(status().await) {
        true => ControlFlow::Break(()),
        false => ControlFlow::Continue(()),
    });
    assert!(took.await < Duration::from_secs(35));
}

#[tokio::test(start_paused = true)]
async fn an_attempt_that_is_dropped_because_the_process_stops_is_no_death() {
    let Bench { f, store, hanging, dispatcher, news, .. } = bench(&["c1"]).await;
    apply(&f.dcm).await;
    let dead = held_by_another(&f, &store, "c1").await;
    f.dcm.leave(dead.id()).await.unwrap();
    hanging.hangs.store(true, Ordering::SeqCst);
    let uid = f.dcm.status(&id()).await.unwrap().cloud.uid;
    let key = format!("status/{uid}/c1").parse().unwrap();
    let status = async || store.load::<ClusterStatus>(&key).await.unwrap().unwrap().value;
    let stop = dispatcher.stop.clone();
    let running = tokio::spawn(dispatcher.run(news));
    until(async || match status().await.takeovers {
        1 => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    })
    .await;
    stop.cancel();
    running.await.unwrap();
    let left = status().await;
    assert!(left.holder.is_some_and(|holder| holder != *dead.id()), "it was in hand at the stop");
    assert_eq!((left.takeovers, left.taken_over_at), (0, None));
}
