use dcm_core::{
    model::{AdoptionPolicy, PermissionScope},
    name::Namespace,
    sync::{Part, PartState, Reason, Synchronizer as _},
    tenancy::marks,
};
use serde_json::{Value, json};

use crate::{
    bed::Bed,
    cloud::{Cloud, permission},
};

pub(crate) async fn a_foreign_namespace_is_refused_and_left_as_it_is(bed: &Bed) {
    let name = bed.foreign_namespace(json!({ "team": "finance" })).await;
    let mut cloud = Cloud::inside(&name);
    let before = bed.there(&cloud.namespace_path()).await;
    let report = cloud.apply(bed).await;
    assert_eq!(report.failure.as_ref().unwrap().reason, Reason::NotOurs);
    assert!(matches!(report.parts[&Part::Namespace], PartState::Failed(_)));
    assert_eq!(report.parts.len(), 1);
    assert_eq!(report.inventory, []);
    let stranger = bed.foreign_config_map(&name, &[]).await;

    assert_eq!(cloud.remove(bed).await.failure, None);
    assert_eq!(bed.there(&cloud.namespace_path()).await, before);
    assert_eq!(bed.there(&cloud.roles()).await["items"], json!([]));
    assert!(bed.get(&stranger).await.is_some());
    bed.delete(&cloud.namespace_path()).await;
}

pub(crate) async fn another_clouds_namespace_is_never_adopted(bed: &Bed) {
    let mut first = Cloud::new();
    first.made(bed).await;
    let before = bed.there(&first.namespace_path()).await;
    for same_installation in [true, false] {
        let mut second = Cloud::inside(&first.namespace);
        second.adoption = AdoptionPolicy::Always;
        if same_installation {
            second.installation = first.installation.clone();
        }
        let report = second.apply(bed).await;
        assert_eq!(report.failure.unwrap().reason, Reason::NotOurs);
        assert_eq!(second.remove(bed).await.failure, None);
        assert_eq!(bed.there(&first.namespace_path()).await, before);
    }
    assert_eq!(first.remove(bed).await.failure, None);
}

pub(crate) async fn a_namespace_that_lost_its_label_says_which_one(bed: &Bed) {
    let mut cloud = Cloud::new();
    cloud.made(bed).await;
    let path = cloud.namespace_path();
    let label = |value: Value| json!({ "metadata": { "labels": { (marks::INSTALLATION): value } } });
    bed.merge(&path, label(Value::Null)).await;
    let failure = cloud.apply(bed).await.failure.unwrap();
    assert_eq!(failure.reason, Reason::NotOurs);
    let said = |text: &str| assert!(failure.detail.contains(text), "{}", failure.detail);
    said(marks::INSTALLATION);
    said(cloud.installation.as_str());
    bed.merge(&path, label(json!(cloud.installation.as_str()))).await;
    cloud.made(bed).await;
    assert_eq!(cloud.remove(bed).await.failure, None);
}

pub(crate) async fn a_namespace_is_adopted_if_identical(bed: &Bed) {
    let name = bed.foreign_namespace(json!({ "team": "other" })).await;
    let mut cloud = Cloud::inside(&name);
    cloud.adoption = AdoptionPolicy::IfIdentical;
    let failure = cloud.apply(bed).await.failure.unwrap();
    assert_eq!(failure.reason, Reason::NotOurs);
    assert!(failure.detail.contains("team"), "{}", failure.detail);
    bed.merge(&cloud.namespace_path(), json!({ "metadata": { "labels": { "team": "finance", "more": "1" } } })).await;
    cloud.made(bed).await;
    let item = cloud.inventory.iter().find(|item| item.id.kind == "Namespace").unwrap();
    assert!(item.adopted);
    assert_eq!(cloud.remove(bed).await.failure, None);
    let labels = &bed.there(&cloud.namespace_path()).await["metadata"]["labels"];
    assert_eq!(labels["team"], "finance");
    bed.delete(&cloud.namespace_path()).await;
}

pub(crate) async fn a_namespace_is_adopted_always_and_let_go_at_the_end(bed: &Bed) {
    let name = bed.foreign_namespace(json!({ "theirs": "1" })).await;
    let stranger = bed.foreign_config_map(&name, &[]).await;
    let mut cloud = Cloud::inside(&name);
    cloud.adoption = AdoptionPolicy::Always;
    cloud.made(bed).await;
    // It stays adopted, whatever is applied later and whatever the store has forgotten.
    cloud.applied.generation += 1;
    cloud.adoption = AdoptionPolicy::Never;
    cloud.inventory.clear();
    cloud.made(bed).await;
    let item = cloud.inventory.iter().find(|item| item.id.kind == "Namespace").unwrap();
    assert!(item.adopted);

    cloud.inventory.clear();
    let report = cloud.remove(bed).await;
    assert_eq!(report.failure, None);
    assert_eq!(report.inventory, []);
    let namespace = bed.there(&cloud.namespace_path()).await;
    assert!(namespace["metadata"].get("deletionTimestamp").is_none());
    assert_eq!(namespace["metadata"]["labels"]["theirs"], "1");
    assert!(!namespace["metadata"]["labels"].to_string().contains("dcm.onap.org"), "{namespace:#}");
    assert!(!namespace["metadata"]["annotations"].to_string().contains("dcm.onap.org"), "{namespace:#}");
    assert_eq!(namespace["metadata"]["labels"].get("team"), None);
    for list in [cloud.roles(), cloud.bindings(), cloud.quotas()] {
        assert_eq!(bed.there(&list).await["items"], json!([]));
    }
    assert!(bed.get(&stranger).await.is_some());
    bed.delete(&cloud.namespace_path()).await;
}

pub(crate) async fn a_foreign_role_of_our_name_is_refused_and_left_as_it_is(bed: &Bed) {
    let mut cloud = Cloud::new();
    let name = cloud.namespace.clone();
    cloud.permissions().remove(0);
    cloud.made(bed).await;
    let role = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": { "name": "p-1" },
        "rules": [{ "apiGroups": [""], "resources": ["pods"], "verbs": ["get"] }],
    });
    bed.post(&cloud.roles(), role).await;
    let path = format!("{}/p-1", cloud.roles());
    let before = bed.there(&path).await;

    let mut wider = Cloud::inside(&name);
    wider.applied.cloud = cloud.applied.cloud.clone();
    wider.installation = cloud.installation.clone();
    wider.inventory.clone_from(&cloud.inventory);
    let report = wider.apply(bed).await;
    let failure = report.failure.unwrap();
    assert_eq!(failure.reason, Reason::NotOurs);
    assert!(failure.detail.contains("p-1"), "{}", failure.detail);
    assert_eq!(report.parts[&Part::Namespace], PartState::Created);
    assert!(matches!(report.parts[&Part::Role], PartState::Failed(_)));
    assert_eq!(bed.there(&path).await, before);
    assert!(!wider.held().contains(&format!("Role {name}/p-1")));
    assert_eq!(wider.remove(bed).await.failure, None);
}

/// A binding that waits for its role must not let him in meanwhile who was to lose it.
pub(crate) async fn a_binding_that_waits_for_its_role_keeps_nobody_in_who_was_cut_off(bed: &Bed) {
    let elsewhere = bed.foreign_namespace(json!({})).await;
    let mut cloud = Cloud::new();
    let there = PermissionScope::Namespace(Namespace::new(&elsewhere).unwrap());
    cloud.permissions().push(permission("there", there));
    cloud.made(bed).await;
    let old = cloud.common_name();
    let of = |kind: &str| {
        let id = cloud.inventory.iter().find(|i| i.id.kind == kind && i.id.namespace.as_ref() == Some(&elsewhere));
        id.unwrap().id.name.clone()
    };
    let rbac = format!("/apis/rbac.authorization.k8s.io/v1/namespaces/{elsewhere}");
    let away = (format!("{rbac}/roles"), of("Role"), format!("{rbac}/rolebindings/{}", of("RoleBinding")));
    let own = (cloud.roles(), "p-1".to_owned(), format!("{}/p-1", cloud.bindings()));
    for (roles, name, _) in [&own, &away] {
        bed.delete(&format!("{roles}/{name}")).await;
        let role = json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": { "name": name },
            "rules": [{ "apiGroups": [""], "resources": ["pods"], "verbs": ["get"] }],
        });
        bed.post(roles, role).await;
    }
    // Those of the user who stays are left as they are.
    let report = cloud.apply(bed).await;
    assert_eq!(report.failure.unwrap().reason, Reason::NotOurs);
    for (.., binding) in [&own, &away] {
        assert_eq!(bed.there(binding).await["subjects"][0]["name"], old.as_str());
    }
    cloud.applied.credential_epoch += 1;
    cloud.applied.generation += 1;
    let report = cloud.apply(bed).await;
    assert_eq!(report.failure.unwrap().reason, Reason::NotOurs);
    assert_eq!(report.parts[&Part::RoleBinding], PartState::Pending);
    for (.., binding) in [&own, &away] {
        assert_eq!(bed.get(binding).await, None);
    }
    assert_eq!(bed.there(&format!("{}/P_2", cloud.bindings())).await["subjects"][0]["name"], cloud.common_name());
    for (roles, name, _) in [&own, &away] {
        bed.delete(&format!("{roles}/{name}")).await;
    }
    cloud.made(bed).await;
    for (.., binding) in [&own, &away] {
        assert_eq!(bed.there(binding).await["subjects"][0]["name"], cloud.common_name());
    }
    assert_eq!(cloud.remove(bed).await.failure, None);
    bed.delete(&format!("/api/v1/namespaces/{elsewhere}")).await;
}

pub(crate) async fn a_lower_generation_changes_nothing(bed: &Bed) {
    let mut cloud = Cloud::new();
    cloud.applied.generation = 7;
    cloud.made(bed).await;
    let before = bed.there(&cloud.namespace_path()).await;
    cloud.applied.generation = 6;
    cloud.quota("quota-1", &[("pods", "1")]);
    cloud.permissions().clear();

    let report = bed.sync.apply(&bed.access(), &cloud.desired()).await;
    let failure = report.failure.unwrap();
    assert_eq!(failure.reason, Reason::StoreOlderThanCluster);
    assert!(failure.detail.contains("store is older than the cluster"), "{}", failure.detail);
    assert_eq!(report.inventory, cloud.inventory);
    let report = bed.sync.remove(&bed.access(), &cloud.removal()).await;
    assert_eq!(report.failure.unwrap().reason, Reason::StoreOlderThanCluster);
    assert_eq!(report.inventory, cloud.inventory);
    assert_eq!(bed.there(&cloud.namespace_path()).await, before);
    assert_eq!(bed.there(&cloud.roles()).await["items"].as_array().unwrap().len(), 2);
    let quota = bed.there(&format!("{}/quota-1", cloud.quotas())).await;
    assert_eq!(quota["spec"]["hard"]["pods"], "5");

    cloud.force = true;
    cloud.made(bed).await;
    let namespace = bed.there(&cloud.namespace_path()).await;
    assert_eq!(namespace["metadata"]["annotations"][marks::GENERATION], "6");
    assert_eq!(bed.there(&cloud.roles()).await["items"], json!([]));
    cloud.force = false;
    assert_eq!(cloud.remove(bed).await.failure, None);
}
