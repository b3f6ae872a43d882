use dcm_core::{
    credential::KeyAlgorithm,
    model::{PermissionScope, UserType},
    name::Namespace,
    sync::Reason,
    tenancy::{Identity, marks},
};
use serde_json::{Value, json};

use super::sign::signed;
use crate::{
    bed::{Bed, SOON, reads, soon},
    cloud::{Cloud, permission},
};

const RBAC: &str = "rbac.authorization.k8s.io";

/// The identity that the cloud's user has after a revoke.
fn next(cloud: &mut Cloud) -> Identity {
    cloud.applied.credential_epoch += 1;
    let identity = cloud.identity();
    cloud.applied.credential_epoch -= 1;
    identity
}

fn binding(name: &str, role: &str, subject: Value) -> Value {
    json!({
        "apiVersion": format!("{RBAC}/v1"), "kind": "RoleBinding", "metadata": { "name": name },
        "roleRef": { "apiGroup": RBAC, "kind": "Role", "name": role }, "subjects": [subject],
    })
}

fn user(name: &str) -> Value {
    json!({ "apiGroup": RBAC, "kind": "User", "name": name })
}

pub(crate) async fn a_user_is_cut_off_at_once_and_what_others_made_is_told(bed: &Bed) {
    let elsewhere = bed.foreign_namespace(json!({})).await;
    let mut neighbour = Cloud::new();
    neighbour.made(bed).await;
    let mut cloud = Cloud::new();
    let there = PermissionScope::Namespace(Namespace::new(&elsewhere).unwrap());
    cloud.permissions().push(permission("there", there));
    cloud.made(bed).await;
    cloud.permissions().push(permission("wide", PermissionScope::Cluster));
    cloud.made(bed).await;
    let kubeconfig = signed(bed, &cloud, KeyAlgorithm::EcdsaP256).await;
    let places = [cloud.namespace.as_str(), elsewhere.as_str(), "default"];
    let places = places.map(|place| format!("/api/v1/namespaces/{place}/configmaps"));
    for place in &places {
        soon(SOON, async || reads(&kubeconfig, place).await.is_ok()).await;
    }

    // What he, or somebody else, made.
    let friend = json!({ "kind": "ServiceAccount", "namespace": cloud.namespace, "name": "helper" });
    let account = json!({ "apiVersion": "v1", "kind": "ServiceAccount", "metadata": { "name": "helper" } });
    bed.post(&cloud.accounts(), account).await;
    bed.post(&cloud.bindings(), binding("back-door", "p-1", user("alice"))).await;
    let there = format!("/apis/{RBAC}/v1/namespaces/{elsewhere}/rolebindings");
    bed.post(&there, binding("his", "any", friend)).await;
    bed.post(&there, binding("not-his", "any", user("bob"))).await;

    if let Some(cluster) = &bed.simulated {
        cluster.clear_requests();
    }
    let keep = next(&mut cloud);
    let grants = cloud.cut_off(bed, keep.clone()).await.unwrap();
    for place in &places {
        bed.refuses(&kubeconfig, place, &[403]).await;
    }
    if let Some(cluster) = &bed.simulated {
        // The namespace, two lists, two bindings elsewhere, four deletes, three lists for what is left.
        let of_ours = cluster.requests().into_iter().filter(|r| r.user_agent.starts_with("dcm/")).count();
        assert!(of_ours <= 12, "{of_ours}");
    }
    let mut told: Vec<_> = grants.iter().map(|grant| format!("{}: {}", grant.id, grant.detail)).collect();
    told.sort();
    let ns = &cloud.namespace;
    assert_eq!(told.len(), 3, "{told:?}");
    assert_eq!(told[0], format!("RoleBinding {ns}/back-door: binds Role p-1 to User alice"));
    assert_eq!(told[1], format!("RoleBinding {elsewhere}/his: binds Role any to ServiceAccount {ns}/helper"));
    assert!(told[2].starts_with(&format!("ServiceAccount {ns}/helper: ")), "{told:?}");

    assert_eq!(bed.there(&neighbour.bindings()).await["items"].as_array().unwrap().len(), 2);
    assert_eq!(bed.there(&cloud.bindings()).await["items"].as_array().unwrap().len(), 1);
    assert_eq!(bed.there(&cloud.roles()).await["items"].as_array().unwrap().len(), 2);
    // Once more finds nothing to do, and the next apply lets the new identity in.
    assert_eq!(cloud.cut_off(bed, keep).await.unwrap(), grants);
    cloud.applied.credential_epoch += 1;
    cloud.made(bed).await;
    let kubeconfig = signed(bed, &cloud, KeyAlgorithm::EcdsaP256).await;
    for place in &places {
        soon(SOON, async || reads(&kubeconfig, place).await.is_ok()).await;
    }
    assert_eq!(cloud.remove(bed).await.failure, None);
    assert_eq!(neighbour.remove(bed).await.failure, None);
    bed.delete(&format!("/api/v1/namespaces/{elsewhere}")).await;
}

pub(crate) async fn a_token_is_cut_off_with_its_account(bed: &Bed) {
    let mut cloud = Cloud::new();
    cloud.user_is(UserType::Token);
    cloud.made(bed).await;
    let old = format!("{}/{}", cloud.accounts(), cloud.identity().name());
    let kubeconfig = bed.with_token(&cloud.token(bed).await.unwrap().token);
    let place = format!("{}/configmaps", cloud.namespace_path());
    soon(SOON, async || reads(&kubeconfig, &place).await.is_ok()).await;
    // Whatever the inventory says of it: it is found by its marks.
    cloud.inventory.retain(|item| item.id.kind != "ServiceAccount");
    let keep = next(&mut cloud);
    assert_eq!(cloud.cut_off(bed, keep).await.unwrap(), []);
    bed.refuses(&kubeconfig, &place, &[401, 403]).await;
    assert_eq!(bed.get(&old).await, None);
    assert_eq!(cloud.remove(bed).await.failure, None);
}

pub(crate) async fn whom_it_keeps_is_left_alone(bed: &Bed) {
    for user_type in [UserType::Certificate, UserType::Token] {
        let mut cloud = Cloud::new();
        cloud.user_is(user_type);
        cloud.made(bed).await;
        let all = [cloud.bindings(), cloud.accounts()];
        let before = bed.settled(&all).await;
        assert_eq!(cloud.cut_off(bed, cloud.identity()).await.unwrap(), []);
        assert_eq!(bed.versions(&all).await, before);
        // A binding that lets in somebody else as well is not one for him alone.
        let path = format!("{}/p-1", cloud.bindings());
        let mut subjects = bed.there(&path).await["subjects"].clone();
        subjects.as_array_mut().unwrap().push(user("mallory"));
        bed.merge(&path, json!({ "subjects": subjects })).await;
        cloud.cut_off(bed, cloud.identity()).await.unwrap();
        assert_eq!(bed.get(&path).await, None);
        assert!(bed.get(&format!("{}/P_2", cloud.bindings())).await.is_some());
        assert_eq!(cloud.remove(bed).await.failure, None);
    }
}

/// An apply that was dropped half way has made a binding, and its last request may still come in and name the old user.
pub(crate) async fn a_binding_that_names_nobody_yet_goes_too(bed: &Bed) {
    let mut cloud = Cloud::new();
    cloud.made(bed).await;
    let path = format!("{}/p-1", cloud.bindings());
    bed.merge(&path, json!({ "subjects": null })).await;
    assert_eq!(cloud.cut_off(bed, cloud.identity()).await.unwrap(), []);
    assert_eq!(bed.get(&path).await, None);
    assert!(bed.get(&format!("{}/P_2", cloud.bindings())).await.is_some());
    assert_eq!(cloud.remove(bed).await.failure, None);
}

pub(crate) async fn an_old_store_cuts_nobody_off(bed: &Bed) {
    let mut cloud = Cloud::new();
    cloud.made(bed).await;
    let before = bed.settled(&[cloud.bindings()]).await;
    cloud.applied.generation -= 1;
    let keep = next(&mut cloud);
    let failure = cloud.cut_off(bed, keep).await.unwrap_err();
    assert_eq!(failure.reason, Reason::StoreOlderThanCluster, "{failure}");
    assert_eq!(bed.versions(&[cloud.bindings()]).await, before);
    cloud.applied.generation += 1;
    assert_eq!(cloud.remove(bed).await.failure, None);
}

pub(crate) async fn a_namespace_of_others_is_left_alone(bed: &Bed) {
    let mut cloud = Cloud::new();
    // Nothing is there yet.
    let keep = next(&mut cloud);
    assert_eq!(cloud.cut_off(bed, keep.clone()).await.unwrap(), []);
    cloud.permissions().push(permission("wide", PermissionScope::Cluster));
    cloud.made(bed).await;
    let wide = cloud.inventory.iter().find(|item| item.id.kind == "ClusterRoleBinding").unwrap().id.name.clone();
    let wide = format!("/apis/{RBAC}/v1/clusterrolebindings/{wide}");
    bed.delete(&cloud.namespace_path()).await;
    bed.gone(&cloud.namespace_path()).await;
    let theirs = json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": cloud.namespace } });
    bed.post("/api/v1/namespaces", theirs).await;
    let owner = cloud.owner();
    let labels = json!({ (marks::INSTALLATION): owner.store_id, (marks::CLOUD_UID): owner.cloud.as_str() });
    let mut copy = binding("p-1", "x", user("alice"));
    copy["metadata"]["labels"] = labels;
    bed.post(&cloud.bindings(), copy).await;
    assert_eq!(cloud.cut_off(bed, keep).await.unwrap(), []);
    assert!(bed.get(&format!("{}/p-1", cloud.bindings())).await.is_some());
    // What he has elsewhere does not hang on the namespace.
    assert_eq!(bed.get(&wide).await, None);
    assert_eq!(cloud.remove(bed).await.failure, None);
    bed.delete(&cloud.namespace_path()).await;
}

pub(crate) async fn an_apply_at_the_same_time_does_no_harm(bed: &Bed) {
    let mut cloud = Cloud::new();
    for number in 0..4 {
        cloud.permissions().push(permission(&format!("more-{number}"), PermissionScope::Own));
    }
    cloud.made(bed).await;
    for _ in 0..5 {
        let old = cloud.common_name();
        cloud.applied.credential_epoch += 1;
        let (desired, access) = (cloud.desired(), bed.access());
        let apply = dcm_core::sync::Synchronizer::apply(&bed.sync, &access, &desired);
        let (cut, report) = tokio::join!(cloud.cut_off(bed, cloud.identity()), apply);
        assert_eq!(cut.unwrap(), []);
        let live = bed.there(&cloud.bindings()).await;
        assert!(!live.to_string().contains(&old), "{live:#}");
        if let Some(failure) = report.failure {
            assert_eq!(failure.reason, Reason::Conflict, "{failure}");
        }
        cloud.inventory = report.inventory;
        cloud.made(bed).await;
    }
    assert_eq!(cloud.remove(bed).await.failure, None);
}
