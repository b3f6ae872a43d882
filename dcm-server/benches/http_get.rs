//! GET of a logical cloud over HTTP against two yardsticks that answer a constant JSON of the same size: axum, and axum
//! with the same kind of layers.
//!
//! Each server is a process of its own with one thread, so that it has one core at most; this process makes
//! the load with keep-alive connections, on a thread of its own. The rounds alternate, and the medians are
//! compared: by the clock, and by the processor time that the servers used, which others on the machine do
//! not disturb. Then each is asked half of what it can, and how long answers take is compared.
//!
//! `cargo bench -p dcm-server --bench http_get [-- <connections>…]`

#![allow(clippy::print_stdout, reason = "a benchmark prints its figures")]

#[path = "http/compared.rs"]
mod compared;
#[path = "http/layered.rs"]
mod layered;
#[path = "http/load.rs"]
mod load;

use std::{env, time::Duration};

use anyhow::{Result, bail};
use axum::{Router, routing::get};
use bytes::Bytes;
use dcm_server::Running;
use http::header;
use load::{Measured, Server, median, round};
use serde_json::json;
use tokio::net::TcpListener;

const ROUND: Duration = Duration::from_secs(2);
const ROUNDS: usize = 7;
const PATH: &str = "/v2/projects/walmart/logical-clouds/lc-1";

fn main() -> Result<()> {
    let arguments: Vec<String> = env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["serve-dcm", store] => runtime.block_on(load::serve_dcm(store, &[], Running::http_addr)),
        ["serve-axum", body] => runtime.block_on(serve_axum((*body).to_owned())),
        ["serve-layered", body] => runtime.block_on(layered::serve((*body).to_owned())),
        [] => runtime.block_on(compare(&[32, 256])),
        connections => {
            let connections = connections.iter().map(|count| count.parse()).collect::<Result<Vec<usize>, _>>()?;
            runtime.block_on(compare(&connections))
        }
    }
}

async fn serve_axum(body: String) -> Result<()> {
    let body = Bytes::from(body);
    let answer = move || {
        let body = body.clone();
        async move { ([(header::CONTENT_TYPE, "application/json")], body) }
    };
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("{}", listener.local_addr()?);
    axum::serve(listener, Router::new().route(PATH, get(answer))).await?;
    Ok(())
}

async fn compare(connections: &[usize]) -> Result<()> {
    let directory = tempfile::tempdir()?;
    let sled = Server::start(&["serve-dcm", &format!("sled:{}", directory.path().join("data").display())])?;
    let memory = Server::start(&["serve-dcm", "memory:"])?;
    let body = fill(&sled).await?;
    anyhow::ensure!(fill(&memory).await?.len() == body.len(), "the stores answer differently");
    let axum = Server::start(&["serve-axum", &body])?;
    let layered = Server::start(&["serve-layered", &body])?;
    let servers =
        [("axum, constant", &axum), ("axum, layers", &layered), ("DCM on sled", &sled), ("DCM on memory", &memory)];
    for &connections in connections {
        println!(
            "GET of a logical cloud: {} bytes, {connections} connections, {ROUNDS} rounds of {ROUND:?}",
            body.len()
        );
        let full = rounds(&servers, connections, &[None; 4]).await?;
        compared::print("req", &servers, &full);
        let half = full.iter().map(|results| {
            Some(Duration::from_secs_f64(connections as f64 / (median(results, |m| m.per_second) / 2.0)))
        });
        println!("at half of what each can:");
        let half = rounds(&servers, connections, &half.collect::<Vec<_>>()).await?;
        compared::print("req", &servers, &half);
    }
    println!("resident after the load: DCM on sled {} KiB", sled.resident()?);
    Ok(())
}

async fn rounds(
    servers: &[(&str, &Server)],
    connections: usize,
    paces: &[Option<Duration>],
) -> Result<Vec<Vec<Measured>>> {
    compared::in_turn(servers, ROUNDS, async |at, server| {
        let request = Bytes::from(format!(
            "GET {PATH} HTTP/1.1\r\nhost: {}\r\naccept: */*\r\nuser-agent: bench\r\n\r\n",
            server.address
        ));
        let requests = |_| {
            let request = request.clone();
            move || request.clone()
        };
        round(server, connections, ROUND, paces[at], requests).await
    })
    .await
}

/// A logical cloud as in the design, applied to one simulated cluster; answers its JSON.
async fn fill(server: &Server) -> Result<String> {
    let client = reqwest::Client::builder().no_proxy().build()?;
    let url = |path: &str| format!("http://{}{path}", server.address);
    let post = async |path: &str, body: serde_json::Value| -> Result<()> {
        let answer = client.post(url(path)).json(&body).send().await?;
        let status = answer.status();
        anyhow::ensure!(status.is_success(), "{path}: {status} {}", answer.text().await?);
        Ok(())
    };
    let kubeconfig = json!({
        "current-context": "c", "clusters": [{ "name": "k", "cluster": { "server": "https://127.0.0.1:1" } }],
        "users": [{ "name": "u", "user": { "token": "t" } }], "contexts": [{ "name": "c", "context": { "cluster": "k", "user": "u" } }],
    });
    let cluster = json!({ "metadata": { "name": "cluster-1" }, "spec": { "kubeconfig": kubeconfig } });
    post("/v2/cluster-providers/default/clusters", cluster).await?;
    post("/v2/projects/walmart/logical-clouds", load::logical_cloud("lc-1")).await?;
    let reference = json!({ "cluster-reference": "cluster-1", "loadbalancer-ip": "0.0.0.0" });
    post(&format!("{PATH}/cluster-references"), reference).await?;
    let quota = json!({ "metadata": { "name": "q" }, "spec": { "pods": "10" } });
    post(&format!("{PATH}/cluster-quotas"), quota).await?;
    post(&format!("{PATH}/apply"), json!({})).await?;
    for _ in 0..500 {
        let status: serde_json::Value = client.get(url(&format!("{PATH}/status"))).send().await?.json().await?;
        if status["status"] == "Created" {
            return Ok(client.get(url(PATH)).send().await?.text().await?);
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    bail!("the logical cloud was not created in time")
}
