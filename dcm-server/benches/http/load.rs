//! What the benchmarks of the edges share: servers in processes of their own, and the load of HTTP/1.1 on them.

// Of what DCM is compared with, too.
#[path = "../../src/allocator.rs"]
mod allocator;

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

use anyhow::{Context as _, Result};
use bytes::Bytes;
use dcm_server::{Config, Running, config::LogFormat, telemetry};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    task::JoinSet,
};

/// Serves DCM until the process is killed, with everything on that is on by default, and prints where this edge of it is.
pub(crate) async fn serve_dcm(store: &str, more: &[&str], edge: fn(&Running) -> SocketAddr) -> Result<()> {
    telemetry::init("info", LogFormat::Text)?;
    dcm_server::install_crypto_provider();
    let options = ["--http", "127.0.0.1:0", "--grpc", "127.0.0.1:0", "--store", store, "--synchronizer", "simulated"];
    let server = dcm_server::start(Config::from_options(options.iter().chain(more))?).await?;
    println!("{}", edge(&server));
    std::future::pending::<()>().await;
    server.stop().await;
    Ok(())
}

/// A logical cloud as in the design.
pub(crate) fn logical_cloud(name: &str) -> Value {
    let permission = |name: &str, resources: &str| json!({ "permission-name": name, "apiGroups": [""], "resources": [resources, "pods"], "verbs": ["get", "watch", "list"] });
    json!({
        "metadata": { "name": name, "description": "logical cloud for walmart finance department", "userData1": "x", "userData2": "y" },
        "spec": { "namespace": "ns-1", "user": { "user-name": "user-1", "type": "certificate",
            "user-permissions": [permission("permission-1", "secrets"), permission("permission-2", "configmaps")] } },
    })
}

/// A program in a process of its own, which is this one with other arguments.
pub(crate) struct Server {
    process: Child,
    pub(crate) address: SocketAddr,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Server {
    pub(crate) fn start(arguments: &[&str]) -> Result<Self> {
        let mut process =
            Command::new(env::current_exe()?).args(arguments).stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
        let mut line = String::new();
        BufReader::new(process.stdout.take().context("no output")?).read_line(&mut line)?;
        Ok(Self { process, address: line.trim().parse().context("the server did not start")? })
    }

    /// Processor time used so far, in seconds.
    pub(crate) fn cpu(&self) -> Result<f64> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.process.id()))?;
        let fields: Vec<&str> = stat.rsplit(')').next().context("no stat")?.split_whitespace().collect();
        let ticks = fields[11].parse::<f64>()? + fields[12].parse::<f64>()?;
        Ok(ticks / 100.0)
    }

    /// Resident memory in KiB.
    #[allow(dead_code, reason = "not every benchmark asks for it")]
    pub(crate) fn resident(&self) -> Result<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
        Ok(line.trim().trim_end_matches(" kB").parse()?)
    }
}

/// What came of a round; latencies are in microseconds.
pub(crate) struct Measured {
    pub(crate) per_second: f64,
    pub(crate) per_cpu_second: f64,
    pub(crate) p50: f64,
    pub(crate) p99: f64,
}

impl Measured {
    /// Of answers that took so many nanoseconds each, in so many seconds by the clock and of the server's processor time.
    pub(crate) fn of(mut latencies: Vec<u32>, seconds: f64, cpu: f64) -> Self {
        latencies.sort_unstable();
        let count = latencies.len() as f64;
        let at = |share: f64| latencies.get((count * share) as usize).map_or(0.0, |nanos| f64::from(*nanos) / 1000.0);
        Self { per_second: count / seconds, per_cpu_second: count / cpu, p50: at(0.5), p99: at(0.99) }
    }
}

/// The median of a figure over some rounds.
pub(crate) fn median(results: &[Measured], of: fn(&Measured) -> f64) -> f64 {
    let mut values: Vec<f64> = results.iter().map(of).collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}

/// Loads one server for a while: on each connection one request after the other or, with a pace, one every so often.
/// `requests` makes what a connection asks.
pub(crate) async fn round<R>(
    server: &Server,
    connections: usize,
    length: Duration,
    pace: Option<Duration>,
    requests: impl Fn(usize) -> R,
) -> Result<Measured>
where
    R: FnMut() -> Bytes + Send + 'static,
{
    let over = Arc::new(AtomicBool::new(false));
    let mut clients = JoinSet::new();
    for connection in 0..connections {
        let stream = TcpStream::connect(server.address).await?;
        stream.set_nodelay(true)?;
        clients.spawn(client(stream, requests(connection), pace, Arc::clone(&over)));
    }
    let (started, cpu) = (Instant::now(), server.cpu()?);
    tokio::time::sleep(length).await;
    over.store(true, Ordering::Relaxed);
    let mut latencies = Vec::new();
    while let Some(ended) = clients.join_next().await {
        latencies.extend(ended??);
    }
    Ok(Measured::of(latencies, started.elapsed().as_secs_f64(), server.cpu()? - cpu))
}

/// Answers how long each request took, in nanoseconds; with a pace, since it was due.
///
/// Reads the little of HTTP that it needs by itself, so that the load costs less than the answers.
async fn client(
    mut stream: TcpStream,
    mut next: impl FnMut() -> Bytes,
    pace: Option<Duration>,
    over: Arc<AtomicBool>,
) -> Result<Vec<u32>> {
    let (mut latencies, mut buffer) = (Vec::with_capacity(1 << 16), vec![0; 16 * 1024]);
    let mut started = Instant::now();
    while !over.load(Ordering::Relaxed) {
        match pace {
            None => started = Instant::now(),
            Some(pace) => {
                started += pace;
                // Timers are no finer than a millisecond.
                while Instant::now() < started && !over.load(Ordering::Relaxed) {
                    tokio::task::yield_now().await;
                }
            }
        }
        stream.write_all(&next()).await?;
        let (mut filled, mut expected) = (0, usize::MAX);
        while filled < expected {
            let read = stream.read(&mut buffer[filled..]).await?;
            anyhow::ensure!(read > 0, "the server closed the connection");
            filled += read;
            if expected == usize::MAX {
                expected = length_of(&buffer[..filled])?.unwrap_or(usize::MAX);
            }
        }
        latencies.push(nanos_since(started));
    }
    Ok(latencies)
}

/// How long ago that was, in nanoseconds.
pub(crate) fn nanos_since(begun: Instant) -> u32 {
    u32::try_from(begun.elapsed().as_nanos()).unwrap_or(u32::MAX)
}

/// The length of the answer, once its head is there.
fn length_of(answer: &[u8]) -> Result<Option<usize>> {
    let Some(end) = answer.windows(4).position(|window| window == b"\r\n\r\n") else { return Ok(None) };
    let said = || String::from_utf8_lossy(answer).into_owned();
    anyhow::ensure!(answer.starts_with(b"HTTP/1.1 20"), "not served: {}", said());
    let head = std::str::from_utf8(&answer[..end])?.to_ascii_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length:")).context("no content-length")?;
    Ok(Some(end + 4 + length.trim().parse::<usize>()?))
}
