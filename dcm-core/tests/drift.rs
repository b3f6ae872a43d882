//! What others change on clusters, and what an apply would change there.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails loudly")]

use std::sync::Arc;

use dcm_core::{
    error::ErrorKind,
    model::{ClusterStatus, Drift},
    name::ReferenceName,
    service::{CloudId, DriftPolicy, Overall, Page, Selection, Settings},
    sync::{ChangeKind, Reason},
};
use dcm_store::memory::MemoryStore;
use dcm_test_utils::builders::{Fixture, permission_input};

async fn applied(drift: DriftPolicy, clusters: &[&str]) -> (Fixture, CloudId) {
    let settings = Settings { drift, ..Settings::default() };
    let f = Fixture::with_settings(Arc::new(MemoryStore::new()), settings).await.unwrap();
    f.register(clusters).await.unwrap();
    let id = f.create_applied("lc-1", "ns-1", clusters).await.unwrap();
    (f, id)
}

async fn status(f: &Fixture, id: &CloudId) -> ClusterStatus {
    f.dcm.status(id).await.unwrap().clusters.remove(0).1.unwrap()
}

async fn look(f: &Fixture, id: &CloudId) -> Option<Drift> {
    f.dcm.resync(id).await.unwrap();
    f.carry_out().await.unwrap();
    status(f, id).await.drift
}

fn take_role_away(f: &Fixture) {
    f.clusters.with("default/c1", |cluster| cluster.objects.retain(|id, _| id.kind != "Role"));
}

#[tokio::test]
async fn what_an_apply_makes_is_no_drift() {
    let (f, id) = applied(DriftPolicy::Repair, &["c1"]).await;
    assert_eq!(status(&f, &id).await.drift, None);
    f.dcm.create_permission(&id, permission_input("p-2", "pods").into()).await.unwrap();
    f.apply(&id).await.unwrap();
    f.carry_out().await.unwrap();
    assert_eq!(status(&f, &id).await.drift, None);
    assert_eq!(look(&f, &id).await, None);
}

#[tokio::test]
async fn drift_is_repaired_and_told_of() {
    let (f, id) = applied(DriftPolicy::Repair, &["c1"]).await;
    take_role_away(&f);
    let drift = look(&f, &id).await.unwrap();
    assert!(drift.repaired);
    assert_eq!((drift.count, drift.objects[0].change), (1, ChangeKind::Create));
    assert_eq!(drift.objects[0].id.to_string(), "Role ns-1/permission-1");
    assert!(f.clusters.holds("default/c1").contains(&"Role ns-1/permission-1".to_owned()));
    // It stays to be read until something new is seen, or applied.
    assert_eq!(look(&f, &id).await, Some(drift));
    f.apply(&id).await.unwrap();
    f.carry_out().await.unwrap();
    assert_eq!(status(&f, &id).await.drift, None);
}

#[tokio::test]
async fn drift_is_only_reported_where_the_operator_wants_that() {
    let (f, id) = applied(DriftPolicy::Report, &["c1"]).await;
    take_role_away(&f);
    let drift = look(&f, &id).await.unwrap();
    assert!(!drift.repaired);
    assert_eq!(drift.objects[0].id.to_string(), "Role ns-1/permission-1");
    assert!(!f.clusters.holds("default/c1").contains(&"Role ns-1/permission-1".to_owned()));
    assert_eq!(f.dcm.status(&id).await.unwrap().overall, Overall::Created);
    // A cluster that was away meanwhile is no reason to repair either.
    f.look_while_away(&id, "default/c1").await.unwrap();
    assert!(!f.clusters.holds("default/c1").contains(&"Role ns-1/permission-1".to_owned()));
    assert!(!status(&f, &id).await.drift.unwrap().repaired);
    // An apply is.
    f.apply(&id).await.unwrap();
    f.carry_out().await.unwrap();
    assert!(f.clusters.holds("default/c1").contains(&"Role ns-1/permission-1".to_owned()));
    assert_eq!(status(&f, &id).await.drift, None);
}

#[tokio::test]
async fn a_preview_shows_what_the_next_apply_does_and_does_nothing() {
    let (f, id) = applied(DriftPolicy::Repair, &["c1", "c2"]).await;
    let all = Selection::Page(Page::default());
    let c1 = Selection::One(ReferenceName::new("c1").unwrap());
    let nothing = f.dcm.diff(&id, &all).await.unwrap();
    assert_eq!(nothing.generation, 1);
    assert!(nothing.clusters.iter().all(|(_, diff)| diff.as_ref().unwrap().differences.is_empty()));
    f.dcm.create_permission(&id, permission_input("p-2", "pods").into()).await.unwrap();
    let holds = f.clusters.holds("default/c1");
    let diff = f.dcm.diff(&id, &c1).await.unwrap();
    assert_eq!((diff.generation, diff.clusters.len()), (2, 1));
    let changes: Vec<String> =
        diff.clusters[0].1.as_ref().unwrap().differences.iter().map(|d| d.change.id.to_string()).collect();
    assert_eq!(changes, ["Namespace ns-1", "Role ns-1/p-2", "RoleBinding ns-1/p-2"]);
    let manifests = f.dcm.manifests(&id, &c1).await.unwrap();
    assert_eq!(manifests.clusters[0].1.len(), 6);
    assert_eq!(manifests.clusters[0].1[0].manifest["metadata"]["annotations"]["dcm.onap.org/generation"], "2");
    assert_eq!(f.clusters.holds("default/c1"), holds);
    assert_eq!(f.dcm.logical_cloud(&id).await.unwrap().cloud.lifecycle.applied_generation, 1);
}

#[tokio::test]
async fn previews_come_in_pages_and_a_dead_cluster_is_part_of_its_page() {
    let (f, id) = applied(DriftPolicy::Repair, &["c1", "c2", "c3"]).await;
    f.clusters.set_down("default/c2", true);
    let page = |after: Option<&str>| Selection::Page(Page { after: after.map(str::to_owned), limit: 2 });
    let first = f.dcm.diff(&id, &page(None)).await.unwrap();
    assert_eq!(first.next.as_deref(), Some("c2"));
    assert_eq!(first.clusters[1].1.as_ref().unwrap_err().reason, Reason::Unreachable);
    let second = f.dcm.diff(&id, &page(Some("c2"))).await.unwrap();
    assert_eq!((second.clusters.len(), second.next), (1, None));
    let nobody = Selection::One(ReferenceName::new("nobody").unwrap());
    assert_eq!(f.dcm.manifests(&id, &nobody).await.unwrap_err().kind(), ErrorKind::NotFound);
}
