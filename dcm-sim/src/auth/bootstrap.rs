//! What every cluster holds from the start: namespaces, and the roles that a real server ships with.

use serde_json::{Value, json};
use uuid::Uuid;

use crate::admission::namespace;
use crate::clock;
use crate::json;
use crate::kinds::{CLUSTERROLEBINDINGS, CLUSTERROLES, KindId, NAMESPACES};
use crate::state::State;

const RBAC: &str = "rbac.authorization.k8s.io";
const READ: [&str; 3] = ["get", "list", "watch"];
const WRITE: [&str; 8] = ["get", "list", "watch", "create", "update", "patch", "delete", "deletecollection"];
const CORE: [&str; 7] =
    ["configmaps", "events", "persistentvolumeclaims", "pods", "replicationcontrollers", "serviceaccounts", "services"];

/// Fills an empty cluster, whose identity is the uid of `kube-system`.
pub(crate) fn fill(state: &mut State, identity: Option<&str>) {
    for name in ["default", "kube-node-lease", "kube-public", "kube-system"] {
        let uid = match identity {
            Some(identity) if name == "kube-system" => identity.to_owned(),
            _ => Uuid::new_v4().to_string(),
        };
        let mut object = json!({
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": {"name": name, "uid": uid, "creationTimestamp": clock::stamp()},
        });
        namespace::defaults(&mut object);
        state.put(NAMESPACES, object);
        namespace::add_default_account(state, name);
    }

    let everything = json!([
        {"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]},
        {"nonResourceURLs": ["*"], "verbs": ["*"]},
    ]);
    role(state, "cluster-admin", everything);
    bind(state, "cluster-admin", &["system:masters"]);

    let reviews = json!([
        {"apiGroups": ["authorization.k8s.io"], "resources": ["selfsubjectaccessreviews", "selfsubjectrulesreviews"], "verbs": ["create"]},
        {"apiGroups": ["authentication.k8s.io"], "resources": ["selfsubjectreviews"], "verbs": ["create"]},
    ]);
    role(state, "system:basic-user", reviews);
    bind(state, "system:basic-user", &["system:authenticated"]);

    let public = ["/healthz", "/livez", "/readyz", "/version", "/version/"];
    let discovery = json!([
        {"nonResourceURLs": public, "verbs": ["get"]},
        {"nonResourceURLs": ["/api", "/api/*", "/apis", "/apis/*", "/openapi", "/openapi/*"], "verbs": ["get"]},
    ]);
    role(state, "system:discovery", discovery);
    bind(state, "system:discovery", &["system:authenticated"]);

    role(state, "system:public-info-viewer", json!([{"nonResourceURLs": public, "verbs": ["get"]}]));
    let everyone = ["system:authenticated", "system:unauthenticated"];
    bind(state, "system:public-info-viewer", &everyone);

    role(state, "view", tenant_rules(&READ, false, false));
    role(state, "edit", tenant_rules(&WRITE, true, false));
    role(state, "admin", tenant_rules(&WRITE, true, true));
}

/// The rules of the roles that are meant for a namespace's users.
fn tenant_rules(verbs: &[&str], secrets: bool, rbac: bool) -> Value {
    let mut rules = vec![
        json!({"apiGroups": [""], "resources": CORE, "verbs": verbs}),
        json!({"apiGroups": ["apps"], "resources": ["deployments", "replicasets", "statefulsets"], "verbs": verbs}),
        json!({"apiGroups": ["batch"], "resources": ["cronjobs", "jobs"], "verbs": verbs}),
        json!({"apiGroups": [""], "resources": ["limitranges", "namespaces", "pods/log", "resourcequotas"], "verbs": READ}),
    ];
    if secrets {
        rules.push(json!({"apiGroups": [""], "resources": ["secrets"], "verbs": verbs}));
    }
    if rbac {
        rules.push(json!({"apiGroups": [RBAC], "resources": ["rolebindings", "roles"], "verbs": verbs}));
    }
    Value::Array(rules)
}

fn role(state: &mut State, name: &str, rules: Value) {
    put(state, CLUSTERROLES, name, json!({"rules": rules}));
}

fn bind(state: &mut State, role: &str, groups: &[&str]) {
    let subjects: Vec<Value> =
        groups.iter().map(|group| json!({"apiGroup": RBAC, "kind": "Group", "name": group})).collect();
    let reference = json!({"apiGroup": RBAC, "kind": "ClusterRole", "name": role});
    put(state, CLUSTERROLEBINDINGS, role, json!({"roleRef": reference, "subjects": subjects}));
}

fn put(state: &mut State, kind: KindId, name: &str, mut object: Value) {
    json::set(&mut object, &["apiVersion"], kind.api_version);
    json::set(&mut object, &["kind"], kind.kind);
    json::set(
        &mut object,
        &["metadata"],
        json!({
            "name": name,
            "uid": Uuid::new_v4().to_string(),
            "creationTimestamp": clock::stamp(),
            "labels": {"kubernetes.io/bootstrapping": "rbac-defaults"},
        }),
    );
    state.put(kind, object);
}
