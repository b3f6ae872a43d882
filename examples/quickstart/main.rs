//! DCM's main job, end to end, on this machine: a logical cloud comes to life on three clusters, and the
//! kubeconfig that DCM hands out works.
//!
//! ```text
//! cargo run --example quickstart                              # on simulated clusters
//! cargo run --example quickstart -- --keep                    # … and leaves all of it running to be tried
//! cargo run --example quickstart -- --kubeconfig a.yaml b.yaml   # on real clusters
//! ```
//!
//! Everything is in a temporary folder; on real clusters the logical cloud is terminated at the end.

#![allow(clippy::print_stdout, reason = "printing is what it is for")]

mod clusters;
mod rest;
mod user;

use std::{path::PathBuf, time::Duration};

use anyhow::{Context, Result, ensure};
use clap::Parser;
use serde_json::{Value, json};

use rest::Rest;

/// Shows DCM's main job, end to end.
#[derive(Debug, Parser)]
struct Args {
    /// Kubeconfigs of real clusters to use instead of simulated ones; their credentials must be embedded
    #[arg(long, num_args = 1.., value_name = "FILE")]
    kubeconfig: Vec<PathBuf>,
    /// Leave the server and its clusters running until Ctrl-C
    #[arg(long)]
    keep: bool,
}

const CLOUD: &str = "/v2/projects/walmart/logical-clouds/lc-1";

#[tokio::main]
async fn main() -> Result<()> {
    let args = Args::parse();
    dcm_server::install_crypto_provider();
    let folder = tempfile::tempdir().context("making a temporary folder")?;

    step("Start the server on the embedded store");
    let real = !args.kubeconfig.is_empty();
    let store = format!("sled:{}", folder.path().join("data").display());
    let synchronizer = if real { "kube" } else { "simulated" };
    let options = ["--http", "127.0.0.1:0", "--grpc", "127.0.0.1:0", "--store", &store, "--synchronizer", synchronizer];
    let config = dcm_server::Config::from_options(options)?;
    let server = dcm_server::start(config).await?;
    let rest = Rest::new(server.http_addr());
    println!("   listening on {}, clusters are {synchronizer}", rest.base());

    step("Register the clusters");
    let clusters = clusters::register(&rest, &args.kubeconfig).await?;

    step("Create a logical cloud: a namespace, a user, two permissions, a quota and kv-pairs, on every cluster");
    create_cloud(&rest, &clusters).await?;

    step("Apply it");
    rest.post(&format!("{CLOUD}/apply"), &Value::Null).await?;
    wait_for(&rest, "Created").await?;

    step("What the status says");
    print_table(&rest.get(&format!("{CLOUD}/status")).await?)?;

    step("Use the kubeconfig that DCM hands out, as the user, on every cluster");
    let path = folder.path().join("user-1.kubeconfig");
    let config = rest.get(&format!("{CLOUD}/kubeconfig")).await?;
    user::save(&path, &config)?;
    user::show(&path, &config).await?;

    step("Cut the user off, and let him in again with a new kubeconfig");
    rest.post(&format!("{CLOUD}/user/revoke"), &Value::Null).await?;
    user::show_access(&config, false).await?;
    wait_for(&rest, "Created").await?;
    let config = rest.get(&format!("{CLOUD}/kubeconfig")).await?;
    user::save(&path, &config)?;
    user::show_access(&config, true).await?;

    if args.keep {
        println!("\nAll of it keeps running until Ctrl-C. Try it:");
        println!("   kubectl --kubeconfig {} auth can-i --list", path.display());
        println!("   curl -s {}{CLOUD}/status", rest.base());
        tokio::signal::ctrl_c().await?;
    }

    step("Terminate it");
    rest.post(&format!("{CLOUD}/terminate"), &Value::Null).await?;
    wait_for(&rest, "Deleted").await?;
    server.stop().await;
    println!("\nDone: the clusters hold nothing of it any more.");
    Ok(())
}

fn step(what: &str) {
    println!("\n== {what}");
}

async fn create_cloud(rest: &Rest, clusters: &[String]) -> Result<()> {
    let permission = |name: &str, group: &str, resources: &[&str], verbs: &[&str]| json!({ "permission-name": name, "apiGroups": [group], "resources": resources, "verbs": verbs });
    let cloud = json!({
        "metadata": { "name": "lc-1", "description": "logical cloud for walmart finance department" },
        "spec": {
            "namespace": "ns-1",
            "user": {
                "user-name": "user-1",
                "type": "certificate",
                "user-permissions": [
                    permission("permission-1", "", &["configmaps"], &["*"]),
                    permission("permission-2", "apps", &["deployments"], &["get", "list", "watch", "create"]),
                ],
            },
        },
    });
    rest.post("/v2/projects/walmart/logical-clouds", &cloud).await?;
    for cluster in clusters {
        let reference = json!({ "cluster-reference": cluster, "loadbalancer-ip": "0.0.0.0" });
        rest.post(&format!("{CLOUD}/cluster-references"), &reference).await?;
    }
    let quota =
        json!({ "metadata": { "name": "quota-1" }, "spec": { "limits.cpu": "400", "configmaps": "2", "pods": "" } });
    rest.post(&format!("{CLOUD}/cluster-quotas"), &quota).await?;
    let pairs = json!({ "metadata": { "name": "kv-1" }, "spec": { "kv": [{ "region": "edge" }, { "tier": "gold" }] } });
    rest.post(&format!("{CLOUD}/kv-pairs"), &pairs).await?;
    println!("   lc-1 in the project walmart, namespace ns-1, user user-1, clusters {}", clusters.join(", "));
    Ok(())
}

/// Waits for a status, and shows each change on the way.
async fn wait_for(rest: &Rest, wanted: &str) -> Result<()> {
    let mut shown = String::new();
    let patience = std::time::Instant::now();
    loop {
        let status = rest.get(&format!("{CLOUD}/status")).await?;
        let overall = status["status"].as_str().unwrap_or_default().to_owned();
        let clusters: Vec<String> = rows(&status)
            .map(|(name, cluster)| {
                let parts = || cluster.iter().filter(|(part, _)| part.ends_with("-status"));
                let done = parts().filter(|(_, state)| *state == wanted).count();
                format!("{name} {done}/{}", parts().count())
            })
            .collect();
        let line = format!("   {overall:<22} {}", clusters.join("   "));
        if line != shown {
            println!("{line}");
            shown = line;
        }
        if overall == wanted {
            return Ok(());
        }
        ensure!(!overall.ends_with("Failed"), "the clusters refused:\n{status:#}");
        ensure!(patience.elapsed() < Duration::from_secs(120), "still {overall} after two minutes:\n{status:#}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// The clusters of a status by their names.
fn rows(status: &Value) -> impl Iterator<Item = (&String, &serde_json::Map<String, Value>)> {
    let clusters = status["clusters"].as_array().into_iter().flatten();
    clusters
        .filter_map(|entry| entry.as_object()?.iter().next())
        .filter_map(|(name, parts)| Some((name, parts.as_object()?)))
}

fn print_table(status: &Value) -> Result<()> {
    let parts = [
        "namespace-status",
        "role-status",
        "role-binding-status",
        "quota-status",
        "credential-status",
        "kubeconfig-status",
        "connectivity",
    ];
    let heads = ["NAMESPACE", "ROLE", "BINDING", "QUOTA", "CREDENTIAL", "KUBECONFIG", "CONNECTIVITY"];
    print!("   {:<12}", "CLUSTER");
    heads.iter().for_each(|head| print!("{head:<13}"));
    println!();
    for (name, cluster) in rows(status) {
        print!("   {name:<12}");
        for part in parts {
            let state =
                cluster.get(part).and_then(Value::as_str).with_context(|| format!("the status has no {part}"))?;
            print!("{state:<13}");
        }
        println!();
    }
    println!(
        "   {} as a whole: {}",
        status["metadata"]["name"].as_str().unwrap_or_default(),
        status["status"].as_str().unwrap_or_default()
    );
    Ok(())
}
