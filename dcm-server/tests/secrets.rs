//! No secret reaches a log line, an error or an answer that is not meant to hold it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::{
    io,
    sync::{Arc, Mutex},
    time::Duration,
};

use dcm_server::Config;
use dcm_test_utils::patience::until;
use serde_json::{Value, json};
use tracing_subscriber::fmt::MakeWriter;

#[derive(Clone, Default)]
struct Captured(Arc<Mutex<Vec<u8>>>);

impl io::Write for Captured {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Captured {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

const TOKEN: &str = "t0ken-that-nobody-may-see";
const CA_KEY: &str = "Y2Eta2V5LXRoYXQtbm9ib2R5LW1heS1zZWU";

fn kubeconfig(user: &Value) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "c",
        "clusters": [{ "name": "k", "cluster": { "server": "https://127.0.0.1:1" } }],
        "users": [{ "name": "u", "user": user }],
        "contexts": [{ "name": "c", "context": { "cluster": "k", "user": "u" } }],
    })
}

/// The secret part of the user's kubeconfig, when there is one.
async fn issued(client: &reqwest::Client, lc: &str) -> String {
    let kubeconfig = until(Duration::from_secs(20), "issued", async || {
        let answer = client.get(format!("{lc}/kubeconfig?cluster-reference=c0")).send().await.unwrap();
        if answer.status() == 201 { Ok(answer.json::<Value>().await.unwrap()) } else { Err(answer.status()) }
    });
    let user = &kubeconfig.await["users"][0]["user"];
    let secret = user["client-key-data"].as_str().or_else(|| user["token"].as_str());
    secret.expect("a kubeconfig shows a key or a token").to_owned()
}

#[tokio::test]
async fn no_secret_is_logged_or_answered() {
    let log = Captured::default();
    tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_ansi(false).with_writer(log.clone()).init();
    dcm_server::install_crypto_provider();
    let options =
        ["--http", "127.0.0.1:0", "--grpc", "127.0.0.1:0", "--store", "memory:", "--synchronizer", "simulated"];
    let server = dcm_server::start(Config::from_options(options).unwrap()).await.unwrap();
    let base = format!("http://{}/v2", server.http_addr());
    let client = reqwest::Client::new();
    let mut answers = String::new();
    let clusters = format!("{base}/cluster-providers/default/clusters");

    let good = kubeconfig(&json!({ "token": TOKEN }));
    let pem = |label: &str| format!("-----BEGIN {label}-----\n{CA_KEY}\n-----END {label}-----\n");
    let specs = [
        json!({ "kubeconfig": good }),
        json!({ "kubeconfig": format!("a: {TOKEN}\n b: : x") }),
        json!({ "kubeconfig": format!("{{\"{TOKEN}\": ") }),
        json!({ "kubeconfig": kubeconfig(&json!({ "client-key-data": CA_KEY, "exec": { "env": TOKEN } })) }),
        json!({ "kubeconfig": [TOKEN] }),
        json!({ "kubeconfig": good, "ca-certificate": pem("CERTIFICATE"), "ca-key": pem("PRIVATE KEY") }),
        json!({ "kubeconfig": good, "ca-key": [TOKEN] }),
    ];
    for (i, spec) in specs.iter().enumerate() {
        let body = json!({ "metadata": { "name": format!("c{i}") }, "spec": spec });
        let answer = client.post(&clusters).json(&body).send().await.unwrap();
        assert_eq!(answer.status(), if i == 0 { 201 } else { 400 }, "{i}");
        answers += &answer.text().await.unwrap();
    }
    let broken = format!("{{\"spec\": {{\"kubeconfig\": {TOKEN}");
    answers += &client.post(&clusters).body(broken).send().await.unwrap().text().await.unwrap();
    answers += &client.get(format!("{clusters}/c0")).send().await.unwrap().text().await.unwrap();

    let mut credentials = Vec::new();
    for (name, user_type) in [("certificate", "certificate"), ("token", "token")] {
        let user = json!({ "user-name": "u", "type": user_type });
        let cloud = json!({ "metadata": { "name": name }, "spec": { "namespace": name, "user": user } });
        let made = client.post(format!("{base}/projects/p/logical-clouds")).json(&cloud).send().await.unwrap();
        assert_eq!(made.status(), 201);
        let lc = format!("{base}/projects/p/logical-clouds/{name}");
        let reference = json!({ "cluster-reference": "c0", "loadbalancer-ip": "0.0.0.0" });
        let made = client.post(format!("{lc}/cluster-references")).json(&reference).send().await.unwrap();
        assert_eq!(made.status(), 200);
        assert_eq!(client.post(format!("{lc}/apply")).send().await.unwrap().status(), 200);
        credentials.push(issued(&client, &lc).await);
        let revoked = client.post(format!("{lc}/user/revoke")).send().await.unwrap();
        assert_eq!(revoked.status(), 202);
        answers += &revoked.text().await.unwrap();
        credentials.push(issued(&client, &lc).await);
        for path in ["", "/status", "/cluster-references", "/manifests", "/diff"] {
            answers += &client.get(format!("{lc}{path}")).send().await.unwrap().text().await.unwrap();
        }
    }
    let [key, second_key, token, second_token] = credentials.try_into().unwrap();
    assert!(key != second_key && token != second_token);
    let debug = format!("{server:?}");
    server.stop().await;
    dcm_server::telemetry::log_panics();
    for text in [TOKEN, CA_KEY] {
        tokio::spawn(async move { panic!("cannot read {text}") }).await.unwrap_err();
    }

    let log = String::from_utf8_lossy(&log.0.lock().unwrap()).into_owned();
    assert!(log.contains("TRACE") && log.contains("request"), "nothing was captured");
    assert!(log.contains("a panic") && log.contains("secrets.rs:"), "a panic was not logged");
    let key_pem = String::from_utf8(data_encoding::BASE64.decode(key.as_bytes()).unwrap()).unwrap();
    let inner = key_pem.lines().nth(1).unwrap().to_owned();
    let secrets = [
        ("cluster's token", TOKEN),
        ("CA key", CA_KEY),
        ("key", &key),
        ("key's PEM", &inner),
        ("second key", &second_key),
        ("user's token", &token),
        ("second token", &second_token),
    ];
    for (what, secret) in secrets {
        for (place, text) in [("log", &log), ("answers", &answers), ("debug output", &debug)] {
            let found = text.find(secret).map(|at| &text[at.saturating_sub(200)..(at + secret.len()).min(text.len())]);
            assert!(found.is_none(), "the {what} is in the {place}: {found:?}");
        }
    }
}
