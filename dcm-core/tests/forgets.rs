//! That the CA forgets logical clouds that are gone, and no others: whatever is away, and wherever a crash comes.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails loudly")]

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use dcm_core::{
    ca::{Bundle, CaProvider, Error, Generation, Intermediate, IntermediateRequest, Revoked, Rotation},
    keys,
    model::{PendingForget, Uid},
    name::ClusterIdentity,
    service::{CloudId, Dcm, Deletion},
    store::StoreExt as _,
};
use dcm_store::memory::MemoryStore;
use dcm_test_utils::{
    builders::{Fixture, carry_out, cloud_input},
    faulty::FaultyStore,
};

/// More calls than a delete makes.
const MOST_CALLS: u32 = 400;

type Failure = Box<dyn Fn(&Uid) -> Option<Error> + Send + Sync>;

/// A CA that forgets, unless it is told to fail, and does nothing else.
#[derive(Default)]
struct FakeCa {
    asked: Mutex<Vec<Uid>>,
    forgotten: Mutex<BTreeSet<Uid>>,
    fails: Option<Failure>,
}

impl std::fmt::Debug for FakeCa {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("FakeCa")
    }
}

impl FakeCa {
    fn failing(fails: impl Fn(&Uid) -> Option<Error> + Send + Sync + 'static) -> Self {
        Self { fails: Some(Box::new(fails)), ..Self::default() }
    }

    fn asked(&self) -> usize {
        self.asked.lock().unwrap().len()
    }

    fn has_forgotten(&self, cloud: &Uid) -> bool {
        self.forgotten.lock().unwrap().contains(cloud)
    }
}

#[async_trait]
impl CaProvider for FakeCa {
    async fn issue_intermediate(&self, _: &IntermediateRequest) -> Result<Intermediate, Error> {
        panic!("nobody asks for that")
    }

    async fn bundle(&self, _: &Uid) -> Result<Bundle, Error> {
        panic!("nobody asks for that")
    }

    async fn rotate(&self, _: &Uid, _: Rotation) -> Result<Bundle, Error> {
        panic!("nobody asks for that")
    }

    async fn revoke(&self, _: &Uid, _: &ClusterIdentity, _: Generation) -> Result<Revoked, Error> {
        panic!("nobody asks for that")
    }

    async fn forget(&self, cloud: &Uid) -> Result<(), Error> {
        self.asked.lock().unwrap().push(cloud.clone());
        if let Some(error) = self.fails.as_ref().and_then(|fails| fails(cloud)) {
            return Err(error);
        }
        self.forgotten.lock().unwrap().insert(cloud.clone());
        Ok(())
    }
}

fn away(_: &Uid) -> Option<Error> {
    Some(Error::Unavailable { retry_after: Duration::ZERO, source: "it is away".into() })
}

async fn fixture() -> Fixture {
    let f = Fixture::new(Arc::new(MemoryStore::new())).await.unwrap();
    f.register(&["c1"]).await.unwrap();
    f
}

async fn uid(dcm: &Dcm, id: &CloudId) -> Uid {
    dcm.logical_cloud(id).await.unwrap().cloud.uid.clone()
}

/// So many logical clouds that are gone; their uids.
async fn gone(f: &Fixture, count: usize) -> Vec<Uid> {
    let mut gone = Vec::new();
    for number in 0..count {
        let id = f.create_cloud(&format!("gone-{number}"), &format!("gone-{number}"), &[]).await.unwrap();
        gone.push(uid(&f.dcm, &id).await);
        f.dcm.delete_logical_cloud(&id, None).await.unwrap();
    }
    f.carry_out().await.unwrap();
    gone
}

#[tokio::test]
async fn a_cloud_that_is_deleted_is_forgotten_and_no_other_one() {
    let (f, ca) = (fixture().await, FakeCa::default());
    let kept = f.create_applied("kept", "kept", &["c1"]).await.unwrap();
    let applied = f.create_applied("applied", "applied", &["c1"]).await.unwrap();
    let never = f.create_cloud("never", "never", &["c1"]).await.unwrap();
    let (applied_uid, never_uid) = (uid(&f.dcm, &applied).await, uid(&f.dcm, &never).await);
    f.dcm.terminate(&kept, false).await.unwrap();
    assert_eq!(f.dcm.delete_logical_cloud(&applied, None).await.unwrap(), Deletion::Accepted);
    f.clusters.set_down("default/c1", true);
    f.carry_out().await.unwrap();
    let done = f.dcm.forget_gone_clouds(&ca).await.unwrap();
    assert_eq!((done.forgotten, ca.asked()), (0, 0), "its cluster holds it still");
    f.clusters.set_down("default/c1", false);
    f.clock.advance(Duration::from_secs(300));
    f.carry_out().await.unwrap();
    assert_eq!(f.dcm.delete_logical_cloud(&never, None).await.unwrap(), Deletion::Gone);
    f.carry_out().await.unwrap();
    assert_eq!(f.dcm.pending_forgets().await.unwrap(), 2);
    let done = f.dcm.forget_gone_clouds(&ca).await.unwrap();
    assert!((done.forgotten, done.pending) == (2, 0) && done.failure.is_none(), "{done:?}");
    assert!(ca.has_forgotten(&applied_uid) && ca.has_forgotten(&never_uid));
    assert_eq!(f.dcm.pending_forgets().await.unwrap(), 0);
    // One of the same name is another one.
    f.dcm.create_logical_cloud(&never.project, cloud_input("never", "never").into()).await.unwrap();
    assert!(!ca.has_forgotten(&uid(&f.dcm, &never).await));
    f.dcm.forget_gone_clouds(&ca).await.unwrap();
    assert_eq!(ca.asked(), 2, "nothing waits");
}

#[tokio::test]
async fn what_a_ca_that_is_away_is_to_forget_waits_for_it_and_asks_once() {
    let f = fixture().await;
    let clouds = gone(&f, 3).await;
    for error in [away as fn(&Uid) -> _, |_| Some(Error::Denied("who are you?".to_owned()))] {
        let ca = FakeCa::failing(error);
        let done = f.dcm.forget_gone_clouds(&ca).await.unwrap();
        assert!((done.forgotten, done.pending) == (0, 3) && done.failure.is_some(), "{done:?}");
        assert_eq!(ca.asked(), 1);
    }
    let ca = FakeCa::default();
    assert_eq!(f.dcm.forget_gone_clouds(&ca).await.unwrap().forgotten, 3);
    assert!(clouds.iter().all(|cloud| ca.has_forgotten(cloud)));
}

#[tokio::test]
async fn one_that_a_ca_cannot_forget_holds_up_no_other_one() {
    let f = fixture().await;
    let clouds = gone(&f, 4).await;
    let stuck = clouds[1].clone();
    let also = stuck.clone();
    let ca = FakeCa::failing(move |cloud| (*cloud == also).then(|| Error::Internal("broken".into())));
    let done = f.dcm.forget_gone_clouds(&ca).await.unwrap();
    assert!((done.forgotten, done.pending) == (3, 1) && done.failure.is_some(), "{done:?}");
    assert!(clouds.iter().all(|cloud| ca.has_forgotten(cloud) == (*cloud != stuck)));
    assert_eq!(f.dcm.pending_forgets().await.unwrap(), 1);
}

#[tokio::test]
async fn a_forget_that_is_planned_anew_while_the_ca_answers_is_done_once_more() {
    let store = Arc::new(MemoryStore::new());
    let f = Fixture::new(Arc::clone(&store) as _).await.unwrap();
    let [cloud] = gone(&f, 1).await.try_into().unwrap();
    let ca = FakeCa::failing(move |cloud| {
        // As the second sweep of two does.
        let key = keys::pending_forget(cloud).unwrap();
        let anew = |found: Option<PendingForget>| -> Result<_, dcm_core::store::Error> { Ok(found.unwrap()) };
        pollster::block_on(store.update(&key, anew)).unwrap();
        None
    });
    f.dcm.forget_gone_clouds(&ca).await.unwrap();
    assert_eq!(f.dcm.pending_forgets().await.unwrap(), 1);
    let ca = FakeCa::default();
    f.dcm.forget_gone_clouds(&ca).await.unwrap();
    assert!(ca.has_forgotten(&cloud));
    assert_eq!(f.dcm.pending_forgets().await.unwrap(), 0);
}

#[tokio::test]
async fn where_there_is_no_ca_nothing_waits_for_ever() {
    let f = fixture().await;
    gone(&f, 2).await;
    let day = Duration::from_secs(24 * 3600);
    f.clock.advance(day - Duration::from_secs(1));
    assert_eq!(f.dcm.drop_forgets_older_than(day).await.unwrap(), 2);
    f.clock.advance(Duration::from_secs(1));
    assert_eq!(f.dcm.drop_forgets_older_than(day).await.unwrap(), 0);
    assert_eq!(f.dcm.pending_forgets().await.unwrap(), 0);
}

#[tokio::test]
async fn a_cloud_whose_document_is_lost_is_not_forgotten() {
    let store = Arc::new(MemoryStore::new());
    let f = Fixture::new(Arc::clone(&store) as _).await.unwrap();
    f.register(&["c1"]).await.unwrap();
    let id = f.create_cloud("lc-1", "ns-1", &["c1"]).await.unwrap();
    f.apply(&id).await.unwrap();
    let cloud = f.dcm.logical_cloud(&id).await.unwrap().cloud.clone();
    store.remove(&keys::logical_cloud(&cloud.project_uid, &id.name).unwrap()).await.unwrap();
    f.carry_out().await.unwrap();
    assert!(f.dcm.waiting_orders(None, 1).await.unwrap().is_empty());
    assert_eq!(f.dcm.pending_forgets().await.unwrap(), 0, "nobody ordered that");
}

#[tokio::test]
async fn a_delete_that_was_cut_off_anywhere_has_the_ca_forget_what_is_gone_and_nothing_else() {
    for applied in [false, true] {
        for call in 0.. {
            assert!(call < MOST_CALLS);
            let store = Arc::new(FaultyStore::new(Arc::new(MemoryStore::new())));
            let f = Fixture::new(Arc::clone(&store) as _).await.unwrap();
            f.register(&["c1"]).await.unwrap();
            let id = f.create_cloud("lc-1", "ns-1", &["c1"]).await.unwrap();
            if applied {
                f.apply(&id).await.unwrap();
                f.carry_out().await.unwrap();
            }
            let (cloud, ca) = (uid(&f.dcm, &id).await, FakeCa::default());
            store.fail_after(call);
            let mut whole = f.dcm.delete_logical_cloud(&id, None).await.is_ok();
            whole &= f.carry_out().await.is_ok();
            whole &= f.dcm.forget_gone_clouds(&ca).await.is_ok();
            store.mend();
            let dcm = f.restarted().await.unwrap();
            for _ in 0..5 {
                carry_out(&dcm).await.unwrap();
                f.clock.advance(Duration::from_secs(61));
            }
            dcm.forget_gone_clouds(&ca).await.unwrap();
            let is_gone = dcm.logical_cloud(&id).await.is_err();
            assert_eq!(ca.has_forgotten(&cloud), is_gone, "applied {applied}, call {call}");
            assert_eq!(dcm.pending_forgets().await.unwrap(), 0, "applied {applied}, call {call}");
            if whole && !store.has_failed() {
                assert!(is_gone);
                break;
            }
        }
    }
}
