use dcm_core::{model::PermissionScope, sync::Reason, tenancy::marks};
use serde_json::json;

use crate::{
    bed::Bed,
    cloud::{Cloud, permission},
};

pub(crate) async fn a_deleted_namespace_is_made_anew(bed: &Bed) {
    let mut cloud = Cloud::new();
    cloud.made(bed).await;
    bed.delete(&cloud.namespace_path()).await;
    bed.gone(&cloud.namespace_path()).await;
    cloud.made(bed).await;
    assert!(bed.get(&format!("{}/quota-1", cloud.quotas())).await.is_some());
    let namespace = bed.there(&cloud.namespace_path()).await;
    let noted = cloud.inventory.iter().find(|item| item.id.kind == "Namespace").unwrap();
    assert_eq!(noted.uid.as_deref(), namespace["metadata"]["uid"].as_str());
    assert_eq!(cloud.remove(bed).await.failure, None);
}

pub(crate) async fn deleted_and_edited_objects_are_repaired(bed: &Bed) {
    let mut cloud = Cloud::new();
    cloud.made(bed).await;
    bed.delete(&format!("{}/p-1", cloud.roles())).await;
    bed.delete(&format!("{}/P_2", cloud.bindings())).await;
    let all = json!([{ "apiGroups": ["*"], "resources": ["*"], "verbs": ["*"] }]);
    bed.merge(&format!("{}/P_2", cloud.roles()), json!({ "rules": all })).await;
    let subjects = json!([{ "kind": "User", "apiGroup": "rbac.authorization.k8s.io", "name": "mallory" }]);
    bed.merge(&format!("{}/p-1", cloud.bindings()), json!({ "subjects": subjects })).await;
    bed.merge(&format!("{}/quota-1", cloud.quotas()), json!({ "spec": { "hard": { "pods": "500" } } })).await;
    let without_marks = json!({ "metadata": { "labels": { (marks::INSTALLATION): null, (marks::CLOUD_UID): null } } });
    bed.merge(&format!("{}/quota-1", cloud.quotas()), without_marks).await;

    cloud.made(bed).await;
    for name in ["p-1", "P_2"] {
        let role = bed.there(&format!("{}/{name}", cloud.roles())).await;
        assert_eq!(
            role["rules"],
            json!([{ "apiGroups": [""], "resources": ["configmaps"], "verbs": ["get", "list"] }])
        );
        let binding = bed.there(&format!("{}/{name}", cloud.bindings())).await;
        assert_eq!(binding["subjects"].as_array().unwrap().len(), 1);
        assert_eq!(binding["subjects"][0]["name"], cloud.common_name());
    }
    let quota = bed.there(&format!("{}/quota-1", cloud.quotas())).await;
    assert_eq!(quota["spec"]["hard"]["pods"], "5");
    assert_eq!(quota["metadata"]["labels"][marks::CLOUD_UID], cloud.applied.cloud.as_str());
    assert_eq!(cloud.remove(bed).await.failure, None);
}

pub(crate) async fn a_foreign_key_in_a_quota_is_taken_out(bed: &Bed) {
    let mut cloud = Cloud::new();
    cloud.made(bed).await;
    let path = format!("{}/quota-1", cloud.quotas());
    bed.merge(&path, json!({ "spec": { "hard": { "services": "0", "pods": "500" } } })).await;
    cloud.made(bed).await;
    assert_eq!(bed.there(&path).await["spec"]["hard"], json!({ "pods": "5", "limits.cpu": "4" }));
    assert_eq!(cloud.remove(bed).await.failure, None);
}

pub(crate) async fn foreign_labels_on_the_namespace_stay(bed: &Bed) {
    let mut cloud = Cloud::new();
    cloud.made(bed).await;
    let labels = json!({ "metadata": { "labels": { "their.example/label": "1", "team": "changed" } } });
    bed.merge(&cloud.namespace_path(), labels).await;
    cloud.made(bed).await;
    let labels = &bed.there(&cloud.namespace_path()).await["metadata"]["labels"];
    assert_eq!(labels["their.example/label"], "1");
    assert_eq!(labels["team"], "finance");
    assert_eq!(cloud.remove(bed).await.failure, None);
}

pub(crate) async fn labels_of_others_that_matter_are_remarked(bed: &Bed) {
    let mut cloud = Cloud::new();
    assert_eq!(cloud.made(bed).await.remarks, [""; 0]);
    let enforce = "pod-security.kubernetes.io/enforce";
    let labels = json!({ "metadata": { "labels": { (enforce): "privileged", "their.example/label": "1" } } });
    bed.merge(&cloud.namespace_path(), labels).await;
    for remarks in [cloud.compared(bed).await.remarks, cloud.made(bed).await.remarks] {
        assert_eq!(remarks.len(), 1, "{remarks:?}");
        assert!(remarks[0].contains(&format!("{enforce}=privileged")), "{remarks:?}");
    }
    assert_eq!(bed.there(&cloud.namespace_path()).await["metadata"]["labels"][enforce], "privileged");
    assert_eq!(cloud.remove(bed).await.failure, None);
}

pub(crate) async fn a_binding_to_another_role_is_made_anew(bed: &Bed) {
    let mut cloud = Cloud::new();
    cloud.made(bed).await;
    let path = format!("{}/p-1", cloud.bindings());
    let mut live = bed.there(&path).await;
    bed.delete(&path).await;
    live["metadata"] = json!({ "name": "p-1", "labels": live["metadata"]["labels"] });
    live["roleRef"]["kind"] = json!("ClusterRole");
    live["roleRef"]["name"] = json!("cluster-admin");
    bed.post(&cloud.bindings(), live).await;
    cloud.made(bed).await;
    let now = bed.there(&path).await;
    assert_eq!(now["roleRef"], json!({ "apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "p-1" }));
    assert_eq!(now["subjects"][0]["name"], cloud.common_name());
    assert_eq!(cloud.remove(bed).await.failure, None);
}

pub(crate) async fn objects_elsewhere_are_repaired_too(bed: &Bed) {
    let mut cloud = Cloud::new();
    cloud.permissions().push(permission("wide", PermissionScope::Cluster));
    cloud.made(bed).await;
    let wide = cloud.inventory.iter().find(|item| item.id.kind == "ClusterRole");
    let name = wide.unwrap().id.name.clone();
    let roles = "/apis/rbac.authorization.k8s.io/v1/clusterroles";
    let role = format!("{roles}/{name}");
    let binding = format!("/apis/rbac.authorization.k8s.io/v1/clusterrolebindings/{name}");
    bed.delete(&binding).await;
    let all = json!([{ "apiGroups": ["*"], "resources": ["*"], "verbs": ["*"] }]);
    let aggregation = json!({ "clusterRoleSelectors": [{ "matchLabels": { "a": "b" } }] });
    bed.merge(&role, json!({ "rules": all, "aggregationRule": aggregation })).await;
    cloud.made(bed).await;
    assert_eq!(bed.there(&binding).await["subjects"][0]["name"], cloud.common_name());
    let live = bed.there(&role).await;
    assert_eq!(live.get("aggregationRule"), None);

    bed.delete(&role).await;
    cloud.made(bed).await;
    assert_eq!(bed.there(&role).await["rules"][0]["resources"], json!(["configmaps"]));

    // Another one has its name now.
    bed.delete(&role).await;
    let theirs = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole",
        "metadata": { "name": name }, "rules": all,
    });
    bed.post(roles, theirs).await;
    let before = bed.there(&role).await;
    assert_eq!(cloud.apply(bed).await.failure.unwrap().reason, Reason::NotOurs);
    assert_eq!(cloud.remove(bed).await.failure, None);
    assert_eq!(bed.there(&role).await, before);
    assert_eq!(bed.get(&binding).await, None);
    bed.delete(&role).await;
}
