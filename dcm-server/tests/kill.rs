//! `kill -9` of the real server in the middle of its work: nothing that was acknowledged is lost, and what was
//! ordered is finished after the restart.
//!
//! Simulated clusters live in this process, so they outlive the server; where there is a real one, it has its rounds
//! too. `DCM_TEST_KILLS` sets how often each test kills; it does so at least once or, where it kills twice in each round, twice.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout, reason = "a test fails loudly")]
#![cfg(all(feature = "sled", unix))]

use std::{
    path::Path,
    time::{Duration, Instant},
};

#[path = "real/clusters.rs"]
#[allow(dead_code, reason = "shared with the real suite")]
mod clusters;
#[path = "common/process.rs"]
#[allow(dead_code, reason = "shared with other suites")]
mod process;

use clusters::{Clusters, KINDS};
use dcm_core::tenancy::marks;
use dcm_sim::{Cluster, ClusterOptions};
use dcm_test_utils::patience::{until, until_so};
use process::{Process, kills};
use reqwest::StatusCode;
use serde_json::{Value, json};

/// A server and a client for it.
struct Server {
    process: Process,
    client: reqwest::Client,
}

impl Server {
    async fn start(folder: &Path) -> Self {
        let mut process = Process::on_sled(folder);
        process.start().await;
        Self { process, client: reqwest::Client::new() }
    }

    fn kill(&mut self) {
        self.process.kill();
    }

    async fn start_again(&mut self) {
        self.process.start().await;
        // Without connections to the one before.
        self.client = reqwest::Client::new();
    }

    /// The status, where the server answered.
    async fn post(&self, path: &str, body: &Value) -> Option<StatusCode> {
        let sent = self.client.post(format!("{}{path}", self.process.base())).json(body).send().await;
        sent.ok().map(|response| response.status())
    }

    async fn get(&self, path: &str) -> (StatusCode, Value) {
        let response = self.client.get(format!("{}{path}", self.process.base())).send().await.unwrap();
        (response.status(), response.json().await.unwrap_or_default())
    }

    async fn wait_for(&self, cloud: &str, wanted: &str) {
        until(Duration::from_secs(60), wanted, async || {
            let (_, status) = self.get(&format!("{cloud}/status")).await;
            if status["status"] == wanted { Ok(()) } else { Err(status) }
        })
        .await;
    }
}

/// How many rounds there are where each kills so often.
fn rounds(kills_in_each: u32) -> u32 {
    kills(4 * kills_in_each).div_ceil(kills_in_each)
}

/// Different moments in every round, the same in every run.
fn moment(round: u32) -> Duration {
    Duration::from_millis(u64::from(round.wrapping_mul(2_654_435_761) >> 16) % 250)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_survives_kill_9_and_what_was_ordered_is_finished() {
    dcm_server::install_crypto_provider();
    let folder = tempfile::tempdir().unwrap();
    let mut clusters = Vec::new();
    for name in ["c1", "c2"] {
        let options = ClusterOptions::named(name).latency(Duration::from_millis(5));
        clusters.push(Cluster::start(options).await.unwrap());
    }
    let mut server = Server::start(folder.path()).await;
    for cluster in &clusters {
        let spec = json!({ "kubeconfig": cluster.admin_kubeconfig() });
        let body = json!({ "metadata": { "name": cluster.name() }, "spec": spec });
        assert_eq!(server.post("/v2/cluster-providers/default/clusters", &body).await, Some(StatusCode::CREATED));
    }

    let mut acknowledged: Vec<String> = Vec::new();
    for round in 0..rounds(2) {
        let (name, namespace) = (format!("lc-{round}"), format!("ns-{round}"));
        let cloud = format!("/v2/projects/p/logical-clouds/{name}");
        create(&server, &["c1", "c2"], &name, &namespace).await;
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
        server.start_again().await;
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
        server.start_again().await;
        server.wait_for(&cloud, "Deleted").await;
        for cluster in &clusters {
            let held = cluster.objects().get("namespaces", "", &namespace);
            assert!(held.is_none(), "round {round}: {} keeps the namespace", cluster.name());
            let requests = cluster.objects().list("certificatesigningrequests.certificates.k8s.io", None);
            assert!(requests.is_empty(), "round {round}: requests are left: {}", requests.len());
        }
    }
    assert!(!acknowledged.is_empty(), "no write was acknowledged, so nothing was shown");
}

/// Moments up to some seconds: a real cluster takes longer.
fn real_moment(round: u32) -> Duration {
    let spread = if round.is_multiple_of(2) { 6 } else { 30 };
    moment(round) * spread
}

/// A server with a real cluster registered.
async fn with_cluster(folder: &Path, cluster: &clusters::Cluster) -> Server {
    let server = Server::start(folder).await;
    let body = json!({ "metadata": { "name": cluster.name }, "spec": { "kubeconfig": cluster.kubeconfig } });
    assert_eq!(server.post("/v2/cluster-providers/default/clusters", &body).await, Some(StatusCode::CREATED));
    server
}

#[tokio::test(flavor = "multi_thread")]
async fn a_real_cluster_is_as_it_was_ordered_whenever_the_server_was_killed() {
    let Some(clusters) = Clusters::find("a_real_cluster_is_as_it_was_ordered", 1) else { return };
    dcm_server::install_crypto_provider();
    let cluster = &clusters[0];
    let folder = tempfile::tempdir().unwrap();
    let mut server = with_cluster(folder.path(), cluster).await;

    for round in 0..rounds(2) {
        let (name, namespace) = (format!("lc-{round}"), clusters.namespace(&round.to_string()));
        let cloud = format!("/v2/projects/p/logical-clouds/{name}");
        create(&server, &[&cluster.name], &name, &namespace).await;
        assert_eq!(server.post(&format!("{cloud}/apply"), &json!({})).await, Some(StatusCode::OK));
        tokio::time::sleep(real_moment(2 * round)).await;
        server.kill();
        server.start_again().await;
        server.wait_for(&cloud, "Created").await;
        clusters.note(installation(cluster, &namespace));
        for kind in ["role", "rolebinding"] {
            assert!(cluster.object(kind, &namespace, "p-1").is_some(), "round {round}: no {kind}");
        }
        let (code, kubeconfig) = server.get(&format!("{cloud}/kubeconfig?cluster-reference={}", cluster.name)).await;
        assert_eq!(code, StatusCode::CREATED);
        let file = folder.path().join("user.kubeconfig");
        std::fs::write(&file, kubeconfig.to_string()).unwrap();
        // The API server's own cache of bindings takes a moment.
        let made =
            async || clusters::kubectl_with(&file, folder.path(), &["create", "configmap", "mine"], None).allowed();
        until(Duration::from_secs(30), format_args!("let in in round {round}"), made).await;

        assert_eq!(server.post(&format!("{cloud}/terminate"), &json!({})).await, Some(StatusCode::ACCEPTED));
        tokio::time::sleep(real_moment(2 * round + 1)).await;
        server.kill();
        server.start_again().await;
        server.wait_for(&cloud, "Deleted").await;
        for kind in KINDS {
            let left = cluster.made_by(kind, &clusters.installation());
            assert!(left.is_empty(), "round {round}: {kind} are left: {left:#?}");
        }
    }
}

/// Who made a namespace.
fn installation(cluster: &clusters::Cluster, namespace: &str) -> String {
    let made = cluster.object("namespace", "", namespace).unwrap();
    made["metadata"]["labels"][marks::INSTALLATION].as_str().unwrap().to_owned()
}

/// Whether the user with this kubeconfig gets what he wants.
fn may_read(kubeconfig: &Value, folder: &Path) -> bool {
    let file = folder.join("user.kubeconfig");
    std::fs::write(&file, kubeconfig.to_string()).unwrap();
    clusters::kubectl_with(&file, folder, &["get", "configmaps"], None).ok
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoke_holds_whenever_the_server_was_killed() {
    let Some(clusters) = Clusters::find("a_revoke_holds", 1) else { return };
    dcm_server::install_crypto_provider();
    let cluster = &clusters[0];
    let folder = tempfile::tempdir().unwrap();
    let mut server = with_cluster(folder.path(), cluster).await;
    let cloud = "/v2/projects/p/logical-clouds/lc";
    let namespace = clusters.namespace("revoked");
    create(&server, &[&cluster.name], "lc", &namespace).await;
    assert_eq!(server.post(&format!("{cloud}/apply"), &json!({})).await, Some(StatusCode::OK));
    server.wait_for(cloud, "Created").await;
    clusters.note(installation(cluster, &namespace));
    let path = format!("{cloud}/kubeconfig?cluster-reference={}", cluster.name);
    let (mut all, mut acknowledged) = (vec![server.get(&path).await.1], 0);
    for round in 0..rounds(1) {
        let request = server.client.post(format!("{}{cloud}/user/revoke", server.process.base()));
        let answer = tokio::spawn(request.send());
        tokio::time::sleep(moment(round)).await;
        server.kill();
        let answered = answer.await.unwrap().is_ok_and(|answer| answer.status() == StatusCode::ACCEPTED);
        acknowledged += u32::from(answered);
        server.start_again().await;
        server.wait_for(cloud, "Created").await;
        let (code, now) = server.get(&path).await;
        assert_eq!(code, StatusCode::CREATED, "round {round}");
        assert!(!answered || all.last() != Some(&now), "round {round}: the revoke is forgotten");
        if all.last() != Some(&now) {
            all.push(now);
        }
        // The API server's own cache of bindings takes a moment.
        let works = |kubeconfig| may_read(kubeconfig, folder.path());
        let (now, old) = all.split_last().unwrap();
        let alone = async || works(now) && !old.iter().rev().take(3).any(works);
        until_so(Duration::from_secs(30), format_args!("the only user in round {round}"), alone).await;
    }
    // Those from before stay dead.
    let (now, old) = all.split_last().unwrap();
    assert!(may_read(now, folder.path()) && !old.iter().any(|old| may_read(old, folder.path())));
    println!("{} kills, {acknowledged} revokes acknowledged, {} kubeconfigs", rounds(1), all.len());
}

async fn create(server: &Server, clusters: &[&str], name: &str, namespace: &str) {
    let clouds = "/v2/projects/p/logical-clouds";
    let permission =
        json!({ "permission-name": "p-1", "apiGroups": [""], "resources": ["configmaps"], "verbs": ["*"] });
    let user = json!({ "user-name": "u", "type": "certificate", "user-permissions": [permission] });
    let body = json!({ "metadata": { "name": name }, "spec": { "namespace": namespace, "user": user } });
    assert_eq!(server.post(clouds, &body).await, Some(StatusCode::CREATED));
    for cluster in clusters {
        let body = json!({ "cluster-reference": cluster, "loadbalancer-ip": "0.0.0.0" });
        let path = format!("{clouds}/{name}/cluster-references");
        assert_eq!(server.post(&path, &body).await, Some(StatusCode::OK));
    }
}
