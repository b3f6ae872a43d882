//! Runs one simulated cluster until Ctrl-C, for trying it with kubectl:
//! `cargo run -p dcm-sim --example serve -- /tmp/kubeconfig`, then `kubectl --kubeconfig /tmp/kubeconfig get ns`.
#![allow(clippy::print_stdout, reason = "a program for a terminal")]

use dcm_sim::{Cluster, ClusterOptions};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let path = std::env::args().nth(1).unwrap_or_else(|| "kubeconfig".to_owned());
    let cluster = Cluster::start(ClusterOptions::named("simulated").istio(true)).await?;
    std::fs::write(&path, serde_json::to_vec_pretty(&cluster.admin_kubeconfig())?)?;
    println!("{} serves; its kubeconfig is {path}", cluster.server());
    tokio::signal::ctrl_c().await?;
    cluster.shutdown().await;
    Ok(())
}
