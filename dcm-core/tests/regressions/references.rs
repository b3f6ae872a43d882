use std::{sync::Arc, time::Duration};

use crate::support::*;
use dcm_core::{
    error::{Error, ErrorKind},
    lifecycle::Event,
    service::{Attempt, Deletion, Overall, Page, Work},
    store::{Precondition, Scan, Store as _},
};
use dcm_store::memory::MemoryStore;
use dcm_test_utils::{
    builders::{Fixture, alone, carry_out, metadata, provider, reference_input},
    faulty::FaultyStore,
};

/// DELETE of a reference of a cloud that is not applied, overtaken by apply and its work.
#[tokio::test]
async fn a_reference_that_goes_while_apply_comes_leaves_nothing_on_its_cluster() {
    let (f, store) = hooked().await;
    let id = f.create_cloud("lc-1", "ns-1", &["c1", "c2"]).await.unwrap();
    let (dcm, at) = (f.dcm.clone(), id.clone());
    store.before("/cluster-reference/", false, move || async move {
        dcm.apply(&at, Event::Apply, false).await.unwrap();
        carry_out(&dcm).await.unwrap();
    });
    let gone = f.dcm.delete_reference(&id, &reference("c2"), None, false).await;
    println!("{gone:?}");
    f.carry_out().await.unwrap();
    f.dcm.terminate(&id, false).await.unwrap();
    f.carry_out().await.unwrap();
    assert_eq!(f.dcm.status(&id).await.unwrap().overall, Overall::Deleted);
    assert_eq!(f.clusters.holds("default/c2"), Vec::<String>::new());
}

/// A POST that is sent twice: the loser takes the winner's use away.
#[tokio::test]
async fn a_reference_that_is_posted_twice_still_holds_its_cluster() {
    let (f, store) = hooked().await;
    let id = f.create_cloud("lc-1", "ns-1", &[]).await.unwrap();
    let (dcm, at) = (f.dcm.clone(), id.clone());
    store.before("/cluster-reference/", true, move || async move {
        dcm.create_reference(&at, reference_input("c1").into()).await.unwrap();
    });
    let loser = f.dcm.create_reference(&id, reference_input("c1").into()).await;
    assert_eq!(loser.unwrap_err().kind(), ErrorKind::AlreadyExists);
    assert!(f.dcm.reference(&id, &reference("c1")).await.is_ok());
    let deleted = f.dcm.delete_cluster(&provider("default"), &"c1".parse().unwrap(), None).await;
    assert_eq!(deleted.map_err(|e| e.kind()), Err(ErrorKind::Refused));
}

/// Two references of one cloud to one cluster.
#[tokio::test]
async fn a_cloud_refers_to_a_cluster_once_only() {
    let (f, store) = hooked().await;
    let id = f.create_cloud("lc-1", "ns-1", &[]).await.unwrap();
    let named = |name: &str| {
        let mut input = reference_input("c1");
        input.short = false;
        input.metadata = metadata(name);
        input
    };
    let (dcm, at, other) = (f.dcm.clone(), id.clone(), named("b"));
    store.before("/cluster-reference/", true, move || async move {
        dcm.create_reference(&at, other.into()).await.unwrap();
    });
    let a = f.dcm.create_reference(&id, named("a").into()).await;
    println!("{:?}", a.as_ref().map(|_| ()));
    let both = f.dcm.references(&id, &Page::default()).await.unwrap().entries.len();
    assert_eq!(both, 1);
}

/// DELETE of a reference while the terminate concludes.
#[tokio::test]
async fn a_reference_that_is_deleted_while_terminate_ends_goes() {
    let f = memory().await;
    let id = f.create_applied("lc-1", "ns-1", &["c1", "c2"]).await.unwrap();
    f.dcm.terminate(&id, false).await.unwrap();
    let order = f.dcm.waiting_orders(None, 10).await.unwrap().remove(0);
    let Work::Cloud(work) = f.dcm.open_order(&order).await.unwrap() else { panic!() };
    for task in f.dcm.tasks(&work).await.unwrap() {
        assert_eq!(f.dcm.attempt(&work, &task, &alone()).await.unwrap(), Attempt::Done);
    }
    assert_eq!(f.dcm.delete_reference(&id, &reference("c2"), None, false).await.unwrap(), Deletion::Accepted);
    println!("{:?}", f.dcm.conclude(&work, &alone()).await);
    for _ in 0..3 {
        f.carry_out().await.unwrap();
        f.clock.advance(Duration::from_secs(120));
    }
    println!("waiting: {:?}", f.dcm.waiting_orders(None, 10).await);
    assert!(matches!(f.dcm.reference(&id, &reference("c2")).await, Err(Error::NotFound { .. })));
}

/// A scan that left a reference out, though it was there all the time, took its cluster for left behind.
#[tokio::test]
async fn a_reference_that_a_scan_left_out_keeps_its_cluster() {
    let (f, store) = hooked().await;
    let id = f.create_applied("lc-1", "ns-1", &["c1"]).await.unwrap();
    let before = f.clusters.holds("default/c1");
    assert_ne!(before, Vec::<String>::new());
    f.dcm.apply(&id, Event::Apply, false).await.unwrap();
    let order = f.dcm.waiting_orders(None, 10).await.unwrap().remove(0);
    let Work::Cloud(work) = f.dcm.open_order(&order).await.unwrap() else { panic!() };
    let mut left_out = store.inner.scan(Scan::everything(1_000)).await.unwrap().into_iter();
    let left_out = left_out.find(|document| document.key.as_str().contains("/cluster-reference/")).unwrap();
    store.inner.delete(&left_out.key, &left_out.revision).await.unwrap();
    let tasks = f.dcm.tasks(&work).await.unwrap();
    store.inner.put(&left_out.key, left_out.body, Precondition::Absent).await.unwrap();
    assert_eq!(tasks.len(), 1);
    assert_eq!(f.dcm.attempt(&work, &tasks[0], &alone()).await.unwrap(), Attempt::Superseded);
    assert_eq!(f.clusters.holds("default/c1"), before);
    f.carry_out().await.unwrap();
    assert_eq!(f.dcm.status(&id).await.unwrap().overall, Overall::Created);
}

/// "the deletes of references act at once", in a stopped cloud too.
#[tokio::test]
async fn a_reference_of_a_stopped_cloud_goes() {
    let f = memory().await;
    let id = f.create_applied("lc-1", "ns-1", &["c1", "c2"]).await.unwrap();
    f.dcm.stop(&id).await.unwrap();
    f.carry_out().await.unwrap();
    f.dcm.delete_reference(&id, &reference("c2"), None, false).await.unwrap();
    f.carry_out().await.unwrap();
    println!("waiting: {:?}", f.dcm.waiting_orders(None, 10).await);
    assert_eq!(f.clusters.holds("default/c2"), Vec::<String>::new());
}

/// A cluster that is gone for good: its reference goes by force, after the grace period.
#[tokio::test]
async fn a_cluster_that_is_gone_for_good_can_be_taken_out() {
    let f = memory().await;
    let id = f.create_applied("lc-1", "ns-1", &["c1", "c2"]).await.unwrap();
    f.clusters.set_down("default/c2", true);
    let c2 = reference("c2");
    let delete = async |force| f.dcm.delete_reference(&id, &c2, None, force).await;
    delete(false).await.unwrap();
    f.carry_out().await.unwrap();
    assert_eq!(delete(true).await.unwrap_err().kind(), ErrorKind::Refused);
    f.clock.advance(Duration::from_secs(601));
    f.carry_out().await.unwrap();
    delete(true).await.unwrap();
    f.carry_out().await.unwrap();
    assert!(f.dcm.reference(&id, &c2).await.is_err());
    assert_eq!(f.dcm.status(&id).await.unwrap().overall, Overall::Created);
    f.dcm.delete_logical_cloud(&id, None).await.unwrap();
    f.carry_out().await.unwrap();
    assert!(f.dcm.logical_cloud(&id).await.is_err());
}

/// A crash in DELETE of a reference leaves a status that is shown, and taken over by its successor.
#[tokio::test]
async fn a_reference_that_is_gone_is_not_in_the_status() {
    let store = Arc::new(FaultyStore::new(Arc::new(MemoryStore::new())));
    let f = Fixture::new(Arc::clone(&store) as _).await.unwrap();
    f.register(&["c1", "c2"]).await.unwrap();
    let id = f.create_applied("lc-1", "ns-1", &["c1", "c2"]).await.unwrap();
    f.dcm.terminate(&id, false).await.unwrap();
    f.carry_out().await.unwrap();
    // project, cloud, reference, reference again, delete; then nothing more.
    store.fail_after(5);
    f.dcm.delete_reference(&id, &reference("c2"), None, false).await.unwrap_err();
    store.mend();
    f.dcm.delete_reference(&id, &reference("c2"), None, false).await.unwrap();
    assert!(f.dcm.reference(&id, &reference("c2")).await.is_err());
    f.apply(&id).await.unwrap();
    f.carry_out().await.unwrap();
    let status = f.dcm.status(&id).await.unwrap();
    let names: Vec<_> = status.clusters.iter().map(|(n, _)| n.as_str()).collect();
    assert_eq!(names, ["c1"]);
}

/// 204 where nothing is there: added after apply, never on its cluster.
#[tokio::test]
async fn a_reference_that_was_never_applied_goes_at_once() {
    let f = memory().await;
    let id = f.create_applied("lc-1", "ns-1", &["c1"]).await.unwrap();
    f.dcm.create_reference(&id, reference_input("c2").into()).await.unwrap();
    assert_eq!(f.dcm.delete_reference(&id, &reference("c2"), None, false).await.unwrap(), Deletion::Gone);
}
