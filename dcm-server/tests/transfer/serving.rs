//! What was applied before goes on from where it was, on another store.

use std::time::Duration;

use dcm_server::Running;
use dcm_sim::{Cluster, ClusterOptions};
use dcm_test_utils::{mongodb, patience::until};
use serde_json::{Value, json};

use super::*;

const PATIENCE: Duration = Duration::from_secs(60);

struct Served {
    server: Running,
    base: String,
    client: reqwest::Client,
}

impl Served {
    async fn start(store: &str, key_file: &str) -> Self {
        let options =
            ["--http", "127.0.0.1:0", "--grpc", "127.0.0.1:0", "--store", store, "--encryption-key-file", key_file];
        let server = start(Config::from_options(options).unwrap()).await.unwrap();
        let base = format!("http://{}/v2", server.http_addr());
        Self { server, base, client: reqwest::Client::builder().no_proxy().build().unwrap() }
    }

    async fn send(&self, method: reqwest::Method, path: &str, body: &Value, wanted: u16) -> Value {
        let answer = self.client.request(method, format!("{}{path}", self.base)).json(body).send().await.unwrap();
        let status = answer.status();
        let answer = answer.json().await.unwrap_or_default();
        assert_eq!(status, wanted, "{path}: {answer}");
        answer
    }

    async fn post(&self, path: &str, body: &Value, wanted: u16) {
        self.send(reqwest::Method::POST, path, body, wanted).await;
    }

    async fn get(&self, path: &str) -> Value {
        let answer = self.client.get(format!("{}{path}", self.base)).send().await.unwrap();
        assert!(answer.status().is_success(), "{path}: {}", answer.status());
        answer.json().await.unwrap()
    }

    async fn is_created(&self, cloud: &str) {
        until(PATIENCE, "Created", async || {
            let status = self.get(&format!("{cloud}/status")).await;
            if status["status"] == "Created" { Ok(()) } else { Err(status) }
        })
        .await;
    }

    async fn kubeconfigs(&self) -> Vec<Value> {
        let mut found = Vec::new();
        for cloud in CLOUDS {
            found.push(self.get(&format!("{cloud}/kubeconfig?cluster-reference=c1")).await);
        }
        found
    }

    /// Gives each logical cloud a further quota and applies it, which reaches the cluster.
    async fn goes_on(&self, cluster: &Cluster, quota: &str) {
        for cloud in CLOUDS {
            let name = cloud.rsplit('/').next().unwrap();
            let body = json!({ "metadata": { "name": quota }, "spec": { "limits.cpu": "4" } });
            self.post(&format!("{cloud}/cluster-quotas"), &body, 201).await;
            self.post(&format!("{cloud}/apply"), &json!({}), 200).await;
            self.is_created(cloud).await;
            let made = cluster.objects().get("resourcequotas", name, quota);
            assert!(made.is_some(), "{quota} of {cloud} is not on the cluster");
        }
    }
}

const CLOUDS: [&str; 2] = ["/projects/p/logical-clouds/with-key", "/projects/p/logical-clouds/with-token"];

/// A cluster, and two logical clouds on it: one user has a key, the other one a token.
async fn filled(served: &Served, cluster: &Cluster) {
    let body = json!({ "metadata": { "name": "c1" }, "spec": { "kubeconfig": cluster.admin_kubeconfig() } });
    served.post("/cluster-providers/default/clusters", &body, 201).await;
    for (cloud, kind) in CLOUDS.into_iter().zip(["certificate", "token"]) {
        let name = cloud.rsplit('/').next().unwrap();
        let permission =
            json!({ "permission-name": "p-1", "apiGroups": [""], "resources": ["configmaps"], "verbs": ["*"] });
        let user = json!({ "user-name": "u", "type": kind, "user-permissions": [permission] });
        let body = json!({ "metadata": { "name": name }, "spec": { "namespace": name, "user": user } });
        served.post("/projects/p/logical-clouds", &body, 201).await;
        let reference = json!({ "cluster-reference": "c1", "loadbalancer-ip": "0.0.0.0" });
        served.post(&format!("{cloud}/cluster-references"), &reference, 200).await;
        served.post(&format!("{cloud}/apply"), &json!({}), 200).await;
        served.is_created(cloud).await;
    }
}

/// Every secret in kubeconfigs, as it stands there and decoded.
fn secrets(kubeconfigs: &[Value]) -> Vec<String> {
    let mut found = Vec::new();
    for kubeconfig in kubeconfigs {
        let user = &kubeconfig["users"][0]["user"];
        found.extend(user["token"].as_str().map(str::to_owned));
        if let Some(encoded) = user["client-key-data"].as_str() {
            found.push(encoded.to_owned());
            let pem = String::from_utf8(data_encoding::BASE64.decode(encoded.as_bytes()).unwrap()).unwrap();
            found.extend(pem.lines().filter(|line| !line.starts_with("-----")).map(str::to_owned));
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn logical_clouds_go_on_after_they_were_moved_to_mongodb_and_back() {
    let Some(mongodb) = mongodb::fresh_database("moving logical clouds to MongoDB and back") else { return };
    dcm_server::install_crypto_provider();
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let (one, two, key) = (sled(folder.path(), "one"), sled(folder.path(), "two"), path("one.key"));
    let cluster = Cluster::start(ClusterOptions::named("c1")).await.unwrap();
    let served = Served::start(&one, &key).await;
    filled(&served, &cluster).await;
    let before = served.kubeconfigs().await;
    served.server.stop().await;

    let known = secrets(&[&before[..], &[cluster.admin_kubeconfig()]].concat());
    assert!(known.len() >= 6 && known.iter().all(|secret| secret.len() > 10), "{} secrets", known.len());
    let mut from = one;
    for (n, to) in [mongodb, two].into_iter().enumerate() {
        let file = path(&n.to_string());
        succeeds(&["export", "--store", &from, "--output", &file]);
        let text = std::fs::read_to_string(&file).unwrap();
        assert!(text.contains("ciphertext") && !text.contains("PRIVATE KEY"), "no secret, or a plain one");
        assert!(!known.iter().any(|secret| text.contains(secret)), "a secret is in the file");
        let key_line = std::fs::read_to_string(&key).unwrap();
        assert!(!text.contains(key_line.trim().strip_prefix("dcm-key-v1:").unwrap()), "the key is in the file");
        succeeds(&["import", "--store", &to, "--encryption-key-file", &key, &file]);
        let other = path("other.key");
        let start = ["--http", "127.0.0.1:0", "--grpc", "127.0.0.1:0", "--store", &to, "--encryption-key-file", &other];
        fails(1, &start, "--encryption-key-file is not the key that the data was written with");

        let served = Served::start(&to, &key).await;
        for cloud in CLOUDS {
            assert_eq!(served.get(&format!("{cloud}/status")).await["status"], "Created");
        }
        assert!(served.kubeconfigs().await == before, "the kubeconfigs are not what they were");
        served.goes_on(&cluster, &format!("q-{n}")).await;
        served.server.stop().await;
        from = to;
    }
}
