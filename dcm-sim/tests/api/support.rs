//! A caller that sends JSON through kube's client and keeps refusals apart from failures.

use dcm_sim::{Cluster, ClusterOptions};
use http::Request;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::core::Status;
use kube::{Client, Config};
use serde_json::{Value, json};

pub(crate) const JSON: &str = "application/json";
pub(crate) const MERGE: &str = "application/merge-patch+json";
pub(crate) const RBAC: &str = "rbac.authorization.k8s.io";

/// A running cluster and its administrator.
pub(crate) struct Lab {
    pub(crate) cluster: Cluster,
    pub(crate) admin: Caller,
}

impl Lab {
    pub(crate) async fn start() -> Self {
        Self::with(ClusterOptions::named("lab")).await
    }

    pub(crate) async fn with(options: ClusterOptions) -> Self {
        let cluster = Cluster::start(options).await.unwrap();
        let admin = Caller::new(cluster.admin_kubeconfig()).await;
        Self { cluster, admin }
    }

    /// A cluster with the namespace `ns`.
    pub(crate) async fn with_namespace() -> Self {
        let lab = Self::start().await;
        lab.admin.post("/api/v1/namespaces", &namespace("ns")).await.unwrap();
        lab
    }

    pub(crate) async fn user(&self, name: &str) -> Caller {
        Caller::new(self.cluster.kubeconfig_for(name, &["devs", "ops"]).unwrap()).await
    }
}

/// A client of the API that speaks JSON.
#[derive(Clone)]
pub(crate) struct Caller(pub(crate) Client);

type Answer = Result<Value, Box<Status>>;

impl Caller {
    pub(crate) async fn new(kubeconfig: Value) -> Self {
        let kubeconfig: Kubeconfig = serde_json::from_value(kubeconfig).unwrap();
        let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await;
        let mut config = config.unwrap();
        // kube would repeat what is refused with 429, 503 and 504.
        config.default_retry = false;
        Self(Client::try_from(config).unwrap())
    }

    pub(crate) async fn try_send(&self, method: &str, path: &str, kind: &str, body: Vec<u8>) -> kube::Result<Value> {
        let request = Request::builder().method(method).uri(path).header("content-type", kind).body(body).unwrap();
        self.0.request(request).await
    }

    async fn send(&self, method: &str, path: &str, kind: &str, body: Option<&Value>) -> Answer {
        let body = body.map(Value::to_string).unwrap_or_default().into_bytes();
        match self.try_send(method, path, kind, body).await {
            Ok(value) => Ok(value),
            Err(kube::Error::Api(status)) => Err(status),
            Err(error) => panic!("{method} {path}: {error:?}"),
        }
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send("GET", path, JSON, None).await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Answer {
        self.send("POST", path, JSON, Some(body)).await
    }

    pub(crate) async fn put(&self, path: &str, body: &Value) -> Answer {
        self.send("PUT", path, JSON, Some(body)).await
    }

    pub(crate) async fn patch(&self, path: &str, kind: &str, body: &Value) -> Answer {
        self.send("PATCH", path, kind, Some(body)).await
    }

    pub(crate) async fn apply(&self, path: &str, manager: &str, body: &Value) -> Answer {
        let separator = if path.contains('?') { '&' } else { '?' };
        let path = format!("{path}{separator}fieldManager={manager}");
        self.patch(&path, "application/apply-patch+yaml", body).await
    }

    pub(crate) async fn delete(&self, path: &str, options: Value) -> Answer {
        self.send("DELETE", path, JSON, Some(&options)).await
    }

    /// Asks until what is there is as wanted.
    pub(crate) async fn until(&self, path: &str, wanted: impl Fn(&Answer) -> bool) -> Answer {
        for _ in 0..500 {
            let answer = self.get(path).await;
            if wanted(&answer) {
                return answer;
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        panic!("{path} never became as wanted");
    }
}

pub(crate) fn code(answer: &Answer) -> u16 {
    match answer {
        Ok(_) => 200,
        Err(status) => status.code,
    }
}

pub(crate) fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

pub(crate) fn version(value: &Value) -> &str {
    text(value, "/metadata/resourceVersion")
}

pub(crate) fn uid(value: &Value) -> &str {
    text(value, "/metadata/uid")
}

pub(crate) fn namespace(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
}

pub(crate) fn config_map(name: &str, data: Value) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data})
}

pub(crate) fn role(name: &str, rules: Value) -> Value {
    json!({"apiVersion": format!("{RBAC}/v1"), "kind": "Role", "metadata": {"name": name}, "rules": rules})
}

pub(crate) fn role_binding(name: &str, role: &str, user: &str) -> Value {
    json!({
        "apiVersion": format!("{RBAC}/v1"),
        "kind": "RoleBinding",
        "metadata": {"name": name},
        "roleRef": {"apiGroup": RBAC, "kind": "Role", "name": role},
        "subjects": [{"apiGroup": RBAC, "kind": "User", "name": user}],
    })
}

pub(crate) fn quota(name: &str, hard: Value) -> Value {
    json!({"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": name}, "spec": {"hard": hard}})
}

/// The path of something in the namespace `ns`.
pub(crate) fn inside(rest: &str) -> String {
    format!("/api/v1/namespaces/ns/{rest}")
}

pub(crate) fn rbac_inside(rest: &str) -> String {
    format!("/apis/{RBAC}/v1/namespaces/ns/{rest}")
}
