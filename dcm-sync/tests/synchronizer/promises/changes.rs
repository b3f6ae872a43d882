use dcm_core::{
    model::{AdoptionPolicy, PermissionScope},
    sync::{ChangeKind, Report},
    tenancy::marks,
};
use serde_json::json;

use crate::{
    bed::Bed,
    cloud::{Cloud, permission},
};

/// The changes of a report as texts, sorted.
fn told(report: &Report) -> Vec<String> {
    let mut all: Vec<_> =
        report.changes.iter().map(|c| format!("{:?} {} {}", c.change, c.id.kind, c.id.name)).collect();
    all.sort();
    all
}

pub(crate) async fn a_report_says_what_was_made_changed_and_deleted(bed: &Bed) {
    let mut cloud = Cloud::new();
    cloud.permissions().push(permission("wide", PermissionScope::Cluster));
    let report = cloud.made(bed).await;
    assert_eq!(report.changes.len(), cloud.desired().objects.len());
    assert!(report.changes.iter().all(|change| change.change == ChangeKind::Create), "{:?}", report.changes);
    assert_eq!(cloud.made(bed).await.changes, []);

    bed.delete(&format!("{}/p-1", cloud.roles())).await;
    bed.merge(&format!("{}/P_2", cloud.roles()), json!({ "rules": [] })).await;
    bed.merge(&format!("{}/quota-1", cloud.quotas()), json!({ "spec": { "hard": { "services": "1" } } })).await;
    bed.bind_to_another_role(&cloud.bindings(), "p-1").await;
    let owner = cloud.owner();
    let labels = json!({ (marks::INSTALLATION): owner.store_id, (marks::CLOUD_UID): owner.cloud.as_str() });
    let forgotten = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role",
        "metadata": { "name": "forgotten", "labels": labels },
    });
    bed.post(&cloud.roles(), forgotten).await;
    let wide = cloud.inventory.iter().find(|item| item.id.kind == "ClusterRole").unwrap().id.name.clone();
    cloud.permissions().retain(|permission| permission.name.as_str() != "wide");
    assert_eq!(
        told(&cloud.made(bed).await),
        [
            "Create Role p-1".to_owned(),
            format!("Delete ClusterRole {wide}"),
            format!("Delete ClusterRoleBinding {wide}"),
            "Delete Role forgotten".to_owned(),
            "Replace RoleBinding p-1".to_owned(),
            "Update ResourceQuota quota-1".to_owned(),
            "Update Role P_2".to_owned(),
        ]
    );
    assert_eq!(cloud.made(bed).await.changes, []);

    let held = cloud.inventory.len();
    let report = cloud.remove(bed).await;
    assert_eq!(report.failure, None);
    assert_eq!(report.changes.len(), held);
    assert!(report.changes.iter().all(|change| change.change == ChangeKind::Delete), "{:?}", report.changes);
    assert_eq!(cloud.remove(bed).await.changes, []);
}

pub(crate) async fn taking_a_namespace_over_and_letting_it_go_are_changes(bed: &Bed) {
    let name = bed.foreign_namespace(json!({})).await;
    let mut cloud = Cloud::inside(&name);
    cloud.adoption = AdoptionPolicy::Always;
    let taken = format!("Update Namespace {name}");
    assert!(told(&cloud.made(bed).await).contains(&taken));
    assert!(told(&cloud.remove(bed).await).contains(&taken));
    bed.delete(&cloud.namespace_path()).await;
}
