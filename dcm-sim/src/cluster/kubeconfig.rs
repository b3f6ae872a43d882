//! Kubeconfigs that work as they are.

use data_encoding::BASE64;
use serde_json::{Value, json};

use super::Cluster;

pub(super) fn with_certificate(cluster: &Cluster, user: &str, certificate: &str, key: &str) -> Value {
    let credential = json!({
        "client-certificate-data": BASE64.encode(certificate.as_bytes()),
        "client-key-data": BASE64.encode(key.as_bytes()),
    });
    document(cluster, user, &credential)
}

pub(super) fn with_token(cluster: &Cluster, token: &str) -> Value {
    document(cluster, "token", &json!({"token": token}))
}

fn document(cluster: &Cluster, user: &str, credential: &Value) -> Value {
    let name = cluster.name();
    let context = format!("{user}@{name}");
    json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{
            "name": name,
            "cluster": {
                "server": cluster.server(),
                "certificate-authority-data": BASE64.encode(cluster.ca_pem().as_bytes()),
            },
        }],
        "users": [{"name": user, "user": credential}],
        "contexts": [{"name": context, "context": {"cluster": name, "user": user}}],
        "current-context": context,
    })
}
