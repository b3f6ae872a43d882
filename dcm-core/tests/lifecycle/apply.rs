//! Apply, again and again, stopped and gone on with.

use std::sync::Arc;

use dcm_core::{
    error::ErrorKind,
    lifecycle::{Event, Phase},
    model::{LogicalCloudInput, Policy},
    name::{LogicalCloudName, PermissionName, ReferenceName},
    service::{CloudId, Overall, Settings},
};
use dcm_store::memory::MemoryStore;
use dcm_test_utils::builders::{Fixture, cloud_id, cloud_input, permission_input, quota_input, reference_input};

use crate::support::{fixture, kind, overall};

#[tokio::test]
async fn an_applied_cloud_is_the_same_on_every_cluster() {
    let f = fixture().await;
    let id = f.create_cloud("lc-1", "ns-1", &["c1", "c2", "c3"]).await.unwrap();
    assert_eq!(overall(&f, &id).await, Overall::NotCreated);
    f.apply(&id).await.unwrap();
    assert_eq!(overall(&f, &id).await, Overall::CreationInProgress);
    f.carry_out().await.unwrap();
    assert_eq!(overall(&f, &id).await, Overall::Created);
    let mut objects = f.clusters.holds("default/c1");
    objects.sort();
    let made =
        ["Namespace ns-1", "ResourceQuota ns-1/quota-1", "Role ns-1/permission-1", "RoleBinding ns-1/permission-1"];
    assert_eq!(objects, made);
    let objects = f.clusters.holds("default/c1");
    assert_eq!(f.clusters.holds("default/c2"), objects);
    assert_eq!(f.clusters.holds("default/c3"), objects);
    let config = f.dcm.kubeconfig(&id, &ReferenceName::new("c2").unwrap()).await.unwrap();
    let config: serde_json::Value = serde_json::from_slice(config.expose_json()).unwrap();
    assert_eq!(config["clusters"][0]["cluster"]["server"], "https://c2.default.example");
    assert_eq!(config["contexts"][0]["context"]["namespace"], "ns-1");
    assert!(f.dcm.waiting_orders(None, 10).await.unwrap().is_empty());
}

#[tokio::test]
async fn clusters_learn_of_an_edit_only_at_the_next_apply() {
    let f = fixture().await;
    let id = f.create_cloud("lc-1", "ns-1", &["c1"]).await.unwrap();
    f.apply(&id).await.unwrap();
    // Edited between the order and the work: the work carries what was frozen.
    f.dcm.create_permission(&id, permission_input("permission-2", "pods").into()).await.unwrap();
    f.dcm.update_quota(&id, &"quota-1".parse().unwrap(), quota_input("quota-1", "9").into(), None).await.unwrap();
    f.carry_out().await.unwrap();
    assert!(!f.clusters.holds("default/c1").contains(&"Role ns-1/permission-2".to_owned()));
    let view = f.dcm.logical_cloud(&id).await.unwrap();
    assert_eq!((view.generation, view.cloud.lifecycle.applied_generation), (2, 1));
    f.apply(&id).await.unwrap();
    f.carry_out().await.unwrap();
    assert!(f.clusters.holds("default/c1").contains(&"Role ns-1/permission-2".to_owned()));
    let view = f.dcm.logical_cloud(&id).await.unwrap();
    assert_eq!((view.generation, view.cloud.lifecycle.applied_generation), (2, 2));
}

#[tokio::test]
async fn what_is_no_longer_wanted_goes_at_the_next_apply() {
    let f = fixture().await;
    let id = f.create_applied("lc-1", "ns-1", &["c1"]).await.unwrap();
    f.dcm.delete_permission(&id, &PermissionName::new("permission-1").unwrap(), None).await.unwrap();
    f.apply(&id).await.unwrap();
    f.carry_out().await.unwrap();
    assert_eq!(f.clusters.holds("default/c1").len(), 2, "{:?}", f.clusters.holds("default/c1"));
}

#[tokio::test]
async fn an_apply_that_changes_nothing_keeps_the_generation_and_looks_again() {
    let f = fixture().await;
    let id = f.create_cloud("lc-1", "ns-1", &["c1"]).await.unwrap();
    for _ in 0..3 {
        f.apply(&id).await.unwrap();
        f.carry_out().await.unwrap();
    }
    assert_eq!(f.dcm.logical_cloud(&id).await.unwrap().cloud.lifecycle.applied_generation, 1);
    // Drift is repaired by it.
    f.clusters.with("default/c1", |cluster| cluster.objects.clear());
    f.apply(&id).await.unwrap();
    f.carry_out().await.unwrap();
    assert_eq!(f.clusters.holds("default/c1").len(), 4);
}

#[tokio::test]
async fn a_look_for_drift_repairs_it_and_does_not_touch_the_record() {
    let f = fixture().await;
    let id = f.create_applied("lc-1", "ns-1", &["c1"]).await.unwrap();
    let before = f.dcm.logical_cloud(&id).await.unwrap().revision.clone();
    f.clusters.with("default/c1", |cluster| cluster.objects.clear());
    f.dcm.resync(&id).await.unwrap();
    assert_eq!(overall(&f, &id).await, Overall::Created);
    f.carry_out().await.unwrap();
    assert_eq!(f.clusters.holds("default/c1").len(), 4);
    assert_eq!(f.dcm.logical_cloud(&id).await.unwrap().revision, before);
    assert!(f.dcm.waiting_orders(None, 10).await.unwrap().is_empty());
}

#[tokio::test]
async fn what_an_applied_cloud_keeps_cannot_be_edited() {
    let f = fixture().await;
    let id = f.create_cloud("lc-1", "ns-1", &["c1"]).await.unwrap();
    f.apply(&id).await.unwrap();
    let moved = f.dcm.update_logical_cloud(&id, cloud_input("lc-1", "ns-2").into(), None).await.unwrap_err();
    assert_eq!(moved.kind(), ErrorKind::Refused);
    assert!(moved.to_string().starts_with("spec.namespace"), "{moved}");
    assert_eq!(f.dcm.logical_cloud(&id).await.unwrap().cloud.spec.namespace.as_ref().unwrap().as_str(), "ns-1");
}

#[tokio::test]
async fn apply_names_the_call_that_is_missing() {
    let f = fixture().await;
    let id = f.create_cloud("lc-1", "ns-1", &[]).await.unwrap();
    let refused = f.dcm.apply(&id, Event::Apply, false).await.unwrap_err();
    assert!(refused.to_string().contains("/v2/projects/walmart/logical-clouds/lc-1/cluster-references"), "{refused}");
    assert_eq!(f.dcm.logical_cloud(&id).await.unwrap().cloud.lifecycle.phase, Phase::NotCreated);
}

#[tokio::test]
async fn a_quota_that_would_bite_dcm_itself_is_refused() {
    let f = fixture().await;
    let id = f.create_cloud("lc-1", "ns-1", &["c1"]).await.unwrap();
    let mut quota = quota_input("quota-2", "5");
    quota.spec = Some([("resourcequotas".to_owned(), "1".to_owned())].into());
    f.dcm.create_quota(&id, quota.into()).await.unwrap();
    let refused = f.dcm.apply(&id, Event::Apply, false).await.unwrap_err();
    assert!(refused.to_string().contains("quota-2"), "{refused}");
}

#[tokio::test]
async fn stop_leaves_things_as_they_are_and_apply_resumes() {
    let f = fixture().await;
    let id = f.create_cloud("lc-1", "ns-1", &["c1"]).await.unwrap();
    f.apply(&id).await.unwrap();
    f.dcm.stop(&id).await.unwrap();
    f.carry_out().await.unwrap();
    assert_eq!(overall(&f, &id).await, Overall::Stopped);
    assert!(f.clusters.holds("default/c1").is_empty());
    f.apply(&id).await.unwrap();
    f.carry_out().await.unwrap();
    assert_eq!(overall(&f, &id).await, Overall::Created);
}

#[tokio::test]
async fn a_restart_goes_on_with_what_was_acknowledged() {
    let f = fixture().await;
    let id = f.create_cloud("lc-1", "ns-1", &["c1", "c2"]).await.unwrap();
    f.apply(&id).await.unwrap();
    let restarted = f.restarted().await.unwrap();
    assert_eq!(restarted.installation(), f.dcm.installation());
    dcm_test_utils::builders::carry_out(&restarted).await.unwrap();
    assert_eq!(restarted.status(&id).await.unwrap().overall, Overall::Created);
}

#[tokio::test]
async fn names_that_nobody_has_are_not_found() {
    let f = fixture().await;
    let nobody = CloudId { name: LogicalCloudName::new("nobody").unwrap(), ..cloud_id("lc-1") };
    assert_eq!(kind(f.dcm.logical_cloud(&nobody).await), ErrorKind::NotFound);
    assert_eq!(kind(f.dcm.apply(&nobody, Event::Apply, false).await), ErrorKind::NotFound);
    assert_eq!(kind(f.dcm.status(&nobody).await), ErrorKind::NotFound);
    assert_eq!(kind(f.dcm.terminate(&nobody, false).await), ErrorKind::NotFound);
}

/// It uses the clusters' own credentials: a namespace and a user that it names are words.
#[tokio::test]
async fn an_admin_cloud_makes_nothing_on_clusters() {
    let settings = Settings { policy: Policy { admin_clouds: true, ..Policy::default() }, ..Settings::default() };
    let f = Fixture::with_settings(Arc::new(MemoryStore::new()), settings).await.unwrap();
    f.register(&["c1"]).await.unwrap();
    let tenant = f.create_cloud("lc-1", "ns-1", &["c1"]).await.unwrap();
    let admin = cloud_id("lc-0");
    let input = LogicalCloudInput { level: Some("0".to_owned()), ..cloud_input("lc-0", "ns-1") };
    f.dcm.create_logical_cloud(&admin.project, input.into()).await.unwrap();
    f.dcm.create_reference(&admin, reference_input("c1").into()).await.unwrap();
    f.apply(&admin).await.unwrap();
    f.carry_out().await.unwrap();
    assert_eq!(overall(&f, &admin).await, Overall::Created);
    assert!(f.clusters.holds("default/c1").is_empty());
    assert_eq!(kind(f.dcm.merged_kubeconfig(&admin).await), ErrorKind::Refused);
    assert_eq!(kind(f.dcm.revoke_user(&admin).await), ErrorKind::Refused);
    // It keeps no namespace from anyone.
    f.apply(&tenant).await.unwrap();
    f.dcm.terminate(&admin, false).await.unwrap();
    f.carry_out().await.unwrap();
    assert_eq!((overall(&f, &tenant).await, overall(&f, &admin).await), (Overall::Created, Overall::Deleted));
    assert_eq!(f.clusters.holds("default/c1").len(), 4);
}
