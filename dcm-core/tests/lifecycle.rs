//! Apply, terminate and delete, on the memory store and fake clusters.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails loudly")]

use std::{sync::Arc, time::Duration};

use dcm_core::{
    error::{Error, ErrorKind},
    lifecycle::{Event, Phase},
    model::{LogicalCloudInput, PermissionInput, Policy},
    name::{LogicalCloudName, PermissionName, ReferenceName},
    service::{CloudId, Deletion, Overall, Settings},
    sync::{Failure, Part, PartState, Reason},
};
use dcm_store::memory::MemoryStore;
use dcm_test_utils::{
    builders::{
        Fixture, cloud_id, cloud_input, cluster_input, permission_input, provider, quota_input, reference_input,
    },
    ports::FAKE_LIFETIME,
};

async fn fixture() -> Fixture {
    let fixture = Fixture::new(Arc::new(MemoryStore::new())).await.unwrap();
    fixture.register(&["c1", "c2", "c3"]).await.unwrap();
    fixture
}

async fn overall(fixture: &Fixture, id: &CloudId) -> Overall {
    fixture.dcm.status(id).await.unwrap().overall
}

fn kind<T: std::fmt::Debug>(result: Result<T, Error>) -> ErrorKind {
    result.unwrap_err().kind()
}

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
    let id = f.create_cloud("lc-1", "ns-1", &["c1"]).await.unwrap();
    f.apply(&id).await.unwrap();
    f.carry_out().await.unwrap();
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
    let id = f.create_cloud("lc-1", "ns-1", &["c1"]).await.unwrap();
    f.apply(&id).await.unwrap();
    f.carry_out().await.unwrap();
    let before = f.dcm.logical_cloud(&id).await.unwrap().revision;
    f.clusters.with("default/c1", |cluster| cluster.objects.clear());
    f.dcm.resync(&id).await.unwrap();
    assert_eq!(overall(&f, &id).await, Overall::Created);
    f.carry_out().await.unwrap();
    assert_eq!(f.clusters.holds("default/c1").len(), 4);
    assert_eq!(f.dcm.logical_cloud(&id).await.unwrap().revision, before);
    assert!(f.dcm.waiting_orders(None, 10).await.unwrap().is_empty());
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
    let id = f.create_cloud("lc-1", "ns-1", &["c1"]).await.unwrap();
    f.apply(&id).await.unwrap();
    f.carry_out().await.unwrap();
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
    let id = f.create_cloud("lc-1", "ns-1", &["c1", "c2"]).await.unwrap();
    f.apply(&id).await.unwrap();
    f.carry_out().await.unwrap();
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
async fn terminate_leaves_nothing_and_waits_for_every_cluster() {
    let f = fixture().await;
    let id = f.create_cloud("lc-1", "ns-1", &["c1", "c2"]).await.unwrap();
    f.apply(&id).await.unwrap();
    f.carry_out().await.unwrap();
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
    let id = f.create_cloud("lc-1", "ns-1", &["c1"]).await.unwrap();
    f.apply(&id).await.unwrap();
    f.carry_out().await.unwrap();
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

#[tokio::test]
async fn a_deleted_reference_leaves_its_cluster_at_once() {
    let f = fixture().await;
    let id = f.create_cloud("lc-1", "ns-1", &["c1", "c2"]).await.unwrap();
    f.apply(&id).await.unwrap();
    f.carry_out().await.unwrap();
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

#[tokio::test]
async fn two_clouds_never_share_a_namespace_on_one_cluster() {
    let f = fixture().await;
    let first = f.create_cloud("lc-1", "ns-1", &["c1"]).await.unwrap();
    let second = f.create_cloud("lc-2", "ns-1", &["c1", "c2"]).await.unwrap();
    f.apply(&first).await.unwrap();
    let refused = f.dcm.apply(&second, Event::Apply, false).await.unwrap_err();
    assert!(refused.to_string().contains("walmart/lc-1"), "{refused}");
    assert_eq!(refused.kind(), ErrorKind::Refused);
    assert_eq!(overall(&f, &second).await, Overall::NotCreated);
    f.carry_out().await.unwrap();
    assert!(f.clusters.holds("default/c2").is_empty());
    // Free again once the first one is gone.
    f.dcm.terminate(&first, false).await.unwrap();
    f.carry_out().await.unwrap();
    f.apply(&second).await.unwrap();
    f.carry_out().await.unwrap();
    assert_eq!(overall(&f, &second).await, Overall::Created);
}

#[tokio::test]
async fn one_api_server_registered_twice_counts_once() {
    let f = fixture().await;
    let first = f.create_cloud("lc-1", "ns-1", &["c1"]).await.unwrap();
    f.apply(&first).await.unwrap();
    f.carry_out().await.unwrap();
    // The second registration is unreachable when it is applied, so its identity is found out later.
    f.clusters.set_down("default/again", true);
    f.register(&["again"]).await.unwrap();
    let second = f.create_cloud("lc-2", "ns-1", &["again"]).await.unwrap();
    f.apply(&second).await.unwrap();
    let identity = f.clusters.with("default/c1", |cluster| cluster.identity.clone());
    f.clusters.with("default/again", |cluster| {
        cluster.failure = None;
        cluster.identity = identity;
    });
    f.carry_out().await.unwrap();
    let status = f.dcm.status(&second).await.unwrap();
    assert_eq!(status.overall, Overall::CreationFailed);
    assert_eq!(status.clusters[0].1.as_ref().unwrap().reason(), Some(Reason::NamespaceReserved));
    assert!(f.clusters.holds("default/again").is_empty());
}

#[tokio::test]
async fn a_kubeconfig_that_leads_elsewhere_is_noticed() {
    let f = fixture().await;
    let id = f.create_cloud("lc-1", "ns-1", &["c1"]).await.unwrap();
    f.apply(&id).await.unwrap();
    f.carry_out().await.unwrap();
    f.clusters.with("default/c1", |cluster| {
        cluster.identity = "somebody-else".to_owned();
        cluster.objects.clear();
    });
    f.apply(&id).await.unwrap();
    f.carry_out().await.unwrap();
    let status = f.dcm.status(&id).await.unwrap();
    assert_eq!(status.clusters[0].1.as_ref().unwrap().reason(), Some(Reason::IdentityChanged));
    assert!(f.clusters.holds("default/c1").is_empty());
}

#[tokio::test]
async fn what_an_applied_cloud_keeps_cannot_be_edited() {
    let f = fixture().await;
    let id = f.create_cloud("lc-1", "ns-1", &["c1"]).await.unwrap();
    f.apply(&id).await.unwrap();
    let moved = f.dcm.update_logical_cloud(&id, cloud_input("lc-1", "ns-2").into(), None).await.unwrap_err();
    assert_eq!(moved.kind(), ErrorKind::Refused);
    assert!(moved.to_string().starts_with("spec.namespace"), "{moved}");
    assert_eq!(f.dcm.logical_cloud(&id).await.unwrap().cloud.spec.namespace.unwrap().as_str(), "ns-1");
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
async fn another_user_is_another_identity_on_the_cluster() {
    let f = fixture().await;
    let id = f.create_cloud("lc-1", "ns-1", &["c1"]).await.unwrap();
    f.apply(&id).await.unwrap();
    f.carry_out().await.unwrap();
    let certificate = || async {
        let config = f.dcm.kubeconfig(&id, &ReferenceName::new("c1").unwrap()).await.unwrap();
        let config: serde_json::Value = serde_json::from_slice(config.expose_json()).unwrap();
        config["users"][0]["user"]["client-certificate-data"].as_str().unwrap().to_owned()
    };
    let before = certificate().await;
    let mut input = cloud_input("lc-1", "ns-1");
    input.user.as_mut().unwrap().user_name = Some("user-2".to_owned());
    f.dcm.update_logical_cloud(&id, input.into(), None).await.unwrap();
    assert_eq!(certificate().await, before);
    f.apply(&id).await.unwrap();
    f.carry_out().await.unwrap();
    assert_ne!(certificate().await, before);
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
async fn a_certificate_is_renewed_at_two_thirds_of_its_life() {
    let f = fixture().await;
    let id = f.create_cloud("lc-1", "ns-1", &["c1"]).await.unwrap();
    f.apply(&id).await.unwrap();
    f.carry_out().await.unwrap();
    let calls_of_a_look = || async {
        let before = f.clusters.with("default/c1", |cluster| cluster.calls);
        f.dcm.resync(&id).await.unwrap();
        f.carry_out().await.unwrap();
        f.clusters.with("default/c1", |cluster| cluster.calls) - before
    };
    // Who it is, and the apply.
    assert_eq!(calls_of_a_look().await, 2);
    f.clock.advance(FAKE_LIFETIME * 2 / 3);
    // And a signature.
    assert_eq!(calls_of_a_look().await, 3);
}

#[tokio::test]
async fn a_permission_is_checked_against_the_clouds_own_namespace() {
    let f = fixture().await;
    let id = f.create_cloud("lc-1", "ns-1", &["c1"]).await.unwrap();
    let own = PermissionInput { namespace: Some("ns-1".to_owned()), ..permission_input("p", "pods") };
    assert!(f.dcm.create_permission(&id, own.into()).await.is_ok());
    let other = PermissionInput { namespace: Some("ns-2".to_owned()), ..permission_input("q", "pods") };
    assert_eq!(kind(f.dcm.create_permission(&id, other.into()).await), ErrorKind::Invalid);
    assert_eq!(kind(f.dcm.permission(&id, &PermissionName::new("q").unwrap()).await), ErrorKind::NotFound);
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

#[tokio::test]
async fn what_was_reached_of_an_earlier_generation_is_not_shown_as_done() {
    let f = fixture().await;
    let id = f.create_cloud("lc-1", "ns-1", &["c1"]).await.unwrap();
    f.apply(&id).await.unwrap();
    f.carry_out().await.unwrap();
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

/// Whatever the operator allows: tenants do not reach into each other's namespaces.
#[tokio::test]
async fn a_permission_does_not_reach_into_another_logical_cloud() {
    let policy = Policy { foreign_namespace_permissions: true, ..Policy::default() };
    let settings = Settings { policy, ..Settings::default() };
    let f = Fixture::with_settings(Arc::new(MemoryStore::new()), settings).await.unwrap();
    f.register(&["c1"]).await.unwrap();
    let theirs = f.create_cloud("lc-1", "ns-1", &["c1"]).await.unwrap();
    f.apply(&theirs).await.unwrap();
    f.carry_out().await.unwrap();
    let ours = f.create_cloud("lc-2", "ns-2", &["c1"]).await.unwrap();
    let reaching = |namespace: &str| PermissionInput {
        namespace: Some(namespace.to_owned()),
        ..permission_input("p-2", "secrets")
    };
    f.dcm.create_permission(&ours, reaching("ns-1").into()).await.unwrap();
    f.apply(&ours).await.unwrap();
    f.carry_out().await.unwrap();
    let status = f.dcm.status(&ours).await.unwrap();
    assert_eq!(status.overall, Overall::CreationFailed);
    assert_eq!(status.clusters[0].1.as_ref().unwrap().reason(), Some(Reason::NamespaceReserved));
    assert!(f.clusters.holds("default/c1").iter().all(|object| !object.contains("lc-2")));
    f.dcm.update_permission(&ours, &"p-2".parse().unwrap(), reaching("shared").into(), None).await.unwrap();
    f.apply(&ours).await.unwrap();
    f.carry_out().await.unwrap();
    assert_eq!(overall(&f, &ours).await, Overall::Created);
}

/// What is refused keeps nobody from what he has: his credential is renewed all the same.
#[tokio::test]
async fn a_credential_is_issued_although_an_object_is_refused() {
    let f = fixture().await;
    let id = f.create_cloud("lc-1", "ns-1", &["c1"]).await.unwrap();
    f.clusters.with("default/c1", |cluster| cluster.refuses = Some(("Role".to_owned(), Reason::BeyondCeiling)));
    f.apply(&id).await.unwrap();
    f.carry_out().await.unwrap();
    let status = f.dcm.status(&id).await.unwrap();
    assert_eq!(status.overall, Overall::CreationFailed);
    let cluster = status.clusters[0].1.as_ref().unwrap();
    assert_eq!(cluster.reason(), Some(Reason::BeyondCeiling));
    assert_eq!(
        (cluster.part(Part::Credential), cluster.part(Part::Kubeconfig)),
        (PartState::Created, PartState::Created)
    );
    assert!(f.dcm.merged_kubeconfig(&id).await.is_ok());
    f.clusters.with("default/c1", |cluster| cluster.refuses = None);
    f.carry_out().await.unwrap();
    assert_eq!(overall(&f, &id).await, Overall::Created);
}

/// A server that was started again with less allowed does not carry out what was written under the old policy.
#[tokio::test]
async fn what_is_not_allowed_any_more_is_not_applied() {
    let store = Arc::new(MemoryStore::new());
    let wide = Policy { cluster_wide_permissions: true, ..Policy::default() };
    let settings = |policy: &Policy| Settings { policy: policy.clone(), ..Settings::default() };
    let f = Fixture::with_settings(Arc::clone(&store) as _, settings(&wide)).await.unwrap();
    f.register(&["c1"]).await.unwrap();
    let id = f.create_cloud("lc-1", "ns-1", &["c1"]).await.unwrap();
    let wide = PermissionInput { namespace: Some(String::new()), ..permission_input("wide", "pods") };
    f.dcm.create_permission(&id, wide.into()).await.unwrap();
    f.apply(&id).await.unwrap();
    f.carry_out().await.unwrap();
    let narrow = Policy { refuse_adoption: true, ..Policy::default() };
    let f = Fixture::with_settings(store, settings(&narrow)).await.unwrap();
    let error = f.apply(&id).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Refused);
    assert!(error.to_string().contains("the permission \"wide\""), "{error}");
    f.dcm.delete_permission(&id, &"wide".parse().unwrap(), None).await.unwrap();
    f.apply(&id).await.unwrap();
    let taking = LogicalCloudInput { adoption_policy: Some("always".to_owned()), ..cloud_input("lc-1", "ns-1") };
    assert_eq!(kind(f.dcm.update_logical_cloud(&id, taking.into(), None).await), ErrorKind::Invalid);
}
