//! The files of `deploy/`, which say what DCM may do on a cluster, for suites that work with no more than that.

use serde_json::{Value, json};

/// `deploy/cluster-role.yaml`.
pub const CLUSTER_ROLE: &str = include_str!("../../deploy/cluster-role.yaml");
/// `deploy/cluster-role-ceiling.yaml`.
pub const CEILING: &str = include_str!("../../deploy/cluster-role-ceiling.yaml");

/// The namespace of DCM's account in the files.
pub const ACCOUNT_NAMESPACE: &str = "kube-system";

/// The label by which an operator takes what he needs of the files.
const COMPONENT: &str = "app.kubernetes.io/component";

/// The objects of a file, in its order, with `name` for `dcm` in their names, so that several may be on one
/// cluster.
///
/// # Panics
/// Where the file is not YAML.
#[must_use]
pub fn objects(file: &str, name: &str) -> Vec<Value> {
    let mut objects: Vec<Value> = file.split("\n---\n").map(document).collect();
    for object in &mut objects {
        rename(&mut object["metadata"]["name"], name);
        if object["roleRef"].is_object() {
            rename(&mut object["roleRef"]["name"], name);
            rename(&mut object["subjects"][0]["name"], name);
        }
    }
    objects
}

/// The component that an object of the files belongs to.
#[must_use]
pub fn component(object: &Value) -> &str {
    object["metadata"]["labels"][COMPONENT].as_str().unwrap_or_default()
}

/// The cluster's part of `admin`, with a token for a user.
#[must_use]
pub fn kubeconfig(admin: &Value, token: &str) -> Value {
    let cluster = &admin["clusters"][0];
    json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "dcm",
        "clusters": [cluster],
        "users": [{ "name": "dcm", "user": { "token": token } }],
        "contexts": [{ "name": "dcm", "context": { "cluster": cluster["name"], "user": "dcm" } }],
    })
}

#[expect(clippy::expect_used, reason = "a file of the repository that is none ends a test")]
fn document(text: &str) -> Value {
    serde_saphyr::from_str(text).expect("the files of deploy/ are YAML")
}

fn rename(field: &mut Value, name: &str) {
    let rest = field.as_str().and_then(|text| text.strip_prefix("dcm")).unwrap_or_default();
    *field = format!("{name}{rest}").into();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_object_is_renamed_and_has_a_component() {
        for file in [CLUSTER_ROLE, CEILING] {
            let objects = objects(file, "other");
            assert!(objects.len() >= 2);
            for object in &objects {
                assert!(!component(object).is_empty(), "{object}");
                assert!(object["metadata"]["name"].as_str().unwrap().starts_with("other"), "{object}");
            }
            for binding in objects.iter().filter(|object| object["kind"] == "ClusterRoleBinding") {
                assert_eq!(binding["roleRef"]["name"], binding["metadata"]["name"]);
                let subject = json!([{ "kind": "ServiceAccount", "namespace": ACCOUNT_NAMESPACE, "name": "other" }]);
                assert_eq!(binding["subjects"], subject);
                let role = |object: &&Value| {
                    object["kind"] == "ClusterRole" && object["metadata"]["name"] == binding["roleRef"]["name"]
                };
                assert_eq!(objects.iter().filter(role).count(), 1, "{binding}");
            }
        }
    }
}
