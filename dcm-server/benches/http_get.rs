//! GET of a logical cloud over HTTP against axum answering a constant JSON of the same size.
//!
//! Each server is a process of its own with one thread, so that it has one core at most; this process makes
//! the load with keep-alive connections, on a thread of its own. The rounds alternate, and the medians are
//! compared: by the clock, and by the processor time that the servers used, which others on the machine do
//! not disturb.
//!
//! `cargo bench -p dcm-server --bench http_get [-- <connections>]`

#![allow(clippy::print_stdout, reason = "a benchmark prints its figures")]

use std::{
    env, fs,
    io::{BufRead as _, BufReader},
    net::SocketAddr,
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use axum::{Router, routing::get};
use dcm_server::{Config, config::LogFormat, telemetry};
use http::header;
use serde_json::json;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

const ROUND: Duration = Duration::from_secs(2);
const ROUNDS: usize = 7;
const PATH: &str = "/v2/projects/walmart/logical-clouds/lc-1";

fn main() -> Result<()> {
    let arguments: Vec<String> = env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["serve-dcm", store] => runtime.block_on(serve_dcm(store)),
        ["serve-axum", body] => runtime.block_on(serve_axum(body.to_string())),
        [] => runtime.block_on(compare(32)),
        [connections] => runtime.block_on(compare(connections.parse()?)),
        _ => bail!("give the number of connections, or nothing"),
    }
}

async fn serve_dcm(store: &str) -> Result<()> {
    telemetry::init("info", LogFormat::Text)?;
    dcm_server::install_crypto_provider();
    let options = ["--http", "127.0.0.1:0", "--store", store, "--synchronizer", "simulated"];
    let server = dcm_server::start(Config::from_options(options)?).await?;
    println!("{}", server.http_addr());
    std::future::pending::<()>().await;
    server.stop().await;
    Ok(())
}

async fn serve_axum(body: String) -> Result<()> {
    let body = bytes::Bytes::from(body);
    let answer = move || {
        let body = body.clone();
        async move { ([(header::CONTENT_TYPE, "application/json")], body) }
    };
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("{}", listener.local_addr()?);
    axum::serve(listener, Router::new().route(PATH, get(answer))).await?;
    Ok(())
}

async fn compare(connections: usize) -> Result<()> {
    let directory = tempfile::tempdir()?;
    let sled = Server::start(&["serve-dcm", &format!("sled:{}", directory.path().join("data").display())])?;
    let memory = Server::start(&["serve-dcm", "memory:"])?;
    let body = fill(&sled).await?;
    anyhow::ensure!(fill(&memory).await?.len() == body.len(), "the stores answer differently");
    let axum = Server::start(&["serve-axum", &body])?;
    println!("GET of a logical cloud: {} bytes, {connections} connections, {ROUNDS} rounds of {ROUND:?}", body.len());
    let servers = [("axum, constant", &axum), ("DCM on sled", &sled), ("DCM on memory", &memory)];
    let mut results = [const { Vec::new() }; 3];
    for (_, server) in servers {
        round(server, connections, ROUND / 2).await?;
    }
    for _ in 0..ROUNDS {
        for ((_, server), results) in servers.iter().zip(&mut results) {
            results.push(round(server, connections, ROUND).await?);
        }
    }
    let median = |results: &[Measured], of: fn(&Measured) -> f64| {
        let mut values: Vec<f64> = results.iter().map(of).collect();
        values.sort_by(f64::total_cmp);
        values[values.len() / 2]
    };
    let yardstick = (median(&results[0], |m| m.per_second), median(&results[0], |m| m.per_cpu_second));
    println!(
        "{:<16} {:>10} {:>6} {:>12} {:>6} {:>9} {:>9}",
        "", "req/s", "ratio", "req/cpu-s", "ratio", "p50 us", "p99 us"
    );
    for ((name, _), results) in servers.iter().zip(&results) {
        let (by_clock, by_cpu) = (median(results, |m| m.per_second), median(results, |m| m.per_cpu_second));
        println!(
            "{name:<16} {by_clock:>10.0} {:>6.2} {by_cpu:>12.0} {:>6.2} {:>9.0} {:>9.0}",
            by_clock / yardstick.0,
            by_cpu / yardstick.1,
            median(results, |m| m.p50),
            median(results, |m| m.p99),
        );
    }
    println!("resident after the load: DCM on sled {} KiB", sled.resident()?);
    Ok(())
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
    let permission = |name: &str, resources: &str| json!({ "permission-name": name, "apiGroups": [""], "resources": [resources, "pods"], "verbs": ["get", "watch", "list"] });
    let cloud = json!({
        "metadata": { "name": "lc-1", "description": "logical cloud for walmart finance department", "userData1": "x", "userData2": "y" },
        "spec": { "namespace": "ns-1", "user": { "user-name": "user-1", "type": "certificate",
            "user-permissions": [permission("permission-1", "secrets"), permission("permission-2", "configmaps")] } },
    });
    post("/v2/projects/walmart/logical-clouds", cloud).await?;
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

/// A server in a process of its own.
struct Server {
    process: Child,
    address: SocketAddr,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Server {
    fn start(arguments: &[&str]) -> Result<Self> {
        let mut process =
            Command::new(env::current_exe()?).args(arguments).stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
        let mut line = String::new();
        BufReader::new(process.stdout.take().context("no output")?).read_line(&mut line)?;
        Ok(Self { process, address: line.trim().parse().context("the server did not start")? })
    }

    /// Processor time used so far, in seconds.
    fn cpu(&self) -> Result<f64> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.process.id()))?;
        let fields: Vec<&str> = stat.rsplit(')').next().context("no stat")?.split_whitespace().collect();
        let ticks = fields[11].parse::<f64>()? + fields[12].parse::<f64>()?;
        Ok(ticks / 100.0)
    }

    /// Resident memory in KiB.
    fn resident(&self) -> Result<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
        Ok(line.trim().trim_end_matches(" kB").parse()?)
    }
}

struct Measured {
    per_second: f64,
    per_cpu_second: f64,
    p50: f64,
    p99: f64,
}

/// Loads one server for a while.
async fn round(server: &Server, connections: usize, length: Duration) -> Result<Measured> {
    let over = Arc::new(AtomicBool::new(false));
    let mut clients = JoinSet::new();
    for _ in 0..connections {
        let stream = TcpStream::connect(server.address).await?;
        stream.set_nodelay(true)?;
        clients.spawn(client(stream, server.address, Arc::clone(&over)));
    }
    let (started, cpu) = (Instant::now(), server.cpu()?);
    tokio::time::sleep(length).await;
    over.store(true, Ordering::Relaxed);
    let mut latencies = Vec::new();
    while let Some(ended) = clients.join_next().await {
        latencies.extend(ended??);
    }
    let (seconds, cpu) = (started.elapsed().as_secs_f64(), server.cpu()? - cpu);
    latencies.sort_unstable();
    let count = latencies.len() as f64;
    let at = |share: f64| latencies.get((count * share) as usize).map_or(0.0, |nanos| f64::from(*nanos) / 1000.0);
    Ok(Measured { per_second: count / seconds, per_cpu_second: count / cpu, p50: at(0.5), p99: at(0.99) })
}

/// One request after the other on one connection; answers how long each took, in nanoseconds.
///
/// Reads the little of HTTP that it needs by itself, so that the load costs less than the answers.
async fn client(mut stream: TcpStream, address: SocketAddr, over: Arc<AtomicBool>) -> Result<Vec<u32>> {
    let request = format!("GET {PATH} HTTP/1.1\r\nhost: {address}\r\naccept: */*\r\nuser-agent: bench\r\n\r\n");
    let (mut latencies, mut buffer) = (Vec::with_capacity(1 << 16), vec![0; 16 * 1024]);
    while !over.load(Ordering::Relaxed) {
        let started = Instant::now();
        stream.write_all(request.as_bytes()).await?;
        let (mut filled, mut expected) = (0, usize::MAX);
        while filled < expected {
            let read = stream.read(&mut buffer[filled..]).await?;
            anyhow::ensure!(read > 0, "the server closed the connection");
            filled += read;
            if expected == usize::MAX {
                expected = length_of(&buffer[..filled])?.unwrap_or(usize::MAX);
            }
        }
        latencies.push(u32::try_from(started.elapsed().as_nanos()).unwrap_or(u32::MAX));
    }
    Ok(latencies)
}

/// The length of the answer, once its head is there.
fn length_of(answer: &[u8]) -> Result<Option<usize>> {
    let Some(end) = answer.windows(4).position(|window| window == b"\r\n\r\n") else { return Ok(None) };
    anyhow::ensure!(answer.starts_with(b"HTTP/1.1 200 "), "not 200");
    let head = std::str::from_utf8(&answer[..end])?.to_ascii_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length:")).context("no content-length")?;
    Ok(Some(end + 4 + length.trim().parse::<usize>()?))
}
