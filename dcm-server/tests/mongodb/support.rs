use std::{path::Path, process::ExitStatus, time::Duration};

use dcm_test_utils::patience::until;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::process::Process;

/// Longer than any answer may take, whatever the store does: 17 seconds for a call of the store, and a busy machine.
pub(crate) const BOUND: Duration = Duration::from_secs(22);

/// A server in a process of its own, and a client for it.
pub(crate) struct Dcm {
    pub(crate) process: Process,
    client: reqwest::Client,
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

fn server(log: &Path, folder: &Path, store: &str) -> Process {
    let options = ["--log=debug".to_owned(), format!("--encryption-key-file={}", folder.join("key").display())];
    // Where everybody sees a command line, a password is not in it.
    Process::new(log, &options).env("DCM_STORE", store)
}

/// What a server that does not start says, and how it ends.
pub(crate) async fn refusal(folder: &Path, store: &str) -> (ExitStatus, String) {
    // One for each.
    let log = tempfile::NamedTempFile::new().unwrap();
    let mut server = server(log.path(), folder, store);
    let started = Instant::now();
    server.spawn();
    let status = server.ended().await;
    assert!(started.elapsed() < BOUND, "{:?}", started.elapsed());
    let all = server.log();
    assert!(!all.contains("s3cret"), "{all}");
    (status, all)
}

impl Dcm {
    pub(crate) async fn start(folder: &Path, store: &str) -> Self {
        let mut process = server(&folder.join("dcm.log"), folder, store);
        process.start().await;
        Self { process, client: reqwest::Client::new() }
    }

    pub(crate) async fn call(&self, method: Method, path: &str, body: Option<&Value>) -> Answer {
        let started = Instant::now();
        let mut request = self.client.request(method, format!("{}{path}", self.process.base()));
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
}
