//! Apply over REST on the real clusters that there are.

use std::{
    env, fs,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::{median, server::Server};

/// Applies to all of them, several times, from POST to the status `Created`, and cleans up.
#[allow(clippy::disallowed_methods, reason = "tests find the testbed by it")]
pub(crate) fn apply(runtime: &Runtime, rounds: usize) -> Result<()> {
    let Ok(folder) = env::var("DCM_TEST_KUBECONFIGS") else {
        println!("SKIPPED on real clusters (no DCM_TEST_KUBECONFIGS): testbed/cluster starts some");
        return Ok(());
    };
    let mut server = Server::part("sled:")?;
    let url = server.tell("address")?["url"].as_str().context("no address")?.to_owned();
    let rest = Rest { client: reqwest::Client::builder().no_proxy().build()?, url };
    runtime.block_on(async {
        let mut names = Vec::new();
        for file in fs::read_dir(folder)? {
            let name = format!("real-{}", names.len());
            let spec = json!({ "kubeconfig": fs::read_to_string(file?.path())? });
            let cluster = json!({ "metadata": { "name": name }, "spec": spec });
            rest.post("/v2/cluster-providers/default/clusters", &cluster).await?;
            names.push(name);
        }
        let mut times = Vec::new();
        for round in 0..rounds {
            times.push(rest.round(&format!("bench-{}-{round}", std::process::id()), &names).await?);
        }
        let longest = times.iter().copied().fold(0.0, f64::max);
        println!(
            "apply by REST on {} real clusters, {rounds} times: median {:.0} ms, longest {:.0} ms",
            names.len(),
            median(times) * 1e3,
            longest * 1e3
        );
        Ok(())
    })
}

struct Rest {
    client: reqwest::Client,
    url: String,
}

impl Rest {
    async fn round(&self, name: &str, clusters: &[String]) -> Result<f64> {
        let path = format!("/v2/projects/bench/logical-clouds/{name}");
        let permission = |name: &str, resource: &str| json!({ "permission-name": name, "apiGroups": [""], "resources": [resource], "verbs": ["get", "list"] });
        let cloud = json!({
            "metadata": { "name": name },
            "spec": { "namespace": name, "user": { "user-name": "user-1", "type": "certificate",
                "user-permissions": [permission("p-1", "pods"), permission("p-2", "secrets")] } },
        });
        self.post("/v2/projects/bench/logical-clouds", &cloud).await?;
        for cluster in clusters {
            let reference = json!({ "cluster-reference": cluster, "loadbalancer-ip": "0.0.0.0" });
            self.post(&format!("{path}/cluster-references"), &reference).await?;
        }
        let quota = json!({ "metadata": { "name": "quota-1" }, "spec": { "pods": "10" } });
        self.post(&format!("{path}/cluster-quotas"), &quota).await?;
        let began = Instant::now();
        self.post(&format!("{path}/apply"), &Value::Null).await?;
        self.until(&path, "Created").await?;
        let took = began.elapsed();
        self.post(&format!("{path}/terminate"), &Value::Null).await?;
        self.until(&path, "Deleted").await?;
        Ok(took.as_secs_f64())
    }

    async fn post(&self, path: &str, body: &Value) -> Result<()> {
        let answer = self.client.post(format!("{}{path}", self.url)).json(body).send().await?;
        let status = answer.status();
        anyhow::ensure!(status.is_success(), "{path}: {status} {}", answer.text().await?);
        Ok(())
    }

    async fn until(&self, path: &str, wanted: &str) -> Result<()> {
        let began = Instant::now();
        loop {
            let answer = self.client.get(format!("{}{path}/status", self.url)).send().await?;
            let status: Value = answer.json().await?;
            if status["status"] == wanted {
                return Ok(());
            }
            if began.elapsed() > Duration::from_secs(60) {
                bail!("not {wanted} in time: {status:#}");
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}
