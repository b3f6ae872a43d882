//! Authorization.

use serde_json::{Value, json};

use crate::support::{Caller, Lab, RBAC, code, config_map, inside, rbac_inside, role, role_binding, text};

/// Gives alice rights in the namespace `ns`.
async fn grant(lab: &Lab, rules: Value) -> Caller {
    lab.admin.post(&rbac_inside("roles"), &role("granted", rules)).await.unwrap();
    let binding = role_binding("granted", "granted", "alice");
    lab.admin.post(&rbac_inside("rolebindings"), &binding).await.unwrap();
    lab.user("alice").await
}

#[tokio::test]
async fn a_user_without_a_binding_is_refused_in_kubernetes_words() {
    let lab = Lab::with_namespace().await;
    let alice = lab.user("alice").await;
    let refused = alice.get(&inside("pods")).await.unwrap_err();
    let words =
        "pods is forbidden: User \"alice\" cannot list resource \"pods\" in API group \"\" in the namespace \"ns\"";
    assert_eq!((refused.code, refused.message.as_str()), (403, words));
    let refused = alice.get("/api/v1/nodes").await.unwrap_err();
    assert!(refused.message.ends_with("at the cluster scope"), "{}", refused.message);
    assert_eq!(code(&alice.get("/metrics").await), 403);
    for path in ["/version", "/api", "/apis", "/openapi/v3"] {
        assert_eq!(code(&alice.get(path).await), 200, "{path}");
    }
}

#[tokio::test]
async fn a_binding_grants_and_its_deletion_cuts_off_at_once() {
    let lab = Lab::with_namespace().await;
    let rules =
        json!([{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get", "create"], "resourceNames": []}]);
    let alice = grant(&lab, rules).await;
    assert_eq!(code(&alice.post(&inside("configmaps"), &config_map("a", json!({}))).await), 200);
    assert_eq!(code(&alice.get(&inside("configmaps/a")).await), 200);
    assert_eq!(code(&alice.get(&inside("configmaps")).await), 403, "not list");
    assert_eq!(code(&alice.get("/api/v1/namespaces/default/configmaps/a").await), 403, "not elsewhere");
    lab.admin.delete(&rbac_inside("rolebindings/granted"), json!({})).await.unwrap();
    assert_eq!(code(&alice.get(&inside("configmaps/a")).await), 403);
}

#[tokio::test]
async fn to_its_roles_a_namespace_is_inside_itself() {
    let lab = Lab::with_namespace().await;
    let alice = grant(&lab, json!([{"apiGroups": [""], "resources": ["namespaces"], "verbs": ["get"]}])).await;
    assert_eq!(code(&alice.get("/api/v1/namespaces/ns").await), 200);
    assert_eq!(code(&alice.get("/api/v1/namespaces/default").await), 403);
}

#[tokio::test]
async fn an_apply_that_creates_needs_the_right_to_create() {
    let lab = Lab::with_namespace().await;
    let alice = grant(&lab, json!([{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["patch"]}])).await;
    let body = config_map("a", json!({}));
    let refused = alice.apply(&inside("configmaps/a"), "m", &body).await.unwrap_err();
    assert!(refused.message.contains("cannot create resource"), "{}", refused.message);
    lab.admin.post(&inside("configmaps"), &body).await.unwrap();
    assert_eq!(code(&alice.apply(&inside("configmaps/a"), "m", &body).await), 200);
}

#[tokio::test]
async fn nobody_grants_more_than_they_hold() {
    let lab = Lab::with_namespace().await;
    let rules = json!([
        {"apiGroups": [RBAC], "resources": ["roles", "rolebindings"], "verbs": ["create", "patch", "get"]},
        {"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]},
    ]);
    let alice = grant(&lab, rules).await;
    let pods = |verb: &str| json!([{"apiGroups": [""], "resources": ["pods"], "verbs": [verb]}]);
    assert_eq!(code(&alice.post(&rbac_inside("roles"), &role("held", pods("get"))).await), 200);
    let refused = alice.post(&rbac_inside("roles?dryRun=All"), &role("more", pods("delete"))).await.unwrap_err();
    assert_eq!(refused.code, 403);
    assert!(refused.message.contains("attempting to grant RBAC permissions not currently held"));
    lab.admin.post(&rbac_inside("roles"), &role("more", pods("delete"))).await.unwrap();
    assert_eq!(code(&alice.post(&rbac_inside("rolebindings"), &role_binding("b", "more", "bob")).await), 403);
    assert_eq!(code(&alice.post(&rbac_inside("rolebindings"), &role_binding("b", "held", "bob")).await), 200);
    let bind = json!([{"apiGroups": [RBAC], "resources": ["roles"], "verbs": ["bind", "escalate"]}]);
    lab.admin.post(&rbac_inside("roles"), &role("binder", bind)).await.unwrap();
    let binding = role_binding("binder", "binder", "alice");
    lab.admin.post(&rbac_inside("rolebindings"), &binding).await.unwrap();
    assert_eq!(code(&alice.post(&rbac_inside("rolebindings"), &role_binding("b2", "more", "bob")).await), 200);
    assert_eq!(code(&alice.post(&rbac_inside("roles"), &role("most", pods("*"))).await), 200);
}

#[tokio::test]
async fn roles_and_bindings_are_validated() {
    let lab = Lab::with_namespace().await;
    for rule in [
        json!({"apiGroups": [""], "resources": ["pods"], "verbs": []}),
        json!({"resources": ["pods"], "verbs": ["get"]}),
        json!({"apiGroups": [""], "verbs": ["get"]}),
        json!({"nonResourceURLs": ["/x"], "verbs": ["get"]}),
    ] {
        let refused = lab.admin.post(&rbac_inside("roles"), &role("r", json!([rule]))).await.unwrap_err();
        assert_eq!((refused.code, refused.reason.as_str()), (422, "Invalid"), "{rule}");
    }
    let unknown = json!([{"apiGroups": ["none"], "resources": ["nothings"], "verbs": ["fly"]}]);
    assert_eq!(code(&lab.admin.post(&rbac_inside("roles"), &role("a:B", unknown)).await), 200);
    lab.admin.post(&rbac_inside("rolebindings"), &role_binding("b", "one", "u")).await.unwrap();
    let other = role_binding("b", "other", "u");
    let refused = lab.admin.apply(&rbac_inside("rolebindings/b?force=true"), "m", &other).await.unwrap_err();
    assert_eq!(refused.code, 422);
    assert!(refused.message.contains("cannot change roleRef"));
    let defaulted = json!({
        "metadata": {"name": "d"},
        "roleRef": {"kind": "Role", "name": "r"},
        "subjects": [{"kind": "User", "name": "u"}],
    });
    let stored = lab.admin.post(&rbac_inside("rolebindings"), &defaulted).await.unwrap();
    assert_eq!((text(&stored, "/roleRef/apiGroup"), text(&stored, "/subjects/0/apiGroup")), (RBAC, RBAC));
}

#[tokio::test]
async fn reviews_agree_with_what_is_enforced() {
    let lab = Lab::with_namespace().await;
    let alice = grant(&lab, json!([{"apiGroups": [""], "resources": ["pods/log"], "verbs": ["get"]}])).await;
    let ask = |subresource: &str| {
        json!({"spec": {"resourceAttributes":
            {"verb": "get", "resource": "pods", "subresource": subresource, "namespace": "ns"}}})
    };
    let path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";
    assert_eq!(alice.post(path, &ask("log")).await.unwrap()["status"]["allowed"], true);
    assert_eq!(alice.post(path, &ask("")).await.unwrap()["status"]["allowed"], false);
    assert_eq!(code(&alice.post(path, &json!({"spec": {}})).await), 422);
    let path = "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews";
    let rules = alice.post(path, &json!({"spec": {"namespace": "ns"}})).await.unwrap();
    let mut rules = rules["status"]["resourceRules"].as_array().unwrap().iter();
    assert!(rules.any(|rule| rule["resources"] == json!(["pods/log"])));
    let path = "/apis/authorization.k8s.io/v1/subjectaccessreviews";
    let mut other = ask("log");
    other["spec"]["user"] = "alice".into();
    assert_eq!(lab.admin.post(path, &other).await.unwrap()["status"]["allowed"], true);
    assert_eq!(code(&alice.post(path, &other).await), 403);
}
