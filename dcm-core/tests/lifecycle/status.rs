//! What a status says, and when a cluster is tried again.

use std::{sync::Arc, time::Duration};

use dcm_core::{
    error::ErrorKind,
    name::ReferenceName,
    service::Overall,
    store::{Scan, Store as _},
    sync::{Failure, Part, PartState, Reason},
};
use dcm_store::memory::MemoryStore;
use dcm_test_utils::builders::{Fixture, cluster_input, provider};

use crate::support::{fixture, kind, overall};

/// The pages of what was applied go when it is applied anew; whoever has read the logical cloud before that must not take
/// them for a state without clusters.
#[tokio::test]
async fn a_status_is_not_made_of_half_a_state() {
    let store = Arc::new(MemoryStore::new());
    let f = Fixture::new(store.clone()).await.unwrap();
    f.register(&["c1"]).await.unwrap();
    let id = f.create_applied("lc-1", "ns-1", &["c1"]).await.unwrap();
    assert_eq!(overall(&f, &id).await, Overall::Created);
    let pages = Scan::below("applied-references".parse().unwrap(), 10);
    for page in store.scan(pages).await.unwrap() {
        store.delete(&page.key, &page.revision).await.unwrap();
    }
    assert_eq!(kind(f.dcm.status(&id).await), ErrorKind::Conflict);
    assert_eq!(kind(f.dcm.object_status(&id).await), ErrorKind::Conflict);
}

#[tokio::test]
async fn a_cluster_that_is_down_holds_up_no_other_one_and_heals() {
    let f = fixture().await;
    let id = f.create_cloud("lc-1", "ns-1", &["c1", "c2", "c3"]).await.unwrap();
    f.clusters.set_down("default/c2", true);
    f.apply(&id).await.unwrap();
    f.carry_out().await.unwrap();
    let status = f.dcm.status(&id).await.unwrap();
    assert_eq!(status.overall, Overall::CreationInProgress);
    let reached: Vec<bool> = status.clusters.iter().map(|(_, s)| s.as_ref().unwrap().reached).collect();
    assert_eq!(reached, [true, false, true]);
    let down = status.clusters[1].1.as_ref().unwrap();
    assert_eq!(down.reason(), Some(Reason::Unreachable));
    assert_eq!(down.part(Part::Namespace), PartState::NotAvailable("connection refused".to_owned()));
    assert!(down.unreachable_since.is_some() && down.next_attempt > down.last_attempt);
    // Past the deadline it counts as failed, and is tried all the same.
    f.clock.advance(Duration::from_secs(601));
    f.carry_out().await.unwrap();
    assert_eq!(overall(&f, &id).await, Overall::CreationFailed);
    f.clusters.set_down("default/c2", false);
    f.carry_out().await.unwrap();
    assert_eq!(overall(&f, &id).await, Overall::Created);
    assert!(f.dcm.waiting_orders(None, 10).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_status_shows_the_failure_of_the_last_attempt_and_not_of_one_before() {
    let f = fixture().await;
    let id = f.create_applied("lc-1", "ns-1", &["c1"]).await.unwrap();
    f.clusters.set_down("default/c1", true);
    f.dcm.resync(&id).await.unwrap();
    f.carry_out().await.unwrap();
    let refused = Failure::new(Reason::Forbidden, "lacks a right");
    f.clusters.with("default/c1", |cluster| cluster.failure = Some(refused.clone()));
    f.clock.advance(Duration::from_secs(60));
    f.carry_out().await.unwrap();
    let status = f.dcm.status(&id).await.unwrap();
    let status = status.clusters[0].1.as_ref().unwrap();
    assert_eq!(status.reason(), Some(Reason::Forbidden));
    let troubles: Vec<_> = Part::ALL.map(|part| status.part(part)).into_iter().filter(PartState::is_trouble).collect();
    assert_eq!(troubles, [refused.as_state()]);
}

#[tokio::test]
async fn what_is_about_to_be_removed_is_not_shown_as_created() {
    let f = fixture().await;
    let id = f.create_applied("lc-1", "ns-1", &["c1", "c2"]).await.unwrap();
    let parts = async || {
        let clusters = f.dcm.status(&id).await.unwrap().clusters;
        clusters.into_iter().map(|(_, status)| status.unwrap().part(Part::Namespace)).collect::<Vec<_>>()
    };
    f.dcm.delete_reference(&id, &ReferenceName::new("c2").unwrap(), None, false).await.unwrap();
    assert_eq!(parts().await, [PartState::Created, PartState::Pending]);
    f.dcm.terminate(&id, false).await.unwrap();
    assert_eq!(parts().await, [PartState::Pending, PartState::Pending]);
}

#[tokio::test]
async fn what_was_reached_of_an_earlier_generation_is_not_shown_as_done() {
    let f = fixture().await;
    let id = f.create_applied("lc-1", "ns-1", &["c1"]).await.unwrap();
    let binding = async || f.dcm.status(&id).await.unwrap().clusters[0].1.as_ref().unwrap().part(Part::RoleBinding);
    assert_eq!(binding().await, PartState::Created);
    f.dcm.revoke_user(&id).await.unwrap();
    assert_eq!(binding().await, PartState::Pending);
    f.carry_out().await.unwrap();
    assert_eq!(binding().await, PartState::Created);
}

#[tokio::test]
async fn a_cluster_with_a_new_registration_is_tried_at_once() {
    let f = fixture().await;
    let id = f.create_cloud("lc-1", "ns-1", &["c1", "c2"]).await.unwrap();
    f.clusters.set_down("default/c1", true);
    f.apply(&id).await.unwrap();
    f.carry_out().await.unwrap();
    let next = async || f.dcm.status(&id).await.unwrap().clusters[0].1.as_ref().unwrap().next_attempt;
    assert!(next().await.is_some());
    f.wake.take();
    let good = cluster_input("c1");
    f.dcm.update_cluster(&provider("default"), &"c1".parse().unwrap(), good.into(), None).await.unwrap();
    assert_eq!(next().await, None);
    assert_eq!(f.wake.take().len(), 1);
}
