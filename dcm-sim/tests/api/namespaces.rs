//! Namespaces: what they begin with, and how they end.

use std::time::Duration;

use dcm_sim::ClusterOptions;
use serde_json::{Value, json};

use crate::support::{Lab, MERGE, code, config_map, inside, namespace, role, text, uid};

const NS: &str = "/api/v1/namespaces/ns";

#[tokio::test]
async fn every_cluster_begins_with_four_namespaces() {
    let lab = Lab::with(ClusterOptions::named("c").identity("11111111-2222-4333-8444-555555555555")).await;
    let list = lab.admin.get("/api/v1/namespaces").await.unwrap();
    let names: Vec<&str> = list["items"].as_array().unwrap().iter().map(|it| text(it, "/metadata/name")).collect();
    assert_eq!(names, ["default", "kube-node-lease", "kube-public", "kube-system"]);
    let system = lab.admin.get("/api/v1/namespaces/kube-system").await.unwrap();
    assert_eq!(uid(&system), "11111111-2222-4333-8444-555555555555");
    assert_eq!(lab.cluster.identity(), uid(&system));
}

#[tokio::test]
async fn a_new_namespace_holds_a_default_service_account() {
    let lab = Lab::with_namespace().await;
    let namespace = lab.admin.get(NS).await.unwrap();
    assert_eq!(text(&namespace, "/status/phase"), "Active");
    assert_eq!(namespace["spec"]["finalizers"], json!(["kubernetes"]));
    assert_eq!(namespace["metadata"]["labels"]["kubernetes.io/metadata.name"], "ns");
    assert_eq!(code(&lab.admin.get(&inside("serviceaccounts/default")).await), 200);
}

#[tokio::test]
async fn a_deleted_namespace_takes_its_contents_along() {
    let lab = Lab::with_namespace().await;
    lab.admin.post(&inside("configmaps"), &config_map("a", json!({}))).await.unwrap();
    let terminating = lab.admin.delete(NS, json!({})).await.unwrap();
    assert_eq!(text(&terminating, "/status/phase"), "Terminating");
    lab.admin.until(NS, |answer| code(answer) == 404).await.unwrap_err();
    assert!(lab.cluster.objects().list("configmaps", Some("ns")).is_empty());
    assert!(lab.cluster.objects().list("serviceaccounts", Some("ns")).is_empty());
    let again = lab.admin.post("/api/v1/namespaces", &namespace("ns")).await.unwrap();
    assert_ne!(uid(&again), uid(&terminating));
}

#[tokio::test]
async fn nothing_new_comes_into_a_terminating_namespace() {
    let options = ClusterOptions::named("slow").namespace_termination(Duration::from_secs(60));
    let lab = Lab::with(options).await;
    lab.admin.post("/api/v1/namespaces", &namespace("ns")).await.unwrap();
    lab.admin.delete(NS, json!({})).await.unwrap();
    let refused = lab.admin.post(&inside("configmaps"), &config_map("a", json!({}))).await.unwrap_err();
    assert_eq!((refused.code, refused.reason.as_str()), (403, "Forbidden"));
    assert_eq!(refused.details.unwrap().causes[0].reason, "NamespaceTerminating");
    let applied = lab.admin.apply(&inside("configmaps/a"), "m", &config_map("a", json!({}))).await;
    assert_eq!(code(&applied), 403);
    let refused = lab.admin.post("/api/v1/namespaces", &namespace("ns")).await.unwrap_err();
    assert_eq!(refused.reason, "AlreadyExists");
    assert_eq!(code(&lab.admin.delete(NS, json!({})).await), 200, "a second deletion does no harm");
}

#[tokio::test]
async fn what_holds_a_namespace_stands_in_its_conditions() {
    let lab = Lab::with_namespace().await;
    let mut held = config_map("a", json!({}));
    held["metadata"]["finalizers"] = json!(["example.com/hold"]);
    lab.admin.post(&inside("configmaps"), &held).await.unwrap();
    lab.admin.delete(NS, json!({})).await.unwrap();
    let condition = |namespace: &Value, kind: &str| {
        let conditions = namespace["status"]["conditions"].as_array().cloned().unwrap_or_default();
        conditions.into_iter().find(|condition| condition["type"] == kind)
    };
    let waits = |answer: &Result<Value, _>| {
        answer.as_ref().is_ok_and(|it| condition(it, "NamespaceContentRemaining").is_some())
    };
    let stuck = lab.admin.until(NS, waits).await.unwrap();
    let remaining = condition(&stuck, "NamespaceContentRemaining").unwrap();
    assert_eq!(text(&remaining, "/message"), "Some resources are remaining: configmaps. has 1 resource instances");
    let finalizers = condition(&stuck, "NamespaceFinalizersRemaining").unwrap();
    assert!(text(&finalizers, "/message").contains("example.com/hold in 1 resource instances"));

    let release = json!({"metadata": {"finalizers": []}});
    lab.admin.patch(&inside("configmaps/a"), MERGE, &release).await.unwrap();
    lab.admin.until(NS, |answer| code(answer) == 404).await.unwrap_err();
}

#[tokio::test]
async fn finalizers_of_the_namespace_itself_hold_it_too() {
    let lab = Lab::with_namespace().await;
    let hold = json!({"metadata": {"finalizers": ["example.com/hold"]}});
    lab.admin.patch(NS, MERGE, &hold).await.unwrap();
    lab.admin.delete(NS, json!({})).await.unwrap();
    let emptied = |answer: &Result<Value, _>| answer.as_ref().is_ok_and(|it| it["spec"]["finalizers"] == json!([]));
    lab.admin.until(NS, emptied).await.unwrap();
    lab.admin.patch(NS, MERGE, &json!({"metadata": {"finalizers": null}})).await.unwrap();
    lab.admin.until(NS, |answer| code(answer) == 404).await.unwrap_err();
}

#[tokio::test]
async fn an_absent_namespace_is_named_in_the_refusal() {
    let lab = Lab::start().await;
    let path = "/apis/rbac.authorization.k8s.io/v1/namespaces/absent/roles";
    let rules = json!([{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}]);
    let refused = lab.admin.post(path, &role("r", rules)).await.unwrap_err();
    let details = refused.details.unwrap();
    assert_eq!((refused.code, details.kind.as_str(), details.name.as_str()), (404, "namespaces", "absent"));
}
