use dcm_core::{
    model::{PermissionScope, UserType},
    sync::{InventoryItem, ObjectId, Part, PartState, Reason},
    tenancy::marks,
};
use serde_json::json;

use crate::{
    bed::{Bed, unique},
    cloud::{Cloud, permission},
};

const RBAC: &str = "rbac.authorization.k8s.io/v1";

pub(crate) async fn what_is_no_longer_wanted_goes_and_nothing_else(bed: &Bed) {
    let mut cloud = Cloud::new();
    cloud.permissions().push(permission("wide", PermissionScope::Cluster));
    cloud.quota("quota-2", &[("services", "1")]);
    cloud.made(bed).await;
    let wide = cloud.inventory.iter().find(|item| item.id.kind == "ClusterRole").unwrap().id.name.clone();
    let owner = cloud.owner();
    let ours = json!({ (marks::INSTALLATION): owner.store_id, (marks::CLOUD_UID): owner.cloud.as_str() });
    let cousin = json!({ (marks::INSTALLATION): owner.store_id, (marks::CLOUD_UID): "another" });
    // One of ours that the store knows nothing of, and three that are not ours.
    for (name, labels) in [("forgotten", &ours), ("cousin", &cousin), ("theirs", &json!({}))] {
        let role = json!({ "apiVersion": RBAC, "kind": "Role", "metadata": { "name": name, "labels": labels } });
        bed.post(&cloud.roles(), role).await;
    }
    let stranger = bed.foreign_config_map(&cloud.namespace, &[]).await;

    cloud.permissions().retain(|p| p.name.as_str() == "p-1");
    cloud.applied.quotas.retain(|name, _| name.as_str() != "quota-2");
    cloud.made(bed).await;
    let names = async |list: String| {
        let list = bed.there(&list).await;
        let items = list["items"].as_array().unwrap().iter();
        let mut names: Vec<_> = items.map(|item| item["metadata"]["name"].as_str().unwrap().to_owned()).collect();
        names.sort();
        names
    };
    assert_eq!(names(cloud.roles()).await, ["cousin", "p-1", "theirs"]);
    assert_eq!(names(cloud.bindings()).await, ["p-1"]);
    assert_eq!(names(cloud.quotas()).await, ["quota-1"]);
    for kind in ["clusterroles", "clusterrolebindings"] {
        assert_eq!(bed.get(&format!("/apis/{RBAC}/{kind}/{wide}")).await, None);
    }
    assert!(bed.get(&stranger).await.is_some());
    let ns = &cloud.namespace;
    let mut held = cloud.held();
    held.sort();
    assert_eq!(
        held,
        [
            format!("Namespace {ns}"),
            format!("ResourceQuota {ns}/quota-1"),
            format!("Role {ns}/p-1"),
            format!("RoleBinding {ns}/p-1"),
        ]
    );
    assert_eq!(cloud.remove(bed).await.failure, None);
}

/// One that is held keeps nothing else of what gives access.
pub(crate) async fn what_is_held_keeps_nothing_else(bed: &Bed) {
    let mut cloud = Cloud::new();
    cloud.user_is(UserType::Token);
    cloud.made(bed).await;
    let account = format!("{}/{}", cloud.accounts(), cloud.identity().name());
    let held = format!("{}/P_2", cloud.bindings());
    bed.merge(&held, json!({ "metadata": { "finalizers": ["example.com/held"] } })).await;
    cloud.permissions().retain(|p| p.name.as_str() == "p-1");
    cloud.user_is(UserType::Certificate);
    let report = cloud.apply(bed).await;
    assert_eq!(report.failure.unwrap().reason, Reason::DeletionBlocked);
    assert!(matches!(report.parts[&Part::RoleBinding], PartState::NotAvailable(_)), "{:?}", report.parts);
    assert!(cloud.held().contains(&format!("RoleBinding {}/P_2", cloud.namespace)));
    assert_eq!(bed.get(&format!("{}/P_2", cloud.roles())).await, None);
    assert_eq!(bed.get(&account).await, None);
    bed.merge(&held, json!({ "metadata": { "finalizers": null } })).await;
    cloud.made(bed).await;
    assert_eq!(cloud.remove(bed).await.failure, None);
}

/// The inventory may name an object whose making was never seen to succeed.
pub(crate) async fn an_unknown_object_is_not_deleted_by_its_name(bed: &Bed) {
    let mut cloud = Cloud::new();
    cloud.made(bed).await;
    let name = unique("theirs");
    let path = format!("/apis/{RBAC}/clusterroles/{name}");
    let role = json!({ "apiVersion": RBAC, "kind": "ClusterRole", "metadata": { "name": name } });
    bed.post(&format!("/apis/{RBAC}/clusterroles"), role).await;
    let item = |uid: Option<&str>| InventoryItem {
        id: ObjectId {
            api_version: RBAC.to_owned(),
            kind: "ClusterRole".to_owned(),
            namespace: None,
            name: name.clone(),
        },
        uid: uid.map(str::to_owned),
        adopted: false,
    };
    for uid in [None, Some("00000000-0000-4000-8000-000000000000")] {
        cloud.inventory.push(item(uid));
        cloud.made(bed).await;
        assert!(bed.get(&path).await.is_some());
        assert!(!cloud.held().contains(&format!("ClusterRole {name}")));
    }
    cloud.inventory.push(item(None));
    assert_eq!(cloud.remove(bed).await.failure, None);
    assert!(bed.get(&path).await.is_some());
    bed.delete(&path).await;
}
