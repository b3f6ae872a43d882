//! Clusters whose holders die one after the other.

use std::{sync::Arc, time::Duration};

use dcm_core::{
    clock::Clock as _,
    model::{ClusterStatus, Member},
    service::{Attempt, Claimant, CloudId, CloudWork, Settings, Task},
    store::{Entry, Key, StoreExt as _},
};
use dcm_store::memory::MemoryStore;
use dcm_test_utils::{builders::Fixture, faulty::FaultyStore};

use crate::claims::{member, only_task};

/// So many take-overs in a row are made at once.
const AT_ONCE: u32 = 3;

/// A cluster that kills whoever works on it.
struct Deadly {
    f: Fixture,
    store: Arc<FaultyStore>,
    id: CloudId,
    work: Arc<CloudWork>,
    task: Task,
}

impl Deadly {
    async fn new() -> Self {
        let store = Arc::new(FaultyStore::new(Arc::new(MemoryStore::new())));
        let f = Fixture::new(Arc::clone(&store) as _).await.unwrap();
        f.register(&["c1"]).await.unwrap();
        let id = f.create_cloud("lc-1", "ns-1", &["c1"]).await.unwrap();
        f.apply(&id).await.unwrap();
        let (work, task) = only_task(&f.dcm).await;
        Self { f, store, id, work, task }
    }

    fn order(&self) -> Key {
        format!("order/{}", self.work.cloud().uid).parse().unwrap()
    }

    async fn status(&self) -> ClusterStatus {
        let key = format!("status/{}/c1", self.work.cloud().uid).parse().unwrap();
        self.store.load::<ClusterStatus>(&key).await.unwrap().unwrap().value
    }

    async fn attempt(&self, claimant: &Claimant) -> Attempt {
        self.f.dcm.attempt(&self.work, &self.task, claimant).await.unwrap()
    }

    /// Claims the cluster and dies as soon as it answers; the others find that out.
    async fn dies(&self, by: (Entry<Member>, Claimant)) {
        let claims = by.1.claims();
        self.dies_as(&by.1).await;
        assert_eq!(by.1.claims(), claims + 1, "it has claimed nothing");
        assert!(self.f.dcm.expel(&by.0).await.unwrap());
    }

    async fn dies_as(&self, claimant: &Claimant) {
        for calls in 5.. {
            self.store.fail_after(calls);
            let died = self.f.dcm.attempt(&self.work, &self.task, claimant).await.is_err();
            self.store.mend();
            let has_claim =
                self.status_if_any().await.is_some_and(|status| status.holder.as_ref() == Some(claimant.id()));
            assert!(died, "it came to its end, or could not begin");
            if has_claim {
                return;
            }
        }
    }

    async fn status_if_any(&self) -> Option<ClusterStatus> {
        let key = format!("status/{}/c1", self.work.cloud().uid).parse().unwrap();
        self.store.load::<ClusterStatus>(&key).await.unwrap().map(|entry| entry.value)
    }

    /// How long the next one is to wait; nothing where it may begin, and does not.
    async fn pause(&self) -> Duration {
        let status = self.status().await;
        let (_, next) = member(&self.f.dcm).await;
        match self.attempt(&next).await {
            Attempt::Retry { at, away: false } if next.claims() == 0 => {
                assert_eq!(self.status().await, status, "something was written");
                Duration::try_from(at.duration_since(self.f.clock.now())).unwrap()
            }
            other => panic!("{other:?}"),
        }
    }

    async fn die_often(&self, times: u32) {
        for _ in 0..times {
            self.dies(member(&self.f.dcm).await).await;
        }
    }
}

#[tokio::test]
async fn a_cluster_that_kills_whoever_works_on_it_is_taken_over_after_growing_pauses() {
    let deadly = Deadly::new().await;
    // The first one, and those who take it over at once.
    deadly.die_often(1 + AT_ONCE).await;
    let longest = Settings::default().longest_retry;
    let mut pauses = Vec::new();
    for _ in 0..8 {
        let pause = deadly.pause().await;
        pauses.push(pause);
        deadly.f.clock.advance(pause);
        deadly.die_often(1).await;
    }
    assert_eq!(pauses[..4], [longest / 2, longest, longest * 2, longest * 4]);
    assert_eq!(pauses[5..], [longest * 10; 3]);
    let shown = deadly.f.dcm.status(&deadly.id).await.unwrap();
    let remarks = &shown.clusters[0].1.as_ref().unwrap().remarks;
    assert!(remarks.iter().any(|remark| remark.contains("one after the other")), "{remarks:?}");
    // As soon as it kills nobody any more, all is as ever.
    deadly.f.clock.advance(longest * 10);
    let (_, next) = member(&deadly.f.dcm).await;
    assert_eq!(deadly.attempt(&next).await, Attempt::Done);
    let status = deadly.status().await;
    assert_eq!((status.holder, status.takeovers, status.taken_over_at), (None, 0, None));
    assert!(deadly.f.dcm.status(&deadly.id).await.unwrap().clusters[0].1.as_ref().unwrap().remarks.is_empty());
}

#[tokio::test]
async fn an_attempt_that_ends_however_it_does_ends_the_row() {
    let deadly = Deadly::new().await;
    deadly.die_often(AT_ONCE).await;
    deadly.f.clusters.set_down("default/c1", true);
    let (_, next) = member(&deadly.f.dcm).await;
    assert!(matches!(deadly.attempt(&next).await, Attempt::Retry { away: true, .. }));
    assert_eq!(deadly.status().await.takeovers, 0);
}

#[tokio::test]
async fn deaths_that_lie_far_apart_are_no_row() {
    let deadly = Deadly::new().await;
    for _ in 0..10 {
        deadly.die_often(1).await;
        deadly.f.clock.advance(Duration::from_secs(3601));
    }
    assert_eq!(deadly.status().await.takeovers, 1);
}

#[tokio::test]
async fn processes_that_stop_in_good_order_are_no_row() {
    let deadly = Deadly::new().await;
    for _ in 0..10 {
        let (seat, claimant) = member(&deadly.f.dcm).await;
        deadly.dies_as(&claimant).await;
        deadly.f.dcm.excuse(&deadly.order(), &deadly.task.reference.name, &claimant).await.unwrap();
        deadly.f.dcm.leave(&seat.value.id).await.unwrap();
    }
    let (_, next) = member(&deadly.f.dcm).await;
    assert_eq!(deadly.attempt(&next).await, Attempt::Done);
    assert_eq!(next.takeovers(), 1);
}

#[tokio::test]
async fn nobody_excuses_the_deaths_of_others() {
    let deadly = Deadly::new().await;
    deadly.die_often(2).await;
    let (_, other) = member(&deadly.f.dcm).await;
    deadly.f.dcm.excuse(&deadly.order(), &deadly.task.reference.name, &other).await.unwrap();
    assert_eq!(deadly.status().await.takeovers, 1);
}

#[tokio::test]
async fn a_process_that_is_alone_is_not_killed_at_each_start_either() {
    let deadly = Deadly::new().await;
    for _ in 0..=AT_ONCE {
        deadly.dies_as(&deadly.f.dcm.alone()).await;
    }
    let again = deadly.f.dcm.alone();
    assert!(matches!(deadly.attempt(&again).await, Attempt::Retry { .. }));
    assert_eq!(again.claims(), 0);
}

/// A program is to drop a call and make it again where an order takes another one's place.
#[tokio::test]
async fn calls_of_one_process_that_break_off_are_no_row() {
    let deadly = Deadly::new().await;
    let side_by_side = std::num::NonZeroUsize::MIN;
    for calls in 8..16 {
        deadly.store.fail_after(calls);
        assert!(deadly.f.dcm.carry_out(&deadly.order(), side_by_side).await.is_err());
        deadly.store.mend();
    }
    assert!(deadly.status().await.holder.is_some(), "none had a claim");
    assert_eq!(deadly.status().await.takeovers, 0);
    assert_eq!(deadly.f.dcm.carry_out(&deadly.order(), side_by_side).await.unwrap(), None);
}

/// What was written by a clock that is wrong holds nothing up for longer than any pause.
#[tokio::test]
async fn a_clock_that_was_ahead_spares_no_cluster_for_long() {
    let deadly = Deadly::new().await;
    deadly.f.clock.advance(Duration::from_secs(24 * 3600));
    deadly.die_often(1 + AT_ONCE).await;
    deadly.f.clock.go_back(Duration::from_secs(24 * 3600));
    let (_, next) = member(&deadly.f.dcm).await;
    assert_eq!(deadly.attempt(&next).await, Attempt::Done);
}
