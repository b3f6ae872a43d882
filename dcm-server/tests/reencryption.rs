//! A new encryption key on a real server: everything is encrypted with it while the server works, also when it is killed in
//! between, and a line of the key file that goes too early is told of.
//!
//! Simulated clusters live in this process, so they outlive the server. `DCM_TEST_DOCUMENTS` sets how many documents
//! there are when it is killed.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout, reason = "a test fails loudly")]
#![cfg(feature = "sled")]

use std::{
    fs::File,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use dcm_core::{
    model::{Credential, Proof, Uid},
    secret::{Sealer as _, Secret},
    store::{Key, StoreExt as _},
};
use dcm_server::cli::rotate_key::RotateKey;
use dcm_sim::{Cluster, ClusterOptions};
use dcm_store::{
    SledConfig,
    encryption::{AeadSealer, Keyring},
};
use dcm_test_utils::patience::{until, until_so};
use kube::config::{KubeConfigOptions, Kubeconfig};
use reqwest::StatusCode;
use serde_json::{Value, json};

const PATIENCE: Duration = Duration::from_secs(60);

/// An installation on sled that outlives its servers.
struct Place {
    folder: tempfile::TempDir,
    port: u16,
}

impl Place {
    fn new() -> Self {
        dcm_server::install_crypto_provider();
        let port = dcm_test_utils::address::free_port();
        Self { folder: tempfile::tempdir().unwrap(), port }
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn key_file(&self) -> PathBuf {
        self.folder.path().join("data.key")
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap()
    }

    fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_dcm-server"));
        command.arg("--http").arg(format!("127.0.0.1:{}", self.port)).args(["--grpc", "127.0.0.1:0"]);
        command.arg("--store").arg(format!("sled:{}", self.data().display()));
        command.stdout(Stdio::null());
        command
    }

    async fn start(&self) -> Server {
        let log = File::create(self.folder.path().join("log")).unwrap();
        let child = self.command().stderr(log).spawn().unwrap();
        let base = format!("http://127.0.0.1:{}", self.port);
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let server = Server { child, base, client };
        let up = async || server.client.get(format!("{}/readyz", server.base)).send().await.is_ok();
        until_so(PATIENCE, "up", up).await;
        server
    }

    /// What a server says that does not start.
    fn refusal(&self) -> String {
        let output = self.command().stderr(Stdio::piped()).output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        String::from_utf8(output.stderr).unwrap()
    }

    /// Rotates the key; the new key's id.
    fn rotate(&self) -> String {
        let command = RotateKey { encryption_key_file: self.key_file(), prepare: false, make_current: None };
        let mut printed = Vec::new();
        command.run(&mut printed).unwrap();
        let id = self.current_key();
        assert!(String::from_utf8(printed).unwrap().contains(&id));
        id
    }

    fn current_key(&self) -> String {
        Keyring::load(&self.key_file()).unwrap().current_id().to_owned()
    }

    /// Takes the lines of all keys but the current one out of the file; what they were.
    fn remove_older_lines(&self) -> String {
        let text = std::fs::read_to_string(self.key_file()).unwrap();
        let (first, older) = text.split_once('\n').unwrap();
        write_key_file(&self.key_file(), first);
        older.to_owned()
    }

    fn put_lines_back(&self, older: &str) {
        let text = std::fs::read_to_string(self.key_file()).unwrap();
        write_key_file(&self.key_file(), &format!("{}\n{older}", text.trim_end()));
    }
}

/// Keeps the mode that the file has.
fn write_key_file(path: &Path, text: &str) {
    std::fs::write(path, text).unwrap();
}

struct Server {
    child: Child,
    base: String,
    client: reqwest::Client,
}

impl Server {
    async fn post(&self, path: &str, body: &Value) -> StatusCode {
        self.client.post(format!("{}{path}", self.base)).json(body).send().await.unwrap().status()
    }

    async fn get(&self, path: &str) -> (StatusCode, Value) {
        let response = self.client.get(format!("{}{path}", self.base)).send().await.unwrap();
        (response.status(), response.json().await.unwrap_or_default())
    }

    async fn encryption(&self) -> Value {
        let (status, answer) = self.get("/v2/encryption").await;
        assert_eq!(status, StatusCode::OK, "{answer}");
        answer
    }

    /// Waits until everything is encrypted with a key; what is answered then.
    async fn wait_until_encrypted_with(&self, key: &str) -> Value {
        until(PATIENCE * 5, format_args!("encrypted with {key}"), async || {
            let answer = self.encryption().await;
            let done = answer["keys-in-use"] == json!([key]) && answer["pass"]["state"] == "finished";
            if done { Ok(answer) } else { Err(answer) }
        })
        .await
    }

    async fn wait_for(&self, cloud: &str, wanted: &str) {
        until(PATIENCE, wanted, async || {
            let (_, status) = self.get(&format!("{cloud}/status")).await;
            if status["status"] == wanted { Ok(()) } else { Err(status) }
        })
        .await;
    }

    /// SIGKILL: no handler runs, nothing is flushed.
    fn kill(self) {
        drop(self);
    }

    /// SIGTERM; how long it took to end.
    fn terminate(mut self) -> Duration {
        let began = Instant::now();
        let told = Command::new("kill").arg(self.child.id().to_string()).status().unwrap();
        assert!(told.success());
        assert!(self.child.wait().unwrap().success());
        began.elapsed()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already.
        drop(self.child.kill());
        self.child.wait().unwrap();
    }
}

/// Registers the clusters, and has logical clouds on all of them.
async fn fill(server: &Server, clusters: &[Cluster], clouds: &[String]) {
    for cluster in clusters {
        let spec = json!({ "kubeconfig": cluster.admin_kubeconfig() });
        let body = json!({ "metadata": { "name": cluster.name() }, "spec": spec });
        assert_eq!(server.post("/v2/cluster-providers/default/clusters", &body).await, StatusCode::CREATED);
    }
    for cloud in clouds {
        let name = cloud.rsplit('/').next().unwrap();
        let permission =
            json!({ "permission-name": "p-1", "apiGroups": [""], "resources": ["configmaps"], "verbs": ["*"] });
        let user = json!({ "user-name": "u", "type": "certificate", "user-permissions": [permission] });
        let body = json!({ "metadata": { "name": name }, "spec": { "namespace": name, "user": user } });
        assert_eq!(server.post("/v2/projects/p/logical-clouds", &body).await, StatusCode::CREATED);
        for cluster in clusters {
            let body = json!({ "cluster-reference": cluster.name(), "loadbalancer-ip": "0.0.0.0" });
            assert_eq!(server.post(&format!("{cloud}/cluster-references"), &body).await, StatusCode::OK);
        }
        assert_eq!(server.post(&format!("{cloud}/apply"), &json!({})).await, StatusCode::OK);
    }
    for cloud in clouds {
        server.wait_for(cloud, "Created").await;
    }
}

/// What the user of a kubeconfig is answered who reads his config maps.
async fn reads_config_maps(kubeconfig: &Value, namespace: &str) -> StatusCode {
    let kubeconfig: Kubeconfig = serde_json::from_value(kubeconfig.clone()).unwrap();
    let config = kube::Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await.unwrap();
    let client = kube::Client::try_from(config).unwrap();
    let path = format!("/api/v1/namespaces/{namespace}/configmaps");
    let request = http::Request::get(path).body(Vec::new()).unwrap();
    match client.request_text(request).await {
        Ok(_) => StatusCode::OK,
        Err(kube::Error::Api(status)) => StatusCode::from_u16(status.code).unwrap(),
        Err(other) => panic!("{other}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_key_takes_the_place_of_the_old_one_while_the_server_works() {
    let place = Place::new();
    let mut clusters = Vec::new();
    for name in ["c1", "c2"] {
        clusters.push(Cluster::start(ClusterOptions::named(name)).await.unwrap());
    }
    let clouds: Vec<String> = (0..5).map(|n| format!("/v2/projects/p/logical-clouds/lc-{n}")).collect();
    let server = place.start().await;
    fill(&server, &clusters, &clouds).await;
    let old = place.current_key();
    let fresh = json!({ "current-key": old, "keys-in-use": [old], "keys-configured": [old] });
    assert_eq!(server.encryption().await, fresh);
    let (_, kubeconfig) = server.get(&format!("{}/kubeconfig", clouds[0])).await;
    server.terminate();

    let new = place.rotate();
    let server = place.start().await;
    let answer = server.wait_until_encrypted_with(&new).await;
    assert_eq!(answer["keys-configured"], json!([new, old]));
    let (pass, documents) = (&answer["pass"], 1 + clusters.len() + clouds.len() * clusters.len());
    assert_eq!((&pass["total"], &pass["re-encrypted"]), (&json!(documents), &json!(documents)), "{answer}");
    assert_eq!((&pass["failed"], &pass["target"]), (&json!(0), &json!(new)));
    assert!(pass["started"].as_str() <= pass["finished"].as_str() && pass["finished"].is_string());
    assert_eq!(pass["settled"], false);
    let advice = format!("no line may be removed from {} before", place.key_file().display());
    until_so(PATIENCE, "the advice in the log", async || place.log().contains(&advice)).await;
    for line in std::fs::read_to_string(place.key_file()).unwrap().lines() {
        let key = line.strip_prefix("dcm-key-v1:").unwrap();
        assert!(!place.log().contains(key) && !answer.to_string().contains(key), "a key was shown");
    }
    server.terminate();

    place.remove_older_lines();
    let server = place.start().await;
    assert_eq!(server.encryption().await["keys-configured"], json!([new]));
    let (_, same) = server.get(&format!("{}/kubeconfig", clouds[0])).await;
    assert_eq!(same, kubeconfig);
    assert_eq!(reads_config_maps(&same, "lc-0").await, StatusCode::OK);
    // The clusters' own kubeconfigs too: a new apply reaches them.
    assert_eq!(server.post(&format!("{}/terminate", clouds[1]), &json!({})).await, StatusCode::ACCEPTED);
    server.wait_for(&clouds[1], "Deleted").await;
    server.terminate();
}

#[expect(clippy::disallowed_methods, reason = "a test's own knob")]
fn documents() -> u32 {
    std::env::var("DCM_TEST_DOCUMENTS").ok().and_then(|text| text.parse().ok()).unwrap_or(2000)
}

/// Credentials as a server would have written them, of logical clouds that nobody works on.
async fn write_credentials(place: &Place, number: u32) {
    let store = dcm_store::open(dcm_store::Config::Sled(SledConfig::new(place.data()))).await.unwrap();
    let sealer = AeadSealer::new(Keyring::load(&place.key_file()).unwrap()).unwrap();
    let time = "2026-01-02T03:04:05Z".parse().unwrap();
    for chunk in (0..number).collect::<Vec<_>>().chunks(100) {
        let one = async |n: &u32| {
            let mut bytes = [7; 16];
            bytes[..4].copy_from_slice(&n.wrapping_mul(2_654_435_761).to_be_bytes());
            let cloud = Uid::from_random(bytes);
            let key: Key = format!("credential/{cloud}/c1").parse().unwrap();
            let seal = |bytes: usize| sealer.seal(&key, &Secret::new(vec![b'k'; bytes])).unwrap();
            let credential = Credential {
                cloud,
                cluster_identity: "7c0f".to_owned(),
                name_there: "dcm:p:lc:u:abcdefghijklmnop".to_owned(),
                proof: Proof::Certificate { key: seal(241), csr: "r".repeat(500), certificate: "c".repeat(800) },
                not_before: time,
                not_after: time,
                renew_at: None,
                kubeconfig_of: "00ff".to_owned(),
                kubeconfig: seal(3500),
            };
            store.insert(&key, &credential).await.unwrap();
        };
        futures_util::future::join_all(chunk.iter().map(one)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_killed_half_way_goes_on_and_needs_the_old_key_until_the_end() {
    let place = Place::new();
    place.start().await.terminate();
    write_credentials(&place, documents()).await;
    let old = place.current_key();
    let new = place.rotate();

    let server = place.start().await;
    let half_way = until(PATIENCE, "half way", async || {
        let answer = server.encryption().await;
        let some = answer["pass"]["state"] == "re-encrypting" && answer["pass"]["looked-at"].as_u64() > Some(1);
        if some { Ok(answer) } else { Err(answer) }
    })
    .await;
    assert_eq!(half_way["keys-in-use"].as_array().unwrap().len(), 2, "{half_way}");
    server.kill();

    let older = place.remove_older_lines();
    let refusal = place.refusal();
    for part in ["--encryption-key-file", &old, "put the lines back"] {
        assert!(refusal.contains(part), "{part} is missing: {refusal}");
    }
    place.put_lines_back(&older);

    let server = place.start().await;
    let began = Instant::now();
    let again = server.encryption().await;
    assert_eq!(again["pass"]["started"], half_way["pass"]["started"], "it began anew: {again}");
    assert!(again["pass"]["looked-at"].as_u64() >= half_way["pass"]["looked-at"].as_u64(), "{again}");
    let done = server.wait_until_encrypted_with(&new).await;
    println!("{} documents; the rest after the kill took {:?}: {done}", documents(), began.elapsed());
    assert_eq!((&done["pass"]["failed"], &done["pass"]["total"]), (&json!(0), &json!(documents() + 1)));
    server.kill();

    place.remove_older_lines();
    place.start().await.terminate();
    let store = dcm_store::open(dcm_store::Config::Sled(SledConfig::new(place.data()))).await.unwrap();
    let sealer = AeadSealer::new(Keyring::load(&place.key_file()).unwrap()).unwrap();
    let all = store.list_all::<Credential>(&"credential".parse().unwrap()).await.unwrap();
    assert_eq!(all.len(), documents() as usize);
    for entry in all {
        assert_eq!(sealer.open(&entry.key, &entry.value.kubeconfig).unwrap().expose(), [b'k'; 3500]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_waits_for_no_pass() {
    let place = Place::new();
    place.start().await.terminate();
    write_credentials(&place, documents()).await;
    place.rotate();
    let server = place.start().await;
    until_so(PATIENCE, "at work", async || server.encryption().await["pass"]["re-encrypted"].as_u64() > Some(0)).await;
    let state = server.encryption().await["pass"]["state"].clone();
    let took = server.terminate();
    assert!(state != "finished", "the pass was over before the stop");
    assert!(took < Duration::from_secs(10), "{took:?}");
}
