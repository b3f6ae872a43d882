//! DCM in several processes on one MongoDB: main servers, synchronizers and a CA, each of which a test may kill, freeze and start again.

use std::{
    fs::File,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use dcm_test_utils::{address::free_port, mongodb::fresh_database, patience::until};
use reqwest::{Method, StatusCode};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::time::Instant;

use crate::authority;

/// The lease of the workers: short, so that a test need not wait long.
pub(crate) const LEASE: Duration = Duration::from_secs(3);

/// How long anything may take on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(90);

/// All processes of one test.
pub(crate) struct Fleet {
    pub(crate) mains: Vec<Process>,
    pub(crate) synchronizers: Vec<Process>,
    pub(crate) ca: Process,
    client: reqwest::Client,
    folder: TempDir,
}

/// One process; it is killed when this is dropped.
pub(crate) struct Process {
    name: String,
    options: Vec<String>,
    folder: PathBuf,
    http: String,
    pub(crate) grpc: u16,
    child: Option<Child>,
}

/// An answer over REST.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) body: Value,
}

impl Reply {
    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Value {
        assert_eq!(self.status.as_u16(), status, "{:#}", self.body);
        self.body
    }
}

impl Process {
    fn new(name: &str, role: &str, folder: &Path, more: &[String]) -> Self {
        let (http, grpc) = (format!("127.0.0.1:{}", free_port()), free_port());
        let mut options = vec![
            format!("--role={role}"),
            format!("--http={http}"),
            format!("--grpc=127.0.0.1:{grpc}"),
            "--log=info,dcm_server=debug".to_owned(),
        ];
        options.extend_from_slice(more);
        Self { name: name.to_owned(), options, folder: folder.to_owned(), http, grpc, child: None }
    }

    /// Starts it, and does not wait.
    pub(crate) fn spawn(&mut self) {
        let log =
            File::options().create(true).append(true).open(self.folder.join(format!("{}.log", self.name))).unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_dcm-server"))
            .args(&self.options)
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn();
        self.child = Some(child.unwrap());
    }

    /// Kills it with SIGKILL.
    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// The process's id.
    #[cfg(target_os = "linux")]
    pub(crate) fn id(&self) -> u32 {
        self.child.as_ref().unwrap().id()
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(self.child.as_ref().unwrap()), signal).unwrap();
    }

    /// Waits until it has ended by itself, well.
    pub(crate) async fn ended(&mut self) {
        let mut child = self.child.take().unwrap();
        let status = until(PATIENCE, "ended", async || child.try_wait().unwrap().ok_or("it runs")).await;
        assert!(status.success(), "{}: {status}", self.name);
    }

    pub(crate) fn base(&self) -> String {
        format!("http://{}", self.http)
    }

    /// What it says of itself, where it serves.
    pub(crate) async fn readiness(&self, client: &reqwest::Client) -> Result<Value, String> {
        let answer = client.get(format!("{}/readyz", self.base())).send().await.map_err(|error| error.to_string())?;
        let status = answer.status();
        let body = answer.json::<Value>().await.map_err(|error| error.to_string())?;
        if status == StatusCode::OK { Ok(body) } else { Err(body.to_string()) }
    }

    async fn ready(&mut self, client: &reqwest::Client) {
        let name = self.name.clone();
        until(PATIENCE, format_args!("{name} ready; see its log"), async || {
            let ended = self.child.as_mut().unwrap().try_wait().unwrap();
            assert_eq!(ended, None, "{name} has ended: {}", self.log());
            self.readiness(client).await
        })
        .await;
    }

    /// Starts it again after it has ended, and waits until it serves.
    pub(crate) async fn restart(&mut self, client: &reqwest::Client) {
        self.spawn();
        self.ready(client).await;
    }

    /// What it wrote to its log, all starts together.
    pub(crate) fn log(&self) -> String {
        let log = std::fs::read(self.folder.join(format!("{}.log", self.name))).unwrap_or_default();
        String::from_utf8_lossy(&log).into_owned()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            let log = self.log();
            let lines: Vec<_> = log.lines().collect();
            let last = lines.len().saturating_sub(30);
            println!("the end of {}'s log:\n{}\n", self.name, lines[last..].join("\n"));
        }
    }
}

impl Fleet {
    /// Two main servers, two synchronizers and a CA, started at once and in any order; `None`, after saying so, where there is no MongoDB.
    pub(crate) async fn start(what: &str, more: &[&str]) -> Option<Self> {
        let uri = fresh_database(what)?;
        dcm_server::install_crypto_provider();
        let folder = tempfile::tempdir().unwrap();
        authority::make(folder.path(), &["main", "synchronizer", "ca"]);
        let file = |name: &str| folder.path().join(name).display().to_string();
        let more = more.iter().map(ToString::to_string).collect::<Vec<_>>();
        let shared = [format!("--store={uri}"), format!("--encryption-key-file={}", file("key"))];
        let mutual = |role: &str| {
            vec![
                format!("--tls-cert={}", file(&format!("{role}.pem"))),
                format!("--tls-key={}", file(&format!("{role}.key"))),
                format!("--client-ca={}", file("authority.pem")),
                "--allowed-identity=main".to_owned(),
            ]
        };
        let synchronizers: Vec<_> = (1..=2)
            .map(|number| {
                let lease = vec![format!("--lease={}s", LEASE.as_secs())];
                let options = [shared.to_vec(), mutual("synchronizer"), lease, more.clone()].concat();
                Process::new(&format!("synchronizer-{number}"), "synchronizer", folder.path(), &options)
            })
            .collect();
        let mains = (1..=2)
            .map(|number| {
                let peer = vec![
                    // Each main server tells one of them: the other one finds its work in the store.
                    format!("--synchronizer=https://127.0.0.1:{}", synchronizers[number - 1].grpc),
                    format!("--peer-ca={}", file("authority.pem")),
                    format!("--peer-cert={}", file("main.pem")),
                    format!("--peer-key={}", file("main.key")),
                ];
                Process::new(&format!("main-{number}"), "dcm", folder.path(), &[shared.to_vec(), peer].concat())
            })
            .collect();
        let own = vec![format!("--store=sled:{}", file("ca-data"))];
        let ca = Process::new("ca", "ca", folder.path(), &[own, mutual("ca")].concat());
        let client = reqwest::Client::builder().no_proxy().timeout(PATIENCE).build().unwrap();
        let mut fleet = Self { mains, synchronizers, ca, client, folder };
        for process in fleet.all() {
            process.spawn();
        }
        let client = fleet.client.clone();
        for process in fleet.all() {
            process.ready(&client).await;
        }
        Some(fleet)
    }

    /// All processes.
    pub(crate) fn all(&mut self) -> impl Iterator<Item = &mut Process> {
        self.mains.iter_mut().chain(&mut self.synchronizers).chain([&mut self.ca])
    }

    /// Where its certificates are.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) const fn client(&self) -> &reqwest::Client {
        &self.client
    }

    /// A call of the first main server that answers, as behind a load balancer: what fails for want of a server, or is told to come again,
    /// is tried once more.
    pub(crate) async fn call(&self, method: Method, path: &str, body: Option<&Value>) -> Reply {
        let bases: Vec<_> = self.mains.iter().map(Process::base).collect();
        call(&self.client, &bases, method, path, body).await
    }

    pub(crate) async fn get(&self, path: &str) -> Reply {
        self.call(Method::GET, path, None).await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Reply {
        self.call(Method::POST, path, Some(body)).await
    }

    /// A logical cloud in a namespace, with references to clusters, not applied yet.
    pub(crate) async fn cloud(&self, name: &str, namespace: &str, clusters: &[String]) -> String {
        let permission =
            json!({ "permission-name": "read", "apiGroups": [""], "resources": ["pods"], "verbs": ["get"] });
        let user = json!({ "user-name": "user-1", "type": "certificate", "user-permissions": [permission] });
        let body = json!({ "metadata": { "name": name }, "spec": { "namespace": namespace, "user": user } });
        self.post("/v2/projects/p/logical-clouds", &body).await.expect(201);
        let path = format!("/v2/projects/p/logical-clouds/{name}");
        for cluster in clusters {
            let body = json!({ "cluster-reference": cluster, "loadbalancer-ip": "0.0.0.0" });
            self.post(&format!("{path}/cluster-references"), &body).await.expect(200);
        }
        path
    }

    /// Waits until a logical cloud has a status.
    pub(crate) async fn wait_for(&self, cloud: &str, wanted: &str) {
        until(PATIENCE, format_args!("{wanted}: {cloud}"), async || {
            let status = self.get(&format!("{cloud}/status")).await.expect(200);
            if status["status"] == wanted { Ok(()) } else { Err(status) }
        })
        .await;
    }
}

/// A call of the first of these servers that answers; each is tried again where that may help.
pub(crate) async fn call(
    client: &reqwest::Client,
    bases: &[String],
    method: Method,
    path: &str,
    body: Option<&Value>,
) -> Reply {
    let end = Instant::now() + PATIENCE;
    loop {
        let mut seen = String::new();
        for base in bases {
            let mut request = client.request(method.clone(), format!("{base}{path}"));
            if let Some(body) = body {
                request = request.json(body);
            }
            match request.send().await {
                Ok(answer) if answer.status() != StatusCode::SERVICE_UNAVAILABLE => {
                    let status = answer.status();
                    match answer.json().await {
                        Ok(body) => return Reply { status, body },
                        Err(error) => seen = error.to_string(),
                    }
                }
                Ok(answer) => seen = answer.text().await.unwrap_or_default(),
                Err(error) => seen = error.to_string(),
            }
        }
        assert!(Instant::now() < end, "no answer to {method} {path}: {seen}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
