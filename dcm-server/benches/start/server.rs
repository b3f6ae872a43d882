//! The server in a process of its own.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    path::Path,
    process::{Child, ChildStdin, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use dcm_server::{Config, config::LogFormat, telemetry};

pub(crate) const SERVE: &str = "serve";
pub(crate) const FILL: &str = "fill";

/// Runs this program with these arguments.
pub(crate) fn run(arguments: &[&str]) -> Result<()> {
    let ended = Command::new(std::env::current_exe()?).args(arguments).status()?;
    ensure!(ended.success(), "{arguments:?} failed");
    Ok(())
}

/// The options of a server with its store and its key in a directory.
pub(crate) fn config(directory: &Path, synchronizer: &str) -> Result<Config> {
    let store = format!("sled:{}", directory.display());
    Ok(Config::from_options([
        "--http",
        "127.0.0.1:0",
        "--grpc",
        "127.0.0.1:0",
        "--store",
        &store,
        "--synchronizer",
        synchronizer,
    ])?)
}

/// Serves until nobody writes to it any more. Real clusters are not asked for anything: there is no order.
pub(crate) async fn serve(directory: &Path) -> Result<()> {
    telemetry::init("warn", LogFormat::Text)?;
    dcm_server::install_crypto_provider();
    let server = dcm_server::start(config(directory, "kube")?).await?;
    println!("{}", server.http_addr());
    tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new())).await??;
    server.stop().await;
    Ok(())
}

/// A server that is ready.
pub(crate) struct Server {
    process: Child,
    until: Option<ChildStdin>,
    pub(crate) address: SocketAddr,
    pub(crate) ready_after: Duration,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Server {
    pub(crate) fn start(directory: &Path) -> Result<Self> {
        let started = Instant::now();
        let mut process = Command::new(std::env::current_exe()?)
            .arg(SERVE)
            .arg(directory)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let until = process.stdin.take();
        let mut line = String::new();
        let said = process.stdout.take().context("no output")?;
        BufReader::new(said).read_line(&mut line)?;
        let address = line.trim().parse().context("the server did not start")?;
        let mut server = Self { process, until, address, ready_after: Duration::ZERO };
        while !is_ready(address)? {
            std::thread::sleep(Duration::from_millis(5));
        }
        server.ready_after = started.elapsed();
        Ok(server)
    }

    /// Ends it in good order.
    pub(crate) fn stop(mut self) -> Result<()> {
        drop(self.until.take());
        ensure!(self.process.wait()?.success(), "the server did not stop well");
        Ok(())
    }

    /// Resident memory in KiB.
    pub(crate) fn resident(&self) -> Result<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
        Ok(line.trim().trim_end_matches(" kB").parse()?)
    }
}

fn is_ready(address: SocketAddr) -> Result<bool> {
    let mut stream = TcpStream::connect(address)?;
    write!(stream, "GET /readyz HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer.starts_with("HTTP/1.1 200 "))
}
