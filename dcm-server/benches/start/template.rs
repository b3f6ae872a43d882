//! One logical cloud that is applied everywhere, as the server itself stores it.

use std::{path::Path, time::Duration};

use anyhow::{Result, bail, ensure};
use serde_json::json;

use crate::server;

/// The names that tell what belongs to the logical cloud: nothing else contains them.
pub(crate) const CLOUD: &str = "cloud-00000";
pub(crate) const NAMESPACE: &str = "namespace-00000";

const PROJECT: &str = "/v2/projects/walmart";

/// Has a server store the logical cloud, on simulated clusters; without any, it is not applied.
pub(crate) async fn store(directory: &Path, clusters: usize) -> Result<()> {
    dcm_server::install_crypto_provider();
    let server = dcm_server::start(server::config(directory, "simulated")?).await?;
    let client = reqwest::Client::builder().no_proxy().build()?;
    let url = |path: &str| format!("http://{}{path}", server.http_addr());
    let post = async |path: &str, body: serde_json::Value| -> Result<()> {
        let answer = client.post(url(path)).json(&body).send().await?;
        let status = answer.status();
        ensure!(status.is_success(), "{path}: {status} {}", answer.text().await?);
        Ok(())
    };
    let cloud_path = format!("{PROJECT}/logical-clouds/{CLOUD}");
    let permission = |name: &str, resources: &str| json!({ "permission-name": name, "apiGroups": [""], "resources": [resources, "pods"], "verbs": ["get", "watch", "list"] });
    let cloud = json!({
        "metadata": { "name": CLOUD, "description": "logical cloud for walmart finance department", "userData1": "x", "userData2": "y" },
        "spec": { "namespace": NAMESPACE, "user": { "user-name": "user-1", "type": "certificate",
            "user-permissions": [permission("permission-1", "secrets"), permission("permission-2", "configmaps")] } },
    });
    post(&format!("{PROJECT}/logical-clouds"), cloud).await?;
    let kubeconfig = json!({
        "current-context": "c", "clusters": [{ "name": "k", "cluster": { "server": "https://127.0.0.1:1" } }],
        "users": [{ "name": "u", "user": { "token": "t" } }], "contexts": [{ "name": "c", "context": { "cluster": "k", "user": "u" } }],
    });
    if clusters == 0 {
        server.stop().await;
        return Ok(());
    }
    for n in 0..clusters {
        let name = format!("cluster-{n:03}");
        let cluster = json!({ "metadata": { "name": name }, "spec": { "kubeconfig": kubeconfig } });
        post("/v2/cluster-providers/default/clusters", cluster).await?;
        let reference = json!({ "cluster-reference": name, "loadbalancer-ip": "0.0.0.0" });
        post(&format!("{cloud_path}/cluster-references"), reference).await?;
    }
    let quota = json!({ "metadata": { "name": "q" }, "spec": { "pods": "10" } });
    post(&format!("{cloud_path}/cluster-quotas"), quota).await?;
    post(&format!("{cloud_path}/apply"), json!({})).await?;
    for _ in 0..3_000 {
        let status: serde_json::Value = client.get(url(&format!("{cloud_path}/status"))).send().await?.json().await?;
        if status["status"] == "Created" {
            server.stop().await;
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    bail!("the logical cloud was not created in time")
}
