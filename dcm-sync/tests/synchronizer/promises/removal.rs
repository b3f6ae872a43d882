use std::time::{Duration, Instant};

use dcm_core::{
    model::{DeletePolicy, PermissionScope},
    name::Namespace,
    sync::{Part, PartState, Reason, Synchronizer as _},
};
use dcm_sync::kube::{KubeOptions, KubeSynchronizer};
use serde_json::json;

use crate::{
    bed::{Bed, options},
    cloud::{Cloud, permission},
};

const RBAC: &str = "/apis/rbac.authorization.k8s.io/v1";

pub(crate) async fn nothing_of_ours_is_left_and_everything_of_others(bed: &Bed) {
    let elsewhere = bed.foreign_namespace(json!({})).await;
    let stranger = bed.foreign_config_map(&elsewhere, &[]).await;
    let mut cloud = Cloud::new();
    let there = PermissionScope::Namespace(dcm_core::name::Namespace::new(&elsewhere).unwrap());
    cloud.permissions().push(permission("wide", PermissionScope::Cluster));
    cloud.permissions().push(permission("there", there));
    let mut neighbour = Cloud::new();
    neighbour.installation = cloud.installation.clone();
    neighbour.made(bed).await;
    cloud.made(bed).await;
    let wide = cloud.inventory.iter().find(|item| item.id.kind == "ClusterRole").unwrap().id.name.clone();

    let report = cloud.remove(bed).await;
    assert_eq!(report.failure, None);
    assert_eq!(report.inventory, []);
    for part in [Part::Namespace, Part::Role, Part::RoleBinding, Part::Quota] {
        assert_eq!(report.parts.get(&part), Some(&PartState::Deleted), "{part:?}");
    }
    assert_eq!(bed.get(&cloud.namespace_path()).await, None);
    for path in [format!("{RBAC}/clusterroles/{wide}"), format!("{RBAC}/clusterrolebindings/{wide}")] {
        assert_eq!(bed.get(&path).await, None);
    }
    for kind in ["roles", "rolebindings"] {
        assert_eq!(bed.there(&format!("{RBAC}/namespaces/{elsewhere}/{kind}")).await["items"], json!([]));
    }
    assert!(bed.get(&stranger).await.is_some());
    assert_eq!(bed.there(&neighbour.roles()).await["items"].as_array().unwrap().len(), 2);
    assert_eq!(neighbour.remove(bed).await.failure, None);
    bed.delete(&format!("/api/v1/namespaces/{elsewhere}")).await;
}

pub(crate) async fn a_second_removal_finds_nothing_to_do(bed: &Bed) {
    let mut cloud = Cloud::new();
    cloud.made(bed).await;
    let inventory = cloud.inventory.clone();
    assert_eq!(cloud.remove(bed).await.failure, None);
    // As after a crash: the store still has the inventory.
    for inventory in [Vec::new(), inventory] {
        cloud.inventory = inventory;
        let report = cloud.remove(bed).await;
        assert_eq!(report.failure, None);
        assert_eq!(report.inventory, []);
        assert_eq!(report.parts[&Part::Namespace], PartState::Deleted);
    }
}

pub(crate) async fn a_kept_namespace_is_emptied_of_ours_and_let_go(bed: &Bed) {
    let mut cloud = Cloud::new();
    cloud.delete = DeletePolicy::Keep;
    cloud.made(bed).await;
    let stranger = bed.foreign_config_map(&cloud.namespace, &[]).await;
    let report = cloud.remove(bed).await;
    assert_eq!(report.failure, None);
    assert_eq!(report.inventory, []);
    let namespace = bed.there(&cloud.namespace_path()).await;
    assert!(namespace["metadata"].get("deletionTimestamp").is_none());
    for map in ["labels", "annotations"] {
        assert!(!namespace["metadata"][map].to_string().contains("dcm.onap.org"), "{namespace:#}");
    }
    for list in [cloud.roles(), cloud.bindings(), cloud.quotas()] {
        assert_eq!(bed.there(&list).await["items"], json!([]));
    }
    assert!(bed.get(&stranger).await.is_some());
    // It is nobody's now.
    let mut next = Cloud::inside(&cloud.namespace);
    assert_eq!(next.apply(bed).await.failure.unwrap().reason, Reason::NotOurs);
    bed.delete(&cloud.namespace_path()).await;
}

pub(crate) async fn a_namespace_of_others_counts_as_gone(bed: &Bed) {
    let mut cloud = Cloud::new();
    cloud.made(bed).await;
    bed.delete(&cloud.namespace_path()).await;
    bed.gone(&cloud.namespace_path()).await;
    let manifest = json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": cloud.namespace } });
    let before = bed.post("/api/v1/namespaces", manifest).await;
    let report = cloud.remove(bed).await;
    assert_eq!(report.failure, None);
    assert_eq!(report.inventory, []);
    let after = bed.there(&cloud.namespace_path()).await;
    assert_eq!(after["metadata"]["uid"], before["metadata"]["uid"]);
    assert!(after["metadata"].get("deletionTimestamp").is_none());
    bed.delete(&cloud.namespace_path()).await;
}

pub(crate) async fn what_blocks_is_said(bed: &Bed) {
    let mut cloud = Cloud::new();
    cloud.made(bed).await;
    let held = bed.foreign_config_map(&cloud.namespace, &["example.com/held"]).await;
    let wait = Duration::from_secs(if bed.simulated.is_some() { 1 } else { 20 });
    let hasty = KubeSynchronizer::new(KubeOptions { removal_wait: wait, ..options() });
    let start = Instant::now();
    let report = hasty.remove(&bed.access(), &cloud.removal()).await;
    assert!(start.elapsed() < wait + Duration::from_secs(30));
    let failure = report.failure.unwrap();
    assert!(matches!(failure.reason, Reason::DeletionBlocked | Reason::NamespaceTerminating), "{failure}");
    assert!(failure.detail.contains("example.com/held"), "{failure}");
    let left: Vec<_> = report.inventory.iter().map(|item| item.id.kind.as_str()).collect();
    assert!(left.contains(&"Namespace") && !left.contains(&"RoleBinding"), "{left:?}");
    assert_eq!(report.parts[&Part::RoleBinding], PartState::Deleted);
    assert!(matches!(report.parts[&Part::Namespace], PartState::NotAvailable(_)));
    assert!(matches!(report.parts[&Part::Role], PartState::NotAvailable(_)));

    bed.merge(&held, json!({ "metadata": { "finalizers": null } })).await;
    cloud.inventory = report.inventory;
    assert_eq!(cloud.remove(bed).await.failure, None);
    assert_eq!(bed.get(&cloud.namespace_path()).await, None);
}

/// Access by a binding that is held ends with its role, and it keeps nothing else.
pub(crate) async fn what_is_held_keeps_nothing_else_on_the_cluster(bed: &Bed) {
    let elsewhere = bed.foreign_namespace(json!({})).await;
    let mut cloud = Cloud::new();
    let there = PermissionScope::Namespace(Namespace::new(&elsewhere).unwrap());
    cloud.permissions().push(permission("there", there));
    cloud.made(bed).await;
    let ids = cloud.inventory.iter().map(|item| item.id.clone());
    let away: Vec<_> = ids.filter(|id| id.namespace.as_deref() == Some(&elsewhere)).collect();
    let path = |kind: &str, plural: &str| {
        let name = &away.iter().find(|id| id.kind == kind).unwrap().name;
        format!("/apis/rbac.authorization.k8s.io/v1/namespaces/{elsewhere}/{plural}/{name}")
    };
    let (role, binding) = (path("Role", "roles"), path("RoleBinding", "rolebindings"));
    bed.merge(&binding, json!({ "metadata": { "finalizers": ["example.com/held"] } })).await;
    let report = cloud.remove(bed).await;
    bed.merge(&binding, json!({ "metadata": { "finalizers": null } })).await;
    assert_eq!(report.failure.unwrap().reason, Reason::DeletionBlocked);
    assert!(matches!(report.parts[&Part::RoleBinding], PartState::NotAvailable(_)), "{:?}", report.parts);
    assert_eq!(report.parts[&Part::Role], PartState::Deleted);
    assert_eq!(bed.get(&role).await, None);
    assert_eq!(bed.get(&cloud.namespace_path()).await, None);
    assert_eq!(cloud.inventory.len(), 1, "{:?}", cloud.held());
    assert_eq!(cloud.remove(bed).await.failure, None);
    assert_eq!(cloud.inventory, []);
    bed.delete(&format!("/api/v1/namespaces/{elsewhere}")).await;
}
