//! A webhook of the cluster's stands in the way.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
    time::Duration,
};

use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::{
    bed::{self, Admin, Bed},
    certificates::{self, Validity},
    proxy::{HOST, json_or_not, serve, tls},
    setting::Setting,
};

const HOOKS: &str = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations";
const REFUSES: u8 = 0;
const SLEEPS: u8 = 1;
const AGREES: u8 = 2;
const REFUSES_CHANGES: u8 = 3;

/// A webhook that is asked about roles in one namespace.
struct Webhook {
    mood: Arc<AtomicU8>,
    name: String,
}

impl Webhook {
    /// One that refuses, and of which the cluster knows.
    async fn install(bed: &Bed, admin: &Admin, setting: &Setting) -> Self {
        let namespace = setting.namespace.as_str();
        let listener = TcpListener::bind((HOST, 0)).await.unwrap();
        let address: SocketAddr = listener.local_addr().unwrap();
        let tls = tls(&certificates::server(bed, HOST, Validity::Now));
        let mood = Arc::new(AtomicU8::new(REFUSES));
        let answers = Arc::clone(&mood);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (tls, mood) = (Arc::clone(&tls), Arc::clone(&answers));
                tokio::spawn(serve(stream, tls, move |request| {
                    let mood = mood.load(Ordering::Relaxed);
                    async move {
                        let body = request.into_body().collect().await.unwrap().to_bytes();
                        json_or_not(200, answer(&serde_json::from_slice(&body).unwrap(), mood).await.to_string())
                    }
                }));
            }
        });
        let name = format!("{namespace}.example.com");
        let ca = data_encoding::BASE64.encode(bed.file("ca.crt").as_bytes());
        let hook = json!({
            "apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingWebhookConfiguration",
            "metadata": { "name": name },
            "webhooks": [{
                "name": name,
                "clientConfig": { "url": format!("https://{address}/"), "caBundle": ca },
                "namespaceSelector": { "matchLabels": { "kubernetes.io/metadata.name": namespace } },
                "rules": [{
                    "apiGroups": ["rbac.authorization.k8s.io"], "apiVersions": ["v1"], "resources": ["roles"],
                    "operations": ["CREATE", "UPDATE"],
                }],
                "failurePolicy": "Fail", "sideEffects": "None", "admissionReviewVersions": ["v1"], "timeoutSeconds": 1,
            }],
        });
        admin.post(HOOKS, &hook).await;
        let (roles, role) = setting.any_role();
        admin.until_refused(&roles, &role, "made by the platform team").await;
        Self { mood, name }
    }

    fn changes_to(&self, mood: u8) {
        self.mood.store(mood, Ordering::Relaxed);
    }

    async fn remove(self, admin: &Admin) {
        admin.delete(&format!("{HOOKS}/{}", self.name)).await;
    }
}

async fn answer(review: &Value, mood: u8) -> Value {
    if mood == SLEEPS {
        tokio::time::sleep(Duration::from_secs(30)).await;
    }
    // What may be made and not changed is refused after the first step.
    let allowed = mood == AGREES || mood == REFUSES_CHANGES && review["request"]["operation"] == "CREATE";
    let mut response = json!({ "uid": review["request"]["uid"], "allowed": allowed });
    if !allowed {
        response["status"] = json!({ "message": "roles are made by the platform team" });
    }
    if mood == REFUSES_CHANGES {
        response["status"]["code"] = 409.into();
    }
    json!({ "apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": response })
}

async fn each(test: &str, faults: &[(&str, u8)]) {
    let Some((bed, _well)) = bed::well(test).await else { return };
    let (admin, mut setting) = (bed.admin().await, Setting::created(&bed.admin_kubeconfig(), &[]).await);
    let webhook = Webhook::install(bed, &admin, &setting).await;
    for (fault, mood) in faults.iter().copied() {
        webhook.changes_to(mood);
        setting.apply_a_change().await;
        setting.shows(fault).await;
        setting.others_are_not_held_up().await;
        webhook.changes_to(AGREES);
        setting.heals().await;
    }
    webhook.remove(&admin).await;
    setting.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_webhook_refuses_or_does_not_answer() {
    let faults = [("A webhook refuses", REFUSES), ("A webhook does not answer", SLEEPS)];
    each("a_webhook_refuses_or_does_not_answer", &faults).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_webhook_refuses_with_a_code_of_its_own() {
    each("a_webhook_refuses_with_a_code_of_its_own", &[("A webhook refuses changes with 409", REFUSES_CHANGES)]).await;
}
