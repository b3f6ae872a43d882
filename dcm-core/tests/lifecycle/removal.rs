//! Terminate, delete, and references that go.

use std::sync::Arc;

use dcm_core::{
    ca::Generation,
    error::ErrorKind,
    keys,
    lifecycle::Event,
    model::Uid,
    name::ReferenceName,
    service::{Deletion, Overall},
    store::{Body, Precondition, Store},
    sync::{Part, PartState},
};
use dcm_store::memory::MemoryStore;
use dcm_test_utils::builders::{Fixture, cloud_input, provider, quota_input, reference_input};

use crate::support::{fixture, kind, overall};

#[tokio::test]
async fn terminate_leaves_nothing_and_waits_for_every_cluster() {
    let f = fixture().await;
    let id = f.create_applied("lc-1", "ns-1", &["c1", "c2"]).await.unwrap();
    f.clusters.set_down("default/c2", true);
    f.dcm.terminate(&id, false).await.unwrap();
    f.carry_out().await.unwrap();
    assert_eq!(overall(&f, &id).await, Overall::DeletionInProgress);
    assert!(f.clusters.holds("default/c1").is_empty());
    assert_eq!(kind(f.dcm.kubeconfig(&id, &ReferenceName::new("c1").unwrap()).await), ErrorKind::NotReady);
    f.clusters.set_down("default/c2", false);
    f.carry_out().await.unwrap();
    assert_eq!(overall(&f, &id).await, Overall::Deleted);
    assert!(f.clusters.holds("default/c2").is_empty());
    let status = f.dcm.status(&id).await.unwrap();
    assert_eq!(status.clusters[0].1.as_ref().unwrap().part(Part::Role), PartState::Deleted);
    // And it can come back.
    f.apply(&id).await.unwrap();
    f.carry_out().await.unwrap();
    assert_eq!(overall(&f, &id).await, Overall::Created);
    assert_eq!(f.dcm.logical_cloud(&id).await.unwrap().cloud.lifecycle.applied_generation, 2);
}

#[tokio::test]
async fn a_cluster_that_was_never_reached_does_not_hold_terminate_up() {
    let f = fixture().await;
    let id = f.create_cloud("lc-1", "ns-1", &["c1", "c2"]).await.unwrap();
    f.clusters.set_down("default/c2", true);
    f.apply(&id).await.unwrap();
    f.carry_out().await.unwrap();
    f.dcm.terminate(&id, false).await.unwrap();
    f.carry_out().await.unwrap();
    assert_eq!(overall(&f, &id).await, Overall::Deleted);
}

#[tokio::test]
async fn delete_terminates_first_and_takes_the_children_along() {
    let f = fixture().await;
    let id = f.create_applied("lc-1", "ns-1", &["c1"]).await.unwrap();
    assert_eq!(f.dcm.delete_logical_cloud(&id, None).await.unwrap(), Deletion::Accepted);
    // While it goes, its name is taken and nothing is added.
    assert_eq!(
        kind(f.dcm.create_logical_cloud(&id.project, cloud_input("lc-1", "ns-9").into()).await),
        ErrorKind::Refused
    );
    assert_eq!(kind(f.dcm.create_quota(&id, quota_input("q", "1").into()).await), ErrorKind::Refused);
    assert_eq!(kind(f.dcm.apply(&id, Event::Apply, false).await), ErrorKind::Refused);
    f.carry_out().await.unwrap();
    assert_eq!(kind(f.dcm.logical_cloud(&id).await), ErrorKind::NotFound);
    assert!(f.clusters.holds("default/c1").is_empty());
    let cluster = f.dcm.cluster(&provider("default"), &"c1".parse().unwrap()).await.unwrap();
    assert!(cluster.uses.is_empty());
    f.dcm.delete_cluster(&provider("default"), &"c1".parse().unwrap(), None).await.unwrap();
    // One of the same name is another one.
    f.create_cloud("lc-1", "ns-1", &["c2"]).await.unwrap();
    assert_eq!(f.dcm.logical_cloud(&id).await.unwrap().references, ["c2"]);
}

#[tokio::test]
async fn delete_of_what_is_on_no_cluster_is_done_at_once() {
    let f = fixture().await;
    let id = f.create_cloud("lc-1", "ns-1", &["c1"]).await.unwrap();
    assert_eq!(f.dcm.delete_logical_cloud(&id, None).await.unwrap(), Deletion::Gone);
    assert_eq!(kind(f.dcm.logical_cloud(&id).await), ErrorKind::NotFound);
    f.carry_out().await.unwrap();
    assert!(f.dcm.waiting_orders(None, 10).await.unwrap().is_empty());
    f.dcm.delete_cluster(&provider("default"), &"c1".parse().unwrap(), None).await.unwrap();
}

/// Keys of roots are not kept for nothing.
#[tokio::test]
async fn a_deleted_logical_cloud_takes_its_certificate_authority_along() {
    for is_applied in [false, true] {
        let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
        let f = Fixture::new(Arc::clone(&store)).await.unwrap();
        f.register(&["c1"]).await.unwrap();
        let (uid, other) = (Uid::parse("5f9a6b1e-3f0c-4c57-9d5b-0d8a3f6c2e11").unwrap(), "c1".parse().unwrap());
        let id = match is_applied {
            true => f.create_applied("lc-1", "ns-1", &["c1"]).await.unwrap(),
            false => f.create_cloud("lc-1", "ns-1", &["c1"]).await.unwrap(),
        };
        let own = f.dcm.logical_cloud(&id).await.unwrap().cloud.uid.clone();
        let number = keys::generation_number(Generation::FIRST);
        let keys_of = |cloud| {
            [keys::certificate_authority(cloud).unwrap(), keys::intermediate_ca(cloud, &other, &number).unwrap()]
        };
        for key in [keys_of(&own), keys_of(&uid)].concat() {
            store.put(&key, Body::from_json(*b"{}"), Precondition::Absent).await.unwrap();
        }
        f.dcm.delete_logical_cloud(&id, None).await.unwrap();
        f.carry_out().await.unwrap();
        for (of_it, of_another) in keys_of(&own).iter().zip(&keys_of(&uid)) {
            assert_eq!(store.get(of_it).await.unwrap(), None);
            assert!(store.get(of_another).await.unwrap().is_some(), "another one's stay");
        }
    }
}

#[tokio::test]
async fn a_deleted_reference_leaves_its_cluster_at_once() {
    let f = fixture().await;
    let id = f.create_applied("lc-1", "ns-1", &["c1", "c2"]).await.unwrap();
    let c2 = ReferenceName::new("c2").unwrap();
    assert_eq!(f.dcm.delete_reference(&id, &c2, None, false).await.unwrap(), Deletion::Accepted);
    f.carry_out().await.unwrap();
    assert!(f.clusters.holds("default/c2").is_empty());
    assert_eq!(f.clusters.holds("default/c1").len(), 4);
    assert_eq!(kind(f.dcm.reference(&id, &c2).await), ErrorKind::NotFound);
    assert_eq!(overall(&f, &id).await, Overall::Created);
    // Made again, it waits for the next apply: it is another one than the frozen one.
    f.dcm.create_reference(&id, reference_input("c2").into()).await.unwrap();
    f.dcm.resync(&id).await.unwrap();
    f.carry_out().await.unwrap();
    assert!(f.clusters.holds("default/c2").is_empty());
    f.apply(&id).await.unwrap();
    f.carry_out().await.unwrap();
    assert_eq!(f.clusters.holds("default/c2").len(), 4);
}
