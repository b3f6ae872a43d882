//! A permission in each place where it can hold: made, repaired, pruned, removed; what others have is left alone.

use dcm_core::{
    model::PermissionScope,
    name::Namespace,
    sync::{ObjectId, Reason},
    tenancy::marks,
};
use serde_json::{Value, json};

use crate::{
    bed::{Bed, SOON, soon, uid},
    cloud::{Cloud, permission},
};

const RBAC: &str = "rbac.authorization.k8s.io";

pub(crate) async fn a_permission_in_the_own_namespace(bed: &Bed) {
    let cloud = Cloud::new();
    let own = cloud.namespace.clone();
    holds(bed, cloud, PermissionScope::Own, &own).await;
}

pub(crate) async fn a_permission_in_another_namespace(bed: &Bed) {
    let elsewhere = bed.foreign_namespace(json!({})).await;
    let scope = PermissionScope::Namespace(Namespace::new(&elsewhere).unwrap());
    holds(bed, Cloud::new(), scope, &elsewhere).await;
    for kind in ["roles", "rolebindings"] {
        assert_eq!(bed.there(&format!("/apis/{RBAC}/v1/namespaces/{elsewhere}/{kind}")).await["items"], json!([]));
    }
    bed.delete(&format!("/api/v1/namespaces/{elsewhere}")).await;
}

pub(crate) async fn a_permission_for_the_whole_cluster(bed: &Bed) {
    holds(bed, Cloud::new(), PermissionScope::Cluster, "default").await;
}

fn path(id: &ObjectId) -> String {
    let kind = format!("{}s", id.kind.to_lowercase());
    match &id.namespace {
        Some(namespace) => format!("/apis/{RBAC}/v1/namespaces/{namespace}/{kind}/{}", id.name),
        None => format!("/apis/{RBAC}/v1/{kind}/{}", id.name),
    }
}

async fn holds(bed: &Bed, mut cloud: Cloud, scope: PermissionScope, place: &str) {
    cloud.permissions().clear();
    let mut named = permission("named", scope);
    named.resource_names = vec!["a".to_owned()];
    named.verbs = vec!["get".to_owned()];
    cloud.permissions().push(named);
    cloud.made(bed).await;
    let ids: Vec<ObjectId> = cloud.inventory.iter().map(|item| item.id.clone()).collect();
    let find = |part: &str| path(ids.iter().find(|id| id.kind.ends_with(part)).unwrap());
    let (role, binding) = (find("Role"), find("RoleBinding"));
    let user = cloud.common_name();
    let right = async || {
        bed.may(&user, "get", place, "a").await
            && !bed.may(&user, "get", place, "b").await
            && !bed.may(&user, "delete", place, "a").await
    };
    soon(SOON, right).await;
    let made = bed.there(&role).await;
    assert_eq!(made["rules"][0]["resourceNames"], json!(["a"]));

    // Drift: edited, then deleted.
    let rules = json!([{ "apiGroups": [""], "resources": ["configmaps"], "verbs": ["*"] }]);
    bed.merge(&role, json!({ "rules": rules })).await;
    let mallory = json!([{ "apiGroup": RBAC, "kind": "User", "name": "mallory" }]);
    bed.merge(&binding, json!({ "subjects": mallory })).await;
    assert_eq!(cloud.made(bed).await.changes.len(), 2);
    soon(SOON, right).await;
    assert_eq!(bed.there(&role).await["metadata"]["uid"], made["metadata"]["uid"]);
    bed.delete(&role).await;
    bed.delete(&binding).await;
    assert_eq!(cloud.made(bed).await.changes.len(), 2);
    soon(SOON, right).await;

    // Another name in the permission, then none.
    cloud.permissions()[0].resource_names = vec!["b".to_owned()];
    cloud.made(bed).await;
    soon(SOON, async || bed.may(&user, "get", place, "b").await && !bed.may(&user, "get", place, "a").await).await;
    let permissions = std::mem::take(cloud.permissions());
    cloud.made(bed).await;
    assert_eq!((bed.get(&role).await, bed.get(&binding).await), (None, None));
    soon(SOON, async || !bed.may(&user, "get", place, "b").await).await;

    // Others have these names now: nobody, another installation, another cloud of this one.
    *cloud.permissions() = permissions;
    let owner = cloud.owner();
    let marked =
        |installation: &str| json!({ (marks::INSTALLATION): installation, (marks::CLOUD_UID): uid().as_str() });
    for labels in [json!({}), marked("another"), marked(&owner.store_id)] {
        let mut theirs: Value = made.clone();
        theirs["metadata"] = json!({ "name": made["metadata"]["name"], "labels": labels });
        let collection = role.rsplit_once('/').unwrap().0;
        let before = bed.post(collection, theirs).await;
        let report = cloud.apply(bed).await;
        assert_eq!(report.failure.unwrap().reason, Reason::NotOurs);
        assert_eq!(bed.get(&binding).await, None);
        // Pruning does not take it for ours either.
        let permissions = std::mem::take(cloud.permissions());
        cloud.made(bed).await;
        *cloud.permissions() = permissions;
        let now = bed.there(&role).await;
        assert_eq!(now["metadata"]["resourceVersion"], before["metadata"]["resourceVersion"]);
        bed.delete(&role).await;
    }
    cloud.made(bed).await;
    assert_eq!(cloud.remove(bed).await.failure, None);
    assert_eq!((bed.get(&role).await, bed.get(&binding).await), (None, None));
}
