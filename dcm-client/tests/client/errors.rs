use dcm_client::{Error, Fault, Kind, v1 as pb};
use tonic::Code;

use crate::support::{client, cloud, get_cloud, named, start};

#[tokio::test]
async fn a_refusal_says_what_a_problem_says_over_rest() {
    let server = start().await;
    let clouds = client(server.grpc_addr()).logical_clouds();
    let refused = clouds.create_logical_cloud(cloud("Not a label")).await.unwrap_err();
    let problem = refused.problem().unwrap();
    assert_eq!((problem.kind, problem.code, problem.status), (Kind::Invalid, Code::InvalidArgument, 400));
    assert_eq!(problem.type_uri, "https://dcm.onap.org/problems/invalid");
    assert_eq!(problem.title, "The request is not valid");
    assert_eq!(problem.instance, "/dcm.v1.LogicalClouds/CreateLogicalCloud");
    assert!(!problem.request_id.is_empty());
    let [Fault { place, detail }] = refused.faults() else { panic!("{refused:?}") };
    assert_eq!(place, "/spec/namespace");
    assert!(refused.to_string().contains("/spec/namespace") && refused.to_string().contains(detail), "{refused}");
    // And nothing was made.
    assert_eq!(clouds.get_logical_cloud(get_cloud()).await.unwrap_err().kind(), Some(Kind::NotFound));
    server.stop().await;
}

#[tokio::test]
async fn the_server_says_when_to_come_back() {
    let server = start().await;
    let clouds = client(server.grpc_addr()).logical_clouds();
    clouds.create_logical_cloud(cloud("ns-1")).await.unwrap();
    let asked =
        pb::GetKubeconfigRequest { project: "p".to_owned(), logical_cloud: "lc-1".to_owned(), ..Default::default() };
    let refused = clouds.get_kubeconfig(asked).await.unwrap_err();
    assert_eq!(refused.kind(), Some(Kind::NotReady));
    assert_eq!(refused.retry_after().unwrap().as_secs(), 2);
    server.stop().await;
}

#[tokio::test]
async fn warnings_come_with_the_answer() {
    let server = start().await;
    let clouds = client(server.grpc_addr()).logical_clouds();
    clouds.create_logical_cloud(cloud("ns-1")).await.unwrap();
    let permission = pb::UserPermission {
        name: Some("permission-1".to_owned()),
        api_groups: vec![String::new()],
        resources: vec!["pods".to_owned()],
        verbs: vec!["gett".to_owned()],
        ..Default::default()
    };
    let asked = pb::CreateUserPermissionRequest {
        project: "p".to_owned(),
        logical_cloud: "lc-1".to_owned(),
        user_permission: Some(permission),
    };
    let made = clouds.create_user_permission(asked).await.unwrap();
    assert!(made.warnings()[0].contains("gett"), "{:?}", made.warnings());
    assert!(!made.request_id().is_empty());
    server.stop().await;
}

#[tokio::test]
async fn a_failing_connection_is_told_apart_from_a_refusal() {
    let server = start().await;
    let address = server.grpc_addr();
    server.stop().await;
    let error = dcm_client::Client::connect(format!("http://{address}")).await.unwrap_err();
    assert!(matches!(error, Error::NotConnected(_)), "{error:?}");
    let once = client(address).with_retry(dcm_client::Retry::NEVER);
    let error = once.logical_clouds().get_logical_cloud(get_cloud()).await.unwrap_err();
    assert!(matches!(error, Error::NotConnected(_)) && error.nothing_was_done(), "{error:?}");
    let error = dcm_client::Client::lazy("not an address").unwrap_err();
    assert!(matches!(error, Error::Address(_)), "{error:?}");
}

#[tokio::test]
async fn secrets_are_not_in_what_is_shown() {
    let server = start().await;
    let clusters = client(server.grpc_addr()).clusters();
    let spec = pb::ClusterSpec { kubeconfig: Some("s3cret: [".to_owned()), ..Default::default() };
    let cluster = pb::Cluster { metadata: named("c"), spec: Some(spec), ..Default::default() };
    let asked = pb::CreateClusterRequest { cluster_provider: "default".to_owned(), cluster: Some(cluster) };
    let refused = clusters.create_cluster(asked).await.unwrap_err();
    assert_eq!(refused.kind(), Some(Kind::Invalid));
    assert!(!format!("{refused} {refused:?}").contains("s3cret"), "{refused:?}");
    server.stop().await;
}
