//! How long two workers take for what one takes: a thousand simulated clusters, each of which answers after 20 ms, and 16 clusters
//! side by side for each worker. All have one store, in memory, as if they were processes on one MongoDB.
//!
//! `cargo bench -p dcm-server --bench replicas [-- CLUSTERS [ROUNDS]]`

#![allow(clippy::print_stdout, reason = "a benchmark prints its figures")]

#[path = "../src/allocator.rs"]
mod allocator;

use std::{
    env,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use dcm_server::{Config, Running};
use dcm_sim::{Cluster, ClusterOptions};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use reqwest::Method;
use serde_json::{Value, json};

/// After which a cluster answers.
const LATENCY: Duration = Duration::from_millis(20);

/// How many clusters each worker attempts at once.
const CONCURRENCY: usize = 16;

/// What two workers may take of the time of one.
const MOST: f64 = 0.6;

/// How the clusters are spread over logical clouds: one large one, and many small ones.
const SPREADS: [usize; 2] = [1, 100];

#[tokio::main]
async fn main() -> Result<()> {
    dcm_server::install_crypto_provider();
    let numbers: Vec<usize> = env::args().skip(1).filter_map(|argument| argument.parse().ok()).collect();
    let count = numbers.first().copied().unwrap_or(1000);
    let rounds = numbers.get(1).copied().unwrap_or(3);
    let made = stream::iter(0..count)
        .map(|number| {
            Cluster::start(ClusterOptions::named(format!("c{number}")).latency(LATENCY).signing_delay(Duration::ZERO))
        })
        .buffered(16)
        .try_collect::<Vec<_>>();
    let clusters = made.await?;
    println!(
        "{count} clusters, {LATENCY:?} each, {CONCURRENCY} side by side for each worker, medians of {rounds} rounds"
    );
    for clouds in SPREADS {
        let (mut one, mut two) = (Vec::new(), Vec::new());
        for _ in 0..rounds {
            one.push(measure(&clusters, clouds.min(count), 1).await?);
            two.push(measure(&clusters, clouds.min(count), 2).await?);
        }
        let (one, two) = (median(one), median(two));
        let verdict = if two / one <= MOST { "" } else { "   MISSED" };
        println!(
            "{clouds} logical clouds: one worker {one:.2} s, two {two:.2} s: {:.2} of it (at most {MOST}){verdict}",
            two / one
        );
    }
    Ok(())
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Starts so many servers on a new store, and applies logical clouds over all clusters; answers after how many seconds all were created.
async fn measure(clusters: &[Cluster], clouds: usize, workers: usize) -> Result<f64> {
    let folder = tempfile::tempdir()?;
    let key = format!("--encryption-key-file={}", folder.path().join("key").display());
    let store = dcm_store::open(dcm_store::Config::Memory).await?;
    let mut servers = Vec::new();
    for _ in 0..workers {
        // Not opened: it says that the store is shared.
        let options =
            ["--store=mongodb://shared/dcm", "--http=127.0.0.1:0", "--grpc=127.0.0.1:0", &key, "--resync-period=0"];
        let concurrency = format!("--cluster-concurrency={CONCURRENCY}");
        let config = Config::from_options(options.into_iter().chain([concurrency.as_str()]))?;
        servers.push(dcm_server::start_on(Arc::clone(&store), config).await?);
    }
    let api = Api::of(&servers[0]);
    let paths = api.prepare(clusters, clouds).await?;
    let began = Instant::now();
    api.all(&paths, "apply").await?;
    for path in &paths {
        api.wait_for(path, "Created").await?;
    }
    let seconds = began.elapsed().as_secs_f64();
    api.all(&paths, "terminate").await?;
    for path in &paths {
        api.wait_for(path, "Deleted").await?;
    }
    for server in servers {
        server.stop().await;
    }
    Ok(seconds)
}

/// A server over REST.
struct Api {
    base: String,
    client: reqwest::Client,
}

impl Api {
    fn of(server: &Running) -> Self {
        Self { base: format!("http://{}", server.http_addr()), client: reqwest::Client::new() }
    }

    async fn call(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Value> {
        let mut request = self.client.request(method, format!("{}{path}", self.base));
        if let Some(body) = body {
            request = request.json(body);
        }
        let answer = request.send().await?;
        let status = answer.status();
        let body: Value = answer.json().await.context("an answer in JSON")?;
        ensure!(status.is_success(), "{path}: {status} {body}");
        Ok(body)
    }

    async fn post(&self, path: &str, body: Value) -> Result<Value> {
        self.call(Method::POST, path, Some(&body)).await
    }

    /// Registers the clusters and spreads them over logical clouds, whose paths it answers.
    async fn prepare(&self, clusters: &[Cluster], clouds: usize) -> Result<Vec<String>> {
        for cluster in clusters {
            let spec = json!({ "kubeconfig": cluster.admin_kubeconfig() });
            let body = json!({ "metadata": { "name": cluster.name() }, "spec": spec });
            self.post("/v2/cluster-providers/default/clusters", body).await?;
        }
        let mut paths = Vec::new();
        for (number, part) in clusters.chunks(clusters.len().div_ceil(clouds)).enumerate() {
            let name = format!("lc-{number}");
            let permission =
                json!({ "permission-name": "p", "apiGroups": [""], "resources": ["pods"], "verbs": ["get"] });
            let user = json!({ "user-name": "u", "type": "certificate", "user-permissions": [permission] });
            let body = json!({ "metadata": { "name": name }, "spec": { "namespace": name, "user": user } });
            self.post("/v2/projects/p/logical-clouds", body).await?;
            let path = format!("/v2/projects/p/logical-clouds/{name}");
            for cluster in part {
                let body = json!({ "cluster-reference": cluster.name(), "loadbalancer-ip": "0.0.0.0" });
                self.post(&format!("{path}/cluster-references"), body).await?;
            }
            paths.push(path);
        }
        Ok(paths)
    }

    async fn all(&self, paths: &[String], order: &str) -> Result<()> {
        for path in paths {
            self.post(&format!("{path}/{order}"), json!({})).await?;
        }
        Ok(())
    }

    async fn wait_for(&self, path: &str, wanted: &str) -> Result<()> {
        // A status of a thousand clusters takes a while to write: it is not asked for all the time.
        while self.call(Method::GET, &format!("{path}/status"), None).await?["status"] != wanted {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        Ok(())
    }
}
