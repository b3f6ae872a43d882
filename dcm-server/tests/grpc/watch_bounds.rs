//! How many watches there may be, and how they end.

use std::time::{Duration, Instant};

use dcm_proto::v1 as pb;
use dcm_test_utils::patience::until_so;
use futures_util::stream;
use reqwest::Method;
use serde_json::json;
use tonic::{Code, Request};
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_types::StatusExt as _;

use crate::support::{Dcm, LC, PATIENCE, refused_alike};

fn clouds() -> pb::WatchRequest {
    pb::WatchRequest { project: "p".to_owned(), watched: pb::Watched::LogicalClouds.into(), ..Default::default() }
}

#[tokio::test]
async fn both_edges_share_the_places_for_watches() {
    let dcm = Dcm::start(&["--max-watches", "2"]).await;
    dcm.with_cloud().await;
    let first = dcm.clouds().watch(clouds()).await.unwrap();
    let second = dcm.request(Method::GET, &format!("{LC}/kv-pairs?watch=true")).send().await.unwrap();
    let rest = dcm.get(&format!("{LC}/kv-pairs?watch=true")).await;
    let status = refused_alike(rest, dcm.clouds().watch(clouds()).await);
    assert_eq!(status.code(), Code::Unavailable);
    assert_eq!(status.get_error_details().retry_info().unwrap().retry_delay, Some(Duration::from_secs(10)));
    // A client that goes frees its place.
    drop(first);
    until_so(PATIENCE, "a place", async || dcm.clouds().watch(clouds()).await.is_ok()).await;
    drop(second);
    dcm.stop().await;
}

#[tokio::test]
async fn a_watch_ends_with_its_deadline() {
    let dcm = Dcm::start(&[]).await;
    dcm.with_cloud().await;
    // The header as a client of another make sends it: tonic's own would give up first.
    let mut asked = Request::new(clouds());
    asked.metadata_mut().insert("grpc-timeout", "300m".parse().unwrap());
    let begun = Instant::now();
    let mut watch = dcm.raw().await.watch(asked).await.unwrap().into_inner();
    let status = loop {
        match watch.message().await {
            Ok(message) => assert!(message.is_some()),
            Err(status) => break status,
        }
    };
    assert_eq!(status.code(), Code::DeadlineExceeded);
    assert!(begun.elapsed() >= Duration::from_millis(300));
    assert_eq!(status.get_error_details().error_info().unwrap().reason, "TIMEOUT");
    dcm.stop().await;
}

#[tokio::test]
async fn a_watch_of_health_and_a_talk_with_reflection_end_with_their_deadlines() {
    let dcm = Dcm::start(&["--request-timeout", "60s"]).await;
    let within = Duration::from_millis(300);
    let begun = Instant::now();
    let mut asked = Request::new(HealthCheckRequest::default());
    asked.metadata_mut().insert("grpc-timeout", "300m".parse().unwrap());
    let mut health = HealthClient::with_origin(dcm.patient().await, dcm.origin());
    let mut watch = health.watch(asked).await.unwrap().into_inner();
    assert!(watch.message().await.unwrap().is_some());
    let ended = tokio::time::timeout(PATIENCE, watch.message()).await.expect("it goes on for ever");
    let status = ended.unwrap_err();
    assert_eq!(status.code(), Code::DeadlineExceeded);
    assert_eq!(status.get_error_details().error_info().unwrap().reason, "TIMEOUT");
    assert!(begun.elapsed() >= within);
    let begun = Instant::now();
    let mut asked = Request::new(stream::pending());
    asked.metadata_mut().insert("grpc-timeout", "300m".parse().unwrap());
    let mut client = ServerReflectionClient::with_origin(dcm.patient().await, dcm.origin());
    let mut answers = client.server_reflection_info(asked).await.unwrap().into_inner();
    let ended = tokio::time::timeout(PATIENCE, answers.message()).await.expect("it goes on for ever");
    assert_eq!(ended.unwrap_err().code(), Code::DeadlineExceeded);
    assert!(begun.elapsed() >= within);
    dcm.stop().await;
}

#[tokio::test]
async fn a_server_that_stops_tells_its_watches_to_go_on_elsewhere() {
    let dcm = Dcm::start(&[]).await;
    dcm.with_cloud().await;
    let mut watch = dcm.clouds().watch(clouds()).await.unwrap().into_inner();
    let mut last = String::new();
    for _ in 0..2 {
        last = watch.message().await.unwrap().unwrap().event_id;
    }
    let begun = Instant::now();
    let stopping = tokio::spawn(dcm.stop());
    let status = watch.message().await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);
    assert!(status.get_error_details().retry_info().is_some() && !last.is_empty());
    stopping.await.unwrap();
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn a_client_that_takes_nothing_is_cut_and_holds_nobody_up() {
    let dcm = Dcm::start(&["--write-timeout", "1s", "--max-watches", "1"]).await;
    dcm.with_cloud().await;
    // Far more than fits into the windows and buffers on the way.
    let text = "x".repeat(900 * 1024);
    for i in 0..8 {
        let pair = json!({ "metadata": { "name": format!("k{i}") }, "spec": { "kv": [{ "k": text }] } });
        dcm.post(&format!("{LC}/kv-pairs"), &pair).await.expect(201);
    }
    let asked = pb::WatchRequest {
        project: "p".to_owned(),
        logical_cloud: "lc-1".to_owned(),
        watched: pb::Watched::KvPairs.into(),
        ..Default::default()
    };
    let silent = tonic::transport::Endpoint::from_shared(format!("http://{}", dcm.running.grpc_addr())).unwrap();
    let channel = silent.initial_stream_window_size(65_535).connect().await.unwrap();
    let mut client = pb::logical_clouds_client::LogicalCloudsClient::new(channel);
    let watch = client.watch(asked).await.unwrap();
    assert_eq!(dcm.clouds().watch(clouds()).await.unwrap_err().code(), Code::Unavailable);
    until_so(PATIENCE, "the place of the one who was cut", async || dcm.clouds().watch(clouds()).await.is_ok()).await;
    drop(watch);
    dcm.stop().await;
}
