use std::{
    fs::File,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    time::Duration,
};

use dcm_test_utils::{
    address::free_port,
    patience::{until, until_so},
};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::time::Instant;

/// Longer than any answer may take, whatever the store does: 17 seconds for a call of the store, and a busy machine.
pub(crate) const BOUND: Duration = Duration::from_secs(22);

/// A server in a process of its own, which is killed when this is dropped.
pub(crate) struct Dcm {
    child: Child,
    base: String,
    client: reqwest::Client,
    log: PathBuf,
}

/// An answer, and after how long it came.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) retry_after: Option<u64>,
    pub(crate) body: Value,
    pub(crate) took: Duration,
}

impl Answer {
    /// It says that the store is away, as clients are promised to be told.
    pub(crate) fn is_away(&self) {
        assert_eq!(self.status, StatusCode::SERVICE_UNAVAILABLE, "{self:?}");
        assert!(self.retry_after.is_some_and(|seconds| seconds > 0), "{self:?}");
        assert!(self.body["title"].is_string() && self.body["status"] == 503, "{self:?}");
        assert!(self.took < BOUND, "{self:?}");
    }
}

/// The command that starts a server with this store.
fn command(folder: &Path, store: &str, options: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dcm-server"));
    command.env("DCM_STORE", store).env("DCM_LOG", "debug").arg("--encryption-key-file").arg(folder.join("key"));
    command.args(options);
    command
}

/// What a server that does not start says, and how it ends.
pub(crate) async fn refusal(folder: &Path, store: &str) -> (ExitStatus, String) {
    let mut command = command(folder, store, &["--http", "127.0.0.1:0", "--grpc", "127.0.0.1:0"]);
    let started = Instant::now();
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    assert!(started.elapsed() < BOUND, "{:?}", started.elapsed());
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    let all = text(output.stdout) + &text(output.stderr);
    assert!(!all.contains("s3cret"), "{all}");
    (output.status, all)
}

impl Dcm {
    pub(crate) async fn start(folder: &Path, store: &str) -> Self {
        let log = folder.join("dcm.log");
        let file = File::create(&log).unwrap();
        let address = format!("127.0.0.1:{}", free_port());
        let child = command(folder, store, &["--http", &address, "--grpc", "127.0.0.1:0"])
            .stdin(Stdio::null())
            .stdout(file.try_clone().unwrap())
            .stderr(file)
            .spawn()
            .unwrap();
        let mut dcm = Self { child, base: format!("http://{address}"), client: reqwest::Client::new(), log };
        dcm.is_ready().await;
        dcm
    }

    pub(crate) async fn is_ready(&mut self) {
        let ready = async || {
            assert!(self.lives(), "the server has ended; see its log");
            let asked = self.client.get(format!("{}/readyz", self.base)).send().await;
            asked.is_ok_and(|answer| answer.status() == StatusCode::OK)
        };
        until_so(Duration::from_secs(60), "ready", ready).await;
    }

    pub(crate) async fn call(&self, method: Method, path: &str, body: Option<&Value>) -> Answer {
        let started = Instant::now();
        let mut request = self.client.request(method, format!("{}{path}", self.base));
        if let Some(body) = body {
            request = request.json(body);
        }
        let answer = request.send().await.unwrap();
        let (status, headers) = (answer.status(), answer.headers().clone());
        let took = started.elapsed();
        let retry_after = headers.get("retry-after").map(|value| value.to_str().unwrap().parse().unwrap());
        Answer { status, retry_after, body: answer.json().await.unwrap_or_default(), took }
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.call(Method::GET, path, None).await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Answer {
        self.call(Method::POST, path, Some(body)).await
    }

    pub(crate) async fn project(&self, name: &str) -> Answer {
        self.post("/v2/projects", &json!({ "metadata": { "name": name } })).await
    }

    pub(crate) async fn wait_for(&self, cloud: &str, wanted: &str) {
        until(Duration::from_secs(90), wanted, async || {
            let status = self.get(&format!("{cloud}/status")).await.body;
            if status["status"] == wanted { Ok(()) } else { Err(status) }
        })
        .await;
    }

    /// Whether the process still is the one that was started.
    pub(crate) fn lives(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap()
    }
}

impl Drop for Dcm {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}
