//! Latency, faults, and the log of requests.

use std::time::{Duration, Instant};

use dcm_sim::Fault;
use serde_json::json;

use crate::support::{JSON, Lab, code, config_map, inside, namespace};

const ALL: &str = "/api/v1/namespaces";

#[tokio::test]
async fn the_next_requests_fail_as_they_are_told() {
    let lab = Lab::start().await;
    lab.cluster.faults().fail_next(1, 503);
    lab.cluster.faults().add(Fault::status(409).times(1).on_method("POST").on_path("/api/v1/namespaces"));
    let refused = lab.admin.get(ALL).await.unwrap_err();
    assert_eq!((refused.code, refused.reason.as_str()), (503, "ServiceUnavailable"));
    assert_eq!(code(&lab.admin.get(ALL).await), 200);
    assert_eq!(code(&lab.admin.post(ALL, &namespace("a")).await), 409);
    assert_eq!(code(&lab.admin.post(ALL, &namespace("a")).await), 200);
    lab.cluster.faults().fail_always(500);
    for _ in 0..3 {
        assert_eq!(lab.admin.get(ALL).await.unwrap_err().reason, "InternalError");
    }
    lab.cluster.faults().clear();
    assert_eq!(code(&lab.admin.get(ALL).await), 200);
}

#[tokio::test]
async fn too_many_requests_say_when_to_come_back() {
    let lab = Lab::start().await;
    lab.cluster.faults().add(Fault::status(429).retry_after(7).times(1));
    let request = http::Request::get(ALL).body(Vec::new()).unwrap();
    let answer = lab.admin.0.send(request.map(kube::client::Body::from)).await.unwrap();
    assert_eq!((answer.status().as_u16(), answer.headers()["retry-after"].to_str().unwrap()), (429, "7"));
}

#[tokio::test]
async fn latency_can_be_changed_while_it_runs() {
    let lab = Lab::start().await;
    lab.cluster.faults().set_latency(Duration::from_millis(400));
    let start = Instant::now();
    lab.admin.get(ALL).await.unwrap();
    assert!(start.elapsed() >= Duration::from_millis(400));
    lab.cluster.faults().set_latency(Duration::ZERO);
    let mut fastest = Duration::MAX;
    for _ in 0..5 {
        let start = Instant::now();
        lab.admin.get(ALL).await.unwrap();
        fastest = fastest.min(start.elapsed());
    }
    assert!(fastest < Duration::from_millis(400), "{fastest:?}");
}

#[tokio::test]
async fn a_cluster_that_is_down_keeps_its_port_and_its_state() {
    let lab = Lab::with_namespace().await;
    let server = lab.cluster.server();
    lab.cluster.faults().set_down(true).await;
    assert!(lab.cluster.faults().is_down());
    for _ in 0..2 {
        let error = lab.admin.try_send("GET", ALL, JSON, Vec::new()).await.unwrap_err();
        assert!(!matches!(error, kube::Error::Api(_)), "{error:?}");
    }
    let address = server.strip_prefix("https://").unwrap();
    let refused = tokio::net::TcpStream::connect(address).await.unwrap_err();
    assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);
    lab.cluster.faults().set_down(false).await;
    assert_eq!(lab.cluster.server(), server);
    assert_eq!(code(&lab.admin.get("/api/v1/namespaces/ns").await), 200);
}

#[tokio::test]
async fn a_hanging_request_is_taken_and_never_answered() {
    let lab = Lab::start().await;
    lab.cluster.faults().add(Fault::hang().times(1));
    let mut asked = Box::pin(lab.admin.get(ALL));
    let taken = async {
        while !lab.cluster.requests().iter().any(|request| request.status == 0) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::select! {
        answer = &mut asked => panic!("{answer:?}"),
        taken = tokio::time::timeout(Duration::from_secs(30), taken) => taken.unwrap(),
    }
    assert!(tokio::time::timeout(Duration::from_millis(200), asked).await.is_err());
    assert_eq!(code(&lab.admin.get(ALL).await), 200);
}

#[tokio::test]
async fn a_cut_answer_is_half_an_answer_to_a_request_that_was_carried_out() {
    let lab = Lab::with_namespace().await;
    lab.cluster.faults().add(Fault::cut_answer().times(1).on_method("POST"));
    let body = config_map("a", json!({"x": "y"})).to_string().into_bytes();
    let error = lab.admin.try_send("POST", &inside("configmaps"), JSON, body).await.unwrap_err();
    assert!(!matches!(error, kube::Error::Api(_)), "{error:?}");
    assert!(lab.cluster.objects().get("configmaps", "ns", "a").is_some());
}

#[tokio::test]
async fn requests_are_remembered_and_forgotten() {
    let lab = Lab::with(dcm_sim::ClusterOptions::named("c").remembered_requests(2)).await;
    let bob = lab.user("bob").await;
    lab.admin.get(ALL).await.unwrap();
    lab.admin.get("/api/v1/pods?limit=1").await.unwrap();
    bob.get(&inside("pods")).await.unwrap_err();
    let requests = lab.cluster.requests();
    assert_eq!(requests.len(), 2, "bounded");
    assert_eq!((requests[0].method.as_str(), requests[0].path.as_str()), ("GET", "/api/v1/pods?limit=1"));
    assert_eq!((requests[1].user.as_str(), requests[1].status), ("bob", 403));
    lab.cluster.clear_requests();
    assert!(lab.cluster.requests().is_empty());
}
