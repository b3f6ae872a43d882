//! How far each object is on each cluster, as far as what is stored tells.

use std::sync::Arc;

use dcm_core::{
    lifecycle::ActionKind,
    name::{PermissionName, ReferenceName},
    service::{CloudId, DriftPolicy, ObjectState, Settings},
    sync::{ChangeKind, Reason},
};
use dcm_store::memory::MemoryStore;
use dcm_test_utils::builders::{Fixture, permission_input};

use crate::support::fixture;

const ALL: [&str; 4] =
    ["Namespace ns-1", "Role ns-1/permission-1", "RoleBinding ns-1/permission-1", "ResourceQuota ns-1/quota-1"];

/// Each cluster's objects with their states, and whether they have a uid.
async fn objects(f: &Fixture, id: &CloudId) -> Vec<Vec<(String, ObjectState, bool)>> {
    let all = f.dcm.object_status(id).await.unwrap();
    let of = |cluster: dcm_core::service::ClusterObjects<'_>| {
        cluster.objects().map(|o| (o.id.to_string(), o.state, o.is_there)).collect()
    };
    all.clusters().map(of).collect()
}

fn each(state: ObjectState, is_there: bool) -> Vec<(String, ObjectState, bool)> {
    ALL.map(|object| (object.to_owned(), state, is_there)).into()
}

#[tokio::test]
async fn every_object_is_shown_from_the_order_to_its_end() {
    let f = fixture().await;
    let id = f.create_cloud("lc-1", "ns-1", &["c1"]).await.unwrap();
    assert!(objects(&f, &id).await.is_empty());
    f.apply(&id).await.unwrap();
    assert_eq!(objects(&f, &id).await, [each(ObjectState::Pending, false)]);
    f.carry_out().await.unwrap();
    assert_eq!(objects(&f, &id).await, [each(ObjectState::Created, true)]);
    f.dcm.terminate(&id, false).await.unwrap();
    assert_eq!(objects(&f, &id).await, [each(ObjectState::Created, true)]);
    f.carry_out().await.unwrap();
    // What they were is not known any more.
    assert_eq!(objects(&f, &id).await, [[]]);
}

#[tokio::test]
async fn a_cluster_that_is_away_keeps_what_it_has() {
    let f = fixture().await;
    let id = f.create_cloud("lc-1", "ns-1", &["c1", "c2"]).await.unwrap();
    f.clusters.set_down("default/c2", true);
    f.apply(&id).await.unwrap();
    f.carry_out().await.unwrap();
    let [here, away] = [each(ObjectState::Created, true), each(ObjectState::NotAvailable, false)];
    assert_eq!(objects(&f, &id).await, [here.clone(), away]);
    f.clusters.set_down("default/c2", false);
    f.clusters.set_down("default/c1", true);
    f.dcm.resync(&id).await.unwrap();
    f.carry_out().await.unwrap();
    assert_eq!(objects(&f, &id).await, [here.clone(), here]);
    let all = f.dcm.object_status(&id).await.unwrap();
    assert_eq!(all.clusters().map(|cluster| cluster.is_reached).collect::<Vec<_>>(), [false, true]);
}

#[tokio::test]
async fn what_was_made_of_an_earlier_state_is_to_be_worked_on() {
    let f = fixture().await;
    let id = f.create_applied("lc-1", "ns-1", &["c1"]).await.unwrap();
    f.dcm.create_permission(&id, permission_input("permission-2", "pods").into()).await.unwrap();
    f.dcm.delete_permission(&id, &PermissionName::new("permission-1").unwrap(), None).await.unwrap();
    f.apply(&id).await.unwrap();
    let now = objects(&f, &id).await;
    let expected = [
        ("Namespace ns-1", ObjectState::Pending, true),
        ("Role ns-1/permission-2", ObjectState::Pending, false),
        ("RoleBinding ns-1/permission-2", ObjectState::Pending, false),
        ("ResourceQuota ns-1/quota-1", ObjectState::Pending, true),
        // These are there until they are pruned.
        ("Role ns-1/permission-1", ObjectState::Created, true),
        ("RoleBinding ns-1/permission-1", ObjectState::Created, true),
    ];
    assert_eq!(now, [expected.map(|(id, state, there)| (id.to_owned(), state, there))]);
    f.clusters.set_down("default/c1", true);
    f.carry_out().await.unwrap();
    let states: Vec<ObjectState> = objects(&f, &id).await[0].iter().map(|(_, state, _)| *state).collect();
    assert_eq!(states[..4], [ObjectState::NotAvailable; 4]);
}

#[tokio::test]
async fn of_several_objects_the_missing_one_is_the_one_that_failed() {
    let f = fixture().await;
    let id = f.create_cloud("lc-1", "ns-1", &["c1"]).await.unwrap();
    f.clusters.with("default/c1", |cluster| cluster.refuses = Some(("Role".to_owned(), Reason::Forbidden)));
    f.apply(&id).await.unwrap();
    f.carry_out().await.unwrap();
    let states = objects(&f, &id).await[0].clone();
    assert_eq!((states[0].1, states[1].1), (ObjectState::Created, ObjectState::Failed), "{states:?}");
}

#[tokio::test]
async fn a_reference_on_its_way_out_shows_what_is_still_there() {
    let f = fixture().await;
    let id = f.create_applied("lc-1", "ns-1", &["c1", "c2"]).await.unwrap();
    f.dcm.delete_reference(&id, &ReferenceName::new("c2").unwrap(), None, false).await.unwrap();
    let here = each(ObjectState::Created, true);
    assert_eq!(objects(&f, &id).await, [here.clone(), here.clone()]);
    f.clusters.set_down("default/c2", true);
    f.carry_out().await.unwrap();
    assert_eq!(objects(&f, &id).await, [here.clone(), here.clone()]);
    f.clusters.set_down("default/c2", false);
    f.carry_out().await.unwrap();
    assert_eq!(objects(&f, &id).await, [here]);
}

#[tokio::test]
async fn drift_that_is_only_reported_is_shown_at_its_object() {
    let settings = Settings { drift: DriftPolicy::Report, ..Settings::default() };
    let f = Fixture::with_settings(Arc::new(MemoryStore::new()), settings).await.unwrap();
    f.register(&["c1"]).await.unwrap();
    let id = f.create_applied("lc-1", "ns-1", &["c1"]).await.unwrap();
    f.clusters.with("default/c1", |cluster| cluster.objects.retain(|id, _| id.kind != "ResourceQuota"));
    f.dcm.resync(&id).await.unwrap();
    f.carry_out().await.unwrap();
    let all = f.dcm.object_status(&id).await.unwrap();
    let drifted: Vec<_> = all.clusters().next().unwrap().objects().map(|object| object.drifted).collect();
    assert_eq!(drifted, [None, None, None, Some(ChangeKind::Create)]);
}

#[tokio::test]
async fn what_was_ordered_is_remembered() {
    let f = fixture().await;
    let id = f.create_applied("lc-1", "ns-1", &["c1"]).await.unwrap();
    f.apply(&id).await.unwrap();
    f.dcm.revoke_user(&id).await.unwrap();
    f.dcm.stop(&id).await.unwrap();
    f.dcm.terminate(&id, false).await.unwrap();
    f.carry_out().await.unwrap();
    let lifecycle = f.dcm.logical_cloud(&id).await.unwrap().cloud.lifecycle.clone();
    use ActionKind as K;
    let kinds: Vec<ActionKind> = lifecycle.actions.iter().map(|action| action.kind).collect();
    assert_eq!(kinds, [K::Applied, K::Updated, K::ApplyStopped, K::Terminated]);
    assert_eq!(lifecycle.actions[3].state, lifecycle.actions[1].state);
    assert_ne!(lifecycle.actions[1].state, lifecycle.actions[0].state);
}
