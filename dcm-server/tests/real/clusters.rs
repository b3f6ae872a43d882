//! Real clusters with an account for DCM on each, and `kubectl` for whoever is to be asked. What tests leave on
//! them is removed in the end, whatever came of the test.

use std::{
    collections::hash_map::RandomState,
    fs,
    hash::BuildHasher as _,
    io::Write as _,
    ops::Deref,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::Mutex,
    time::{Duration, Instant},
};

use dcm_core::tenancy::marks;
use dcm_test_utils::rights::{self, ACCOUNT_NAMESPACE, CEILING, CLUSTER_ROLE};
use serde_json::{Value, json};
use tempfile::TempDir;

/// How long a cluster may take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// The real clusters of one test.
pub(crate) struct Clusters {
    /// What everything begins with that this test makes on them.
    pub(crate) id: String,
    all: Vec<Cluster>,
    used: Mutex<Used>,
    _cache: TempDir,
}

/// What is to be removed from all clusters in the end.
#[derive(Default)]
struct Used {
    namespaces: Vec<String>,
    installations: Vec<String>,
}

/// A real cluster, registered under its name.
pub(crate) struct Cluster {
    pub(crate) name: String,
    /// The administrator's kubeconfig, which DCM never gets.
    pub(crate) file: PathBuf,
    /// DCM's own kubeconfig.
    pub(crate) kubeconfig: Value,
    cache: PathBuf,
}

/// What a program said.
pub(crate) struct Said {
    pub(crate) ok: bool,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Said {
    #[track_caller]
    pub(crate) fn expect(self) -> String {
        assert!(self.ok, "{}", self.err);
        self.out
    }

    /// What it printed, or else what it complained of.
    pub(crate) fn allowed(self) -> Result<String, String> {
        if self.ok { Ok(self.out) } else { Err(self.err) }
    }
}

/// A short text that no other test uses.
fn unique() -> String {
    let number = RandomState::new().hash_one(0_u8);
    format!("real-{:08x}", number & 0xffff_ffff)
}

/// The real clusters' kubeconfigs, at most so many; `None`, after saying so, where they or `kubectl` are not
/// there and not required.
fn real_clusters(test: &str, count: usize) -> Option<Vec<PathBuf>> {
    #[expect(clippy::disallowed_methods, reason = "switches of the tests, not of the program")]
    let (folder, required) =
        (std::env::var("DCM_TEST_KUBECONFIGS"), std::env::var("DCM_TEST_REQUIRE_REAL").is_ok_and(|value| value == "1"));
    let missing = |what: &str, how: &str| -> Option<Vec<PathBuf>> {
        assert!(!required, "DCM_TEST_REQUIRE_REAL=1, and no {what}");
        println!("SKIPPED (no {what}): {how} to run {test} on real clusters");
        None
    };
    let Ok(folder) = folder else {
        return missing("DCM_TEST_KUBECONFIGS", "start testbed/cluster");
    };
    if Command::new("kubectl").args(["version", "--client"]).output().is_err() {
        return missing("kubectl", "put the folder that testbed/cluster bin names on PATH");
    }
    let mut files: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.is_file());
    files.sort();
    if files.len() < count {
        return missing("enough clusters", "start some more with testbed/cluster");
    }
    files.truncate(count);
    Some(files)
}

/// Runs `kubectl`, with an input where it wants one.
pub(crate) fn kubectl_with(kubeconfig: &Path, cache: &Path, args: &[&str], input: Option<&str>) -> Said {
    let mut child = Command::new("kubectl")
        .args(args)
        .env("KUBECONFIG", kubeconfig)
        .env("KUBECACHEDIR", cache)
        .env("KUBERC", "off")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    if let Some(input) = input {
        stdin.write_all(input.as_bytes()).unwrap();
    }
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Said { ok: output.status.success(), out: text(output.stdout), err: text(output.stderr) }
}

impl Cluster {
    /// Makes DCM's account on a cluster, with the commands of `docs/cluster-rights.md`.
    fn prepare(file: PathBuf, id: &str, cache: PathBuf) -> Self {
        let name = file.file_stem().unwrap().to_str().unwrap().to_owned();
        let mut cluster = Self { name, file, kubeconfig: Value::Null, cache };
        let list = json!({ "apiVersion": "v1", "kind": "List", "items": rights::objects(CLUSTER_ROLE, id) });
        cluster.admin_with(&["apply", "-f", "-"], &list).expect();
        let token = cluster.admin(&["create", "token", id, "-n", ACCOUNT_NAMESPACE]).expect();
        let admin = cluster.admin_json(&["config", "view", "--raw", "--flatten"]);
        cluster.kubeconfig = rights::kubeconfig(&admin, token.trim());
        cluster.wait_for_rights(id);
        cluster
    }

    /// The API server's own cache of roles and bindings takes a moment.
    fn wait_for_rights(&self, id: &str) {
        let account = format!("--as=system:serviceaccount:{ACCOUNT_NAMESPACE}:{id}");
        let patience = Instant::now();
        for right in [["create", "namespaces"], ["escalate", "clusterroles"], ["bind", "roles"]] {
            while !self.admin(&["auth", "can-i", right[0], right[1], "-A", &account]).ok {
                assert!(patience.elapsed() < PATIENCE, "{} does not give DCM its rights", self.name);
            }
        }
    }

    /// `kubectl` with a kubeconfig that DCM handed out.
    pub(crate) fn as_user(&self, kubeconfig: &Value, args: &[&str]) -> Said {
        let file = tempfile::NamedTempFile::new_in(&self.cache).unwrap();
        fs::write(file.path(), kubeconfig.to_string()).unwrap();
        kubectl_with(file.path(), &self.cache, args, None)
    }

    /// `kubectl` as the administrator.
    pub(crate) fn admin(&self, args: &[&str]) -> Said {
        kubectl_with(&self.file, &self.cache, args, None)
    }

    /// The same, with an object as its input.
    pub(crate) fn admin_with(&self, args: &[&str], object: &Value) -> Said {
        kubectl_with(&self.file, &self.cache, args, Some(&object.to_string()))
    }

    pub(crate) fn admin_json(&self, args: &[&str]) -> Value {
        let mut args = args.to_vec();
        args.extend(["-o", "json"]);
        serde_json::from_str(&self.admin(&args).expect()).unwrap()
    }

    /// One object, where it is there.
    pub(crate) fn object(&self, kind: &str, namespace: &str, name: &str) -> Option<Value> {
        let said = self.admin(&["get", kind, name, "-n", namespace, "--ignore-not-found", "-o", "json"]);
        let text = said.expect();
        (!text.is_empty()).then(|| serde_json::from_str(&text).unwrap())
    }

    /// Everything of one kind that an installation has made, anywhere.
    pub(crate) fn made_by(&self, kind: &str, installation: &str) -> Vec<Value> {
        let selector = format!("{}={installation}", marks::INSTALLATION);
        let mut list = self.admin_json(&["get", kind, "-A", "-l", &selector]);
        serde_json::from_value(list["items"].take()).unwrap()
    }

    /// Uid and resource version of what an installation has made, to show that nothing was touched.
    pub(crate) fn versions(&self, installation: &str) -> Vec<String> {
        let text = |object: &Value, field: &str| object["metadata"][field].as_str().unwrap_or_default().to_owned();
        let mut versions: Vec<String> = KINDS
            .iter()
            .flat_map(|kind| self.made_by(kind, installation))
            // What is in a quota is counted by the cluster, whenever it likes.
            .filter(|object| object["kind"] != "ResourceQuota")
            .map(|o| format!("{} {} {}", o["kind"], text(&o, "name"), text(&o, "uid") + &text(&o, "resourceVersion")))
            .collect();
        versions.sort();
        versions
    }

    fn clean(&self, id: &str, used: &Used) {
        for namespace in &used.namespaces {
            self.admin(&["delete", "namespace", namespace, "--ignore-not-found", "--wait=false"]);
        }
        for installation in &used.installations {
            let selector = format!("{}={installation}", marks::INSTALLATION);
            for kind in KINDS.iter().filter(|kind| **kind != "namespaces") {
                self.admin(&["delete", kind, "-A", "-l", &selector, "--wait=false"]);
            }
        }
        let objects: Vec<Value> =
            [CLUSTER_ROLE, CEILING].into_iter().flat_map(|file| rights::objects(file, id)).collect();
        let list = json!({ "apiVersion": "v1", "kind": "List", "items": objects });
        self.admin_with(&["delete", "--ignore-not-found", "-f", "-"], &list);
    }
}

/// The kinds of all objects that DCM makes.
pub(crate) const KINDS: [&str; 8] = [
    "namespaces",
    "roles",
    "rolebindings",
    "resourcequotas",
    "serviceaccounts",
    "clusterroles",
    "clusterrolebindings",
    "certificatesigningrequests",
];

impl Clusters {
    /// So many real clusters; `None`, after saying so, where they are not there.
    pub(crate) fn find(test: &str, count: usize) -> Option<Self> {
        let files = real_clusters(test, count)?;
        let (id, cache) = (unique(), tempfile::tempdir().unwrap());
        let all = files.into_iter().map(|file| Cluster::prepare(file, &id, cache.path().to_owned())).collect();
        Some(Self { id, all, used: Mutex::default(), _cache: cache })
    }

    /// A namespace of this test's own, whoever makes it.
    pub(crate) fn namespace(&self, name: &str) -> String {
        let namespace = format!("{}-{name}", self.id);
        self.used.lock().unwrap().namespaces.push(namespace.clone());
        namespace
    }

    /// Notes who makes objects in this test.
    pub(crate) fn note(&self, installation: String) {
        let installations = &mut self.used.lock().unwrap().installations;
        if installations.last() != Some(&installation) {
            installations.push(installation);
        }
    }

    /// Who made objects last.
    pub(crate) fn installation(&self) -> String {
        self.used.lock().unwrap().installations.last().unwrap().clone()
    }
}

impl Deref for Clusters {
    type Target = [Cluster];

    fn deref(&self) -> &[Cluster] {
        &self.all
    }
}

impl Drop for Clusters {
    fn drop(&mut self) {
        let used = self.used.lock().unwrap();
        for cluster in &self.all {
            cluster.clean(&self.id, &used);
        }
    }
}
