//! A server under all the load that it gets, and beside ten thousand connections that say nothing.
//!
//! For a minute, as many requests as fit: none may fail, and memory must not grow. Then idle connections: what each costs,
//! and that others are served beside them. Loopback only; everything ends by itself.
//!
//! `cargo bench -p dcm-server --bench saturation [-- <seconds> <idle connections>]`

#![allow(clippy::print_stdout, reason = "a benchmark prints its figures")]

#[allow(dead_code, reason = "the other benchmarks use more of it")]
#[path = "http/load.rs"]
mod load;

use std::{env, time::Duration};

use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use dcm_server::Running;
use load::{Server, round};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::net::TcpStream;

const CONNECTIONS: usize = 64;

/// How long one part of the load is, after which memory is looked at.
const PART: Duration = Duration::from_secs(5);

fn main() -> Result<()> {
    let arguments: Vec<String> = env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let limit = getrlimit(Resource::Nofile);
    // Inherited by the server.
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit })?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["serve-dcm", store] => runtime.block_on(load::serve_dcm(
            store,
            &["--max-connections", "20000", "--header-timeout", "10m"],
            Running::http_addr,
        )),
        [] => runtime.block_on(measure(60, 10_000)),
        [seconds, idle] => runtime.block_on(measure(seconds.parse()?, idle.parse()?)),
        _ => anyhow::bail!("give the seconds and the number of idle connections, or nothing"),
    }
}

async fn measure(seconds: u64, idle: usize) -> Result<()> {
    let directory = tempfile::tempdir()?;
    let server = Server::start(&["serve-dcm", &format!("sled:{}", directory.path().join("data").display())])?;
    let client = reqwest::Client::builder().no_proxy().build()?;
    let clouds = format!("http://{}/v2/projects/walmart/logical-clouds", server.address);
    client.post(&clouds).json(&load::logical_cloud("lc-1")).send().await?.error_for_status()?;
    let request = Bytes::from(format!(
        "GET /v2/projects/walmart/logical-clouds/lc-1 HTTP/1.1\r\nhost: {}\r\n\r\n",
        server.address
    ));
    // A request that is not answered with success ends the round with an error.
    let load = async |connections: usize, length: Duration| {
        let requests = |_| {
            let request = request.clone();
            move || request.clone()
        };
        round(&server, connections, length, None, requests).await
    };
    load(CONNECTIONS, PART).await?;
    let before = server.resident()?;
    println!("{CONNECTIONS} connections; resident after {PART:?}: {before} KiB");
    for part in 1..=(seconds / PART.as_secs()).max(1) {
        let measured = load(CONNECTIONS, PART).await?;
        println!(
            "{:>4} s: {:>7.0} req/s, p99 {:>6.0} us, resident {} KiB",
            part * PART.as_secs(),
            measured.per_second,
            measured.p99,
            server.resident()?
        );
    }
    let after = server.resident()?;
    ensure!(after < before + before / 4 + 4096, "memory grew from {before} to {after} KiB");
    println!("no request failed, and memory stayed: {before} to {after} KiB");

    let mut silent = Vec::with_capacity(idle);
    for number in 0..idle {
        silent.push(TcpStream::connect(server.address).await.with_context(|| format!("after {number} connections"))?);
    }
    let beside = load(CONNECTIONS, PART).await?;
    let all = server.resident()?;
    let each = (all.saturating_sub(after) * 1024) as f64 / idle.max(1) as f64;
    println!(
        "{idle} idle connections: {all} KiB, {each:.0} bytes each; beside them {:.0} req/s, p99 {:.0} us",
        beside.per_second, beside.p99
    );
    drop(silent);
    Ok(())
}
