use std::time::Duration;

use dcm_core::{
    model::{AdoptionPolicy, PermissionScope, UserType},
    name::Namespace,
    sync::{ChangeKind, Comparison, Difference, Reason},
};
use dcm_test_utils::rights::{CEILING, CLUSTER_ROLE};
use serde_json::{Value, json};

use crate::{
    account::{is_of, with_account},
    bed::{Bed, soon, unique},
    cloud::{Cloud, permission},
};

const RBAC: &str = "rbac.authorization.k8s.io/v1";

/// Compares, which must change nothing of the cloud's on the cluster and send nothing that could.
async fn compared(bed: &Bed, cloud: &Cloud) -> Comparison {
    let is_there = bed.get(&cloud.namespace_path()).await.is_some();
    let all = [cloud.namespace_path(), cloud.roles(), cloud.bindings(), cloud.quotas(), cloud.accounts()];
    let inside: Vec<String> = all.into_iter().filter(|_| is_there).collect();
    // Others work on a real cluster at the same time: what is cluster-wide is looked at by its name.
    let ours = async || {
        let wide = cloud.inventory.iter().filter(|item| item.id.namespace.is_none() && item.id.kind != "Namespace");
        let mut all = Vec::new();
        for item in wide {
            let kind = item.id.kind.to_lowercase();
            all.push(bed.get(&format!("/apis/{RBAC}/{kind}s/{}", item.id.name)).await);
        }
        all
    };
    let (before, wide) = (bed.settled(&inside).await, ours().await);
    if let Some(cluster) = &bed.simulated {
        cluster.clear_requests();
    }
    let comparison = cloud.compared(bed).await;
    if let Some(cluster) = &bed.simulated {
        for request in cluster.requests() {
            assert!(request.method == "GET" || request.path.contains("dryRun=All"), "{request:?}");
            assert!(!request.path.contains("/token") && !request.path.contains("signing"), "{request:?}");
        }
    }
    assert_eq!(bed.versions(&inside).await, before);
    assert_eq!(ours().await, wide);
    assert_eq!(bed.get(&cloud.namespace_path()).await.is_some(), is_there);
    comparison
}

/// Compares, then applies: both must tell the same.
async fn foretold(bed: &Bed, cloud: &mut Cloud) -> Vec<Difference> {
    let comparison = compared(bed, cloud).await;
    assert_eq!(comparison.failure, None);
    let report = cloud.made_when_there_is_room(bed).await;
    let mut told: Vec<_> = comparison.differences.iter().map(|difference| &difference.change).collect();
    let mut done: Vec<_> = report.changes.iter().collect();
    told.sort_by(|a, b| a.id.cmp(&b.id));
    done.sort_by(|a, b| a.id.cmp(&b.id));
    assert_eq!(told, done);
    for difference in &comparison.differences {
        assert_eq!(difference.refusal, None, "{difference:?}");
        let has_fields = matches!(difference.change.change, ChangeKind::Update | ChangeKind::Replace);
        assert_eq!(!difference.fields.is_empty(), has_fields, "{difference:?}");
    }
    assert_eq!(compared(bed, cloud).await.differences, []);
    comparison.differences
}

fn find<'a>(differences: &'a [Difference], kind: &str, name: &str) -> &'a Difference {
    let found = differences.iter().find(|d| d.change.id.kind == kind && d.change.id.name == name);
    found.unwrap_or_else(|| panic!("no {kind} {name}: {differences:#?}"))
}

async fn in_a_namespace(bed: &Bed) -> (Cloud, String) {
    let elsewhere = bed.foreign_namespace(json!({})).await;
    let mut cloud = Cloud::new();
    let there = PermissionScope::Namespace(Namespace::new(&elsewhere).unwrap());
    cloud.permissions().push(permission("there", there));
    cloud.permissions().push(permission("wide", PermissionScope::Cluster));
    (cloud, elsewhere)
}

pub(crate) async fn a_comparison_foretells_an_apply_and_changes_nothing(bed: &Bed) {
    let (mut cloud, elsewhere) = in_a_namespace(bed).await;
    let differences = foretold(bed, &mut cloud).await;
    assert_eq!(differences[0].change.id.kind, "Namespace");
    for difference in &differences {
        let inside = difference.change.id.namespace.as_deref() == Some(&cloud.namespace);
        assert_eq!(difference.change.change, ChangeKind::Create);
        assert_eq!(difference.checked, !inside, "{difference:?}");
    }
    // Somebody edits, deletes and adds; and the cloud changes as well.
    bed.merge(&format!("{}/p-1", cloud.roles()), json!({ "rules": [] })).await;
    bed.delete(&format!("{}/P_2", cloud.bindings())).await;
    bed.merge(&format!("{}/quota-1", cloud.quotas()), json!({ "spec": { "hard": { "services": "0" } } })).await;
    bed.bind_to_another_role(&cloud.bindings(), "p-1").await;
    cloud.permissions().retain(|permission| permission.name.as_str() != "wide");
    cloud.permissions().push(permission("new", PermissionScope::Own));
    cloud.applied.spec.labels = [("area".to_owned(), "north".to_owned())].into();
    cloud.applied.generation += 1;
    cloud.user_is(UserType::Token);
    let differences = foretold(bed, &mut cloud).await;
    assert_eq!(find(&differences, "RoleBinding", "p-1").change.change, ChangeKind::Replace);
    assert_eq!(find(&differences, "RoleBinding", "new").change.change, ChangeKind::Create);
    assert_eq!(find(&differences, "ServiceAccount", cloud.identity().name()).change.change, ChangeKind::Create);
    let gone = differences.iter().filter(|difference| difference.change.change == ChangeKind::Delete);
    assert_eq!(gone.count(), 2);
    assert!(differences.iter().all(|difference| difference.checked), "{differences:#?}");
    assert_eq!(cloud.remove(bed).await.failure, None);
    bed.delete(&format!("/api/v1/namespaces/{elsewhere}")).await;
}

pub(crate) async fn differences_are_told_by_field(bed: &Bed) {
    let mut cloud = Cloud::new();
    cloud.made(bed).await;
    let hard = json!({ "pods": "50", "services": "0" });
    bed.merge(&format!("{}/quota-1", cloud.quotas()), json!({ "spec": { "hard": hard } })).await;
    bed.merge(&cloud.namespace_path(), json!({ "metadata": { "labels": { "team": "x", "a/b": "theirs" } } })).await;
    cloud.permissions()[0].verbs = vec!["watch".to_owned()];
    let comparison = compared(bed, &cloud).await;
    let fields = |kind: &str, name: &str| {
        let all = &find(&comparison.differences, kind, name).fields;
        let mut all: Vec<_> = all.iter().map(|f| (f.pointer.clone(), f.live.clone(), f.wanted.clone())).collect();
        all.sort_by(|a, b| a.0.cmp(&b.0));
        all
    };
    let field = |pointer: &str, live: Value, wanted: Value| {
        let some = |value: Value| (!value.is_null()).then_some(value);
        (pointer.to_owned(), some(live), some(wanted))
    };
    assert_eq!(
        fields("ResourceQuota", "quota-1"),
        [field("/spec/hard/pods", json!("50"), json!("5")), field("/spec/hard/services", json!("0"), Value::Null),]
    );
    assert_eq!(fields("Namespace", &cloud.namespace), [field("/metadata/labels/team", json!("x"), json!("finance"))]);
    assert_eq!(fields("Role", "p-1"), [field("/rules/0/verbs", json!(["get", "list"]), json!(["watch"]))]);
    assert_eq!(comparison.differences.len(), 3);
    // The same value in another spelling is no difference.
    cloud.made(bed).await;
    bed.merge(&format!("{}/quota-1", cloud.quotas()), json!({ "spec": { "hard": { "limits.cpu": "4000m" } } })).await;
    assert_eq!(compared(bed, &cloud).await.differences, []);
    assert_eq!(cloud.remove(bed).await.failure, None);
}

pub(crate) async fn a_namespace_of_others_is_told_as_an_apply_would(bed: &Bed) {
    let name = bed.foreign_namespace(json!({ "team": "theirs" })).await;
    let mut cloud = Cloud::inside(&name);
    for policy in [AdoptionPolicy::Never, AdoptionPolicy::IfIdentical] {
        cloud.adoption = policy;
        let comparison = compared(bed, &cloud).await;
        assert_eq!(comparison.differences, []);
        assert_eq!(comparison.failure.as_ref().unwrap().reason, Reason::NotOurs);
        assert_eq!(comparison.failure, cloud.apply(bed).await.failure);
    }
    cloud.adoption = AdoptionPolicy::Always;
    let differences = foretold(bed, &mut cloud).await;
    let taken = find(&differences, "Namespace", &name);
    assert_eq!(taken.change.change, ChangeKind::Update);
    let team = taken.fields.iter().find(|field| field.pointer == "/metadata/labels/team").unwrap();
    assert_eq!((&team.live, &team.wanted), (&Some(json!("theirs")), &Some(json!("finance"))));
    assert_eq!(cloud.remove(bed).await.failure, None);
    bed.delete(&cloud.namespace_path()).await;
}

pub(crate) async fn a_lower_generation_is_told(bed: &Bed) {
    let mut cloud = Cloud::new();
    cloud.made(bed).await;
    cloud.applied.generation -= 1;
    let comparison = compared(bed, &cloud).await;
    assert_eq!(comparison.failure.unwrap().reason, Reason::StoreOlderThanCluster);
    cloud.force = true;
    let comparison = compared(bed, &cloud).await;
    assert_eq!(comparison.failure, None);
    assert_eq!(comparison.differences.len(), 1);
    assert_eq!(cloud.remove(bed).await.failure, None);
}

pub(crate) async fn a_refused_object_does_not_hide_the_others(bed: &Bed) {
    let (mut cloud, elsewhere) = in_a_namespace(bed).await;
    cloud.permissions().retain(|permission| permission.name.as_str() != "there");
    cloud.made(bed).await;
    // A role of others has the name of one of ours, a quota of others is full, a namespace is not there.
    bed.post(
        &cloud.roles(),
        json!({ "apiVersion": RBAC, "kind": "Role", "metadata": { "name": "taken" }, "rules": [] }),
    )
    .await;
    let full = json!({ "count/resourcequotas": "1" });
    let limit = json!({
        "apiVersion": "v1", "kind": "ResourceQuota", "metadata": { "name": "theirs" }, "spec": { "hard": full },
    });
    bed.post(&cloud.quotas(), limit).await;
    let status = format!("{}/theirs", cloud.quotas());
    soon(Duration::from_secs(60), async || bed.there(&status).await["status"]["used"]["count/resourcequotas"] == "2")
        .await;
    let nowhere = PermissionScope::Namespace(Namespace::new(&unique("nowhere")).unwrap());
    cloud.permissions().push(permission("nowhere", nowhere));
    cloud.permissions().push(permission("taken", PermissionScope::Own));
    cloud.permissions().push(permission("fine", PermissionScope::Own));
    cloud.quota("quota-2", &[("pods", "1")]);
    let comparison = compared(bed, &cloud).await;
    assert_eq!(comparison.failure, None);
    let refused = |kind: &str, name: &str| {
        let difference = find(&comparison.differences, kind, name);
        difference.refusal.as_ref().map(|refusal| refusal.reason)
    };
    assert_eq!(refused("Role", "taken"), Some(Reason::NotOurs));
    assert_eq!(refused("ResourceQuota", "quota-2"), Some(Reason::QuotaExceeded));
    assert_eq!(refused("Role", "fine"), None);
    assert_eq!(refused("RoleBinding", "fine"), None);
    let nowhere = comparison.differences.iter().filter(|difference| difference.change.id.name.contains("nowhere"));
    let nowhere: Vec<_> = nowhere.map(|difference| difference.refusal.as_ref().unwrap()).collect();
    assert_eq!(nowhere.len(), 2);
    assert!(nowhere.iter().all(|refusal| refusal.reason == Reason::Rejected), "{nowhere:?}");
    assert!(nowhere[0].detail.contains("its namespace does not exist"), "{}", nowhere[0]);
    assert_eq!(cloud.remove(bed).await.failure, None);
    bed.delete(&format!("/api/v1/namespaces/{elsewhere}")).await;
}

pub(crate) async fn a_quota_that_is_to_be_raised_refuses_nothing(bed: &Bed) {
    let roles = "count/roles.rbac.authorization.k8s.io";
    let mut cloud = Cloud::new();
    cloud.quota("quota-1", &[(roles, "2")]);
    cloud.made(bed).await;
    let status = format!("{}/quota-1", cloud.quotas());
    soon(Duration::from_secs(60), async || bed.there(&status).await["status"]["used"][roles] == "2").await;
    cloud.permissions().push(permission("third", PermissionScope::Own));
    let comparison = compared(bed, &cloud).await;
    let refusal = find(&comparison.differences, "Role", "third").refusal.as_ref().unwrap();
    assert_eq!(refusal.reason, Reason::QuotaExceeded, "{refusal}");
    cloud.quota("quota-1", &[(roles, "3")]);
    let differences = foretold(bed, &mut cloud).await;
    assert!(!find(&differences, "Role", "third").checked);
    assert_eq!(cloud.remove(bed).await.failure, None);
}

pub(crate) async fn a_terminating_namespace_counts_as_gone(bed: &Bed) {
    let mut cloud = Cloud::new();
    cloud.made(bed).await;
    let held = bed.foreign_config_map(&cloud.namespace, &["example.com/held"]).await;
    bed.delete(&cloud.namespace_path()).await;
    let comparison = cloud.compared(bed).await;
    assert_eq!(comparison.failure, None);
    assert!(comparison.remarks.iter().any(|remark| remark.contains("terminating")), "{:?}", comparison.remarks);
    assert_eq!(comparison.differences.len(), cloud.desired().objects.len());
    for difference in &comparison.differences {
        assert_eq!((difference.change.change, difference.checked), (ChangeKind::Create, false), "{difference:?}");
        assert_eq!(difference.refusal, None);
    }
    bed.merge(&held, json!({ "metadata": { "finalizers": null } })).await;
    assert_eq!(cloud.remove(bed).await.failure, None);
}

pub(crate) async fn what_needs_more_rights_is_told(bed: &Bed) {
    with_account(bed, async |account, limited| {
        account.grant(bed, CLUSTER_ROLE, is_of(&["core"])).await;
        account.grant(bed, CEILING, |_| true).await;
        let mut cloud = Cloud::new();
        let comparison = compared(limited, &cloud).await;
        assert!(comparison.differences.iter().all(|difference| difference.refusal.is_none()), "{comparison:#?}");
        cloud.made(limited).await;
        cloud.permissions().push(permission("more", PermissionScope::Own));
        cloud.permissions().push(permission("beyond", PermissionScope::Own));
        cloud.permissions().last_mut().unwrap().resources = vec!["secrets".to_owned()];
        let comparison = compared(limited, &cloud).await;
        let told = |kind: &str, name: &str| {
            let difference = find(&comparison.differences, kind, name);
            (difference.checked, difference.refusal.as_ref().map(|refusal| refusal.reason))
        };
        assert_eq!(comparison.differences.len(), 4);
        assert_eq!(told("Role", "more"), (true, None));
        assert_eq!(told("Role", "beyond"), (true, Some(Reason::BeyondCeiling)));
        // Whether it may be bound, the cluster can say when the role is there.
        assert_eq!(told("RoleBinding", "more"), (false, None));
        assert_eq!(cloud.remove(limited).await.failure, None);
    })
    .await;
}

pub(crate) async fn no_token_is_asked_for(bed: &Bed) {
    let mut cloud = Cloud::new();
    cloud.user_is(UserType::Token);
    let differences = foretold(bed, &mut cloud).await;
    assert!(!find(&differences, "ServiceAccount", cloud.identity().name()).checked);
    assert_eq!(cloud.remove(bed).await.failure, None);
}
