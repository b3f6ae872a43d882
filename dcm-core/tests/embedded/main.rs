//! DCM inside another program: no server, no global state, and no runtime that has to be a certain one.
//!
//! Nothing here runs in tokio; the executor is `pollster`, which can do nothing but poll one future.

#![allow(clippy::unwrap_used, reason = "a test fails loudly")]

mod clusters;

use std::{
    future::poll_fn,
    num::NonZeroUsize,
    pin::{Pin, pin},
    sync::Arc,
    task::Poll,
    time::Duration,
};

use dcm_core::{
    lifecycle::Event,
    name::ReferenceName,
    service::{CloudId, Dcm, NoWake, Overall, Ports, Settings},
    sync::Reason,
};
use dcm_store::memory::MemoryStore;
use dcm_test_utils::{
    builders::{cloud_id, cloud_input, cluster_input, provider, reference_input},
    clusters::FakeClusters,
    ports::{CountingEntropy, FakeCredentials, ManualClock, TransparentSealer},
};
use futures_util::future::join;
use pollster::block_on;

use clusters::Unhurried;

/// One installation: its DCM, and what it stands on.
struct Installation {
    dcm: Dcm,
    clusters: Arc<FakeClusters>,
    unhurried: Arc<Unhurried>,
    clock: Arc<ManualClock>,
}

impl Installation {
    /// On a store and clusters of its own; ids begin at a number.
    async fn new(number: u64) -> Self {
        assert!(tokio::runtime::Handle::try_current().is_err(), "no runtime is to be had here");
        let (clusters, clock) = (Arc::<FakeClusters>::default(), Arc::<ManualClock>::default());
        let unhurried = Arc::new(Unhurried::new(Arc::clone(&clusters)));
        let ports = Ports {
            store: Arc::new(MemoryStore::new()),
            sealer: Arc::new(TransparentSealer),
            credentials: Arc::new(FakeCredentials),
            synchronizer: Arc::clone(&unhurried) as _,
            clock: Arc::clone(&clock) as _,
            entropy: Arc::new(CountingEntropy::starting_at(number)),
            wake: Arc::new(NoWake),
        };
        let dcm = Dcm::open(ports, Settings::default()).await.unwrap();
        dcm.ensure_default_provider().await.unwrap();
        Self { dcm, clusters, unhurried, clock }
    }

    /// Registers clusters and orders a logical cloud on all of them.
    async fn order(&self, clusters: &[&str]) -> CloudId {
        let id = cloud_id("lc-1");
        self.dcm.create_logical_cloud(&id.project, cloud_input("lc-1", "ns-1").into()).await.unwrap();
        for cluster in clusters {
            self.dcm.create_cluster(&provider("default"), cluster_input(cluster).into()).await.unwrap();
            self.dcm.create_reference(&id, reference_input(cluster).into()).await.unwrap();
        }
        self.dcm.apply(&id, Event::Apply, false).await.unwrap();
        id
    }

    async fn applied(&self, clusters: &[&str]) -> CloudId {
        let id = self.order(clusters).await;
        assert_eq!(self.dcm.carry_out_waiting(most(16)).await.unwrap(), None);
        id
    }

    async fn overall(&self, id: &CloudId) -> Overall {
        self.dcm.status(id).await.unwrap().overall
    }

    async fn kubeconfig(&self, id: &CloudId) -> Vec<u8> {
        let reference = ReferenceName::new("c1").unwrap();
        self.dcm.kubeconfig(id, &reference).await.unwrap().expose_json().to_vec()
    }

    fn holds(&self, cluster: &str) -> usize {
        self.clusters.holds(&format!("default/{cluster}")).len()
    }
}

fn most(number: usize) -> NonZeroUsize {
    NonZeroUsize::new(number).unwrap()
}

/// Polls a future once.
async fn once<F: Future>(mut future: Pin<&mut F>) -> Poll<F::Output> {
    poll_fn(|context| Poll::Ready(future.as_mut().poll(context))).await
}

#[test]
fn two_live_side_by_side_in_one_process_and_know_nothing_of_each_other() {
    block_on(async {
        let (a, b) = join(Installation::new(1000), Installation::new(2000)).await;
        assert_ne!(a.dcm.installation(), b.dcm.installation());
        // The same names throughout.
        let (in_a, in_b) = join(a.applied(&["c1", "c2"]), b.applied(&["c1"])).await;
        assert_eq!((a.overall(&in_a).await, b.overall(&in_b).await), (Overall::Created, Overall::Created));
        assert_eq!((a.holds("c1"), a.holds("c2"), b.holds("c1"), b.holds("c2")), (3, 3, 3, 0));
        assert_ne!(a.kubeconfig(&in_a).await, b.kubeconfig(&in_b).await);

        a.dcm.terminate(&in_a, false).await.unwrap();
        let (ended, idle) = join(a.dcm.carry_out_waiting(most(16)), b.dcm.carry_out_waiting(most(16))).await;
        assert_eq!((ended.unwrap(), idle.unwrap()), (None, None));
        assert_eq!((a.overall(&in_a).await, b.overall(&in_b).await), (Overall::Deleted, Overall::Created));
        assert_eq!((a.holds("c1"), a.holds("c2"), b.holds("c1")), (0, 0, 3));
    });
}

#[test]
fn each_may_be_driven_by_threads_of_its_own() {
    let first = block_on(Installation::new(1));
    let second = block_on(Installation::new(1));
    std::thread::scope(|scope| {
        for installation in [&first, &second] {
            scope.spawn(move || {
                let id = block_on(installation.order(&["c1", "c2", "c3"]));
                // Asked on one thread, carried out on another.
                scope.spawn(move || {
                    assert_eq!(block_on(installation.dcm.carry_out_waiting(most(2))).unwrap(), None);
                    assert_eq!(block_on(installation.overall(&id)), Overall::Created);
                });
            });
        }
    });
}

#[test]
fn so_many_clusters_are_worked_on_side_by_side_and_no_more() {
    for (allowed, seen) in [(1, 1), (3, 3), (16, 5)] {
        block_on(async {
            let installation = Installation::new(1).await;
            let id = installation.order(&["c1", "c2", "c3", "c4", "c5"]).await;
            let order = installation.dcm.waiting_orders(None, 1).await.unwrap().remove(0);
            assert_eq!(installation.dcm.carry_out(&order, most(allowed)).await.unwrap(), None);
            assert_eq!(installation.overall(&id).await, Overall::Created);
            assert_eq!(installation.unhurried.most_at_once(), seen);
        });
    }
}

#[test]
fn a_cluster_that_is_away_is_tried_again_at_the_time_that_is_answered_and_not_before() {
    block_on(async {
        let f = Installation::new(1).await;
        f.clusters.set_down("default/c2", true);
        let id = f.order(&["c1", "c2"]).await;
        let again = f.dcm.carry_out_waiting(most(16)).await.unwrap().unwrap();
        assert_eq!((f.holds("c1"), f.holds("c2")), (3, 0), "it holds no other one up");
        let down = f.dcm.status(&id).await.unwrap().clusters.remove(1).1.unwrap();
        assert_eq!((down.reason(), down.next_attempt), (Some(Reason::Unreachable), Some(again)));

        f.clusters.set_down("default/c2", false);
        let calls = || f.clusters.with("default/c2", |cluster| cluster.calls);
        let before = calls();
        assert_eq!(f.dcm.carry_out_waiting(most(16)).await.unwrap(), Some(again));
        assert_eq!(calls(), before, "it is not its time yet");
        f.clock.advance(f.dcm.time_until(again) + Duration::from_millis(1));
        assert_eq!(f.dcm.carry_out_waiting(most(16)).await.unwrap(), None);
        assert_eq!((f.overall(&id).await, f.holds("c2")), (Overall::Created, 3));
    });
}

#[test]
fn a_clock_that_jumps_back_holds_nothing_up() {
    block_on(async {
        let f = Installation::new(1).await;
        f.clusters.set_down("default/c1", true);
        let id = f.order(&["c1"]).await;
        assert!(f.dcm.carry_out_waiting(most(16)).await.unwrap().is_some());
        f.clusters.set_down("default/c1", false);
        f.clock.go_back(Duration::from_secs(3600));
        assert_eq!(f.dcm.carry_out_waiting(most(16)).await.unwrap(), None);
        assert_eq!(f.overall(&id).await, Overall::Created);
    });
}

#[test]
fn an_order_that_takes_the_place_of_another_meanwhile_is_carried_out_too() {
    block_on(async {
        let f = Installation::new(1).await;
        let id = f.order(&["c1", "c2"]).await;
        let mut work = pin!(f.dcm.carry_out_waiting(most(1)));
        while f.holds("c1") == 0 {
            assert!(once(work.as_mut()).await.is_pending());
        }
        f.dcm.terminate(&id, false).await.unwrap();
        assert_eq!(work.await.unwrap(), None);
        assert_eq!((f.overall(&id).await, f.holds("c1"), f.holds("c2")), (Overall::Deleted, 0, 0));
    });
}

#[test]
fn it_may_be_dropped_at_any_await_and_called_again() {
    block_on(async {
        for polls in 0_u32.. {
            let f = Installation::new(1).await;
            let id = f.order(&["c1", "c2"]).await;
            let mut ended = false;
            {
                let mut work = pin!(f.dcm.carry_out_waiting(most(2)));
                for _ in 0..polls {
                    ended = matches!(once(work.as_mut()).await, Poll::Ready(Ok(None)));
                }
            }
            assert_eq!(f.dcm.carry_out_waiting(most(2)).await.unwrap(), None);
            assert_eq!((f.overall(&id).await, f.holds("c1"), f.holds("c2")), (Overall::Created, 3, 3), "{polls} polls");
            if ended {
                assert!(polls > 2, "it was never in the middle of its work");
                return;
            }
        }
    });
}
