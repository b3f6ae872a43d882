//! A server for one test, real clusters registered with it, and `kubectl` as whoever is to be asked.

use std::{
    collections::BTreeMap,
    fs,
    path::PathBuf,
    time::{Duration, Instant},
};

use dcm_server::{Config, Running};
use dcm_test_utils::patience::{until, until_so};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::clusters::{Cluster, Clusters, PATIENCE, Said, kubectl_with};

/// How long an API server may take to know of a role or binding.
pub(crate) const RIGHTS_CACHE: Duration = Duration::from_secs(30);
const PROVIDER: &str = "/v2/cluster-providers/default/clusters";

/// A server with real clusters.
pub(crate) struct Fixture {
    pub(crate) clusters: Clusters,
    pub(crate) folder: TempDir,
    options: Vec<String>,
    server: Option<Running>,
    client: reqwest::Client,
}

/// The answer of the server.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) body: Value,
}

impl Reply {
    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Value {
        assert_eq!(self.status, status, "{:#}", self.body);
        self.body
    }
}

impl Fixture {
    /// A server with so many real clusters registered, on a store that outlives it; `None` where there are none.
    pub(crate) async fn start(test: &str, clusters: usize, options: &[&str]) -> Option<Self> {
        let clusters = Clusters::find(test, clusters)?;
        dcm_server::install_crypto_provider();
        let folder = tempfile::tempdir().unwrap();
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let options = options.iter().map(|option| (*option).to_owned()).collect();
        let mut fixture = Self { clusters, folder, options, server: None, client };
        fixture.start_server().await;
        for cluster in fixture.clusters.iter() {
            fixture.register(&cluster.name, json!({ "kubeconfig": cluster.kubeconfig })).await.expect(201);
        }
        Some(fixture)
    }

    /// Where the server keeps its records while it does not run.
    pub(crate) fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    pub(crate) async fn start_server(&mut self) {
        let store = format!("sled:{}", self.data().display());
        let mut all = vec!["--http", "127.0.0.1:0", "--grpc", "127.0.0.1:0", "--store", &store];
        all.extend(self.options.iter().map(String::as_str));
        let server = dcm_server::start(Config::from_options(all).unwrap()).await.unwrap();
        self.clusters.note(server.dcm().installation().to_string());
        self.server = Some(server);
    }

    pub(crate) async fn stop_server(&mut self) {
        self.server.take().unwrap().stop().await;
    }

    /// The server's id, as it stands on all that it makes.
    pub(crate) fn installation(&self) -> String {
        self.clusters.installation()
    }

    /// A namespace of this test's own; it is removed in the end, whoever makes it.
    pub(crate) fn namespace(&self, name: &str) -> String {
        self.clusters.namespace(name)
    }

    pub(crate) async fn call(&self, method: Method, path: &str, body: Option<&Value>) -> Reply {
        let url = format!("http://{}{path}", self.server.as_ref().unwrap().http_addr());
        let mut request = self.client.request(method, url);
        if let Some(body) = body {
            request = request.json(body);
        }
        let response = request.send().await.unwrap();
        let status = response.status().as_u16();
        Reply { status, body: serde_json::from_slice(&response.bytes().await.unwrap()).unwrap_or_default() }
    }

    pub(crate) async fn get(&self, path: &str) -> Reply {
        self.call(Method::GET, path, None).await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Reply {
        self.call(Method::POST, path, Some(body)).await
    }

    pub(crate) async fn put(&self, path: &str, body: &Value) -> Reply {
        self.call(Method::PUT, path, Some(body)).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Reply {
        self.call(Method::DELETE, path, None).await
    }

    /// Waits until nothing is at a path any more.
    pub(crate) async fn wait_until_gone(&self, path: &str) {
        until_so(PATIENCE, format_args!("without {path}"), async || self.get(path).await.status == NOT_FOUND).await;
    }

    pub(crate) async fn register(&self, name: &str, spec: Value) -> Reply {
        self.post(PROVIDER, &json!({ "metadata": { "name": name }, "spec": spec })).await
    }

    /// A logical cloud on all clusters, not applied yet, in a namespace of its own.
    pub(crate) async fn cloud(&self, name: &str, permissions: Value) -> Cloud<'_> {
        self.cloud_with(name, permissions, json!({})).await
    }

    /// A logical cloud that was made before, before a restart too.
    pub(crate) fn known(&self, name: &str) -> Cloud<'_> {
        let namespace = format!("{}-{name}", self.clusters.id);
        self.at(&format!("/v2/projects/p/logical-clouds/{name}"), &namespace)
    }

    /// A logical cloud at any path.
    pub(crate) fn at(&self, path: &str, namespace: &str) -> Cloud<'_> {
        let name = path.rsplit('/').next().unwrap().to_owned();
        Cloud { fixture: self, namespace: namespace.to_owned(), name, path: path.to_owned() }
    }

    /// The same as [`Fixture::cloud`], with further fields of its `spec`.
    pub(crate) async fn cloud_with(&self, name: &str, permissions: Value, spec: Value) -> Cloud<'_> {
        let cloud = self.known(name);
        self.namespace(name);
        self.post("/v2/projects/p/logical-clouds", &cloud.body(&permissions, &spec)).await.expect(201);
        for cluster in self.clusters.iter() {
            cloud.refer_to(&cluster.name).await.expect(200);
        }
        cloud
    }
}

/// A logical cloud over REST, and its user.
pub(crate) struct Cloud<'a> {
    fixture: &'a Fixture,
    pub(crate) name: String,
    pub(crate) namespace: String,
    pub(crate) path: String,
}

impl Cloud<'_> {
    /// What is posted or put.
    pub(crate) fn body(&self, permissions: &Value, spec: &Value) -> Value {
        let user = json!({ "user-name": "user-1", "type": "certificate", "user-permissions": permissions });
        let mut whole = json!({ "namespace": self.namespace, "user": user });
        for (field, value) in spec.as_object().unwrap() {
            whole[field] = value.clone();
        }
        json!({ "metadata": { "name": self.name }, "spec": whole })
    }

    pub(crate) async fn refer_to(&self, cluster: &str) -> Reply {
        let body = json!({ "cluster-reference": cluster, "loadbalancer-ip": "0.0.0.0" });
        self.fixture.post(&format!("{}/cluster-references", self.path), &body).await
    }

    pub(crate) async fn quota(&self, name: &str, limits: Value) {
        let body = json!({ "metadata": { "name": name }, "spec": limits });
        self.fixture.post(&format!("{}/cluster-quotas", self.path), &body).await.expect(201);
    }

    /// An order, or any other call below the logical cloud: `apply`, `terminate?force=true`, …
    pub(crate) async fn order(&self, what: &str) -> Reply {
        self.fixture.call(Method::POST, &format!("{}/{what}", self.path), None).await
    }

    /// Applies, and waits until it is done.
    pub(crate) async fn apply(&self) {
        self.order("apply").await.expect(200);
        self.wait_for("Created").await;
    }

    pub(crate) async fn terminate(&self) {
        self.order("terminate").await.expect(202);
        self.wait_for("Deleted").await;
    }

    pub(crate) async fn status(&self) -> Value {
        self.fixture.get(&format!("{}/status", self.path)).await.expect(200)
    }

    pub(crate) async fn wait_for(&self, wanted: &str) -> Value {
        self.until(wanted, |status| status["status"] == wanted).await
    }

    /// Waits until the status is as wanted.
    pub(crate) async fn until(&self, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        until(PATIENCE, what, async || {
            let status = self.status().await;
            if wanted(&status) { Ok(status) } else { Err(status) }
        })
        .await
    }

    /// The cloud's uid, as it stands on all that is made for it.
    pub(crate) async fn uid(&self) -> String {
        self.fixture.get(&self.path).await.expect(200)["uid"].as_str().unwrap().to_owned()
    }

    /// `kubectl` as the cloud's user, with the kubeconfig that DCM hands out.
    pub(crate) async fn user(&self, cluster: &Cluster) -> User {
        let path = format!("{}/kubeconfig?cluster-reference={}", self.path, cluster.name);
        let kubeconfig = self.fixture.get(&path).await.expect(201);
        let folder = tempfile::tempdir_in(self.fixture.folder.path()).unwrap();
        let file = folder.path().join("kubeconfig");
        fs::write(&file, kubeconfig.to_string()).unwrap();
        let user = User { file, folder };
        self.wait_for_rights(&user).await;
        user
    }

    /// The API server's own cache of roles and bindings takes a moment, on a busy machine longer. If it does not
    /// come to know the permissions, the test itself shows what is missing.
    async fn wait_for_rights(&self, user: &User) {
        let path = format!("{}/user-permissions", self.path);
        let answer = self.fixture.get(&path).await.expect(200);
        let mut wanted: BTreeMap<Option<&str>, Vec<String>> = BTreeMap::new();
        for permission in answer["permissions"].as_array().unwrap() {
            // What he may do on the whole cluster he may do in his own namespace too.
            let elsewhere = permission["namespace"].as_str().filter(|namespace| !namespace.is_empty());
            wanted.entry(elsewhere).or_default().extend(resources(permission));
        }
        let patience = Instant::now();
        for (elsewhere, wanted) in wanted {
            let mut args = vec!["auth", "can-i", "--list"];
            args.extend(elsewhere.into_iter().flat_map(|namespace| ["-n", namespace]));
            while patience.elapsed() < RIGHTS_CACHE {
                let listed = user.kubectl(&args).out;
                let is_listed = |what: &String| listed.lines().any(|line| line.split(' ').next() == Some(what));
                if wanted.iter().all(is_listed) {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
}

/// The resources of a permission as `kubectl auth can-i --list` writes them: `pods/log`, `deployments.apps/scale`.
pub(crate) fn resources(permission: &Value) -> Vec<String> {
    let texts = |field: &str| -> Vec<String> { serde_json::from_value(permission[field].clone()).unwrap() };
    let mut resources = Vec::new();
    for group in texts("apiGroups") {
        for resource in texts("resources") {
            let (parent, sub) = resource.split_once('/').map_or((resource.as_str(), None), |(p, s)| (p, Some(s)));
            let group = if group.is_empty() { String::new() } else { format!(".{group}") };
            let sub = sub.map_or_else(String::new, |sub| format!("/{sub}"));
            resources.push(format!("{parent}{group}{sub}"));
        }
    }
    resources
}

/// A logical cloud's user on one cluster.
pub(crate) struct User {
    file: PathBuf,
    folder: TempDir,
}

impl User {
    pub(crate) fn kubectl(&self, args: &[&str]) -> Said {
        kubectl_with(&self.file, &self.folder.path().join("cache"), args, None)
    }

    /// Asserts that the API server forbids something as soon as it knows of a change of rights, and from then on.
    pub(crate) async fn is_forbidden(&self, args: &[&str]) {
        until_so(RIGHTS_CACHE, format_args!("forbidden: {args:?}"), async || !self.kubectl(args).ok).await;
        let said = self.kubectl(args);
        assert!(!said.ok && said.err.contains("(Forbidden)"), "{args:?}: {}{}", said.out, said.err);
    }

    /// Asserts that the API server lets him do something as soon as it knows of a change of rights or quotas.
    pub(crate) async fn is_allowed(&self, args: &[&str]) {
        until(RIGHTS_CACHE, format_args!("allowed: {args:?}"), async || self.kubectl(args).allowed()).await;
    }

    /// [`User::kubectl`], with an object as its input.
    pub(crate) fn kubectl_with(&self, args: &[&str], object: &Value) -> Said {
        kubectl_with(&self.file, &self.folder.path().join("cache"), args, Some(&object.to_string()))
    }
}

/// One permission.
pub(crate) fn permission(name: &str, group: &str, resources: &[&str], verbs: &[&str]) -> Value {
    json!({ "permission-name": name, "apiGroups": [group], "resources": resources, "verbs": verbs })
}

/// Waits until something holds.
pub(crate) async fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    until_so(PATIENCE, what, async || holds()).await;
}

pub(crate) const NOT_FOUND: u16 = StatusCode::NOT_FOUND.as_u16();
