//! A server for one test, and clients for both of its edges.

use std::{sync::Arc, time::Duration};

use dcm_core::store::Store;
use dcm_proto::v1::{
    self as pb, clusters_client::ClustersClient, controllers_client::ControllersClient,
    logical_clouds_client::LogicalCloudsClient, projects_client::ProjectsClient,
};
use dcm_server::{Config, Running};
use dcm_test_utils::patience::until;
use hyper::{body::Incoming, client::conn::http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tonic::{
    Code, Response, Status,
    transport::{Channel, Endpoint},
};
use tonic_types::StatusExt as _;
use tower::{Service, service_fn};

use crate::same;

/// How long anything may take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) const CLOUDS: &str = "/v2/projects/p/logical-clouds";
pub(crate) const LC: &str = "/v2/projects/p/logical-clouds/lc-1";
pub(crate) const CLUSTERS: &str = "/v2/cluster-providers/default/clusters";

/// A running server and clients for it.
pub(crate) struct Dcm {
    pub(crate) running: Running,
    rest: reqwest::Client,
    channel: Channel,
}

/// An answer over REST.
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: reqwest::header::HeaderMap,
    pub(crate) body: Value,
}

impl Reply {
    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.body);
        self.body
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

impl Dcm {
    pub(crate) async fn start(options: &[&str]) -> Self {
        let store = dcm_store::open(dcm_store::Config::Memory).await.unwrap();
        Self::over(store, options).await
    }

    /// On a store of the test's own.
    pub(crate) async fn over(store: Arc<dyn Store>, options: &[&str]) -> Self {
        dcm_server::install_crypto_provider();
        let usual =
            ["--http", "127.0.0.1:0", "--grpc", "127.0.0.1:0", "--store", "memory:", "--synchronizer", "simulated"];
        let options = usual.iter().chain(options).copied();
        let running = dcm_server::start_on(store, Config::from_options(options).unwrap()).await.unwrap();
        let channel = Endpoint::from_shared(format!("http://{}", running.grpc_addr())).unwrap().connect_lazy();
        let rest = reqwest::Client::builder().no_proxy().build().unwrap();
        Self { running, rest, channel }
    }

    pub(crate) async fn stop(self) {
        // A connection that is kept open would be waited for.
        drop(self.channel);
        self.running.stop().await;
    }

    pub(crate) fn channel(&self) -> Channel {
        self.channel.clone()
    }

    pub(crate) fn clouds(&self) -> LogicalCloudsClient<Channel> {
        LogicalCloudsClient::new(self.channel())
    }

    /// A client on a connection of its own that leaves deadlines to the server.
    pub(crate) async fn raw(
        &self,
    ) -> LogicalCloudsClient<
        impl Service<
            http::Request<tonic::body::Body>,
            Response = http::Response<Incoming>,
            Error = hyper::Error,
            Future: Send,
        > + use<>,
    > {
        LogicalCloudsClient::with_origin(self.patient().await, self.origin())
    }

    /// Where gRPC is served.
    pub(crate) fn origin(&self) -> http::Uri {
        format!("http://{}", self.running.grpc_addr()).parse().unwrap()
    }

    /// A connection of its own that leaves deadlines to the server.
    pub(crate) async fn patient(
        &self,
    ) -> impl Service<
        http::Request<tonic::body::Body>,
        Response = http::Response<Incoming>,
        Error = hyper::Error,
        Future: Send,
    > + Clone
    + use<> {
        let sender = self.sender().await;
        service_fn(move |request| {
            let mut sender: http2::SendRequest<tonic::body::Body> = sender.clone();
            async move { sender.send_request(request).await }
        })
    }

    /// A connection of its own.
    pub(crate) async fn sender(&self) -> http2::SendRequest<tonic::body::Body> {
        let stream = TokioIo::new(TcpStream::connect(self.running.grpc_addr()).await.unwrap());
        let (sender, connection) = http2::handshake(TokioExecutor::new(), stream).await.unwrap();
        tokio::spawn(connection);
        sender
    }

    pub(crate) fn projects(&self) -> ProjectsClient<Channel> {
        ProjectsClient::new(self.channel())
    }

    pub(crate) fn clusters(&self) -> ClustersClient<Channel> {
        ClustersClient::new(self.channel())
    }

    pub(crate) fn controllers(&self) -> ControllersClient<Channel> {
        ControllersClient::new(self.channel())
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        self.rest.request(method, format!("http://{}{path}", self.running.http_addr()))
    }

    pub(crate) async fn send(&self, request: reqwest::RequestBuilder) -> Reply {
        let response = request.send().await.unwrap();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let body = response.bytes().await.unwrap();
        Reply { status, headers, body: serde_json::from_slice(&body).unwrap_or_default() }
    }

    pub(crate) async fn get(&self, path: &str) -> Reply {
        self.send(self.request(Method::GET, path)).await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Reply {
        self.send(self.request(Method::POST, path).json(body)).await
    }

    pub(crate) async fn put(&self, path: &str, body: &Value) -> Reply {
        self.send(self.request(Method::PUT, path).json(body)).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Reply {
        self.send(self.request(Method::DELETE, path)).await
    }

    /// An order: POST without a body.
    pub(crate) async fn order(&self, path: &str) -> Reply {
        self.send(self.request(Method::POST, path)).await
    }

    /// Makes the logical cloud `lc-1`.
    pub(crate) async fn with_cloud(&self) {
        self.post(CLOUDS, &cloud()).await.expect(201);
    }

    /// Makes the logical cloud with a reference to `cluster-1`.
    pub(crate) async fn with_reference(&self) {
        let cluster = json!({ "metadata": { "name": "cluster-1" }, "spec": { "kubeconfig": kubeconfig() } });
        self.post(CLUSTERS, &cluster).await.expect(201);
        self.with_cloud().await;
        let reference = json!({ "cluster-reference": "cluster-1", "loadbalancer-ip": "0.0.0.0" });
        self.post(&format!("{LC}/cluster-references"), &reference).await.expect(200);
    }

    /// Makes and applies it, and waits until it is there.
    pub(crate) async fn with_applied_cloud(&self) {
        self.with_reference().await;
        self.order(&format!("{LC}/apply")).await.expect(200);
        self.wait_for(pb::OverallStatus::Created).await;
    }

    /// Waits for a status, over gRPC.
    pub(crate) async fn wait_for(&self, status: pb::OverallStatus) -> pb::LogicalCloudStatus {
        let asked =
            pb::GetStatusRequest { project: "p".to_owned(), logical_cloud: "lc-1".to_owned(), ..Default::default() };
        until(PATIENCE, format!("{status:?}"), async || {
            let now = self.clouds().get_status(asked.clone()).await.unwrap().into_inner().status.unwrap();
            if now.status() == status { Ok(now) } else { Err(format!("{now:?}")) }
        })
        .await
    }
}

/// Asserts that both edges refuse with the same words, and gives the status.
#[track_caller]
pub(crate) fn refused_alike<T: std::fmt::Debug>(rest: Reply, grpc: Result<Response<T>, Status>) -> Status {
    let status = grpc.expect_err("served over gRPC");
    assert_eq!(same::problem(&rest.body), same::of_status(&status), "{}", rest.body);
    let details = status.get_error_details();
    let retry_after = details.retry_info().and_then(|info| info.retry_delay).map(|delay| delay.as_secs().to_string());
    assert_eq!(rest.header("retry-after"), retry_after.unwrap_or_default());
    assert!(!details.request_info().unwrap().request_id.is_empty());
    assert_eq!(details.error_info().unwrap().domain, "dcm.onap.org");
    assert_ne!(status.code(), Code::Ok);
    status
}

/// The design's logical cloud.
pub(crate) fn cloud() -> Value {
    json!({
        "metadata": { "name": "lc-1", "description": "of finance", "userData1": "a", "userData2": "b" },
        "spec": {
            "namespace": "ns-1",
            "user": {
                "user-name": "user-1",
                "type": "certificate",
                "user-permissions": [
                    { "permission-name": "permission-1", "apiGroups": ["stable.example.com"], "resources": ["secrets", "pods"],
                      "verbs": ["get", "watch"], "resourceNames": ["x"] },
                    { "permission-name": "permission-2", "apiGroups": [""], "resources": ["configmaps"], "verbs": ["*"] },
                ],
            },
            "labels": { "tier": "web" },
        },
    })
}

/// A kubeconfig of the right form that leads nowhere.
pub(crate) fn kubeconfig() -> Value {
    let pem = "LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0tCi0tLS0tRU5EIENFUlRJRklDQVRFLS0tLS0K";
    json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "c",
        "clusters": [{ "name": "k", "cluster": { "server": "https://127.0.0.1:1", "certificate-authority-data": pem } }],
        "users": [{ "name": "u", "user": { "token": "t0ken-of-the-cluster" } }],
        "contexts": [{ "name": "c", "context": { "cluster": "k", "user": "u" } }],
    })
}
