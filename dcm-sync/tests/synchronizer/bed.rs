//! A cluster to test on, with an administrator's direct access to it.

use std::{
    hash::{BuildHasher as _, RandomState},
    time::Duration,
};

use dcm_core::{
    model::Uid,
    name::{ClusterName, ProviderName},
    secret::Secret,
    sync::ClusterAccess,
};
use dcm_sync::kube::{KubeOptions, KubeSynchronizer};
use dcm_test_utils::patience::until_so;
use http::{Method, Request};
use kube::{Client, Config, config::Kubeconfig};
use serde_json::{Value, json};

pub(crate) struct Bed {
    pub(crate) sync: KubeSynchronizer,
    pub(crate) kubeconfig: Value,
    /// The simulated cluster, where it is one.
    pub(crate) simulated: Option<dcm_sim::Cluster>,
    admin: Client,
}

/// How long an API server's own cache may take to know of a change of rights.
pub(crate) const SOON: Duration = Duration::from_secs(20);

/// As long as a cluster on a busy machine may take for anything; who tests one of these bounds sets it.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) fn options() -> KubeOptions {
    KubeOptions {
        connect_timeout: Duration::from_secs(2),
        request_timeout: Duration::from_secs(10),
        namespace_wait: PATIENCE,
        removal_wait: PATIENCE,
        certificate_wait: PATIENCE,
        ..KubeOptions::default()
    }
}

pub(crate) fn random() -> [u8; 16] {
    let half = || RandomState::new().hash_one(0_u8).to_be_bytes();
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&half());
    bytes[8..].copy_from_slice(&half());
    bytes
}

pub(crate) fn uid() -> Uid {
    Uid::from_random(random())
}

/// A name that no other test uses.
pub(crate) fn unique(prefix: &str) -> String {
    format!("{prefix}-{}", &uid().as_str()[..13])
}

pub(crate) fn access(kubeconfig: &Value) -> ClusterAccess {
    ClusterAccess {
        provider: ProviderName::new("default").unwrap(),
        cluster: ClusterName::new("c1").unwrap(),
        kubeconfig: Secret::new(kubeconfig.to_string()),
    }
}

pub(crate) async fn client(kubeconfig: &Value) -> Client {
    let kubeconfig: Kubeconfig = serde_json::from_value(kubeconfig.clone()).unwrap();
    let options = kube::config::KubeConfigOptions::default();
    let config = Config::from_custom_kubeconfig(kubeconfig, &options).await;
    Client::try_from(config.unwrap()).unwrap()
}

impl Bed {
    pub(crate) async fn simulated() -> Self {
        Self::simulated_with(dcm_sim::ClusterOptions::default()).await
    }

    pub(crate) async fn simulated_with(options: dcm_sim::ClusterOptions) -> Self {
        let cluster = dcm_sim::Cluster::start(options).await.unwrap();
        let kubeconfig = cluster.admin_kubeconfig();
        Self::new(kubeconfig, Some(cluster)).await
    }

    /// A real cluster; `None`, after saying so, where there is none and none is required.
    pub(crate) async fn real(test: &str) -> Option<Self> {
        #[allow(clippy::disallowed_methods)] // Switches of the tests, not of the program.
        let (folder, required) = (
            std::env::var("DCM_TEST_KUBECONFIGS"),
            std::env::var("DCM_TEST_REQUIRE_REAL").is_ok_and(|value| value == "1"),
        );
        let Ok(folder) = folder else {
            assert!(!required, "DCM_TEST_REQUIRE_REAL=1, and no DCM_TEST_KUBECONFIGS");
            println!("SKIPPED (no DCM_TEST_KUBECONFIGS): start testbed/cluster to run {test} on a real cluster");
            return None;
        };
        let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        let mut files: Vec<_> = files.filter(|path| path.is_file()).collect();
        files.sort();
        let kubeconfig = Kubeconfig::read_from(files.first().unwrap()).unwrap();
        Some(Self::new(serde_json::to_value(kubeconfig).unwrap(), None).await)
    }

    async fn new(kubeconfig: Value, simulated: Option<dcm_sim::Cluster>) -> Self {
        Self { sync: KubeSynchronizer::new(options()), admin: client(&kubeconfig).await, kubeconfig, simulated }
    }

    /// The same cluster with another credential for the synchronizer.
    pub(crate) fn with(bed: &Self, kubeconfig: Value) -> Self {
        let (simulated, admin) = (bed.simulated.clone(), bed.admin.clone());
        Self { sync: KubeSynchronizer::new(options()), admin, kubeconfig, simulated }
    }

    pub(crate) fn access(&self) -> ClusterAccess {
        access(&self.kubeconfig)
    }

    /// A request of the administrator's.
    pub(crate) async fn call(
        &self,
        method: &str,
        path: &str,
        content: &str,
        body: &Value,
    ) -> Result<Value, kube::Error> {
        call(&self.admin, method, path, content, body).await
    }

    pub(crate) async fn get(&self, path: &str) -> Option<Value> {
        match self.call("GET", path, "application/json", &Value::Null).await {
            Ok(value) => Some(value),
            Err(kube::Error::Api(status)) if status.code == 404 => None,
            Err(error) => panic!("{path}: {error}"),
        }
    }

    pub(crate) async fn there(&self, path: &str) -> Value {
        self.get(path).await.unwrap_or_else(|| panic!("{path} is not there"))
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Value {
        self.call("POST", path, "application/json", &body).await.unwrap()
    }

    pub(crate) async fn merge(&self, path: &str, patch: Value) -> Value {
        self.call("PATCH", path, "application/merge-patch+json", &patch).await.unwrap()
    }

    pub(crate) async fn delete(&self, path: &str) {
        let options = json!({ "apiVersion": "v1", "kind": "DeleteOptions" });
        self.call("DELETE", path, "application/json", &options).await.unwrap();
    }

    /// Makes a binding of ours anew, to a role that is not ours: what it refers to cannot be changed in its place.
    pub(crate) async fn bind_to_another_role(&self, bindings: &str, name: &str) {
        let path = format!("{bindings}/{name}");
        let mut binding = self.there(&path).await;
        self.delete(&path).await;
        binding["metadata"] = json!({ "name": name, "labels": binding["metadata"]["labels"] });
        binding["roleRef"]["name"] = json!("other");
        self.post(bindings, binding).await;
    }

    /// Waits until nothing is there any more.
    pub(crate) async fn gone(&self, path: &str) {
        let gone = async || self.get(path).await.is_none();
        until_so(PATIENCE, format_args!("without {path}"), gone).await;
    }

    /// A kubeconfig for this cluster with a token.
    pub(crate) fn with_token(&self, token: &Secret) -> Value {
        let mut kubeconfig = self.kubeconfig.clone();
        kubeconfig["users"][0]["user"] = json!({ "token": token.expose_str().unwrap() });
        kubeconfig
    }

    /// Whether the cluster would let a user do something in a namespace, or anywhere.
    pub(crate) async fn may(&self, user: &str, verb: &str, namespace: &str, name: &str) -> bool {
        let review = json!({
            "apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview",
            "spec": { "user": user, "resourceAttributes": {
                "verb": verb, "resource": "configmaps", "version": "v1", "namespace": namespace, "name": name,
            } },
        });
        self.post("/apis/authorization.k8s.io/v1/subjectaccessreviews", review).await["status"]["allowed"] == true
    }

    /// Asserts that a user is refused with one of these statuses, and stays so once it has begun.
    pub(crate) async fn refuses(&self, kubeconfig: &Value, path: &str, statuses: &[u16]) {
        let refused = async || reads(kubeconfig, path).await.is_err_and(|status| statuses.contains(&status));
        // A simulated cluster has no caches: it refuses the first request already.
        if self.simulated.is_none() {
            soon(SOON, &refused).await;
        }
        assert!(refused().await, "{path} is read");
    }

    /// The uid and resource version of every object in these lists, once the cluster's own controllers are done
    /// with them.
    pub(crate) async fn settled(&self, paths: &[String]) -> Vec<(Value, Value)> {
        // Before they have begun it is quiet too.
        for path in paths {
            until_so(PATIENCE, format_args!("seen to at {path}"), async || self.is_seen_to(path).await).await;
        }
        let mut before = self.versions(paths).await;
        loop {
            tokio::time::sleep(Duration::from_millis(300)).await;
            let now = self.versions(paths).await;
            if now == before {
                return now;
            }
            before = now;
        }
    }

    /// Whether the cluster's controllers have counted what the quotas at this path limit, and made the account that every
    /// namespace has.
    async fn is_seen_to(&self, path: &str) -> bool {
        let all = self.objects(path).await;
        let counted = |object: &Value| {
            let (wanted, status) = (&object["spec"]["hard"], &object["status"]);
            wanted.is_null() || (status["hard"] == *wanted && status["used"].is_object())
        };
        // A simulated cluster makes no accounts.
        let lacks_account = self.simulated.is_none()
            && path.ends_with("/serviceaccounts")
            && !all.iter().any(|account| account["metadata"]["name"] == "default");
        !lacks_account && all.iter().all(counted)
    }

    /// The object at this path, or those in the list there.
    async fn objects(&self, path: &str) -> Vec<Value> {
        let found = self.there(path).await;
        found["items"].as_array().cloned().unwrap_or_else(|| vec![found])
    }

    /// The uid and resource version of every object at these paths, or in the lists there.
    pub(crate) async fn versions(&self, paths: &[String]) -> Vec<(Value, Value)> {
        let mut all = Vec::new();
        for path in paths {
            all.extend(self.objects(path).await);
        }
        let of = |object: &Value| {
            let metadata = &object["metadata"];
            (metadata["uid"].clone(), metadata["resourceVersion"].clone())
        };
        all.iter().map(of).collect()
    }

    /// A namespace that has nothing to do with DCM.
    pub(crate) async fn foreign_namespace(&self, labels: Value) -> String {
        let name = unique("foreign");
        let manifest =
            json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": name, "labels": labels } });
        self.post("/api/v1/namespaces", manifest).await;
        name
    }

    pub(crate) async fn foreign_config_map(&self, namespace: &str, finalizers: &[&str]) -> String {
        let manifest = json!({
            "apiVersion": "v1", "kind": "ConfigMap",
            "metadata": { "name": "theirs", "finalizers": finalizers }, "data": { "a": "b" },
        });
        let collection = format!("/api/v1/namespaces/{namespace}/configmaps");
        self.post(&collection, manifest).await;
        format!("{collection}/theirs")
    }
}

/// What a user gets who reads; the HTTP status where it is refused.
pub(crate) async fn reads(kubeconfig: &Value, path: &str) -> Result<Value, u16> {
    match call(&client(kubeconfig).await, "GET", path, "application/json", &Value::Null).await {
        Ok(value) => Ok(value),
        Err(kube::Error::Api(status)) => Err(status.code),
        Err(error) => panic!("{error}"),
    }
}

/// Asks again until it is so, as long as an API server's own caches may take.
pub(crate) async fn soon(within: Duration, so: impl AsyncFn() -> bool) {
    until_so(within, "as it should be", so).await;
}

pub(crate) async fn call(
    client: &Client,
    method: &str,
    path: &str,
    content: &str,
    body: &Value,
) -> Result<Value, kube::Error> {
    let body = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
    let request = Request::builder()
        .method(Method::from_bytes(method.as_bytes()).unwrap())
        .uri(path)
        .header("content-type", content)
        .body(body)
        .unwrap();
    client.request(request).await
}
