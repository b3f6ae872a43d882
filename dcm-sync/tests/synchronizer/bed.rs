//! A cluster to test on, with an administrator's direct access to it.

use std::{
    hash::{BuildHasher as _, RandomState},
    time::Duration,
};

use dcm_core::{
    model::Uid,
    name::{ClusterName, ProviderName},
    secret::Secret,
    sync::ClusterAccess,
};
use dcm_sync::kube::{KubeOptions, KubeSynchronizer};
use http::{Method, Request};
use kube::{Client, Config, config::Kubeconfig};
use serde_json::{Value, json};

pub(crate) struct Bed {
    pub(crate) sync: KubeSynchronizer,
    pub(crate) kubeconfig: Value,
    /// The simulated cluster, where it is one.
    pub(crate) simulated: Option<dcm_sim::Cluster>,
    admin: Client,
}

pub(crate) fn options() -> KubeOptions {
    KubeOptions {
        connect_timeout: Duration::from_secs(2),
        request_timeout: Duration::from_secs(10),
        ..KubeOptions::default()
    }
}

pub(crate) fn random() -> [u8; 16] {
    let half = || RandomState::new().hash_one(0_u8).to_be_bytes();
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&half());
    bytes[8..].copy_from_slice(&half());
    bytes
}

pub(crate) fn uid() -> Uid {
    Uid::from_random(random())
}

/// A name that no other test uses.
pub(crate) fn unique(prefix: &str) -> String {
    format!("{prefix}-{}", &uid().as_str()[..13])
}

pub(crate) fn access(kubeconfig: &Value) -> ClusterAccess {
    ClusterAccess {
        provider: ProviderName::new("default").unwrap(),
        cluster: ClusterName::new("c1").unwrap(),
        kubeconfig: Secret::new(kubeconfig.to_string()),
    }
}

pub(crate) async fn client(kubeconfig: &Value) -> Client {
    let kubeconfig: Kubeconfig = serde_json::from_value(kubeconfig.clone()).unwrap();
    let options = kube::config::KubeConfigOptions::default();
    let config = Config::from_custom_kubeconfig(kubeconfig, &options).await;
    Client::try_from(config.unwrap()).unwrap()
}

impl Bed {
    pub(crate) async fn simulated() -> Self {
        Self::simulated_with(dcm_sim::ClusterOptions::default()).await
    }

    pub(crate) async fn simulated_with(options: dcm_sim::ClusterOptions) -> Self {
        let cluster = dcm_sim::Cluster::start(options).await.unwrap();
        let kubeconfig = cluster.admin_kubeconfig();
        Self::new(kubeconfig, Some(cluster)).await
    }

    /// A real cluster; `None`, after saying so, where there is none and none is required.
    pub(crate) async fn real(test: &str) -> Option<Self> {
        #[allow(clippy::disallowed_methods)] // Switches of the tests, not of the program.
        let (folder, required) = (
            std::env::var("DCM_TEST_KUBECONFIGS"),
            std::env::var("DCM_TEST_REQUIRE_REAL").is_ok_and(|value| value == "1"),
        );
        let Ok(folder) = folder else {
            assert!(!required, "DCM_TEST_REQUIRE_REAL=1, and no DCM_TEST_KUBECONFIGS");
            println!("SKIPPED (no DCM_TEST_KUBECONFIGS): start testbed/cluster to run {test} on a real cluster");
            return None;
        };
        let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        let mut files: Vec<_> = files.filter(|path| path.is_file()).collect();
        files.sort();
        let kubeconfig = Kubeconfig::read_from(files.first().unwrap()).unwrap();
        Some(Self::new(serde_json::to_value(kubeconfig).unwrap(), None).await)
    }

    async fn new(kubeconfig: Value, simulated: Option<dcm_sim::Cluster>) -> Self {
        Self { sync: KubeSynchronizer::new(options()), admin: client(&kubeconfig).await, kubeconfig, simulated }
    }

    /// The same cluster with another credential.
    pub(crate) async fn with(bed: &Self, kubeconfig: Value) -> Self {
        Self::new(kubeconfig, bed.simulated.clone()).await
    }

    pub(crate) fn access(&self) -> ClusterAccess {
        access(&self.kubeconfig)
    }

    /// A request of the administrator's.
    pub(crate) async fn call(
        &self,
        method: &str,
        path: &str,
        content: &str,
        body: &Value,
    ) -> Result<Value, kube::Error> {
        call(&self.admin, method, path, content, body).await
    }

    pub(crate) async fn get(&self, path: &str) -> Option<Value> {
        match self.call("GET", path, "application/json", &Value::Null).await {
            Ok(value) => Some(value),
            Err(kube::Error::Api(status)) if status.code == 404 => None,
            Err(error) => panic!("{path}: {error}"),
        }
    }

    pub(crate) async fn there(&self, path: &str) -> Value {
        self.get(path).await.unwrap_or_else(|| panic!("{path} is not there"))
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Value {
        self.call("POST", path, "application/json", &body).await.unwrap()
    }

    pub(crate) async fn merge(&self, path: &str, patch: Value) -> Value {
        self.call("PATCH", path, "application/merge-patch+json", &patch).await.unwrap()
    }

    pub(crate) async fn delete(&self, path: &str) {
        let options = json!({ "apiVersion": "v1", "kind": "DeleteOptions" });
        self.call("DELETE", path, "application/json", &options).await.unwrap();
    }

    /// Waits until nothing is there any more.
    pub(crate) async fn gone(&self, path: &str) {
        for _ in 0..300 {
            if self.get(path).await.is_none() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("{path} does not go");
    }

    /// A namespace that has nothing to do with DCM.
    pub(crate) async fn foreign_namespace(&self, labels: Value) -> String {
        let name = unique("foreign");
        let manifest =
            json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": name, "labels": labels } });
        self.post("/api/v1/namespaces", manifest).await;
        name
    }

    pub(crate) async fn foreign_config_map(&self, namespace: &str, finalizers: &[&str]) -> String {
        let manifest = json!({
            "apiVersion": "v1", "kind": "ConfigMap",
            "metadata": { "name": "theirs", "finalizers": finalizers }, "data": { "a": "b" },
        });
        let collection = format!("/api/v1/namespaces/{namespace}/configmaps");
        self.post(&collection, manifest).await;
        format!("{collection}/theirs")
    }
}

pub(crate) async fn call(
    client: &Client,
    method: &str,
    path: &str,
    content: &str,
    body: &Value,
) -> Result<Value, kube::Error> {
    let body = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
    let request = Request::builder()
        .method(Method::from_bytes(method.as_bytes()).unwrap())
        .uri(path)
        .header("content-type", content)
        .body(body)
        .unwrap();
    client.request(request).await
}
