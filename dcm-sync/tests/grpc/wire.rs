//! What goes over the wire, and what does not.

use std::sync::{Arc, Mutex};

use dcm_core::{
    error::Error,
    gateway::{self, ClusterGateway as _},
    service::{Page, Selection},
};
use dcm_proto::sync_v1::{
    ClusterCutOff, ClusterDiff, Comparison, CutOff, CutOffUserRequest, CutOffUserResponse, DiffRequest, DiffResponse,
    FieldDiff, Grant, ObjectDiff, ProbeClusterRequest, ProbeClusterResponse, cluster_cut_off, cluster_diff,
    cluster_gateway_client::ClusterGatewayClient,
    cluster_gateway_server::{ClusterGateway, ClusterGatewayServer},
};
use dcm_proto::v1;
use dcm_store::memory::MemoryStore;
use dcm_test_utils::builders::{Fixture, cloud_id, cluster_input, provider};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};
use tonic::{
    Code, Request, Response, Status,
    transport::{Endpoint, Server, server::TcpIncoming},
};
use tonic_types::StatusExt as _;

use crate::support::{Served, client, main};

/// Notes all that passes by, both ways.
async fn tapped(to: std::net::SocketAddr) -> (std::net::SocketAddr, Arc<Mutex<Vec<u8>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let seen = Arc::<Mutex<Vec<u8>>>::default();
    let notes = Arc::clone(&seen);
    tokio::spawn(async move {
        while let Ok((from, _)) = listener.accept().await {
            let (mut from_read, mut from_write) = from.into_split();
            let (mut to_read, mut to_write) = TcpStream::connect(to).await.unwrap().into_split();
            let (up, down) = (Arc::clone(&notes), Arc::clone(&notes));
            tokio::spawn(async move { pass(&mut from_read, &mut to_write, &up).await });
            tokio::spawn(async move { pass(&mut to_read, &mut from_write, &down).await });
        }
    });
    (address, seen)
}

async fn pass(
    from: &mut (impl tokio::io::AsyncRead + Unpin),
    to: &mut (impl tokio::io::AsyncWrite + Unpin),
    seen: &Mutex<Vec<u8>>,
) {
    let mut bytes = vec![0; 16 * 1024];
    while let Ok(length @ 1..) = from.read(&mut bytes).await {
        seen.lock().unwrap().extend_from_slice(&bytes[..length]);
        if to.write_all(&bytes[..length]).await.is_err() {
            break;
        }
    }
}

#[tokio::test]
async fn names_go_over_the_wire_and_no_credential_and_no_manifest_does() {
    let store: Arc<dyn dcm_core::store::Store> = Arc::new(MemoryStore::new());
    let there = Fixture::new(Arc::clone(&store)).await.unwrap();
    let served = Served::start(Arc::new(there.dcm.clone())).await;
    let (address, seen) = tapped(served.address).await;
    let main = main(&store, Arc::new(client(address))).await;
    main.create_cluster(&provider("default"), cluster_input("c1").into()).await.unwrap();
    let id = there.create_applied("lc-1", "ns-1", &["c1"]).await.unwrap();
    main.diff(&id, &Selection::Page(Page::default())).await.unwrap();
    main.revoke_user(&id).await.unwrap();
    let seen = seen.lock().unwrap();
    let passed = |text: &str| seen.windows(text.len()).any(|window| window == text.as_bytes());
    for named in ["default", "c1", "walmart", "lc-1", "identity-of-default-c1"] {
        assert!(passed(named), "{named} was asked for or told");
    }
    for secret in ["not-a-real-token", "current-context", "BEGIN ", "rules", "apiGroups"] {
        assert!(!passed(secret), "{secret} has passed");
    }
}

#[tokio::test]
async fn every_bad_field_of_a_request_is_named() {
    let store: Arc<dyn dcm_core::store::Store> = Arc::new(MemoryStore::new());
    let there = Fixture::new(store).await.unwrap();
    let served = Served::start(Arc::new(there.dcm.clone())).await;
    let channel = Endpoint::from_shared(format!("http://{}", served.address)).unwrap().connect_lazy();
    let mut client = ClusterGatewayClient::new(channel);
    let named = |status: Status| -> Vec<String> {
        assert_eq!(status.code(), Code::InvalidArgument, "{status:?}");
        let details = status.get_error_details();
        details.bad_request().unwrap().field_violations.iter().map(|violation| violation.field.clone()).collect()
    };
    let asked = ProbeClusterRequest { cluster_provider: "-".to_owned(), cluster: String::new() };
    assert_eq!(named(client.probe_cluster(asked).await.unwrap_err()), ["/cluster-provider", "/cluster"]);
    for page_size in [0, 101, u32::MAX] {
        let asked = DiffRequest { page_size, page_token: "/".to_owned(), ..DiffRequest::default() };
        let expected = ["/project", "/logical-cloud", "/page-size", "/page-token"];
        assert_eq!(named(client.diff(asked).await.unwrap_err()), expected, "{page_size}");
    }
    let asked = CutOffUserRequest::default();
    let expected = ["/project", "/logical-cloud", "/generation"];
    assert_eq!(named(client.cut_off_user(asked).await.unwrap_err()), expected);
}

/// A synchronizer that answers nonsense.
struct Odd(DiffResponse, CutOffUserResponse);

#[tonic::async_trait]
impl ClusterGateway for Odd {
    async fn probe_cluster(&self, _: Request<ProbeClusterRequest>) -> Result<Response<ProbeClusterResponse>, Status> {
        Ok(Response::new(ProbeClusterResponse::default()))
    }

    async fn diff(&self, _: Request<DiffRequest>) -> Result<Response<DiffResponse>, Status> {
        Ok(Response::new(self.0.clone()))
    }

    async fn cut_off_user(&self, _: Request<CutOffUserRequest>) -> Result<Response<CutOffUserResponse>, Status> {
        Ok(Response::new(self.1.clone()))
    }
}

#[tokio::test]
async fn an_answer_that_is_none_is_a_failure_there_and_says_what_is_wrong() {
    let diff = |cluster: ClusterDiff| DiffResponse { clusters: vec![cluster], ..DiffResponse::default() };
    let compared = |change: ObjectDiff| {
        let comparison = Comparison { changes: vec![change], ..Comparison::default() };
        let outcome = Some(cluster_diff::Outcome::Comparison(comparison));
        diff(ClusterDiff { cluster_reference: "c1".to_owned(), outcome })
    };
    let field = FieldDiff { live_json: Some("{".to_owned()), ..FieldDiff::default() };
    let object = Some(v1::ObjectName::default());
    let cut = |cluster: ClusterCutOff| CutOffUserResponse { clusters: vec![cluster] };
    let granted = CutOff { still_grants_access: vec![Grant::default()] };
    for (diff, cut) in [
        (diff(ClusterDiff::default()), cut(ClusterCutOff::default())),
        (
            compared(ObjectDiff::default()),
            cut(ClusterCutOff {
                cluster_reference: "c1".to_owned(),
                outcome: Some(cluster_cut_off::Outcome::CutOff(granted)),
            }),
        ),
        (
            compared(ObjectDiff { object, fields: vec![field], ..ObjectDiff::default() }),
            cut(ClusterCutOff {
                cluster_reference: "/".to_owned(),
                outcome: Some(cluster_cut_off::Outcome::CutOff(CutOff::default())),
            }),
        ),
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let there = client(listener.local_addr().unwrap());
        let server = Server::builder().add_service(ClusterGatewayServer::new(Odd(diff, cut)));
        let served = tokio::spawn(server.serve_with_incoming(TcpIncoming::from(listener)));
        let (id, default) = (cloud_id("lc-1"), provider("default"));
        for error in [
            there.probe_cluster(&default, &"c1".parse().unwrap()).await.unwrap_err(),
            there.diff(&id, &Selection::Page(Page::default())).await.unwrap_err(),
            there.cut_off_user(&id, 1).await.unwrap_err(),
        ] {
            let Error::Gateway(gateway::Error::Internal(source)) = error else { panic!("{error:?}") };
            assert!(source.to_string().contains("is missing or wrong"), "{source}");
        }
        served.abort();
    }
}
