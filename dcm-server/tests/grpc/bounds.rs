//! Deadlines, clients who go, and how much is taken.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use dcm_core::store::{Body, Changes, Document, Error, Key, Position, Precondition, Revision, Scan, Store};
use dcm_proto::v1 as pb;
use dcm_test_utils::patience::until_so;
use futures_util::{StreamExt as _, stream};
use http_body_util::StreamBody;
use hyper::body::Frame;
use prost::Message as _;
use serde_json::json;
use tonic::{Code, Request, Status};
use tonic_types::StatusExt as _;

use crate::{
    asked,
    support::{Dcm, LC, PATIENCE, cloud},
};

/// A store that waits, or panics, when it is told to.
#[derive(Debug)]
struct Held {
    inner: Arc<dyn Store>,
    holds_reads: AtomicBool,
    holds_writes: AtomicBool,
    panics: AtomicBool,
    waiting: AtomicUsize,
}

/// Counts who waits; also where he is dropped.
struct Waiting<'a>(&'a AtomicUsize);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Held {
    async fn new() -> Arc<Self> {
        let inner = dcm_store::open(dcm_store::Config::Memory).await.unwrap();
        let no = || AtomicBool::new(false);
        Arc::new(Self { inner, holds_reads: no(), holds_writes: no(), panics: no(), waiting: AtomicUsize::new(0) })
    }

    /// Of projects only, which nobody but calls reads and writes.
    async fn wait(&self, key: &Key, while_set: &AtomicBool) {
        if !while_set.load(Ordering::SeqCst) || !key.as_str().starts_with("project/") {
            return;
        }
        self.waiting.fetch_add(1, Ordering::SeqCst);
        let _waiting = Waiting(&self.waiting);
        while while_set.load(Ordering::SeqCst) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    async fn until_somebody_waits(&self) {
        until_so(PATIENCE, "a call that waits", async || self.waiting.load(Ordering::SeqCst) > 0).await;
    }

    async fn until_nobody_waits(&self) {
        until_so(PATIENCE, "no call that waits", async || self.waiting.load(Ordering::SeqCst) == 0).await;
    }
}

#[async_trait]
impl Store for Held {
    async fn get(&self, key: &Key) -> Result<Option<Document>, Error> {
        assert!(!self.panics.load(Ordering::SeqCst), "s3cret");
        self.wait(key, &self.holds_reads).await;
        self.inner.get(key).await
    }

    async fn scan(&self, scan: Scan) -> Result<Vec<Document>, Error> {
        self.inner.scan(scan).await
    }

    async fn put(&self, key: &Key, body: Body, precondition: Precondition) -> Result<Revision, Error> {
        self.wait(key, &self.holds_writes).await;
        self.inner.put(key, body, precondition).await
    }

    async fn delete(&self, key: &Key, revision: &Revision) -> Result<(), Error> {
        self.inner.delete(key, revision).await
    }

    async fn watch(&self, prefix: Option<&Key>, from: Option<Position>) -> Result<Changes, Error> {
        self.inner.watch(prefix, from).await
    }

    async fn position(&self) -> Result<Position, Error> {
        self.inner.position().await
    }

    async fn ready(&self) -> Result<(), Error> {
        self.inner.ready().await
    }
}

fn get() -> pb::GetLogicalCloudRequest {
    pb::GetLogicalCloudRequest { project: "p".to_owned(), name: "lc-1".to_owned(), ..Default::default() }
}

fn create() -> pb::CreateLogicalCloudRequest {
    pb::CreateLogicalCloudRequest { project: "p".to_owned(), logical_cloud: asked::cloud_of(&cloud()) }
}

/// With a deadline, which a client of tonic's own make would keep, too.
fn within<T>(timeout: &str, message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.metadata_mut().insert("grpc-timeout", timeout.parse().unwrap());
    request
}

#[tokio::test]
async fn a_deadline_is_kept_and_drops_a_read() {
    let store = Held::new().await;
    let dcm = Dcm::over(store.clone(), &["--resync-period", "0s"]).await;
    dcm.with_cloud().await;
    store.holds_reads.store(true, Ordering::SeqCst);
    let status = dcm.raw().await.get_logical_cloud(within("200m", get())).await.unwrap_err();
    assert_eq!(status.code(), Code::DeadlineExceeded);
    let details = status.get_error_details();
    assert_eq!(details.error_info().unwrap().reason, "TIMEOUT");
    store.until_nobody_waits().await;
    store.holds_reads.store(false, Ordering::SeqCst);
    for bad in ["soon", "1", "-1S"] {
        let status = dcm.raw().await.get_logical_cloud(within(bad, get())).await.unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument, "{bad}");
    }
    dcm.stop().await;
}

#[tokio::test]
async fn a_client_that_goes_drops_his_read_and_does_not_cut_his_write() {
    let store = Held::new().await;
    let dcm = Dcm::over(store.clone(), &["--resync-period", "0s"]).await;
    store.holds_reads.store(true, Ordering::SeqCst);
    let mut client = dcm.clouds();
    let call = tokio::spawn(async move { client.get_logical_cloud(get()).await });
    store.until_somebody_waits().await;
    call.abort();
    store.until_nobody_waits().await;
    store.holds_reads.store(false, Ordering::SeqCst);

    store.holds_writes.store(true, Ordering::SeqCst);
    let mut client = dcm.clouds();
    let call = tokio::spawn(async move { client.create_logical_cloud(create()).await });
    store.until_somebody_waits().await;
    call.abort();
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(store.waiting.load(Ordering::SeqCst) > 0, "the write was cut");
    store.holds_writes.store(false, Ordering::SeqCst);
    until_so(PATIENCE, "what was written", async || dcm.get(LC).await.status == 200).await;
    dcm.stop().await;
}

#[tokio::test]
async fn a_write_whose_deadline_passes_is_carried_out_all_the_same() {
    let store = Held::new().await;
    let dcm = Dcm::over(store.clone(), &["--resync-period", "0s"]).await;
    store.holds_writes.store(true, Ordering::SeqCst);
    let status = dcm.raw().await.create_logical_cloud(within("200m", create())).await.unwrap_err();
    assert_eq!(status.code(), Code::DeadlineExceeded);
    store.holds_writes.store(false, Ordering::SeqCst);
    until_so(PATIENCE, "what was written", async || dcm.get(LC).await.status == 200).await;
    dcm.stop().await;
}

#[tokio::test]
async fn a_write_whose_deadline_has_passed_is_not_begun() {
    let dcm = Dcm::start(&[]).await;
    let status = dcm.raw().await.create_logical_cloud(within("0n", create())).await.unwrap_err();
    assert_eq!(status.code(), Code::DeadlineExceeded);
    // The message is complete after the deadline only.
    let message = create().encode_to_vec();
    let mut frame = [&[0][..], &u32::try_from(message.len()).unwrap().to_be_bytes(), &message].concat();
    let tail = frame.split_off(10);
    let parts = stream::iter([(0, frame), (400, tail)]).then(async |(ms, part)| {
        tokio::time::sleep(Duration::from_millis(ms)).await;
        Ok::<_, Status>(Frame::data(Bytes::from(part)))
    });
    let url = format!("http://{}/dcm.v1.LogicalClouds/CreateLogicalCloud", dcm.running.grpc_addr());
    let request = http::Request::post(url)
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .header("grpc-timeout", "200m")
        .body(tonic::body::Body::new(StreamBody::new(parts)))
        .unwrap();
    let answer = dcm.sender().await.send_request(request).await.unwrap();
    assert_eq!(answer.headers()["grpc-status"], (Code::DeadlineExceeded as i32).to_string());
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(dcm.get(LC).await.status, 404);
    dcm.stop().await;
}

#[tokio::test]
async fn a_panic_is_an_internal_error_with_a_fixed_text() {
    let store = Held::new().await;
    let dcm = Dcm::over(store.clone(), &["--resync-period", "0s"]).await;
    store.panics.store(true, Ordering::SeqCst);
    for status in [
        dcm.clouds().get_logical_cloud(get()).await.unwrap_err(),
        dcm.clouds().create_logical_cloud(create()).await.unwrap_err(),
    ] {
        assert_eq!(status.code(), Code::Internal);
        let details = status.get_error_details();
        let id = &details.request_info().unwrap().request_id;
        assert_eq!(status.message(), format!("the failure is in the server's log under the request id {id}"));
        assert!(!format!("{status:?}").contains("s3cret"), "{status:?}");
    }
    store.panics.store(false, Ordering::SeqCst);
    dcm.with_cloud().await;
    dcm.stop().await;
}

#[tokio::test]
async fn a_watch_that_panics_ends_with_an_internal_error_and_its_connection_lives() {
    let store = Held::new().await;
    let dcm = Dcm::over(store.clone(), &["--resync-period", "0s"]).await;
    dcm.with_cloud().await;
    let (project, logical_cloud) = ("p".to_owned(), "lc-1".to_owned());
    let watched = pb::Watched::Status.into();
    let asked = pb::WatchRequest { project, logical_cloud, watched, ..Default::default() };
    let mut watch = dcm.clouds().watch(asked).await.unwrap().into_inner();
    for _ in 0..2 {
        watch.message().await.unwrap();
    }
    store.panics.store(true, Ordering::SeqCst);
    let all = store.inner.scan(Scan::everything(1000)).await.unwrap();
    let cloud = all.into_iter().find(|document| document.key.as_str().starts_with("logical-cloud/")).unwrap();
    store.inner.put(&cloud.key, cloud.body, Precondition::AtRevision(cloud.revision)).await.unwrap();
    let status = watch.message().await.unwrap_err();
    assert_eq!(status.code(), Code::Internal, "{status:?}");
    assert!(!format!("{status:?}").contains("s3cret"), "{status:?}");
    store.panics.store(false, Ordering::SeqCst);
    dcm.clouds().get_logical_cloud(get()).await.unwrap();
    dcm.stop().await;
}

#[tokio::test]
async fn no_more_calls_are_served_at_once_than_are_allowed() {
    let store = Held::new().await;
    let dcm = Dcm::over(store.clone(), &["--resync-period", "0s", "--max-concurrent-requests", "1"]).await;
    dcm.with_cloud().await;
    store.holds_reads.store(true, Ordering::SeqCst);
    let mut client = dcm.clouds();
    let call = tokio::spawn(async move { client.get_logical_cloud(get()).await });
    store.until_somebody_waits().await;
    let status = dcm.clouds().get_logical_cloud(get()).await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);
    assert_eq!(status.get_error_details().error_info().unwrap().reason, "OVERLOADED");
    // Who asks whether it lives is not one of them.
    let mut health = tonic_health::pb::health_client::HealthClient::new(dcm.channel());
    assert!(health.check(tonic_health::pb::HealthCheckRequest::default()).await.is_ok());
    store.holds_reads.store(false, Ordering::SeqCst);
    assert!(call.await.unwrap().is_ok());
    dcm.stop().await;
}

#[tokio::test]
async fn messages_and_metadata_beyond_their_bounds_are_refused() {
    let dcm = Dcm::start(&["--max-body-size", "64KiB", "--max-header-size", "4KiB"]).await;
    dcm.with_cloud().await;
    let pair = |bytes: usize| pb::CreateKvPairRequest {
        project: "p".to_owned(),
        logical_cloud: "lc-1".to_owned(),
        kv_pair: asked::kv_pair_of(
            &json!({ "metadata": { "name": "k" }, "spec": { "kv": [{ "k": "x".repeat(bytes) }] } }),
        ),
    };
    let status = dcm.clouds().create_kv_pair(pair(64 * 1024)).await.unwrap_err();
    assert_eq!(status.code(), Code::ResourceExhausted);
    assert_eq!(status.get_error_details().error_info().unwrap().reason, "BODY_TOO_LARGE");
    dcm.clouds().create_kv_pair(pair(63 * 1024)).await.unwrap();
    let mut request = Request::new(get());
    request.metadata_mut().insert("x-much", "x".repeat(5000).parse().unwrap());
    let status = dcm.clouds().get_logical_cloud(request).await.unwrap_err();
    assert_eq!(status.code(), Code::ResourceExhausted);
    assert_eq!(status.get_error_details().error_info().unwrap().reason, "HEADERS_TOO_LARGE");
    dcm.stop().await;
}
