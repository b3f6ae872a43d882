use dcm_core::{
    model::PermissionScope,
    name::Namespace,
    sync::{Part, PartState, Reason},
    tenancy::marks,
};
use serde_json::json;

use crate::{
    bed::Bed,
    cloud::{Cloud, permission},
};

pub(crate) async fn apply_makes_everything(bed: &Bed) {
    let mut cloud = Cloud::new();
    cloud.permissions().push(permission("wide", PermissionScope::Cluster));
    let report = cloud.made(bed).await;
    for part in [Part::Namespace, Part::Role, Part::RoleBinding, Part::Quota] {
        assert_eq!(report.parts.get(&part), Some(&PartState::Created), "{part:?}");
    }
    assert_eq!(report.parts.len(), 4);

    let namespace = bed.there(&cloud.namespace_path()).await;
    assert_eq!(namespace["metadata"]["labels"]["team"], "finance");
    assert_eq!(namespace["metadata"]["annotations"][marks::GENERATION], "3");
    let role = bed.there(&format!("{}/P_2", cloud.roles())).await;
    assert_eq!(role["rules"][0]["verbs"], json!(["get", "list"]));
    let binding = bed.there(&format!("{}/p-1", cloud.bindings())).await;
    assert_eq!(binding["subjects"][0]["name"], cloud.common_name());
    let quota = bed.there(&format!("{}/quota-1", cloud.quotas())).await;
    assert_eq!(quota["spec"]["hard"], json!({ "pods": "5", "limits.cpu": "4" }));

    let desired = cloud.desired();
    assert_eq!(report.inventory.len(), desired.objects.len());
    for object in &desired.objects {
        let item = report.inventory.iter().find(|item| item.id == object.id).unwrap();
        assert!(item.uid.is_some() && !item.adopted, "{}", item.id);
    }
    let wide = desired.objects.iter().find(|o| o.id.kind == "ClusterRoleBinding").unwrap();
    let path = format!("/apis/rbac.authorization.k8s.io/v1/clusterrolebindings/{}", wide.id.name);
    let live = bed.there(&path).await;
    assert_eq!(live["metadata"]["labels"][marks::CLOUD_UID], cloud.applied.cloud.as_str());
    assert_eq!(cloud.remove(bed).await.failure, None);
    assert_eq!(bed.get(&path).await, None);
}

pub(crate) async fn a_repeat_writes_nothing(bed: &Bed) {
    let mut cloud = Cloud::new();
    cloud.permissions().push(permission("wide", PermissionScope::Cluster));
    cloud.made(bed).await;
    let all = [cloud.namespace_path(), cloud.roles(), cloud.bindings(), cloud.quotas()];
    let before = bed.settled(&all).await;
    if let Some(cluster) = &bed.simulated {
        cluster.clear_requests();
    }
    let desired = cloud.desired();
    let report = dcm_core::sync::Synchronizer::apply(&bed.sync, &bed.access(), &desired).await;
    assert_eq!(report.failure, None);
    assert_eq!(report.inventory, desired.inventory);
    assert_eq!(report.changes, []);
    if let Some(cluster) = &bed.simulated {
        let requests = cluster.requests();
        assert!(requests.len() <= desired.objects.len(), "{requests:#?}");
        let written = requests.iter().filter(|r| r.method != "GET");
        assert_eq!(written.count(), 0, "{requests:#?}");
        // Who shows no token does not pay for a list of accounts.
        assert!(!requests.iter().any(|r| r.path.contains("serviceaccounts")), "{requests:#?}");
    }
    assert_eq!(bed.versions(&all).await, before);
    assert_eq!(cloud.remove(bed).await.failure, None);
}

pub(crate) async fn a_changed_cloud_is_followed(bed: &Bed) {
    let mut cloud = Cloud::new();
    cloud.made(bed).await;
    let old = cloud.common_name();
    cloud.applied.generation = 4;
    cloud.applied.credential_epoch = 1;
    cloud.applied.spec.labels = [("area".to_owned(), "north".to_owned())].into();
    cloud.permissions()[0].verbs = vec!["watch".to_owned()];
    cloud.quota("quota-1", &[("pods", "7")]);
    cloud.made(bed).await;
    let namespace = bed.there(&cloud.namespace_path()).await;
    assert_eq!(namespace["metadata"]["labels"]["area"], "north");
    assert_eq!(namespace["metadata"]["labels"].get("team"), None);
    assert_eq!(namespace["metadata"]["annotations"][marks::GENERATION], "4");
    let role = bed.there(&format!("{}/p-1", cloud.roles())).await;
    assert_eq!(role["rules"][0]["verbs"], json!(["watch"]));
    let binding = bed.there(&format!("{}/p-1", cloud.bindings())).await;
    assert_eq!(binding["subjects"].as_array().unwrap().len(), 1);
    assert_ne!(binding["subjects"][0]["name"], old);
    let quota = bed.there(&format!("{}/quota-1", cloud.quotas())).await;
    assert_eq!(quota["spec"]["hard"], json!({ "pods": "7" }));
    assert_eq!(cloud.remove(bed).await.failure, None);
}

pub(crate) async fn a_quota_that_limits_quotas_comes_last(bed: &Bed) {
    let mut cloud = Cloud::new();
    cloud.quota("a", &[("resourcequotas", "3")]);
    cloud.quota("b", &[("pods", "1")]);
    cloud.made(bed).await;
    // And one that is there already and full is raised before the others need room.
    cloud.quota("a", &[("resourcequotas", "4"), ("count/roles.rbac.authorization.k8s.io", "3")]);
    cloud.quota("c", &[("services", "1")]);
    cloud.permissions().push(permission("p-3", PermissionScope::Own));
    cloud.made_when_there_is_room(bed).await;
    assert!(bed.get(&format!("{}/c", cloud.quotas())).await.is_some());
    assert_eq!(cloud.remove(bed).await.failure, None);
}

/// What a crash between the POST and the apply leaves behind.
pub(crate) async fn an_object_with_marks_only_is_completed(bed: &Bed) {
    let mut cloud = Cloud::new();
    let owner = cloud.owner();
    let labels = json!({ (marks::INSTALLATION): owner.store_id, (marks::CLOUD_UID): owner.cloud.as_str() });
    let rbac = "rbac.authorization.k8s.io/v1";
    bed.post(
        "/api/v1/namespaces",
        json!({
            "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": cloud.namespace, "labels": labels },
        }),
    )
    .await;
    bed.post(
        &cloud.roles(),
        json!({ "apiVersion": rbac, "kind": "Role", "metadata": { "name": "p-1", "labels": labels } }),
    )
    .await;
    bed.post(
        &cloud.bindings(),
        json!({
            "apiVersion": rbac, "kind": "RoleBinding", "metadata": { "name": "p-1", "labels": labels },
            "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "p-1" },
        }),
    )
    .await;
    bed.post(
        &cloud.quotas(),
        json!({ "apiVersion": "v1", "kind": "ResourceQuota", "metadata": { "name": "quota-1", "labels": labels } }),
    )
    .await;
    cloud.made(bed).await;
    assert!(cloud.inventory.iter().all(|item| item.uid.is_some() && !item.adopted));
    let role = bed.there(&format!("{}/p-1", cloud.roles())).await;
    assert_eq!(role["rules"].as_array().unwrap().len(), 1);
    let quota = bed.there(&format!("{}/quota-1", cloud.quotas())).await;
    assert_eq!(quota["spec"]["hard"]["pods"], "5");
    let binding = bed.there(&format!("{}/p-1", cloud.bindings())).await;
    assert_eq!(binding["subjects"].as_array().unwrap().len(), 1);
    assert_eq!(cloud.remove(bed).await.failure, None);
    assert_eq!(bed.get(&cloud.namespace_path()).await, None);
}

pub(crate) async fn a_terminating_namespace_is_waited_for(bed: &Bed) {
    let mut cloud = Cloud::new();
    cloud.made(bed).await;
    let old = bed.there(&cloud.namespace_path()).await["metadata"]["uid"].clone();
    bed.delete(&cloud.namespace_path()).await;
    cloud.made(bed).await;
    let new = bed.there(&cloud.namespace_path()).await;
    assert_ne!(new["metadata"]["uid"], old);
    assert!(new["metadata"].get("deletionTimestamp").is_none());
    assert!(bed.get(&format!("{}/p-1", cloud.roles())).await.is_some());
    assert_eq!(cloud.remove(bed).await.failure, None);
}

pub(crate) async fn a_role_elsewhere_needs_its_namespace(bed: &Bed) {
    let elsewhere = crate::bed::unique("elsewhere");
    let mut cloud = Cloud::new();
    let scope = PermissionScope::Namespace(Namespace::new(&elsewhere).unwrap());
    cloud.permissions().push(permission("there", scope));
    let report = cloud.apply(bed).await;
    let failure = report.failure.unwrap();
    assert_eq!(failure.reason, Reason::Rejected);
    assert!(failure.detail.contains(&elsewhere), "{}", failure.detail);
    assert_eq!(report.parts[&Part::Namespace], PartState::Created);
    assert!(matches!(report.parts[&Part::Role], PartState::Failed(_)));
    assert_eq!(report.parts[&Part::RoleBinding], PartState::Pending);
    assert_eq!(report.parts[&Part::Quota], PartState::Created, "it needs no role");

    bed.post(
        "/api/v1/namespaces",
        json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": elsewhere } }),
    )
    .await;
    cloud.made(bed).await;
    assert_eq!(cloud.remove(bed).await.failure, None);
    let left = bed.there(&format!("/apis/rbac.authorization.k8s.io/v1/namespaces/{elsewhere}/roles")).await;
    assert_eq!(left["items"], json!([]));
    let namespace = bed.there(&format!("/api/v1/namespaces/{elsewhere}")).await;
    assert!(namespace["metadata"].get("deletionTimestamp").is_none());
    bed.delete(&format!("/api/v1/namespaces/{elsewhere}")).await;
}

/// What is refused keeps nothing else back, what comes last included.
pub(crate) async fn a_quota_that_limits_quotas_is_made_although_another_is_refused(bed: &Bed) {
    let mut cloud = Cloud::new();
    cloud.made(bed).await;
    let theirs = json!({ "apiVersion": "v1", "kind": "ResourceQuota", "metadata": { "name": "theirs" } });
    bed.post(&cloud.quotas(), theirs).await;
    cloud.quota("theirs", &[("pods", "5")]);
    cloud.quota("limits", &[("resourcequotas", "9")]);
    let failure = cloud.apply(bed).await.failure.unwrap();
    assert_eq!(failure.reason, Reason::NotOurs, "{failure}");
    assert_eq!(bed.there(&format!("{}/limits", cloud.quotas())).await["spec"]["hard"]["resourcequotas"], "9");
    assert_eq!(cloud.remove(bed).await.failure, None);
}
