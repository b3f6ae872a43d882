//! How long it takes until a change has reached everybody who watches its list.
//!
//! The server is a process of its own; this process holds the watches, all of one list, on a thread of its own, and makes one
//! change after the other. For each change and each watch it takes the time from the answer to the write (and from its sending)
//! until the event was read. What this process takes for reading is in the times too.
//!
//! `cargo bench -p dcm-server --bench watch [-- <watches>]`; with MongoDB too, where `DCM_TEST_MONGODB_URI` names a server
//! (`eval "$(testbed/mongodb start)"`).

#![allow(clippy::print_stdout, reason = "a benchmark prints its figures")]

#[path = "../src/allocator.rs"]
mod allocator;

use std::{
    env, fs,
    io::{BufRead as _, BufReader},
    net::SocketAddr,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};
use dcm_server::{Config, config::LogFormat, telemetry};
use futures_util::{StreamExt as _, stream};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    sync::mpsc::{self, UnboundedReceiver, UnboundedSender},
};

const LIST: &str = "/v2/projects/walmart/logical-clouds";
/// How many logical clouds the list has, and how many changes are made.
const CLOUDS: usize = 100;
const CHANGES: usize = 100;
/// How many changes are made as fast as they are answered, at the end.
const BURST: usize = 500;
/// How many writes elsewhere are made.
const WRITES: usize = 500;
/// How many watches are being opened at any time: each reads the whole list, and a store that serves a thousand readers at
/// once makes some wait for longer than a request may.
const AT_ONCE: usize = 32;
/// What a change is recognised by in an event.
const MARK: &str = "\"description\":\"change-";

fn main() -> Result<()> {
    let arguments: Vec<String> = env::args().skip(1).filter(|argument| argument != "--bench").collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["serve", store] => tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(serve(store)),
        [] => measure(1000),
        [watches] => measure(watches.parse()?),
        _ => bail!("give the number of watches, or nothing"),
    }
}

async fn serve(store: &str) -> Result<()> {
    telemetry::init("info", LogFormat::Text)?;
    dcm_server::install_crypto_provider();
    let folder = tempfile::tempdir()?;
    let key = folder.path().join("key").display().to_string();
    let options = [
        "--http",
        "127.0.0.1:0",
        "--grpc",
        "127.0.0.1:0",
        "--store",
        store,
        "--synchronizer",
        "simulated",
        "--max-watches",
        "1000000",
    ];
    // MongoDB has no place of its own for the key.
    let with_key = ["--encryption-key-file", &key];
    let key: &[&str] = if store.starts_with("mongodb") { &with_key } else { &[] };
    let server = dcm_server::start(Config::from_options(options.iter().chain(key).copied())?).await?;
    println!("{}", server.http_addr());
    std::future::pending::<()>().await;
    server.stop().await;
    Ok(())
}

fn measure(watches: usize) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    println!("{watches} watches of one list of {CLOUDS} logical clouds; {CHANGES} changes");
    let directory = tempfile::tempdir()?;
    let mut stores = vec!["memory:".to_owned(), format!("sled:{}", directory.path().join("data").display())];
    stores.extend(dcm_test_utils::mongodb::fresh_database("watches on MongoDB"));
    for store in stores {
        let server = Server::start(&store)?;
        runtime.block_on(run(&server, store.split(':').next().unwrap_or_default(), watches))?;
    }
    Ok(())
}

async fn run(server: &Server, store: &str, watches: usize) -> Result<()> {
    let client = Client { http: reqwest::Client::builder().no_proxy().build()?, address: server.address };
    for i in 0..CLOUDS {
        client.send(reqwest::Method::POST, LIST, &cloud(i, "new")).await?;
    }
    let unwatched = client.elsewhere().await?;
    let before = server.resident()?;
    let (sender, mut received) = mpsc::unbounded_channel();
    let mut opened = stream::iter(0..watches).map(|_| watch(server.address, sender.clone())).buffer_unordered(AT_ONCE);
    while let Some(watch) = opened.next().await {
        watch?;
    }
    drop(opened);
    let after = server.resident()?;
    let watched = client.elsewhere().await?;
    let (mut from_answer, mut from_sending) = (Vec::new(), Vec::new());
    let cpu = server.cpu()?;
    for number in 0..CHANGES {
        let sent = Instant::now();
        client.send(reqwest::Method::PUT, &one(number), &cloud(number, &format!("change-{number}"))).await?;
        let answered = Instant::now();
        for at in all(&mut received, number, watches).await? {
            from_sending.push((at - sent).as_secs_f64() * 1e3);
            from_answer.push(at.saturating_duration_since(answered).as_secs_f64() * 1e3);
        }
    }
    let cpu = (server.cpu()? - cpu) * 1e6 / (CHANGES * watches) as f64;
    println!("\n{store:<8} {:>10} {:>10} {:>10}  ms until a watch has read the change", "median", "p99", "max");
    for (from, times) in [("answer", &mut from_answer), ("sending", &mut from_sending)] {
        times.sort_by(f64::total_cmp);
        let at = |share: f64| times.get((times.len() as f64 * share) as usize).or(times.last()).copied().unwrap_or(0.0);
        println!("  from {from:<8} {:>5.2} {:>10.2} {:>10.2}", at(0.5), at(0.99), at(1.0));
    }
    let begun = Instant::now();
    for number in CHANGES..CHANGES + BURST {
        client.send(reqwest::Method::PUT, &one(number), &cloud(number, &format!("change-{number}"))).await?;
    }
    let written = begun.elapsed().as_secs_f64();
    all(&mut received, CHANGES + BURST - 1, watches).await?;
    let reached = begun.elapsed().as_secs_f64();
    println!(
        "  {BURST} changes one after the other: written in {written:.2} s, and read by all watches {:.2} s later",
        reached - written
    );
    println!(
        "  a write to another list takes {watched:.2} ms, and took {unwatched:.2} ms before anybody watched (medians)"
    );
    println!(
        "  {cpu:.0} us of processor time of the server for each event read; {:.1} KiB of memory for each watch and its connection",
        after.saturating_sub(before) as f64 / watches as f64
    );
    Ok(())
}

/// When each watch has read a change.
async fn all(
    received: &mut UnboundedReceiver<(usize, Instant)>,
    number: usize,
    watches: usize,
) -> Result<Vec<Instant>> {
    let mut times = Vec::with_capacity(watches);
    while times.len() < watches {
        let next = tokio::time::timeout(Duration::from_secs(60), received.recv()).await;
        let (change, at) = next.context("a change did not reach every watch")?.context("no watches")?;
        if change == number {
            times.push(at);
        }
    }
    Ok(times)
}

fn one(number: usize) -> String {
    format!("{LIST}/lc-{}", number % CLOUDS)
}

fn cloud(number: usize, description: &str) -> Value {
    let rule = json!({ "permission-name": "p", "apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list"] });
    json!({
        "metadata": { "name": format!("lc-{}", number % CLOUDS), "description": description },
        "spec": { "namespace": format!("ns-{}", number % CLOUDS), "user": { "user-name": "u", "user-permissions": [rule] } },
    })
}

/// Opens a watch, and goes on reading it in a task of its own once all that was there has been told.
async fn watch(address: SocketAddr, told: UnboundedSender<(usize, Instant)>) -> Result<()> {
    let mut stream = TcpStream::connect(address).await?;
    let request = format!("GET {LIST}?watch=true HTTP/1.1\r\nhost: {address}\r\naccept: text/event-stream\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut buffer = vec![0; 16 * 1024];
    let mut seen = String::new();
    while !seen.contains("event: synced") {
        let read = tokio::time::timeout(Duration::from_secs(60), stream.read(&mut buffer)).await??;
        ensure!(read > 0, "a watch was not answered: {seen}");
        seen.push_str(std::str::from_utf8(buffer.get(..read).unwrap_or_default())?);
        ensure!(seen.starts_with("HTTP/1.1 200"), "a watch was refused: {seen}");
    }
    tokio::spawn(async move {
        let mut rest = String::new();
        while let Ok(read @ 1..) = stream.read(&mut buffer).await {
            let at = Instant::now();
            rest.push_str(&String::from_utf8_lossy(buffer.get(..read).unwrap_or_default()));
            while let Some((number, after)) = change(&rest) {
                let _ = told.send((number, at));
                rest = rest.split_off(after);
            }
        }
    });
    Ok(())
}

/// The first change in a text, and where it ends.
fn change(text: &str) -> Option<(usize, usize)> {
    let begin = text.find(MARK)? + MARK.len();
    let length = text.get(begin..)?.find('"')?;
    Some((text.get(begin..begin + length)?.parse().ok()?, begin + length))
}

struct Client {
    http: reqwest::Client,
    address: SocketAddr,
}

impl Client {
    /// How long a write takes that no watch tells of, in milliseconds: the median.
    async fn elsewhere(&self) -> Result<f64> {
        let pair = |number: usize| json!({ "metadata": { "name": "a" }, "spec": { "kv": [{ "n": number }] } });
        let list = format!("{LIST}/lc-0/kv-pairs");
        // There already where this is done again.
        let _ = self.send(reqwest::Method::POST, &list, &pair(0)).await;
        let mut times = Vec::new();
        for number in 0..WRITES {
            let begun = Instant::now();
            self.send(reqwest::Method::PUT, &format!("{list}/a"), &pair(number)).await?;
            times.push(begun.elapsed().as_secs_f64() * 1e3);
        }
        times.sort_by(f64::total_cmp);
        Ok(times.get(WRITES / 2).copied().unwrap_or_default())
    }

    async fn send(&self, method: reqwest::Method, path: &str, body: &Value) -> Result<()> {
        let answer = self.http.request(method, format!("http://{}{path}", self.address)).json(body).send().await?;
        let status = answer.status();
        ensure!(status.is_success(), "{path}: {status} {}", answer.text().await?);
        answer.bytes().await?;
        Ok(())
    }
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
    fn start(store: &str) -> Result<Self> {
        let mut process = Command::new(env::current_exe()?)
            .args(["serve", store])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
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
