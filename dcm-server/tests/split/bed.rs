//! A main server and a synchronizer on one store, over mutual TLS, or one server that is both; and clusters whose connections are counted.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use dcm_core::store::Store;
use dcm_server::{Config, Running, install_crypto_provider, start_on};
use dcm_sim::{Cluster, ClusterOptions};
use dcm_store::memory::MemoryStore;
use dcm_test_utils::patience::until;
use reqwest::{Method, header::HeaderMap};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

use crate::authority;

/// How long anything may take on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A simulated cluster behind a door that counts who comes.
pub(crate) struct Door {
    pub(crate) cluster: Cluster,
    address: SocketAddr,
    came: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

impl Drop for Door {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Door {
    pub(crate) async fn open(name: &str) -> Self {
        install_crypto_provider();
        let options = ClusterOptions::named(name).identity(format!("identity-of-{name}"));
        let cluster = Cluster::start(options).await.unwrap();
        let behind = cluster.server().trim_start_matches("https://").to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let came = Arc::<AtomicUsize>::default();
        let counted = Arc::clone(&came);
        let task = tokio::spawn(async move {
            while let Ok((mut from, _)) = listener.accept().await {
                counted.fetch_add(1, Ordering::SeqCst);
                let behind = behind.clone();
                tokio::spawn(async move {
                    if let Ok(mut to) = TcpStream::connect(&behind).await {
                        drop(copy_bidirectional(&mut from, &mut to).await);
                    }
                });
            }
        });
        Self { cluster, address, came, task }
    }

    /// How many connections were made so far.
    pub(crate) fn came(&self) -> usize {
        self.came.load(Ordering::SeqCst)
    }

    /// What DCM registers: the door, by the cluster's CA.
    pub(crate) fn kubeconfig(&self) -> Value {
        let mut kubeconfig = self.cluster.admin_kubeconfig();
        kubeconfig["clusters"][0]["cluster"]["server"] = json!(format!("https://{}", self.address));
        kubeconfig
    }

    pub(crate) fn registration(&self) -> Value {
        json!({ "metadata": { "name": self.cluster.name() }, "spec": { "kubeconfig": self.kubeconfig() } })
    }
}

/// An answer over REST.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
}

impl Reply {
    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Value {
        assert_eq!(self.status, status, "{:#}", self.body);
        self.body
    }
}

/// Everything of one installation.
pub(crate) struct Bed {
    store: Arc<dyn Store>,
    folder: TempDir,
    pub(crate) main: Running,
    pub(crate) synchronizer: Option<Running>,
    client: reqwest::Client,
}

impl Bed {
    /// One server that is all.
    pub(crate) async fn all() -> Self {
        let (store, folder) = Self::begin();
        let main = start(&store, &folder, &["--role=all"]).await;
        Self::of(store, folder, main, None)
    }

    /// A main server alone, as who its certificate says. Who the synchronizer is, is registered by a client.
    pub(crate) async fn main_as(identity: &str) -> Self {
        let (store, folder) = Self::begin();
        let peer = [
            "--role=dcm".to_owned(),
            format!("--peer-ca={}", file(&folder, "authority.pem")),
            format!("--peer-cert={}", file(&folder, &format!("{identity}.pem"))),
            format!("--peer-key={}", file(&folder, &format!("{identity}.key"))),
        ];
        let main = start(&store, &folder, &peer.each_ref().map(String::as_str)).await;
        Self::of(store, folder, main, None)
    }

    /// A main server and its synchronizer.
    pub(crate) async fn split() -> Self {
        let mut bed = Self::main_as("main").await;
        bed.start_synchronizer().await;
        bed
    }

    fn begin() -> (Arc<dyn Store>, TempDir) {
        install_crypto_provider();
        let folder = tempfile::tempdir().unwrap();
        authority::make(folder.path(), &["main", "other", "synchronizer"]);
        (Arc::new(MemoryStore::new()), folder)
    }

    fn of(store: Arc<dyn Store>, folder: TempDir, main: Running, synchronizer: Option<Running>) -> Self {
        let client = reqwest::Client::builder().no_proxy().timeout(PATIENCE).build().unwrap();
        Self { store, folder, main, synchronizer, client }
    }

    /// Starts a synchronizer, and registers it as the one to be asked.
    pub(crate) async fn start_synchronizer(&mut self) {
        let options = [
            "--role=synchronizer".to_owned(),
            format!("--tls-cert={}", file(&self.folder, "synchronizer.pem")),
            format!("--tls-key={}", file(&self.folder, "synchronizer.key")),
            format!("--client-ca={}", file(&self.folder, "authority.pem")),
            "--allowed-identity=main".to_owned(),
        ];
        let synchronizer = start(&self.store, &self.folder, &options.each_ref().map(String::as_str)).await;
        let port = synchronizer.grpc_addr().port();
        let body = json!({ "metadata": { "name": "rsync" }, "spec": { "host": "127.0.0.1", "port": port } });
        let put = self.call(Method::PUT, "/v2/controllers/rsync", Some(&body)).await;
        if put.status == 404 {
            self.post("/v2/controllers", &body).await.expect(201);
        }
        self.synchronizer = Some(synchronizer);
    }

    pub(crate) async fn stop_synchronizer(&mut self) {
        self.synchronizer.take().unwrap().stop().await;
    }

    pub(crate) async fn call(&self, method: Method, path: &str, body: Option<&Value>) -> Reply {
        let mut request = self.client.request(method, format!("http://{}{path}", self.main.http_addr()));
        if let Some(body) = body {
            request = request.json(body);
        }
        let answer = request.send().await.unwrap();
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        Reply { status, headers, body: answer.json().await.unwrap_or_default() }
    }

    pub(crate) async fn get(&self, path: &str) -> Reply {
        self.call(Method::GET, path, None).await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Reply {
        self.call(Method::POST, path, Some(body)).await
    }

    pub(crate) async fn register(&self, door: &Door) -> Reply {
        self.post("/v2/cluster-providers/default/clusters", &door.registration()).await
    }

    /// A logical cloud with references to clusters, not applied yet; answers its path.
    pub(crate) async fn cloud(&self, name: &str, clusters: &[&Door]) -> String {
        let permission =
            json!({ "permission-name": "read", "apiGroups": [""], "resources": ["pods"], "verbs": ["get"] });
        let user = json!({ "user-name": "user-1", "type": "certificate", "user-permissions": [permission] });
        let body = json!({ "metadata": { "name": name }, "spec": { "namespace": name, "user": user } });
        self.post("/v2/projects/p/logical-clouds", &body).await.expect(201);
        let path = format!("/v2/projects/p/logical-clouds/{name}");
        for door in clusters {
            let body = json!({ "cluster-reference": door.cluster.name(), "loadbalancer-ip": "0.0.0.0" });
            self.post(&format!("{path}/cluster-references"), &body).await.expect(200);
        }
        path
    }

    /// The same, applied and carried out.
    pub(crate) async fn applied(&self, name: &str, clusters: &[&Door]) -> String {
        let path = self.cloud(name, clusters).await;
        self.post(&format!("{path}/apply"), &json!({})).await.expect(200);
        self.wait_for(&path, "Created").await;
        path
    }

    pub(crate) async fn wait_for(&self, cloud: &str, wanted: &str) {
        until(PATIENCE, format_args!("{wanted}: {cloud}"), async || {
            let status = self.get(&format!("{cloud}/status")).await.expect(200);
            if status["status"] == wanted { Ok(()) } else { Err(status) }
        })
        .await;
    }

    pub(crate) async fn stop(mut self) {
        self.main.stop().await;
        if let Some(synchronizer) = self.synchronizer.take() {
            synchronizer.stop().await;
        }
    }
}

fn file(folder: &TempDir, name: &str) -> String {
    folder.path().join(name).display().to_string()
}

async fn start(store: &Arc<dyn Store>, folder: &TempDir, options: &[&str]) -> Running {
    let key = format!("--encryption-key-file={}", file(folder, "key"));
    let fixed = ["--store=memory:", "--http=127.0.0.1:0", "--grpc=127.0.0.1:0", key.as_str()];
    let config = Config::from_options(fixed.into_iter().chain(options.iter().copied())).unwrap();
    start_on(Arc::clone(store), config).await.unwrap()
}

/// Whom the binding on a cluster gives access.
pub(crate) fn subjects(door: &Door, namespace: &str) -> Vec<Value> {
    let bindings = door.cluster.objects().list("rolebindings.rbac.authorization.k8s.io", Some(namespace));
    bindings.iter().map(|binding| binding["subjects"][0]["name"].clone()).collect()
}
