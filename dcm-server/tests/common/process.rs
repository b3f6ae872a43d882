//! The real server in a process of its own, which a test may kill and start again at the same addresses. `DCM_TEST_SERVER` names another
//! build of it, `DCM_TEST_KILLS` how often tests kill.

use std::{
    fs::File,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    time::Duration,
};

use dcm_test_utils::{address::free_port, patience::until};
use reqwest::StatusCode;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

/// How long it may take to start and to end on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// A server. It is killed when this is dropped: no handler runs, nothing is flushed.
pub(crate) struct Process {
    command: Command,
    child: Option<Child>,
    base: String,
    /// The port of its gRPC.
    pub(crate) grpc: u16,
    log: PathBuf,
    client: reqwest::Client,
}

impl Process {
    /// A server that has these options, and ports that are free now and stay the same; it is yet to be started.
    pub(crate) fn new(log: &Path, options: &[String]) -> Self {
        Self::through(&[], log, options)
    }

    /// The same, started by a program that starts the rest of its command line.
    pub(crate) fn through(program: &[&str], log: &Path, options: &[String]) -> Self {
        let words = program.iter().map(ToString::to_string).chain([server()]).collect::<Vec<_>>();
        let (http, grpc) = (format!("127.0.0.1:{}", free_port()), free_port());
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]).arg(format!("--http={http}")).arg(format!("--grpc=127.0.0.1:{grpc}"));
        command.args(options).stdin(Stdio::null());
        dcm_server::install_crypto_provider();
        let client = reqwest::Client::builder().no_proxy().timeout(PATIENCE).build().unwrap();
        Self { command, child: None, base: format!("http://{http}"), grpc, log: log.to_owned(), client }
    }

    /// A server with this store, whose log and key are in a folder.
    pub(crate) fn on_store(store: &str, folder: &Path) -> Self {
        Self::on_store_through(&[], store, folder)
    }

    /// The same on sled in that folder.
    pub(crate) fn on_sled(folder: &Path) -> Self {
        Self::on_store(&format!("sled:{}", folder.join("data").display()), folder)
    }

    /// The same, started by a program that starts the rest of its command line.
    pub(crate) fn on_store_through(program: &[&str], store: &str, folder: &Path) -> Self {
        let key = format!("--encryption-key-file={}", folder.join("key").display());
        Self::through(program, &folder.join("server.log"), &[format!("--store={store}"), key, "--log=warn".to_owned()])
    }

    /// The same with a variable of its environment.
    pub(crate) fn env(mut self, name: &str, value: &str) -> Self {
        self.command.env(name, value);
        self
    }

    /// Starts it, and waits until it serves.
    pub(crate) async fn start(&mut self) {
        self.spawn();
        self.ready().await;
    }

    /// Starts it, and does not wait.
    pub(crate) fn spawn(&mut self) {
        self.kill();
        let log = File::options().create(true).append(true).open(&self.log).unwrap();
        self.child = Some(self.command.stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap());
    }

    /// Waits until it serves.
    pub(crate) async fn ready(&mut self) {
        let log = self.log.clone();
        until(PATIENCE, format_args!("ready; see {}", log.display()), async || {
            assert!(self.lives(), "the server has ended: {}", self.log());
            self.readiness().await
        })
        .await;
    }

    /// What it says of itself, where it serves.
    pub(crate) async fn readiness(&self) -> Result<Value, String> {
        let answer =
            self.client.get(format!("{}/readyz", self.base)).send().await.map_err(|error| error.to_string())?;
        let status = answer.status();
        let body = answer.json::<Value>().await.map_err(|error| error.to_string())?;
        if status == StatusCode::OK { Ok(body) } else { Err(body.to_string()) }
    }

    /// Whether the process still is the one that was started.
    pub(crate) fn lives(&mut self) -> bool {
        self.child.as_mut().is_some_and(|child| child.try_wait().unwrap().is_none())
    }

    /// Waits until it has ended by itself.
    pub(crate) async fn ended(&mut self) -> ExitStatus {
        let child = self.child.as_mut().unwrap();
        let status = until(PATIENCE, "ended", async || child.try_wait().unwrap().ok_or("it runs")).await;
        self.child = None;
        status
    }

    /// Kills it with SIGKILL.
    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// Its process id.
    pub(crate) fn id(&self) -> u32 {
        self.child.as_ref().unwrap().id()
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(self.child.as_ref().unwrap()), signal).unwrap();
    }

    /// Its address, as URLs begin.
    pub(crate) fn base(&self) -> &str {
        &self.base
    }

    /// What it wrote to its log, all starts together.
    pub(crate) fn log(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(&self.log).unwrap_or_default()).into_owned()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            let log = self.log();
            let lines: Vec<_> = log.lines().collect();
            let last = lines.len().saturating_sub(30);
            println!("the end of {}:\n{}\n", self.log.display(), lines[last..].join("\n"));
        }
    }
}

/// The server's program; another build of it where `DCM_TEST_SERVER` names one.
#[expect(clippy::disallowed_methods, reason = "a test's own knob")]
fn server() -> String {
    std::env::var("DCM_TEST_SERVER").unwrap_or_else(|_| env!("CARGO_BIN_EXE_dcm-server").to_owned())
}

/// How often a test kills: so many times where `DCM_TEST_KILLS` says so.
#[expect(clippy::disallowed_methods, reason = "a test's own knob")]
pub(crate) fn kills(otherwise: u32) -> u32 {
    std::env::var("DCM_TEST_KILLS").map_or(otherwise, |text| text.parse().expect("DCM_TEST_KILLS is a number"))
}
