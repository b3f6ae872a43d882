//! Dry runs: everything but the storing.

use serde_json::{Value, json};

use crate::support::{JSON, Lab, MERGE, code, config_map, inside, namespace, quota, text, version};

const APPLY: &str = "application/apply-patch+yaml";

/// The revision of the whole store, which any change moves and any watch would see.
async fn revision(lab: &Lab) -> String {
    version(&lab.admin.get("/api/v1/configmaps").await.unwrap()).to_owned()
}

#[tokio::test]
async fn a_dry_run_of_any_verb_changes_nothing() {
    let lab = Lab::with_namespace().await;
    let map = config_map("a", json!({"x": "1"}));
    lab.admin.post(&inside("configmaps"), &map).await.unwrap();
    let account = json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "robot"}});
    lab.admin.post(&inside("serviceaccounts"), &account).await.unwrap();
    let before = revision(&lab).await;
    let changed = config_map("a", json!({"x": "2"}));
    let path = inside("configmaps/a?dryRun=All");
    let applied = lab.admin.patch(&format!("{path}&fieldManager=m&force=true"), APPLY, &changed).await.unwrap();
    let merged = lab.admin.patch(&path, MERGE, &json!({"data": {"x": "2"}})).await.unwrap();
    let replaced = lab.admin.put(&path, &changed).await.unwrap();
    for tried in [applied, merged, replaced] {
        assert_eq!(tried["data"]["x"], "2");
    }
    let posted = lab.admin.post(&inside("configmaps?dryRun=All"), &config_map("b", json!({}))).await.unwrap();
    assert!(!text(&posted, "/metadata/uid").is_empty());
    assert_eq!(posted["metadata"].get("resourceVersion"), None);
    let dry = json!({"dryRun": ["All"]});
    let deleted = lab.admin.delete(&inside("configmaps/a"), dry.clone()).await.unwrap();
    assert_eq!(deleted["status"], "Success");
    lab.admin.try_send("DELETE", &path, JSON, Vec::new()).await.unwrap_or_else(|error: kube::Error| panic!("{error}"));
    let deleted = lab.admin.delete(&inside("serviceaccounts/robot"), dry.clone()).await.unwrap();
    assert_eq!(deleted["metadata"]["name"], "robot");
    lab.admin.post("/api/v1/namespaces?dryRun=All", &namespace("other")).await.unwrap();
    lab.admin.delete("/api/v1/namespaces/ns", dry).await.unwrap();
    assert_eq!(revision(&lab).await, before);
    assert_eq!(lab.admin.get(&inside("configmaps/a")).await.unwrap()["data"]["x"], "1");
}

#[tokio::test]
async fn a_delete_with_a_body_does_not_heed_the_query() {
    let lab = Lab::with_namespace().await;
    lab.admin.post(&inside("configmaps"), &config_map("a", json!({}))).await.unwrap();
    lab.admin.delete(&inside("configmaps/a?dryRun=All"), json!({})).await.unwrap();
    assert_eq!(code(&lab.admin.get(&inside("configmaps/a")).await), 404);
}

#[tokio::test]
async fn a_dry_run_is_judged_like_the_real_thing() {
    let lab = Lab::with_namespace().await;
    lab.admin.post(&inside("resourcequotas"), &quota("q", json!({"configmaps": "0"}))).await.unwrap();
    let refused = lab.admin.post(&inside("configmaps?dryRun=All"), &config_map("a", json!({}))).await.unwrap_err();
    assert_eq!(refused.code, 403);
    assert!(refused.message.contains("exceeded quota"), "{}", refused.message);
    let wrong = json!({"preconditions": {"uid": "another"}, "dryRun": ["All"]});
    let refused = lab.admin.delete(&inside("resourcequotas/q"), wrong).await.unwrap_err();
    assert_eq!(refused.code, 409);
    assert!(
        refused.message.starts_with("Operation cannot be fulfilled on ResourceQuota \"q\": the UID"),
        "{refused:?}"
    );
    // What does not decode is told before the namespace is missed; what is invalid is not.
    let absent = "/api/v1/namespaces/absent/resourcequotas?dryRun=All&fieldValidation=Strict";
    assert_eq!(code(&lab.admin.post(absent, &quota("q", json!({"pods": "many"}))).await), 400);
    let missed = lab.admin.post(absent, &quota("q", json!({"Pods": "1"}))).await.unwrap_err();
    assert_eq!((missed.code, missed.details.unwrap().kind.as_str()), (404, "namespaces"));
}

#[tokio::test]
async fn other_values_than_all_are_refused() {
    let lab = Lab::with_namespace().await;
    lab.admin.post(&inside("configmaps"), &config_map("a", json!({}))).await.unwrap();
    let map = config_map("a", json!({}));
    for query in ["dryRun=Some", "dryRun=", "dryRun=All&dryRun=Some"] {
        let path = inside(&format!("configmaps/a?{query}"));
        for (method, kind, body, options) in [
            ("POST", JSON, &map, "CreateOptions"),
            ("PUT", JSON, &map, "UpdateOptions"),
            ("PATCH", MERGE, &map, "PatchOptions"),
            ("DELETE", JSON, &json!({}), "DeleteOptions"),
        ] {
            let path = if method == "POST" { inside(&format!("configmaps?{query}")) } else { path.clone() };
            let body = if method == "DELETE" { Vec::new() } else { body.to_string().into_bytes() };
            let Err(kube::Error::Api(refused)) = lab.admin.try_send(method, &path, kind, body).await else {
                panic!("{method} {path} is not refused");
            };
            assert_eq!(refused.code, 422);
            assert!(refused.message.starts_with(&format!("{options}.meta.k8s.io \"\" is invalid: dryRun: ")));
        }
        assert_eq!(code(&lab.admin.get(&path).await), 200, "it means nothing to a read");
    }
    let in_body = lab.admin.delete(&inside("configmaps/a"), json!({"dryRun": ["Some"]})).await.unwrap_err();
    assert!(in_body.message.contains(r#"Unsupported value: ["Some"]: supported values: "All""#), "{in_body:?}");
    let odd = lab.admin.post(&inside("configmaps?fieldValidation=Some"), &map).await.unwrap_err();
    assert_eq!(odd.code, 422);
}

#[tokio::test]
async fn some_kinds_answer_their_deletion_with_the_object() {
    let lab = Lab::with_namespace().await;
    let account = json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "a"}});
    lab.admin.post(&inside("serviceaccounts"), &account).await.unwrap();
    lab.admin.post(&inside("configmaps"), &config_map("a", json!({}))).await.unwrap();
    let kind = |answer: Value| answer["kind"].as_str().unwrap().to_owned();
    assert_eq!(kind(lab.admin.delete(&inside("serviceaccounts/a"), json!({})).await.unwrap()), "ServiceAccount");
    assert_eq!(kind(lab.admin.delete(&inside("configmaps/a"), json!({})).await.unwrap()), "Status");
    assert_eq!(code(&lab.admin.get(&inside("serviceaccounts/a")).await), 404);
}
