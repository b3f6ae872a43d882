//! A server with a logical cloud on two clusters: the real one, to which things happen, and a simulated one.

use std::time::{Duration, Instant};

use dcm_server::{Config, Running};
use dcm_sim::{Cluster, ClusterOptions};
use dcm_test_utils::patience::{until, until_so};
use serde_json::{Value, json};

use crate::page;

/// How long anything may take to be seen. The slowest bounds of the program are 20 s and a pause of a few seconds.
pub(crate) const PATIENCE: Duration = Duration::from_secs(75);
const LC: &str = "/v2/projects/p/logical-clouds/lc";
const CLUSTERS: &str = "/v2/cluster-providers/default/clusters";

pub(crate) struct Setting {
    running: Running,
    client: reqwest::Client,
    other: Cluster,
    pub(crate) namespace: String,
    /// What must not be seen in any answer.
    secrets: Vec<String>,
    /// How many permissions the logical cloud has.
    permissions: usize,
}

impl Setting {
    /// A server, both clusters, and the logical cloud, not yet applied.
    pub(crate) async fn new(kubeconfig: &Value, options: &[&str]) -> Self {
        dcm_server::install_crypto_provider();
        let mut all =
            vec!["--http", "127.0.0.1:0", "--grpc", "127.0.0.1:0", "--store", "memory:", "--synchronizer", "kube"];
        all.extend(options);
        let running = dcm_server::start(Config::from_options(all).unwrap()).await.unwrap();
        let other = Cluster::start(ClusterOptions::named("other")).await.unwrap();
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let namespace = format!("faults-{}", &running.dcm().installation().as_str()[..8]);
        let mut setting = Self { running, client, other, namespace, secrets: Vec::new(), permissions: 0 };
        let other = setting.other.admin_kubeconfig();
        for (name, kubeconfig) in [("real", kubeconfig), ("other", &other)] {
            setting.note_secrets(kubeconfig);
            let body = json!({ "metadata": { "name": name }, "spec": { "kubeconfig": kubeconfig } });
            setting.post(CLUSTERS, &body).await;
        }
        let cloud = json!({
            "metadata": { "name": "lc" },
            "spec": {
                "namespace": setting.namespace,
                "labels": { "team": "blue" },
                "user": { "user-name": "user-1", "type": "certificate" },
            },
        });
        setting.post("/v2/projects/p/logical-clouds", &cloud).await;
        let quota = json!({ "metadata": { "name": "quota-1" }, "spec": { "configmaps": "7" } });
        setting.post(&format!("{LC}/cluster-quotas"), &quota).await;
        setting.refer("real").await;
        setting.refer("other").await;
        setting
    }

    /// … applied, and found on both clusters.
    pub(crate) async fn created(kubeconfig: &Value, options: &[&str]) -> Self {
        let mut setting = Self::new(kubeconfig, options).await;
        setting.apply_a_change().await;
        setting.heals().await;
        setting
    }

    pub(crate) async fn stop(self) {
        self.running.stop().await;
    }

    pub(crate) async fn refer(&self, cluster: &str) {
        let reference = json!({ "cluster-reference": cluster, "loadbalancer-ip": "0.0.0.0" });
        self.post(&format!("{LC}/cluster-references"), &reference).await;
    }

    /// Gives the reference to the real cluster up, whatever that holds.
    pub(crate) async fn give_up_the_real_one(&self) {
        let path = format!("{LC}/cluster-references/real");
        self.send(self.client.delete(self.url(&format!("{path}?force=true")))).await;
        let gone = async || self.client.get(self.url(&path)).send().await.unwrap().status() == 404;
        until_so(PATIENCE, "without the reference", gone).await;
    }

    /// Registers the real cluster with another kubeconfig.
    pub(crate) async fn register_anew(&mut self, kubeconfig: &Value) {
        self.note_secrets(kubeconfig);
        let body = json!({ "metadata": { "name": "real" }, "spec": { "kubeconfig": kubeconfig } });
        self.send(self.client.put(self.url(&format!("{CLUSTERS}/real"))).json(&body)).await;
    }

    pub(crate) async fn order(&self, order: &str) {
        self.send(self.client.post(self.url(&format!("{LC}/{order}")))).await;
    }

    /// Orders something new: one more permission, which is a role and a binding.
    pub(crate) async fn apply_a_change(&mut self) {
        self.permissions += 1;
        let name = self.role();
        let permission = json!({ "name": name, "apiGroups": [""], "resources": ["configmaps"], "verbs": ["get"] });
        self.post(&format!("{LC}/user-permissions"), &permission).await;
        self.order("apply").await;
    }

    /// The list of roles in the namespace, and a role that nobody has: to try whether it would be made.
    pub(crate) fn any_role(&self) -> (String, Value) {
        let metadata = json!({ "name": "anybodys", "namespace": self.namespace });
        let role = json!({ "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": metadata });
        (self.path("roles", "").trim_end_matches('/').to_owned(), role)
    }

    /// The newest role.
    pub(crate) fn role(&self) -> String {
        format!("permission-{}", self.permissions)
    }

    /// Where an object of the logical cloud lies on a cluster.
    pub(crate) fn path(&self, resource: &str, name: &str) -> String {
        let namespace = &self.namespace;
        match resource {
            "namespaces" => format!("/api/v1/namespaces/{namespace}"),
            "roles" | "rolebindings" => {
                format!("/apis/rbac.authorization.k8s.io/v1/namespaces/{namespace}/{resource}/{name}")
            }
            _ => format!("/api/v1/namespaces/{namespace}/{resource}/{name}"),
        }
    }

    /// Waits until the status shows the fault on the real cluster, and sees that the other one has what was
    /// ordered all the same.
    pub(crate) async fn shows(&self, fault: &str) {
        let expected = page::fault(fault);
        let began = Instant::now();
        let status = self
            .until(fault, |status| {
                let real = cluster(status, "real");
                let texts: Vec<&str> = parts(real).filter(|text| text.contains(": ")).collect();
                real["reason"] == expected.reason.as_str()
                    && texts.iter().any(|text| expected.words.iter().all(|word| text.contains(word.as_str())))
            })
            .await;
        let real = cluster(&status, "real");
        println!("{fault}: shown after {:.1} s", began.elapsed().as_secs_f32());
        for text in parts(real).filter(|text| text.contains(": ")).take(1) {
            println!("    {text}");
        }
    }

    /// Waits until the other cluster has the newest role.
    pub(crate) async fn others_are_not_held_up(&self) {
        let role = || self.other.objects().get("roles.rbac.authorization.k8s.io", &self.namespace, &self.role());
        until_so(Duration::from_secs(20), "served on the other cluster", async || role().is_some()).await;
    }

    /// Waits until both clusters are as they should be.
    pub(crate) async fn heals(&self) {
        let began = Instant::now();
        let status = self.until("created", |status| status["status"] == "Created").await;
        println!("created after {:.1} s", began.elapsed().as_secs_f32());
        for name in ["real", "other"] {
            let cluster = cluster(&status, name);
            assert!(cluster.get("reason").is_none() && parts(cluster).all(|text| text == "Created"), "{status:#}");
        }
    }

    /// Waits until no cluster holds anything any more.
    pub(crate) async fn is_deleted(&self) {
        self.until("deleted", |status| status["status"] == "Deleted").await;
    }

    /// Waits until the status is as wanted; no status on the way shows a secret.
    async fn until(&self, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        until(PATIENCE, what, async || {
            let text = self.read(&format!("{LC}/status")).await;
            let registration = self.read(&format!("{CLUSTERS}/real")).await;
            for secret in &self.secrets {
                assert!(!text.contains(secret) && !registration.contains(secret), "a secret is shown");
            }
            let status: Value = serde_json::from_str(&text).unwrap();
            if wanted(&status) { Ok(status) } else { Err(status) }
        })
        .await
    }

    fn note_secrets(&mut self, kubeconfig: &Value) {
        for field in ["token", "client-key-data"] {
            if let Some(secret) = kubeconfig["users"][0]["user"][field].as_str() {
                self.secrets.push(secret.to_owned());
            }
        }
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.running.http_addr())
    }

    async fn read(&self, path: &str) -> String {
        self.send(self.client.get(self.url(path))).await
    }

    async fn post(&self, path: &str, body: &Value) {
        self.send(self.client.post(self.url(path)).json(body)).await;
    }

    async fn send(&self, request: reqwest::RequestBuilder) -> String {
        let answer = request.send().await.unwrap();
        let status = answer.status();
        let text = answer.text().await.unwrap();
        assert!(status.is_success(), "{status}: {text}");
        text
    }
}

fn cluster<'s>(status: &'s Value, name: &str) -> &'s Value {
    let clusters = status["clusters"].as_array().into_iter().flatten();
    clusters.filter_map(|entry| entry.get(name)).next().unwrap_or(&Value::Null)
}

fn parts(cluster: &Value) -> impl Iterator<Item = &str> {
    let fields = cluster.as_object().into_iter().flatten();
    fields.filter(|(field, _)| field.ends_with("-status")).filter_map(|(_, text)| text.as_str())
}
