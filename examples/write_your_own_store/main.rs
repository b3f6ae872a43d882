//! A store of one's own under DCM: written in one file, held to the conformance suite, and served from.
//!
//! ```text
//! cargo run --example write_your_own_store                     # DCM on the store, across a restart
//! cargo test -p dcm-examples --example write_your_own_store    # every promise of a store, on this one
//! ```

#![allow(clippy::print_stdout, reason = "printing is what it is for")]

mod store;
#[cfg(test)]
mod tests;

use std::{path::Path, sync::Arc};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use store::LogStore;

const CLOUDS: &str = "/v2/projects/walmart/logical-clouds";

#[tokio::main]
async fn main() -> Result<()> {
    dcm_server::install_crypto_provider();
    let folder = tempfile::tempdir().context("making a temporary folder")?;
    let client = reqwest::Client::new();

    println!("== Start DCM on a store of one's own, and create a logical cloud");
    let server = serve(folder.path()).await?;
    let clouds = format!("http://{}{CLOUDS}", server.http_addr());
    let made = client.post(&clouds).json(&cloud()).send().await?;
    println!("   POST {CLOUDS}: {}", made.status());
    let tag = made.error_for_status()?.headers().get("etag").cloned().context("an answer with an ETag")?;
    server.stop().await;

    println!("== What is in the file now");
    let text = std::fs::read_to_string(folder.path().join("log"))?;
    for line in text.lines().skip(1) {
        let line: Value = serde_json::from_str(line)?;
        println!("   {}", line["key"].as_str().unwrap_or_default());
    }

    println!("== Start again on the same file");
    let server = serve(folder.path()).await?;
    let url = format!("http://{}{CLOUDS}/lc-1", server.http_addr());
    let found = client.get(&url).send().await?;
    println!("   GET {CLOUDS}/lc-1: {}", found.status());
    ensure!(found.headers().get("etag") == Some(&tag), "the revision is not the one from before the restart");
    let deleted = client.delete(&url).header("if-match", tag).send().await?;
    println!("   DELETE {CLOUDS}/lc-1, at the revision from before the restart: {}", deleted.status());
    ensure!(deleted.status().is_success(), "the logical cloud is not deleted");
    server.stop().await;
    Ok(())
}

/// The server, on the store in a folder. Clusters are simulated.
async fn serve(folder: &Path) -> Result<dcm_server::Running> {
    let store = LogStore::open(&folder.join("log")).context("opening the store")?;
    let key = folder.join("key").display().to_string();
    let options = [
        "--http",
        "127.0.0.1:0",
        "--grpc",
        "127.0.0.1:0",
        "--synchronizer",
        "simulated",
        "--encryption-key-file",
        &key,
    ];
    let config = dcm_server::Config::from_options(options)?;
    Ok(dcm_server::start_on(Arc::new(store), config).await?)
}

fn cloud() -> Value {
    json!({
        "metadata": { "name": "lc-1", "description": "logical cloud for walmart finance department" },
        "spec": {
            "namespace": "ns-1",
            "user": {
                "user-name": "user-1",
                "type": "certificate",
                "user-permissions": [
                    { "permission-name": "permission-1", "apiGroups": [""], "resources": ["pods"], "verbs": ["get"] },
                ],
            },
        },
    })
}
