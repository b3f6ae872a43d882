//! `kill -9` of the real server in the middle of its work: nothing that was acknowledged is lost, and what was
//! ordered is finished after the restart.
//!
//! The clusters live in this process, so they outlive the server. `DCM_TEST_KILLS` sets how many rounds of two
//! kills there are.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails loudly")]
#![cfg(feature = "sled")]

use std::{
    net::TcpListener,
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use dcm_sim::{Cluster, ClusterOptions};
use reqwest::StatusCode;
use serde_json::{Value, json};

struct Server {
    child: Child,
    base: String,
    client: reqwest::Client,
}

impl Server {
    async fn start(folder: &Path, port: u16) -> Self {
        let child = Command::new(env!("CARGO_BIN_EXE_dcm-server"))
            .arg("--http")
            .arg(format!("127.0.0.1:{port}"))
            .arg("--store")
            .arg(format!("sled:{}", folder.join("data").display()))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let server = Self { child, base: format!("http://127.0.0.1:{port}"), client: reqwest::Client::new() };
        let patience = Instant::now();
        while server.client.get(format!("{}/readyz", server.base)).send().await.is_err() {
            assert!(patience.elapsed() < Duration::from_secs(30), "the server does not come up");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        server
    }

    fn kill(mut self) {
        // SIGKILL: no handler runs, nothing is flushed.
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// The status, where the server answered.
    async fn post(&self, path: &str, body: &Value) -> Option<StatusCode> {
        let sent = self.client.post(format!("{}{path}", self.base)).json(body).send().await;
        sent.ok().map(|response| response.status())
    }

    async fn get(&self, path: &str) -> (StatusCode, Value) {
        let response = self.client.get(format!("{}{path}", self.base)).send().await.unwrap();
        (response.status(), response.json().await.unwrap_or_default())
    }

    async fn wait_for(&self, cloud: &str, wanted: &str) {
        let patience = Instant::now();
        loop {
            let (_, status) = self.get(&format!("{cloud}/status")).await;
            if status["status"] == wanted {
                return;
            }
            assert!(patience.elapsed() < Duration::from_secs(60), "not {wanted}: {status:#}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

/// A port that is free now; the same one after each restart.
fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

#[expect(clippy::disallowed_methods, reason = "a test's own knob")]
fn rounds() -> u32 {
    std::env::var("DCM_TEST_KILLS").ok().and_then(|text| text.parse().ok()).unwrap_or(4)
}

/// Different moments in every round, the same in every run.
fn moment(round: u32) -> Duration {
    Duration::from_millis(u64::from(round.wrapping_mul(2_654_435_761) >> 16) % 250)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_survives_kill_9_and_what_was_ordered_is_finished() {
    dcm_server::install_crypto_provider();
    let folder = tempfile::tempdir().unwrap();
    let port = free_port();
    let mut clusters = Vec::new();
    for name in ["c1", "c2"] {
        let options = ClusterOptions::named(name).latency(Duration::from_millis(5));
        clusters.push(Cluster::start(options).await.unwrap());
    }
    let mut server = Server::start(folder.path(), port).await;
    for cluster in &clusters {
        let spec = json!({ "kubeconfig": cluster.admin_kubeconfig() });
        let body = json!({ "metadata": { "name": cluster.name() }, "spec": spec });
        assert_eq!(server.post("/v2/cluster-providers/default/clusters", &body).await, Some(StatusCode::CREATED));
    }

    let mut acknowledged: Vec<String> = Vec::new();
    for round in 0..rounds() {
        let (name, namespace) = (format!("lc-{round}"), format!("ns-{round}"));
        let cloud = format!("/v2/projects/p/logical-clouds/{name}");
        create(&server, &clusters, &name, &namespace).await;
        assert_eq!(server.post(&format!("{cloud}/apply"), &json!({})).await, Some(StatusCode::OK));

        // Killed in the middle of the apply, under a load of writes.
        let end = Instant::now() + moment(2 * round);
        let mut number = 0;
        while Instant::now() < end {
            number += 1;
            let pair = format!("kv-{number}");
            let body = json!({ "metadata": { "name": pair }, "spec": { "kv": [{ "n": number }] } });
            if server.post(&format!("{cloud}/kv-pairs"), &body).await == Some(StatusCode::CREATED) {
                acknowledged.push(format!("{cloud}/kv-pairs/{pair}"));
            }
        }
        server.kill();
        server = Server::start(folder.path(), port).await;
        for path in &acknowledged {
            assert_eq!(server.get(path).await.0, StatusCode::OK, "round {round}: {path} is lost");
        }
        server.wait_for(&cloud, "Created").await;
        for cluster in &clusters {
            let held = cluster.objects().get("roles.rbac.authorization.k8s.io", &namespace, "p-1");
            assert!(held.is_some(), "round {round}: {} lacks the role", cluster.name());
        }

        // And in the middle of the terminate.
        assert_eq!(server.post(&format!("{cloud}/terminate"), &json!({})).await, Some(StatusCode::ACCEPTED));
        tokio::time::sleep(moment(2 * round + 1)).await;
        server.kill();
        server = Server::start(folder.path(), port).await;
        server.wait_for(&cloud, "Deleted").await;
        for cluster in &clusters {
            let held = cluster.objects().get("namespaces", "", &namespace);
            assert!(held.is_none(), "round {round}: {} keeps the namespace", cluster.name());
            let requests = cluster.objects().list("certificatesigningrequests.certificates.k8s.io", None);
            assert!(requests.len() <= 2 * rounds() as usize, "requests pile up: {}", requests.len());
        }
    }
    assert!(!acknowledged.is_empty(), "no write was acknowledged, so nothing was shown");
    server.kill();
}

async fn create(server: &Server, clusters: &[Cluster], name: &str, namespace: &str) {
    let clouds = "/v2/projects/p/logical-clouds";
    let permission =
        json!({ "permission-name": "p-1", "apiGroups": [""], "resources": ["configmaps"], "verbs": ["*"] });
    let user = json!({ "user-name": "u", "type": "certificate", "user-permissions": [permission] });
    let body = json!({ "metadata": { "name": name }, "spec": { "namespace": namespace, "user": user } });
    assert_eq!(server.post(clouds, &body).await, Some(StatusCode::CREATED));
    for cluster in clusters {
        let body = json!({ "cluster-reference": cluster.name(), "loadbalancer-ip": "0.0.0.0" });
        let path = format!("{clouds}/{name}/cluster-references");
        assert_eq!(server.post(&path, &body).await, Some(StatusCode::OK));
    }
}
