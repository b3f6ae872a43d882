//! A server that answers whatever it likes.

use std::{
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use dcm_core::{
    model::PermissionScope,
    sync::{CertificateRequest, CutOff, InventoryItem, Reason, Removal, Synchronizer as _, TokenRequest},
    tenancy::Identity,
};
use dcm_sync::kube::{KubeOptions, KubeSynchronizer};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};

use crate::{
    bed::{access, options},
    cloud::{Cloud, permission},
};

/// Answers every request with the same bytes; the kubeconfig that leads there.
async fn server(answer: impl Into<Vec<u8>>) -> Value {
    let answer = answer.into();
    answering(move |_| answer.clone()).await
}

/// Answers each request by its first line; the kubeconfig that leads there.
async fn answering(answer: impl Fn(&str) -> Vec<u8> + Send + Sync + 'static) -> Value {
    let answer = Arc::new(answer);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let answer = answer.clone();
            tokio::spawn(async move {
                let mut buffer = vec![0; 65_536];
                while let Ok(read @ 1..) = stream.read(&mut buffer).await {
                    let text = String::from_utf8_lossy(&buffer[..read]);
                    let answer = answer(text.lines().next().unwrap_or_default());
                    if stream.write_all(&answer).await.is_err() {
                        return;
                    }
                }
            });
        }
    });
    json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "c",
        "clusters": [{ "name": "k", "cluster": { "server": format!("http://{address}") } }],
        "users": [{ "name": "u", "user": { "token": "s3cret-token" } }],
        "contexts": [{ "name": "c", "context": { "cluster": "k", "user": "u" } }],
    })
}

fn http(status: &str, body: &str) -> String {
    let length = body.len();
    format!("HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}")
}

fn hasty() -> KubeSynchronizer {
    let soon = Duration::from_millis(300);
    KubeSynchronizer::new(KubeOptions {
        request_timeout: Duration::from_secs(1),
        namespace_wait: soon,
        removal_wait: soon,
        certificate_wait: soon,
        ..options()
    })
}

/// A cloud all of whose objects were made, as far as the inventory knows.
fn known() -> Cloud {
    let mut cloud = Cloud::new();
    let ids = cloud.desired().objects.into_iter().map(|object| object.id);
    cloud.inventory = ids.map(|id| InventoryItem { id, uid: Some("u".to_owned()), adopted: false }).collect();
    cloud.inventory.sort_by(|a, b| a.id.cmp(&b.id));
    cloud
}

#[tokio::test]
async fn answers_that_make_no_sense_are_failures_and_lose_nothing() {
    let cloud = known();
    let request =
        CertificateRequest { owner: cloud.owner(), csr_pem: "pem".to_owned(), lifetime: Duration::from_secs(3600) };
    let name = &cloud.namespace;
    let odd_namespace = json!({
        "metadata": { "name": name, "uid": "u", "labels": "x", "annotations": [1], "managedFields": {}, "finalizers": 3 },
        "spec": "y", "status": "z", "items": {},
    });
    let answers = [
        http("200 OK", ""),
        http("200 OK", "{}"),
        http("200 OK", "[]"),
        http("200 OK", "<html>"),
        http("200 OK", r#"{"metadata":"x"}"#),
        http("200 OK", r#"{"metadata":{"name":"other","uid":"u"}}"#),
        http("200 OK", &odd_namespace.to_string()),
        http("200 OK", "{}").replace("content-length: 2", "content-length: 200"),
        http("302 Found", "{}"),
        http("404 Not Found", ""),
        http("404 Not Found", "<html>404 page not found</html>"),
        http("404 Not Found", r#"{"reason":"NotFound"}"#),
        http("404 Not Found", r#"{"kind":"Status","reason":"Gone"}"#),
        http("409 Conflict", "<html>"),
        http("418 I'm a teapot", "\"x\""),
        http("500 Oops", r#"{"kind":"Status","message":7,"details":[]}"#),
        "SSH-2.0-OpenSSH_9.9\r\n".to_owned(),
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n".to_owned(),
    ];
    for answer in answers {
        let access = access(&server(answer.clone()).await);
        let sync = hasty();
        assert!(sync.probe(&access).await.is_err(), "{answer}");
        assert!(sync.sign(&access, &request).await.is_err(), "{answer}");
        let report = sync.apply(&access, &cloud.desired()).await;
        assert!(report.failure.is_some(), "{answer}");
        assert_eq!(report.inventory.len(), cloud.inventory.len(), "{answer}");
        let report = sync.remove(&access, &cloud.removal()).await;
        assert!(report.failure.is_some(), "{answer}");
        assert_eq!(report.inventory.len(), cloud.inventory.len(), "{answer}");
        assert!(sync.compare(&access, &cloud.desired()).await.is_err(), "{answer}");
        assert!(sync.cut_off(&access, &cut(&cloud)).await.is_err(), "{answer}");
        let failure = sync.token(&access, &token_request(&cloud)).await.unwrap_err();
        assert!(!failure.detail.contains("s3cret"), "{failure}");
    }
}

fn cut(cloud: &Cloud) -> CutOff {
    CutOff {
        owner: cloud.owner(),
        namespace: cloud.applied.spec.namespace.clone().unwrap(),
        inventory: cloud.inventory.clone(),
        keep: Identity::CommonName("new".to_owned()),
    }
}

fn token_request(cloud: &Cloud) -> TokenRequest {
    TokenRequest {
        owner: cloud.owner(),
        namespace: cloud.applied.spec.namespace.clone().unwrap(),
        account: "robot".to_owned(),
        lifetime: Duration::from_secs(3600),
    }
}

#[tokio::test]
async fn a_token_that_cannot_be_used_is_not_shown() {
    let cloud = Cloud::new();
    let labels = &cloud.desired().objects[0].manifest["metadata"]["labels"];
    let account = json!({ "metadata": { "name": "robot", "uid": "u", "labels": labels } }).to_string();
    let later = "2100-01-01T00:00:00Z";
    let of_another = "e30.eyJpYXQiOjEsImt1YmVybmV0ZXMuaW8iOnsic2VydmljZWFjY291bnQiOnsidWlkIjoidiJ9fX0.s3cret";
    for (answer, reason) in [
        (json!({ "status": { "token": "s3cret", "expirationTimestamp": later } }), Reason::ServerError),
        (json!({ "status": { "token": of_another, "expirationTimestamp": later } }), Reason::Conflict),
        (json!({ "status": { "token": { "s3cret": 1 } } }), Reason::ServerError),
        (json!({ "kind": "Status", "message": "s3cret" }), Reason::ServerError),
    ] {
        let account = account.clone();
        let answer = move |line: &str| {
            let body = if line.starts_with("POST") { answer.to_string() } else { account.clone() };
            http("200 OK", &body).into_bytes()
        };
        let failure = hasty().token(&access(&answering(answer).await), &token_request(&cloud)).await.unwrap_err();
        assert_eq!(failure.reason, reason, "{failure}");
        assert!(!failure.detail.contains("s3cret") && !failure.detail.contains(of_another), "{failure}");
    }
}

#[tokio::test]
async fn a_credential_that_is_sent_back_is_not_shown() {
    let body = r#"{"kind":"Status","message":"user s3cret-token may not","reason":"Forbidden"}"#;
    let access = access(&server(http("403 Forbidden", body)).await);
    let failure = hasty().probe(&access).await.unwrap_err();
    assert_eq!(failure.reason, Reason::Forbidden);
    assert!(!failure.detail.contains("s3cret"), "{failure}");
    assert!(failure.detail.contains("may not"), "{failure}");
}

#[tokio::test]
async fn a_list_without_an_end_ends() {
    let cloud = Cloud::new();
    let labels = &cloud.desired().objects[0].manifest["metadata"]["labels"];
    // What is asked for as the namespace is a page of a list as well.
    let both = json!({
        "metadata": { "name": cloud.namespace, "uid": "u", "labels": labels, "continue": "more" }, "items": [],
    });
    let access = access(&server(http("200 OK", &both.to_string())).await);
    let report = hasty().remove(&access, &cloud.removal()).await;
    let failure = report.failure.unwrap();
    assert_eq!(failure.reason, Reason::ServerError, "{failure}");
    assert!(failure.detail.contains("does not end"), "{failure}");
}

#[tokio::test]
async fn an_answer_without_an_end_ends() {
    let mut endless = b"HTTP/1.1 200 OK\r\ncontent-length: 99999999999\r\n\r\n".to_vec();
    endless.resize(endless.len() + (33 << 20), b' ');
    let access = access(&server(endless).await);
    let failure = hasty().probe(&access).await.unwrap_err();
    assert!(matches!(failure.reason, Reason::ServerError | Reason::Timeout), "{failure}");
}

/// What a server that knows nothing says.
const ABSENT: &str = r#"{"kind":"Status","status":"Failure","reason":"NotFound","code":404}"#;

#[tokio::test]
async fn a_page_that_says_404_does_not_make_anything_gone() {
    let cloud = known();
    let page = "<html>no such backend</html>";
    let lost = access(&server(http("404 Not Found", page)).await);
    let report = hasty().remove(&lost, &cloud.removal()).await;
    assert_eq!(report.failure.unwrap().reason, Reason::ServerError);
    assert_eq!(report.inventory, cloud.inventory);
    // Not to a delete either.
    let deletes = |line: &str| match line.starts_with("DELETE") {
        true => http("404 Not Found", page).into_bytes(),
        false => http("404 Not Found", ABSENT).into_bytes(),
    };
    let report = hasty().remove(&access(&answering(deletes).await), &elsewhere(&cloud)).await;
    assert_eq!(report.failure.unwrap().reason, Reason::ServerError);
    assert_eq!(report.inventory, elsewhere(&cloud).inventory);

    let absent = access(&server(http("404 Not Found", ABSENT)).await);
    let report = hasty().remove(&absent, &cloud.removal()).await;
    assert_eq!(report.failure, None);
    assert_eq!(report.inventory, []);
}

/// The removal of a role binding alone, which lies outside the cloud's own namespace.
fn elsewhere(cloud: &Cloud) -> Removal {
    let mut removal = cloud.removal();
    removal.namespace = None;
    removal.inventory.retain(|item| item.id.kind == "RoleBinding");
    removal.inventory.truncate(1);
    removal
}

#[tokio::test]
async fn a_delete_that_conflicts_counts_as_done_only_where_the_object_is_gone() {
    let cloud = known();
    let removal = elsewhere(&cloud);
    let name = &removal.inventory[0].id.name;
    let there = |uid: &str| http("200 OK", &json!({ "metadata": { "name": name, "uid": uid } }).to_string());
    let says = |message: &str| {
        let status = json!({ "kind": "Status", "status": "Failure", "reason": "Conflict", "message": message });
        http("409 Conflict", &status.to_string())
    };
    let webhook = r#"admission webhook "keep.example" denied the request: bindings stay"#;
    let storage = "Operation cannot be fulfilled: please apply your changes to the latest version";
    for (refusal, now, expected) in [
        (webhook, there("u"), Some((Reason::Rejected, "bindings stay"))),
        (storage, there("u"), Some((Reason::Conflict, "latest version"))),
        (storage, http("404 Not Found", "<html>"), Some((Reason::ServerError, ""))),
        (storage, http("503 Service Unavailable", ""), Some((Reason::ServerError, ""))),
        (storage, there("another"), None),
        (storage, http("404 Not Found", ABSENT), None),
    ] {
        let refusal = says(refusal);
        let answer = move |line: &str| {
            let answer = if line.starts_with("DELETE") { &refusal } else { &now };
            answer.clone().into_bytes()
        };
        let report = hasty().remove(&access(&answering(answer).await), &removal).await;
        match expected {
            Some((reason, detail)) => {
                let failure = report.failure.unwrap();
                assert_eq!(failure.reason, reason, "{failure}");
                assert!(failure.detail.contains(detail), "{failure}");
                assert_eq!(report.inventory, removal.inventory);
            }
            None => {
                assert_eq!(report.failure, None);
                assert_eq!(report.inventory, []);
            }
        }
    }
}

#[tokio::test]
async fn an_answer_to_a_delete_that_says_nothing_of_it_makes_nothing_gone() {
    let removal = elsewhere(&known());
    let name = &removal.inventory[0].id.name;
    for (answer, gone) in [
        (json!({}), false),
        (json!({ "kind": "Pod", "metadata": { "name": "other", "uid": "u" } }), false),
        (json!({ "kind": "RoleBinding", "metadata": { "name": name, "uid": "another" } }), false),
        (json!({ "kind": "Status", "status": "Failure" }), false),
        (json!({ "kind": "Status", "status": "Success" }), true),
        (json!({ "kind": "RoleBinding", "metadata": { "name": name, "uid": "u" } }), true),
    ] {
        let report = hasty().remove(&access(&server(http("200 OK", &answer.to_string())).await), &removal).await;
        assert_eq!(report.failure.as_ref().map(|failure| failure.reason), (!gone).then_some(Reason::ServerError));
        assert_eq!(report.inventory.is_empty(), gone, "{answer}");
        assert_eq!(report.changes.len(), usize::from(gone), "{answer}");
    }
}

#[tokio::test]
async fn a_change_that_is_refused_with_a_conflict_keeps_its_message() {
    let mut cloud = Cloud::new();
    cloud.permissions().push(permission("wide", PermissionScope::Cluster));
    let mut desired = cloud.desired();
    desired.namespace = None;
    desired.objects.retain(|object| object.id.kind == "ClusterRole");
    let id = desired.objects[0].id.clone();
    desired.inventory = vec![InventoryItem { id: id.clone(), uid: Some("u".to_owned()), adopted: false }];
    let webhook = r#"admission webhook "keep.example" denied the request: roles stay"#;
    let storage = "Operation cannot be fulfilled: please apply your changes to the latest version";
    for (message, reason) in [(webhook, Reason::Rejected), (storage, Reason::Conflict)] {
        let live = json!({ "metadata": { "name": id.name, "uid": "u", "resourceVersion": "1" } }).to_string();
        let refusal = json!({ "kind": "Status", "status": "Failure", "reason": "Conflict", "message": message });
        let answer = move |line: &str| match line.starts_with("PATCH") {
            true => http("409 Conflict", &refusal.to_string()).into_bytes(),
            false => http("200 OK", &live).into_bytes(),
        };
        let report = hasty().apply(&access(&answering(answer).await), &desired).await;
        let failure = report.failure.unwrap();
        assert_eq!(failure.reason, reason, "{failure}");
        assert!(failure.detail.contains(message), "{failure}");
        assert_eq!(report.changes, []);
    }
}

#[tokio::test]
async fn a_webhook_that_takes_no_dry_runs_leaves_it_unchecked() {
    let mut desired = known().desired();
    desired.namespace = None;
    desired.objects.retain(|object| object.id.kind == "RoleBinding");
    desired.objects.truncate(1);
    let id = desired.objects[0].id.clone();
    desired.inventory.retain(|item| item.id == id);
    let said = r#"admission webhook "x.example" does not support dry run"#;
    for (message, refusal) in [(said, None), ("no such thing", Some(Reason::Rejected))] {
        let mut live = desired.objects[0].manifest.clone();
        live["metadata"] = json!({ "name": id.name, "uid": "u", "resourceVersion": "1" });
        live["subjects"] = json!([]);
        let refused = json!({ "kind": "Status", "status": "Failure", "reason": "BadRequest", "message": message });
        let answer = move |line: &str| match line.starts_with("PATCH") {
            true => http("400 Bad Request", &refused.to_string()).into_bytes(),
            false => http("200 OK", &live.to_string()).into_bytes(),
        };
        let comparison = hasty().compare(&access(&answering(answer).await), &desired).await.unwrap();
        let [difference] = comparison.differences.as_slice() else { panic!("{comparison:?}") };
        assert_eq!(difference.refusal.as_ref().map(|failure| failure.reason), refusal);
        assert_eq!(difference.checked, refusal.is_some());
        assert!(difference.fields.iter().any(|field| field.pointer == "/subjects"), "{difference:?}");
    }
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let followed = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&followed);
    let other = answering(move |_| {
        count.fetch_add(1, Ordering::SeqCst);
        http("200 OK", r#"{"metadata":{"name":"kube-system","uid":"u"},"gitVersion":"v1"}"#).into_bytes()
    })
    .await;
    let place = other["clusters"][0]["cluster"]["server"].as_str().unwrap();
    assert!(hasty().probe(&access(&other)).await.is_ok());
    let before = followed.load(Ordering::SeqCst);
    for status in ["301 Moved Permanently", "302 Found", "303 See Other", "307 Temporary Redirect", "308 Permanent"] {
        let answer = format!("HTTP/1.1 {status}\r\nlocation: {place}/x\r\ncontent-length: 0\r\n\r\n");
        let failure = hasty().probe(&access(&server(answer).await)).await.unwrap_err();
        assert_eq!(failure.reason, Reason::ServerError, "{failure}");
    }
    assert_eq!(followed.load(Ordering::SeqCst), before);
}

/// The environment cannot be changed in here, so other tests are run in one with proxies that are not there.
#[test]
fn a_proxy_of_the_environment_is_not_used() {
    let tests = [
        "hostile::a_credential_that_is_sent_back_is_not_shown",
        "failures::a_cluster_that_is_busy_says_when_to_come_back",
    ];
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.arg("--exact").args(tests).env_remove("NO_PROXY").env_remove("no_proxy");
    for name in ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"] {
        command.env(name, "http://127.0.0.1:9").env(name.to_lowercase(), "http://127.0.0.1:9");
    }
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("2 passed"), "{said}");
}
