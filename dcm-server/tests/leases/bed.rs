//! Clusters, and calls of any of several servers.

use std::time::Duration;

use dcm_sim::{Cluster, ClusterOptions};
use dcm_test_utils::patience::until;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(90);

/// Simulated clusters.
pub(crate) async fn clusters(count: usize, latency: Duration) -> Vec<Cluster> {
    dcm_server::install_crypto_provider();
    let mut clusters = Vec::new();
    for number in 0..count {
        clusters.push(Cluster::start(ClusterOptions::named(format!("c{number}")).latency(latency)).await.unwrap());
    }
    clusters
}

/// A server, by its address.
#[derive(Clone, Debug)]
pub(crate) struct Api {
    base: String,
    client: reqwest::Client,
}

impl Api {
    pub(crate) fn of(base: impl Into<String>) -> Self {
        Self { base: base.into(), client: reqwest::Client::new() }
    }

    /// The answer, if there is one.
    pub(crate) async fn call(&self, method: Method, path: &str, body: Option<&Value>) -> Option<(StatusCode, Value)> {
        let mut request = self.client.request(method, format!("{}{path}", self.base));
        if let Some(body) = body {
            request = request.json(body);
        }
        let answer = request.timeout(PATIENCE).send().await.ok()?;
        Some((answer.status(), answer.json().await.unwrap_or_default()))
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> (StatusCode, Value) {
        self.call(Method::POST, path, Some(body)).await.expect("an answer")
    }

    pub(crate) async fn register(&self, clusters: &[Cluster]) {
        for cluster in clusters {
            let spec = json!({ "kubeconfig": cluster.admin_kubeconfig() });
            let body = json!({ "metadata": { "name": cluster.name() }, "spec": spec });
            let (status, said) = self.post("/v2/cluster-providers/default/clusters", &body).await;
            assert_eq!(status, StatusCode::CREATED, "{said}");
        }
    }

    /// A logical cloud on all clusters; answers its path.
    pub(crate) async fn create(&self, name: &str, clusters: &[Cluster]) -> String {
        let clouds = "/v2/projects/p/logical-clouds";
        let permission =
            json!({ "permission-name": "p-1", "apiGroups": [""], "resources": ["configmaps"], "verbs": ["*"] });
        let user = json!({ "user-name": "u", "type": "certificate", "user-permissions": [permission] });
        let body = json!({ "metadata": { "name": name }, "spec": { "namespace": name, "user": user } });
        assert_eq!(self.post(clouds, &body).await.0, StatusCode::CREATED);
        for cluster in clusters {
            let body = json!({ "cluster-reference": cluster.name(), "loadbalancer-ip": "0.0.0.0" });
            let path = format!("{clouds}/{name}/cluster-references");
            assert_eq!(self.post(&path, &body).await.0, StatusCode::OK);
        }
        format!("{clouds}/{name}")
    }

    pub(crate) async fn apply(&self, cloud: &str) {
        let (status, said) = self.post(&format!("{cloud}/apply"), &json!({})).await;
        assert!(status.is_success(), "{status} {said}");
    }

    pub(crate) async fn terminate(&self, cloud: &str) {
        let (status, said) = self.post(&format!("{cloud}/terminate"), &json!({})).await;
        assert!(status.is_success(), "{status} {said}");
    }

    /// Terminates what was applied; what was not is refused.
    pub(crate) async fn terminate_or_not(&self, cloud: &str) {
        let (status, said) = self.post(&format!("{cloud}/terminate"), &json!({})).await;
        assert!(status.is_success() || status == StatusCode::CONFLICT, "{status} {said}");
    }

    pub(crate) async fn wait_for(&self, cloud: &str, wanted: &str) {
        until(PATIENCE, wanted, async || match self.call(Method::GET, &format!("{cloud}/status"), None).await {
            Some((_, status)) if status["status"] == wanted => Ok(()),
            Some((_, status)) => Err(status.to_string()),
            None => Err("no answer".to_owned()),
        })
        .await;
    }

    /// What the worker has counted.
    pub(crate) async fn counted(&self, what: &str) -> u64 {
        let text = self.client.get(format!("{}/metrics", self.base)).send().await.unwrap().text().await.unwrap();
        let name = format!("dcm_worker_{what} ");
        let line = text.lines().find_map(|line| line.strip_prefix(&name));
        line.unwrap_or_else(|| panic!("{what} is not counted: {text}")).trim().parse().unwrap()
    }
}

/// How often something of this kind was made on a cluster.
pub(crate) fn made(cluster: &Cluster, path: &str) -> usize {
    let requests = cluster.requests();
    requests.iter().filter(|request| request.method == "POST" && request.path.ends_with(path)).count()
}
