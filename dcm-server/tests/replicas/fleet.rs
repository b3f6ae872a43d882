//! DCM in several processes on one MongoDB: main servers, synchronizers and a CA, each of which a test may kill, freeze and start again.

use std::{path::Path, time::Duration};

use dcm_test_utils::{mongodb::fresh_database, patience::until};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::time::Instant;

use crate::{authority, process::Process};

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

/// A process of this role.
fn process(name: &str, role: &str, folder: &Path, more: &[String]) -> Process {
    let options = [&[format!("--role={role}"), "--log=info,dcm_server=debug".to_owned()], more].concat();
    Process::new(&folder.join(format!("{name}.log")), &options)
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
                process(&format!("synchronizer-{number}"), "synchronizer", folder.path(), &options)
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
                process(&format!("main-{number}"), "dcm", folder.path(), &[shared.to_vec(), peer].concat())
            })
            .collect();
        let own = vec![format!("--store=sled:{}", file("ca-data"))];
        let ca = process("ca", "ca", folder.path(), &[own, mutual("ca")].concat());
        let client = reqwest::Client::builder().no_proxy().timeout(PATIENCE).build().unwrap();
        let mut fleet = Self { mains, synchronizers, ca, client, folder };
        for process in fleet.all() {
            process.spawn();
        }
        for process in fleet.all() {
            process.ready().await;
        }
        Some(fleet)
    }

    /// All processes.
    pub(crate) fn all(&mut self) -> impl Iterator<Item = &mut Process> {
        self.mains.iter_mut().chain(&mut self.synchronizers).chain([&mut self.ca])
    }

    /// Where the main servers are, as URLs begin.
    pub(crate) fn bases(&self) -> Vec<String> {
        self.mains.iter().map(|main| main.base().to_owned()).collect()
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
        call(&self.client, &self.bases(), method, path, body).await
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
