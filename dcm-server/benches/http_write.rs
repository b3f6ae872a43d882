//! Durable POST and PUT of logical clouds over HTTP on sled against the same writes through `Store`.
//!
//! The server and what writes through `Store` are processes of their own, each with tokio's usual threads. The rounds
//! alternate, and the medians are compared.
//!
//! `cargo bench -p dcm-server --bench http_write [-- <writers>…]`

#![allow(clippy::print_stdout, reason = "a benchmark prints its figures")]

#[path = "http/load.rs"]
mod load;

use std::{
    env,
    io::{BufRead as _, BufReader},
    process::{Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use dcm_core::store::{Body, Key, Precondition, Store};
use dcm_server::Running;
use dcm_store::SledConfig;
use load::{Measured, Server, median, round};

const ROUND: Duration = Duration::from_secs(3);
const ROUNDS: usize = 5;

/// Names that were used already.
static NAMES: AtomicU64 = AtomicU64::new(0);

/// What stands in a template for the name, and for what makes a write another one than all before.
const NAME: &str = "@name@";
const MARK: &str = "@mark@";

/// A logical cloud as text, with [`NAME`] and [`MARK`] in it: what makes the load takes its time from what is measured.
fn template() -> serde_json::Value {
    let mut template = load::logical_cloud(NAME);
    template["metadata"]["userData1"] = MARK.into();
    template
}

fn filled(template: &str, name: &str, mark: u64) -> String {
    template.replacen(NAME, name, 1).replacen(MARK, &mark.to_string(), 1)
}

fn main() -> Result<()> {
    let arguments: Vec<String> = env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    // One thread makes the load: more would take the server's processors.
    let load = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["serve-dcm", store] => runtime.block_on(load::serve_dcm(store, &[], Running::http_addr)),
        ["write-store", kind, writers, path] => runtime.block_on(write_store(*kind == "PUT", writers.parse()?, path)),
        [] => load.block_on(compare(&[32, 128])),
        writers => load.block_on(compare(&writers.iter().map(|w| w.parse()).collect::<Result<Vec<usize>, _>>()?)),
    }
}

async fn compare(writers: &[usize]) -> Result<()> {
    let directory = tempfile::tempdir()?;
    let path = |name: &str| directory.path().join(name).display().to_string();
    let server = Server::start(&["serve-dcm", &format!("sled:{}", path("dcm"))])?;
    for kind in ["POST", "PUT"] {
        for &writers in writers {
            let (mut over_http, mut through_store) = (Vec::new(), Vec::new());
            for number in 0..=ROUNDS {
                let store = path(&format!("store-{kind}-{writers}-{number}"));
                let stored = in_process(kind, writers, &store)?;
                let served = over(&server, kind, writers).await?;
                // The first one warms up.
                if number > 0 {
                    over_http.push(served);
                    through_store.push(stored);
                }
            }
            through_store.sort_by(f64::total_cmp);
            let (http, store) = (median(&over_http, |m| m.per_second), through_store[through_store.len() / 2]);
            println!(
                "{kind:<4} {writers:>4} writers: {http:>8.0}/s over HTTP, {store:>8.0}/s through Store, ratio {:.2}; {:.0} per cpu-s, p50 {:.0} us, p99 {:.0} us",
                http / store,
                median(&over_http, |m| m.per_cpu_second),
                median(&over_http, |m| m.p50),
                median(&over_http, |m| m.p99),
            );
        }
    }
    Ok(())
}

async fn over(server: &Server, kind: &'static str, writers: usize) -> Result<Measured> {
    if kind == "PUT" {
        for writer in 0..writers {
            create(server, &format!("own-{writer}")).await?;
        }
    }
    let (address, template) = (server.address, template().to_string());
    round(server, writers, ROUND, None, |writer| {
        let template = template.clone();
        move || {
            let mark = NAMES.fetch_add(1, Ordering::Relaxed);
            let (name, path) = match kind {
                "PUT" => (format!("own-{writer}"), format!("/own-{writer}")),
                _ => (format!("lc-{mark}"), String::new()),
            };
            let (body, all) = (filled(&template, &name, mark), "/v2/projects/walmart/logical-clouds");
            let length = body.len();
            Bytes::from(format!(
                "{kind} {all}{path} HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
            ))
        }
    })
    .await
}

/// Creates a logical cloud that may be there already.
async fn create(server: &Server, name: &str) -> Result<()> {
    let client = reqwest::Client::builder().no_proxy().build()?;
    let url = format!("http://{}/v2/projects/walmart/logical-clouds", server.address);
    let status = client.post(url).json(&load::logical_cloud(name)).send().await?.status();
    ensure!(status == 201 || status == 409, "{name}: {status}");
    Ok(())
}

/// Writes through a store in a process of its own; answers how many writes a second it did.
fn in_process(kind: &str, writers: usize, path: &str) -> Result<f64> {
    let arguments = ["write-store", kind, &writers.to_string(), path];
    let mut process =
        Command::new(env::current_exe()?).args(arguments).stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
    let mut line = String::new();
    BufReader::new(process.stdout.take().context("no output")?).read_line(&mut line)?;
    ensure!(process.wait()?.success(), "the writes through Store failed");
    Ok(line.trim().parse()?)
}

/// What a POST or a PUT of a logical cloud writes: one document of its size, made or replaced.
async fn write_store(replaces: bool, writers: usize, path: &str) -> Result<()> {
    let store = dcm_store::open(dcm_store::Config::Sled(SledConfig::new(path))).await?;
    let (over, mut tasks) = (Arc::new(AtomicBool::new(false)), tokio::task::JoinSet::new());
    let started = Instant::now();
    for writer in 0..writers {
        tasks.spawn(write(Arc::clone(&store), writer, replaces, Arc::clone(&over)));
    }
    tokio::time::sleep(ROUND).await;
    over.store(true, Ordering::Relaxed);
    let mut writes = 0;
    while let Some(ended) = tasks.join_next().await {
        writes += ended??;
    }
    println!("{}", f64::from(writes) / started.elapsed().as_secs_f64());
    Ok(())
}

async fn write(store: Arc<dyn Store>, writer: usize, replaces: bool, over: Arc<AtomicBool>) -> Result<u32> {
    let mut document = template();
    document["document"] = serde_json::json!({
        "uid": "00000000-0000-0000-0000-000000000000", "project": "walmart", "project-uid": "00000000-0000-0000-0000-000000000000",
        "lifecycle": { "phase": "New", "applied-generation": 0 }, "created-at": "2026-01-01T00:00:00Z",
    });
    let template = document.to_string();
    let (mut writes, mut precondition) = (0, Precondition::Absent);
    while !over.load(Ordering::Relaxed) {
        let body = filled(&template, &format!("lc-{writer}-{writes}"), u64::from(writes));
        let name = if replaces { format!("{writer}") } else { format!("{writer}-{writes}") };
        let key = Key::new(["logical-cloud", "00000000-0000-0000-0000-000000000000", &name])?;
        let revision = store.put(&key, Body::from_json(body.into_bytes()), precondition.clone()).await?;
        if replaces {
            precondition = Precondition::AtRevision(revision);
        }
        writes += 1;
    }
    Ok(writes)
}
