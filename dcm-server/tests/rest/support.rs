//! A server for one test, and a client for it.

use std::{
    collections::BTreeSet,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use dcm_core::store::Store;
use dcm_server::{Config, Running};
use dcm_test_utils::{
    environment::variable,
    mongodb::fresh_database,
    patience::{until, until_so},
};
use reqwest::{Method, StatusCode, header::HeaderMap};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    sync::OnceCell,
};

use crate::description::Description;

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// Runs each test on every store: `memory::<name>`, `sled::<name>` and `mongodb::<name>`. Those on MongoDB need
/// `DCM_TEST_MONGODB_URI`, and have a database of their own each.
#[macro_export]
macro_rules! on_every_store {
    ($($(#[$meta:meta])* async fn $name:ident($dcm:ident) $body:block)*) => {
        $($(#[$meta])* async fn $name($dcm: &$crate::support::Dcm) $body)*
        on_every_store! { @store memory $($name)* }
        on_every_store! { @store sled $($name)* }
        #[cfg(feature = "mongodb")]
        on_every_store! { @store mongodb $($name)* }
    };
    (@store $store:ident $($name:ident)*) => {
        mod $store {
            $(#[tokio::test]
            async fn $name() {
                let Some(dcm) = $crate::support::Dcm::start_on(stringify!($store), &[]).await else { return };
                super::$name(&dcm).await;
                dcm.stop().await;
            })*
        }
    };
}

pub(crate) const LC: &str = "/v2/projects/p/logical-clouds/lc-1";

/// A running server and a client for it.
pub(crate) struct Dcm {
    running: Running,
    client: reqwest::Client,
    served: Mutex<BTreeSet<String>>,
    /// Whether bodies may be other than described: in spellings and short forms that are read as well.
    loose: AtomicBool,
    /// The connection string of a database that goes when the server has stopped.
    database: Option<String>,
    _directory: TempDir,
}

/// An answer, read whole.
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Reply {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("no JSON: {}", self.text()))
    }

    /// The JSON, also where it came compressed.
    pub(crate) fn plain(&self) -> Value {
        match self.header("content-encoding") {
            "gzip" => serde_json::from_reader(flate2::read::GzDecoder::new(self.body.as_slice())).unwrap(),
            _ => self.json(),
        }
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// Asserts the status, and gives the JSON.
    #[track_caller]
    pub(crate) fn expect(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.text());
        if self.body.is_empty() { Value::Null } else { self.json() }
    }

    /// Asserts a problem with this status that names exactly these fields.
    #[track_caller]
    pub(crate) fn expect_problem(&self, status: u16, pointers: &[&str]) -> Value {
        let problem = self.expect(status);
        assert_eq!(self.header("content-type"), "application/problem+json");
        assert_eq!(problem["status"], status);
        for field in ["type", "title", "detail", "instance", "request-id"] {
            assert!(problem[field].as_str().is_some_and(|text| !text.is_empty()), "{field} of {problem}");
        }
        assert_eq!(problem["request-id"], self.header("x-request-id"));
        let mut named: Vec<&str> = problem["errors"]
            .as_array()
            .map(|errors| errors.iter().filter_map(|e| e["pointer"].as_str()).collect())
            .unwrap_or_default();
        let mut expected = pointers.to_vec();
        named.sort_unstable();
        expected.sort_unstable();
        assert_eq!(named, expected, "{problem:#}");
        problem
    }
}

impl Dcm {
    pub(crate) async fn start(store: &str, options: &[&str]) -> Self {
        Self::start_on(store, options).await.expect("a store that is always there")
    }

    /// Starts a server on a store, with simulated clusters unless the options say otherwise; `None` where that store
    /// is not to be had here.
    pub(crate) async fn start_on(store: &str, options: &[&str]) -> Option<Self> {
        dcm_server::install_crypto_provider();
        let directory = tempfile::tempdir().unwrap();
        let database = if store == "mongodb" { Some(database()?) } else { None };
        let store = match (store, &database) {
            (_, Some(uri)) => uri.clone(),
            ("memory", None) => "memory:".to_owned(),
            (_, None) => format!("sled:{}", directory.path().join("data").display()),
        };
        let key = directory.path().join("key").display().to_string();
        let mut all = vec!["--http", "127.0.0.1:0", "--grpc", "127.0.0.1:0", "--store", &store];
        if database.is_some() {
            all.extend(["--encryption-key-file", &key]);
        }
        if !options.contains(&"--synchronizer") {
            all.extend(["--synchronizer", "simulated"]);
        }
        all.extend(options);
        let config = Config::from_options(all).unwrap();
        let running = dcm_server::start(config).await.unwrap();
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        Some(Self {
            running,
            client,
            served: Mutex::default(),
            loose: AtomicBool::new(false),
            database,
            _directory: directory,
        })
    }

    /// On a store of the test's own, which keeps nothing.
    pub(crate) async fn over(store: Arc<dyn Store>) -> Self {
        dcm_server::install_crypto_provider();
        let options =
            ["--http", "127.0.0.1:0", "--grpc", "127.0.0.1:0", "--store", "memory:", "--synchronizer", "simulated"];
        let running = dcm_server::start_on(store, Config::from_options(options).unwrap()).await.unwrap();
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let (served, directory) = (Mutex::default(), tempfile::tempdir().unwrap());
        Self { running, client, served, loose: AtomicBool::new(false), database: None, _directory: directory }
    }

    pub(crate) async fn stop(self) {
        self.running.stop().await;
        #[cfg(feature = "mongodb")]
        if let Some(uri) = self.database {
            let client = mongodb::Client::with_uri_str(uri).await.unwrap();
            client.default_database().unwrap().drop().await.unwrap();
        }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.running.http_addr())
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        self.client.request(method, self.url(path))
    }

    /// From here on bodies are sent that are read although they are not described: aliases and other spellings.
    pub(crate) fn speaks_loosely(&self) {
        self.loose.store(true, Ordering::Relaxed);
    }

    /// Sends a request, and holds the answer against the server's description of itself; so it does the body, if it was
    /// served.
    pub(crate) async fn send(&self, request: reqwest::RequestBuilder) -> Reply {
        let request = request.build().unwrap();
        let (method, path) = (request.method().clone(), request.url().path().to_owned());
        let media_type = request.headers().get("content-type").map_or("", |value| value.to_str().unwrap_or("?"));
        let media_type = media_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        let sent = request.body().and_then(|body| body.as_bytes()).map(<[u8]>::to_vec);
        let reply = self.execute(request).await;
        let description = self.description().await;
        let is_strict = !self.loose.load(Ordering::Relaxed) && (200..300).contains(&reply.status);
        if let Some(body) = sent.filter(|body| is_strict && media_type.ends_with("json") && !body.is_empty()) {
            description.check_body(&method, &path, &media_type, &body);
        }
        if let Some(operation) = description.check(&method, &path, &reply)
            && reply.status < 400
        {
            self.served.lock().unwrap().insert(operation);
        }
        reply
    }

    async fn execute(&self, request: reqwest::Request) -> Reply {
        let response = self.client.execute(request).await.unwrap();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Reply { status, headers, body: response.bytes().await.unwrap().to_vec() }
    }

    /// What the server says of itself: the same for all servers of this process.
    pub(crate) async fn description(&self) -> &'static Description {
        static DESCRIPTION: OnceCell<Description> = OnceCell::const_new();
        DESCRIPTION
            .get_or_init(async || {
                let request = self.request(Method::GET, "/openapi.json").build().unwrap();
                Description::new(self.execute(request).await.expect(200))
            })
            .await
    }

    /// The operations that were served, by their ids.
    pub(crate) fn served(&self) -> BTreeSet<String> {
        self.served.lock().unwrap().clone()
    }

    pub(crate) async fn get(&self, path: &str) -> Reply {
        self.send(self.request(Method::GET, path)).await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Reply {
        self.send(self.request(Method::POST, path).json(body)).await
    }

    pub(crate) async fn put(&self, path: &str, body: &Value) -> Reply {
        self.send(self.request(Method::PUT, path).json(body)).await
    }

    /// A JSON merge patch.
    pub(crate) async fn patch(&self, path: &str, patch: &Value) -> Reply {
        self.raw(Method::PATCH, path, "application/merge-patch+json", patch.to_string()).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Reply {
        self.send(self.request(Method::DELETE, path)).await
    }

    /// An order: POST without a body.
    pub(crate) async fn order(&self, path: &str) -> Reply {
        self.send(self.request(Method::POST, path)).await
    }

    /// A body as it is, with a content type.
    pub(crate) async fn raw(&self, method: Method, path: &str, content_type: &str, body: impl Into<Vec<u8>>) -> Reply {
        let request = self.request(method, path).header("content-type", content_type).body(body.into());
        self.send(request).await
    }

    /// A connection on which these bytes were sent.
    pub(crate) async fn connection(&self, bytes: &[u8]) -> TcpStream {
        let mut stream = TcpStream::connect(self.running.http_addr()).await.unwrap();
        stream.write_all(bytes).await.unwrap();
        stream
    }

    /// Bytes as they are, on a connection of their own; the answer's head and body as text.
    pub(crate) async fn bytes(&self, bytes: &[u8]) -> String {
        let mut stream = self.connection(bytes).await;
        let mut answer = Vec::new();
        let _ = tokio::time::timeout(Duration::from_secs(20), stream.read_to_end(&mut answer)).await;
        String::from_utf8_lossy(&answer).into_owned()
    }

    /// Registers a cluster with the provider `default`.
    pub(crate) async fn with_cluster(&self, name: &str) {
        let body = json!({ "metadata": { "name": name }, "spec": { "kubeconfig": kubeconfig() } });
        self.post("/v2/cluster-providers/default/clusters", &body).await.expect(201);
    }

    /// Makes the logical cloud `lc-1` of the design.
    pub(crate) async fn with_cloud(&self) -> Value {
        self.post("/v2/projects/p/logical-clouds", &crate::design::logical_cloud()).await.expect(201)
    }

    /// Makes the logical cloud with a reference to `cluster-1`.
    pub(crate) async fn with_reference(&self) {
        self.with_cluster("cluster-1").await;
        self.with_cloud().await;
        let body = json!({ "cluster-reference": "cluster-1", "loadbalancer-ip": "0.0.0.0" });
        self.post(&format!("{LC}/cluster-references/"), &body).await.expect(200);
    }

    /// Makes and applies the logical cloud, and waits until it is there.
    pub(crate) async fn with_applied_cloud(&self) {
        self.with_reference().await;
        self.order(&format!("{LC}/apply")).await.expect(200);
        self.wait_for("Created").await;
    }

    /// Waits for a status.
    pub(crate) async fn wait_for(&self, status: &str) -> Value {
        until(PATIENCE, status, async || {
            let now = self.get(&format!("{LC}/status")).await.expect(200);
            if now["status"] == status { Ok(now) } else { Err(now) }
        })
        .await
    }

    /// Waits until something is so.
    pub(crate) async fn wait_until(&self, what: &str, is_so: impl AsyncFn(&Self) -> bool) {
        until_so(PATIENCE, what, async || is_so(self).await).await;
    }

    /// Waits until there is nothing at a path.
    pub(crate) async fn wait_until_gone(&self, path: &str) {
        let gone = async || self.get(path).await.status == StatusCode::NOT_FOUND;
        until_so(PATIENCE, format_args!("without {path}"), gone).await;
    }

    /// How long it takes to stop.
    pub(crate) async fn stop_timed(self) -> Duration {
        let begun = std::time::Instant::now();
        self.stop().await;
        begun.elapsed()
    }

    /// Everything that can be read of the logical cloud, to show that nothing was changed.
    pub(crate) async fn all(&self) -> Vec<Value> {
        let mut all = Vec::new();
        for path in ["", "/cluster-references", "/cluster-quotas", "/kv-pairs", "/user-permissions"] {
            all.push(self.get(&format!("{LC}{path}")).await.json());
        }
        for path in ["/v2/projects", "/v2/projects/p/logical-clouds", "/v2/cluster-providers/default/clusters"] {
            all.push(self.get(path).await.json());
        }
        for problem in &mut all {
            if let Some(problem) = problem.as_object_mut() {
                problem.remove("request-id");
            }
        }
        all
    }
}

/// A new database; that there is none to be had is said once.
fn database() -> Option<String> {
    static SAID: AtomicBool = AtomicBool::new(false);
    if variable("DCM_TEST_MONGODB_URI").is_none() && SAID.swap(true, Ordering::Relaxed) {
        return None;
    }
    fresh_database("the REST edge on MongoDB")
}

/// How an HTTP/2 client begins.
pub(crate) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// No settings of HTTP/2.
pub(crate) const SETTINGS: &[u8] = &[0, 0, 0, 4, 0, 0, 0, 0, 0];

/// Reads until the server closes the connection.
pub(crate) async fn until_closed(mut stream: TcpStream) -> Vec<u8> {
    let mut all = Vec::new();
    let read = tokio::time::timeout(Duration::from_secs(30), stream.read_to_end(&mut all)).await;
    assert!(read.is_ok(), "still open after {:?}", String::from_utf8_lossy(&all));
    all
}

/// A kubeconfig of the right form that leads nowhere.
pub(crate) fn kubeconfig() -> Value {
    let pem = "LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0tCi0tLS0tRU5EIENFUlRJRklDQVRFLS0tLS0K";
    json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "c",
        "clusters": [{ "name": "k", "cluster": { "server": "https://127.0.0.1:1", "certificate-authority-data": pem } }],
        "users": [{ "name": "u", "user": { "token": "t0ken-of-the-cluster" } }],
        "contexts": [{ "name": "c", "context": { "cluster": "k", "user": "u" } }],
    })
}
