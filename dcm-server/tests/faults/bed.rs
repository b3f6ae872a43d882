//! A real cluster that belongs to these tests alone: they stop it, freeze it and wipe it.

use std::{
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::OnceLock,
    time::Duration,
};

use dcm_test_utils::patience::until;
use http::{Method, Request};
use kube::{
    Client, Config,
    config::{KubeConfigOptions, Kubeconfig},
};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::{RwLock, RwLockReadGuard, RwLockWriteGuard};

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../testbed/cluster");

/// The testbed of this test binary.
pub(crate) struct Bed {
    folder: TempDir,
    /// Stops the testbed when this process ends, however it ends: its standard input is closed then.
    _end: Child,
}

static BED: OnceLock<Bed> = OnceLock::new();
/// Held by all who need the cluster to be well; alone by who does something to it as a whole.
static PEACE: RwLock<()> = RwLock::const_new(());

/// The cluster, while nothing is done to it as a whole.
pub(crate) struct Well(#[expect(dead_code, reason = "it is only held")] RwLockReadGuard<'static, ()>);

/// The cluster, to do with it whatever one likes.
pub(crate) struct Mine(#[expect(dead_code, reason = "it is only held")] RwLockWriteGuard<'static, ()>);

/// The testbed, started by whoever comes first; `None`, after saying so, where real clusters are not asked for.
fn bed(test: &str) -> Option<&'static Bed> {
    #[allow(clippy::disallowed_methods, reason = "switches of the tests, not of the program")]
    let (folder, required) =
        (std::env::var("DCM_TEST_KUBECONFIGS"), std::env::var("DCM_TEST_REQUIRE_REAL").is_ok_and(|value| value == "1"));
    if folder.is_err() {
        assert!(!required, "DCM_TEST_REQUIRE_REAL=1, and no DCM_TEST_KUBECONFIGS");
        println!("SKIPPED (no DCM_TEST_KUBECONFIGS): start testbed/cluster to run {test} on a real cluster");
        return None;
    }
    Some(BED.get_or_init(Bed::start))
}

/// The testbed's cluster, well.
pub(crate) async fn well(test: &str) -> Option<(&'static Bed, Well)> {
    let bed = bed(test)?;
    Some((bed, Well(PEACE.read().await)))
}

/// The testbed's cluster, for one test alone.
pub(crate) async fn mine(test: &str) -> Option<(&'static Bed, Mine)> {
    let bed = bed(test)?;
    Some((bed, Mine(PEACE.write().await)))
}

impl Drop for Mine {
    fn drop(&mut self) {
        // The tests after one that failed find a cluster that is well.
        if std::thread::panicking()
            && let Some(bed) = BED.get()
        {
            let _ = bed.script(&["restart", "1"]).status();
        }
    }
}

impl Bed {
    fn start() -> Self {
        dcm_server::install_crypto_provider();
        let folder = tempfile::Builder::new().prefix("dcm-faults-").tempdir().unwrap();
        // Behind a pipe, in a session of its own: no signal to the tests reaches it, and no end of theirs escapes it.
        let end = Command::new("setsid")
            .args(["sh", "-c", r#"cat >/dev/null; "$1" stop; rm -rf "$2""#, "sh", SCRIPT])
            .arg(folder.path())
            .env("DCM_TESTBED_STATE", folder.path().join("state"))
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let bed = Self { folder, _end: end };
        bed.run(&["start", "1"]);
        bed
    }

    fn script(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(SCRIPT);
        command.args(arguments).env("DCM_TESTBED_STATE", self.folder.path().join("state")).stdin(Stdio::null());
        command
    }

    fn run(&self, arguments: &[&str]) {
        let output = self.script(arguments).output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    }

    /// Does something to the cluster as a whole: `halt`, `restart`, `pause`, `resume`, `wipe`.
    pub(crate) async fn cluster(&'static self, _: &Mine, what: &'static str) {
        tokio::task::spawn_blocking(move || self.run(&[what, "1"])).await.unwrap();
    }

    /// Freezes the cluster's controllers until it is resumed.
    pub(crate) async fn pause_controllers(&'static self, _: &Mine) {
        tokio::task::spawn_blocking(|| self.run(&["pause", "1", "controllers"])).await.unwrap();
    }

    fn path(&self, file: &str) -> PathBuf {
        self.folder.path().join("state/cluster-1").join(file)
    }

    /// A file of the cluster's, for example its CA.
    pub(crate) fn file(&self, file: &str) -> String {
        std::fs::read_to_string(self.path(file)).unwrap()
    }

    /// The administrator's kubeconfig.
    pub(crate) fn admin_kubeconfig(&self) -> Value {
        let config = Kubeconfig::read_from(self.path("admin.kubeconfig")).unwrap();
        serde_json::to_value(config).unwrap()
    }

    pub(crate) fn url(&self) -> String {
        format!("https://127.0.0.1:{}", self.file("port").trim())
    }

    /// The administrator.
    pub(crate) async fn admin(&self) -> Admin {
        let config: Kubeconfig = serde_json::from_value(self.admin_kubeconfig()).unwrap();
        let config = Config::from_custom_kubeconfig(config, &KubeConfigOptions::default()).await.unwrap();
        Admin(Client::try_from(config).unwrap())
    }
}

/// The administrator of the cluster, who passes DCM by.
#[derive(Clone)]
pub(crate) struct Admin(pub(crate) Client);

impl Admin {
    pub(crate) async fn call(
        &self,
        method: Method,
        path: &str,
        content: &str,
        body: &Value,
    ) -> Result<Value, kube::Error> {
        let body = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
        let request = Request::builder().method(method).uri(path).header("content-type", content).body(body).unwrap();
        self.0.request(request).await
    }

    pub(crate) async fn get(&self, path: &str) -> Option<Value> {
        match self.call(Method::GET, path, "application/json", &Value::Null).await {
            Ok(value) => Some(value),
            Err(kube::Error::Api(status)) if status.code == 404 => None,
            Err(error) => panic!("{path}: {error}"),
        }
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) {
        self.call(Method::POST, path, "application/json", body).await.unwrap();
    }

    pub(crate) async fn merge(&self, path: &str, patch: &Value) {
        self.call(Method::PATCH, path, "application/merge-patch+json", patch).await.unwrap();
    }

    /// A server-side apply by somebody else, who insists.
    pub(crate) async fn apply_by_force(&self, path: &str, manifest: &Value) {
        let path = format!("{path}?fieldManager=somebody-else&force=true");
        self.call(Method::PATCH, &path, "application/apply-patch+yaml", manifest).await.unwrap();
    }

    pub(crate) async fn delete(&self, path: &str) {
        let options = json!({ "apiVersion": "v1", "kind": "DeleteOptions" });
        self.call(Method::DELETE, path, "application/json", &options).await.unwrap();
    }

    /// Waits until the cluster refuses to make an object in a list, which is only tried, and says so in these words: what
    /// admits objects knows of quotas and webhooks a moment later.
    pub(crate) async fn until_refused(&self, list: &str, object: &Value, words: &str) {
        let path = format!("{list}?dryRun=All");
        until(Duration::from_secs(60), format_args!("refused at {path}"), async || {
            match self.call(Method::POST, &path, "application/json", object).await {
                Err(kube::Error::Api(status)) if status.message.contains(words) => Ok(()),
                other => Err(format!("{other:?}")),
            }
        })
        .await;
    }

    /// Waits until what is at a path is as wanted.
    pub(crate) async fn until(&self, path: &str, what: &str, wanted: impl Fn(&Value) -> bool) {
        until(Duration::from_secs(60), format_args!("{what} at {path}"), async || {
            let now = self.get(path).await.unwrap_or_default();
            if wanted(&now) { Ok(()) } else { Err(now) }
        })
        .await;
    }
}
