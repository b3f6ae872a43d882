//! Resource quotas.

use serde_json::{Value, json};

use crate::support::{Lab, code, config_map, inside, quota, rbac_inside, role, text};

const QUOTAS: &str = "/api/v1/namespaces/ns/resourcequotas";

fn pod(name: &str, resources: Value) -> Value {
    let containers = json!([{"name": "c", "image": "i", "resources": resources}]);
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": {"containers": containers}})
}

#[tokio::test]
async fn what_exceeds_a_quota_is_refused() {
    let lab = Lab::with_namespace().await;
    lab.admin
        .post(QUOTAS, &quota("q", json!({"configmaps": "1", "count/roles.rbac.authorization.k8s.io": "0"})))
        .await
        .unwrap();
    lab.admin.post(&inside("configmaps"), &config_map("a", json!({}))).await.unwrap();
    let refused = lab.admin.post(&inside("configmaps"), &config_map("b", json!({}))).await.unwrap_err();
    assert_eq!((refused.code, refused.reason.as_str()), (403, "Forbidden"));
    let expected = "configmaps \"b\" is forbidden: exceeded quota: q, requested: configmaps=1, used: configmaps=1, limited: configmaps=1";
    assert_eq!(refused.message, expected);
    let rules = json!([{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}]);
    assert_eq!(code(&lab.admin.post(&rbac_inside("roles"), &role("r", rules)).await), 403);
    lab.admin.delete(&inside("configmaps/a"), json!({})).await.unwrap();
    assert_eq!(code(&lab.admin.post(&inside("configmaps"), &config_map("b", json!({}))).await), 200);
}

#[tokio::test]
async fn the_status_of_a_quota_follows_what_is_used() {
    let lab = Lab::with_namespace().await;
    lab.admin.post(QUOTAS, &quota("q", json!({"secrets": "5", "requests.cpu": "2"}))).await.unwrap();
    let requests = json!({"requests": {"cpu": "500m"}});
    lab.admin.post(&inside("pods"), &pod("p", requests)).await.unwrap();
    let quota = lab.admin.get(&format!("{QUOTAS}/q")).await.unwrap();
    assert_eq!(quota["status"]["hard"], json!({"secrets": "5", "requests.cpu": "2"}));
    assert_eq!(quota["status"]["used"], json!({"secrets": "0", "requests.cpu": "500m"}));
    lab.admin.delete(&inside("pods/p"), json!({})).await.unwrap();
    let quota = lab.admin.get(&format!("{QUOTAS}/q")).await.unwrap();
    assert_eq!(text(&quota, "/status/used/requests.cpu"), "0");
}

#[tokio::test]
async fn a_quota_of_quotas_blocks_the_second_one() {
    let lab = Lab::with_namespace().await;
    lab.admin.post(QUOTAS, &quota("one", json!({"resourcequotas": "1"}))).await.unwrap();
    assert_eq!(code(&lab.admin.post(QUOTAS, &quota("two", json!({"pods": "1"}))).await), 403);
}

#[tokio::test]
async fn pods_are_measured_by_what_they_ask_for() {
    let lab = Lab::with_namespace().await;
    lab.admin.post(QUOTAS, &quota("q", json!({"limits.memory": "1Gi"}))).await.unwrap();
    let silent = lab.admin.post(&inside("pods"), &pod("p", json!({}))).await.unwrap_err();
    assert!(silent.message.contains("must specify limits.memory"), "{}", silent.message);
    let much = json!({"limits": {"memory": "2Gi"}});
    assert!(lab.admin.post(&inside("pods"), &pod("p", much)).await.unwrap_err().message.contains("exceeded quota"));
    let right = json!({"limits": {"memory": "1024Mi"}});
    let stored = lab.admin.post(&inside("pods"), &pod("p", right)).await.unwrap();
    assert_eq!(text(&stored, "/status/phase"), "Pending");
}

#[tokio::test]
async fn keys_that_are_none_are_refused_and_values_are_canonical() {
    let lab = Lab::with_namespace().await;
    for key in ["storage", "nodes", "Pods", "limits.gpu"] {
        assert_eq!(code(&lab.admin.post(QUOTAS, &quota("q", json!({key: "1"}))).await), 422, "{key}");
    }
    assert_eq!(code(&lab.admin.post(QUOTAS, &quota("q", json!({"pods": "0.5"}))).await), 422);
    assert_eq!(code(&lab.admin.post(QUOTAS, &quota("q", json!({"pods": "many"}))).await), 400);
    let stored = lab.admin.post(QUOTAS, &quota("q", json!({"cpu": "1000m", "memory": "1024Mi"}))).await.unwrap();
    assert_eq!(stored["spec"]["hard"], json!({"cpu": "1", "memory": "1Gi"}));
}
