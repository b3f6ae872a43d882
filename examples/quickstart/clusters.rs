use std::path::PathBuf;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::rest::Rest;

const CLUSTERS: &str = "/v2/cluster-providers/default/clusters";

/// Registers the given clusters, or three simulated ones; answers their names.
pub(crate) async fn register(rest: &Rest, kubeconfigs: &[PathBuf]) -> Result<Vec<String>> {
    let mut names = Vec::new();
    if kubeconfigs.is_empty() {
        for name in ["north", "south", "west"] {
            add(rest, name, &formal()).await?;
            names.push(name.to_owned());
        }
    }
    for path in kubeconfigs {
        let name = path.file_stem().and_then(|stem| stem.to_str()).context("a kubeconfig needs a file name")?;
        let text = std::fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
        add(rest, name, &text.into()).await?;
        names.push(name.to_owned());
    }
    Ok(names)
}

async fn add(rest: &Rest, name: &str, kubeconfig: &Value) -> Result<()> {
    let body = json!({ "metadata": { "name": name }, "spec": { "kubeconfig": kubeconfig } });
    let cluster = rest.post(CLUSTERS, &body).await?;
    let health = |field: &str| cluster["health"][field].as_str().unwrap_or("unknown").to_owned();
    println!("   {name}: {}, Kubernetes {}", health("connectivity"), health("version"));
    Ok(())
}

/// A kubeconfig that is good in form: simulated clusters are found by their names, and it is never dialled.
fn formal() -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{ "name": "c", "cluster": { "server": "https://simulated.invalid" } }],
        "users": [{ "name": "u", "user": { "token": "never-dialled" } }],
        "contexts": [{ "name": "x", "context": { "cluster": "c", "user": "u" } }],
        "current-context": "x",
    })
}
