//! The real server in a process of its own, which a test may kill and start again at the same address.

use std::{
    fs::File,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use dcm_test_utils::{address::free_port, patience::until};
use reqwest::StatusCode;

/// How a server is started, again and again.
#[derive(Clone, Debug)]
pub(crate) struct Setup {
    /// The value of `--store`.
    pub(crate) store: String,
    /// Where its log and its key are.
    pub(crate) folder: PathBuf,
    /// Where it listens; the same port after each restart.
    pub(crate) port: u16,
}

/// A server that runs. It is killed when this is dropped: no handler runs, nothing is flushed.
pub(crate) struct Process {
    child: Child,
    base: String,
}

impl Setup {
    /// A server with this store, and a port that is free now.
    pub(crate) fn new(store: String, folder: &Path) -> Self {
        Self { store, folder: folder.to_owned(), port: free_port() }
    }

    /// A server on sled in this folder.
    pub(crate) fn sled(folder: &Path) -> Self {
        Self::new(format!("sled:{}", folder.join("data").display()), folder)
    }

    /// Starts it, and waits until it serves.
    pub(crate) async fn start(&self) -> Process {
        let mut process = self.spawn(&[]);
        process.ready().await;
        process
    }

    /// Starts it, by a program that starts the rest of its command line where there is one.
    pub(crate) fn spawn(&self, through: &[&str]) -> Process {
        let log = File::options().create(true).append(true).open(self.folder.join("server.log")).unwrap();
        let words = through.iter().map(ToString::to_string).chain([program()]).collect::<Vec<_>>();
        let child = Command::new(&words[0])
            .args(&words[1..])
            .args([
                "--http",
                &format!("127.0.0.1:{}", self.port),
                "--grpc",
                "127.0.0.1:0",
                "--store",
                &self.store,
                "--log",
                "warn",
            ])
            .arg("--encryption-key-file")
            .arg(self.folder.join("key"))
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn();
        Process { child: child.unwrap(), base: format!("http://127.0.0.1:{}", self.port) }
    }

    /// What it wrote to its log, all starts together.
    pub(crate) fn log(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(self.folder.join("server.log")).unwrap()).into_owned()
    }
}

impl Process {
    /// Its address, as URLs begin.
    pub(crate) fn base(&self) -> &str {
        &self.base
    }

    /// Its process id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits until it serves.
    pub(crate) async fn ready(&mut self) {
        let client = reqwest::Client::new();
        let url = format!("{}/readyz", self.base);
        until(Duration::from_secs(60), "ready", async || {
            assert_eq!(self.child.try_wait().unwrap(), None, "the server has ended; see its log");
            match client.get(&url).send().await {
                Ok(answer) if answer.status() == StatusCode::OK => Ok(()),
                Ok(answer) => Err(answer.status().to_string()),
                Err(error) => Err(error.to_string()),
            }
        })
        .await;
    }

    /// Waits until it has ended by itself, without success, and answers what all starts together wrote to their log.
    pub(crate) async fn fails(mut self, setup: &Setup) -> String {
        let ended = async || self.child.try_wait().unwrap().ok_or("it runs");
        let status = until(Duration::from_secs(60), "ended", ended).await;
        assert!(!status.success(), "{status}");
        setup.log()
    }

    /// Kills it with SIGKILL.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// The server's program: another build of it where `DCM_TEST_SERVER` names one.
#[expect(clippy::disallowed_methods, reason = "a test's own knob")]
fn program() -> String {
    std::env::var("DCM_TEST_SERVER").unwrap_or_else(|_| env!("CARGO_BIN_EXE_dcm-server").to_owned())
}

/// How often a test kills: so many times where `DCM_TEST_KILLS` says so.
#[expect(clippy::disallowed_methods, reason = "a test's own knob")]
pub(crate) fn kills(otherwise: u32) -> u32 {
    std::env::var("DCM_TEST_KILLS").map_or(otherwise, |text| text.parse().expect("DCM_TEST_KILLS is a number"))
}
