//! What is told of the server itself, and whom it listens to.

use dcm_proto::v1::{self as pb, logical_clouds_client::LogicalCloudsClient};
use futures_util::stream;
use prost::Message as _;
use tonic::{Code, Request, client::Grpc, transport::Endpoint};
use tonic_health::pb::{HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient};
use tonic_reflection::pb::{v1, v1alpha};
use tonic_types::StatusExt as _;
use tower::ServiceExt as _;

use crate::support::{Dcm, LC};

const SERVICES: [&str; 8] = [
    "StatusNotify",
    "dcm.v1.Clusters",
    "dcm.v1.Controllers",
    "dcm.v1.LogicalClouds",
    "dcm.v1.Projects",
    "grpc.health.v1.Health",
    "grpc.reflection.v1.ServerReflection",
    "grpc.reflection.v1alpha.ServerReflection",
];

#[tokio::test]
async fn health_is_told_of_the_server_and_of_each_service() {
    let dcm = Dcm::start(&[]).await;
    let mut health = HealthClient::new(dcm.channel());
    for service in SERVICES.iter().chain(&[""]) {
        let asked = HealthCheckRequest { service: (*service).to_owned() };
        assert_eq!(
            health.check(asked.clone()).await.unwrap().into_inner().status(),
            ServingStatus::Serving,
            "{service}"
        );
        let mut watch = health.watch(asked).await.unwrap().into_inner();
        assert_eq!(watch.message().await.unwrap().unwrap().status(), ServingStatus::Serving, "{service}");
    }
    let unknown = HealthCheckRequest { service: "dcm.ca.v1.CaKeyDistribution".to_owned() };
    assert_eq!(health.check(unknown.clone()).await.unwrap_err().code(), Code::NotFound);
    let mut watch = health.watch(unknown).await.unwrap().into_inner();
    assert_eq!(watch.message().await.unwrap().unwrap().status(), ServingStatus::ServiceUnknown);
    dcm.stop().await;
}

/// Asks reflection of one version for its services, and for a file of one of them.
macro_rules! reflected {
    ($dcm:ident, $v:ident) => {{
        use $v::{server_reflection_request::MessageRequest, server_reflection_response::MessageResponse};
        let asked = |message| $v::ServerReflectionRequest { host: String::new(), message_request: Some(message) };
        let questions = [
            asked(MessageRequest::ListServices(String::new())),
            asked(MessageRequest::FileContainingSymbol("dcm.v1.LogicalClouds.Apply".to_owned())),
            asked(MessageRequest::FileContainingSymbol("nowhere".to_owned())),
        ];
        let mut client = $v::server_reflection_client::ServerReflectionClient::new($dcm.channel());
        let mut answers = client.server_reflection_info(stream::iter(questions)).await.unwrap().into_inner();
        let mut next = async || answers.message().await.map(|answer| answer.unwrap().message_response.unwrap());
        let MessageResponse::ListServicesResponse(list) = next().await.unwrap() else { panic!("no list") };
        let mut names: Vec<String> = list.service.into_iter().map(|service| service.name).collect();
        names.sort();
        assert_eq!(names, SERVICES);
        let MessageResponse::FileDescriptorResponse(files) = next().await.unwrap() else { panic!("no file") };
        let file = prost_types::FileDescriptorProto::decode(files.file_descriptor_proto[0].as_slice()).unwrap();
        assert_eq!(file.package(), "dcm.v1");
        assert_eq!(next().await.unwrap_err().code(), Code::NotFound);
    }};
}

#[tokio::test]
async fn reflection_shows_what_is_served_and_nothing_else() {
    let dcm = Dcm::start(&[]).await;
    reflected!(dcm, v1);
    reflected!(dcm, v1alpha);
    dcm.stop().await;
}

#[tokio::test]
async fn a_question_to_reflection_ends_some_time_whatever_its_client_does() {
    let dcm = Dcm::start(&["--request-timeout", "1s"]).await;
    let mut client = v1::server_reflection_client::ServerReflectionClient::new(dcm.channel());
    let mut answers = client.server_reflection_info(stream::pending()).await.unwrap().into_inner();
    assert_eq!(answers.message().await.unwrap_err().code(), Code::DeadlineExceeded);
    dcm.stop().await;
}

#[tokio::test]
async fn a_question_for_health_is_small() {
    let dcm = Dcm::start(&[]).await;
    let mut health = HealthClient::new(dcm.channel());
    let status = health.check(HealthCheckRequest { service: "x".repeat(2000) }).await.unwrap_err();
    assert_eq!(status.get_error_details().error_info().unwrap().reason, "BODY_TOO_LARGE");
    dcm.stop().await;
}

/// Calls a method by its path, whatever it is.
async fn call(dcm: &Dcm, path: &str, metadata: &[(&'static str, &str)]) -> tonic::Status {
    let mut grpc = Grpc::new(dcm.channel());
    grpc.ready().await.unwrap();
    let mut request = Request::new(pb::GetStatusRequest::default());
    for (key, value) in metadata {
        request.metadata_mut().insert(*key, value.parse().unwrap());
    }
    let codec = tonic_prost::ProstCodec::<pb::GetStatusRequest, pb::GetStatusResponse>::default();
    grpc.unary(request, path.parse().unwrap(), codec).await.unwrap_err()
}

#[tokio::test]
async fn what_is_not_served_says_so() {
    let dcm = Dcm::start(&[]).await;
    for path in [
        "/dcm.v1.LogicalClouds/Nothing",
        "/dcm.ca.v1.CaKeyDistribution/Revoke",
        "/dcm.sync.v1.ResourceSynchronizer/Start",
        "/dcm.sync.v1.ClusterGateway/CutOffUser",
        "/x",
        "/a/b/c",
    ] {
        let status = call(&dcm, path, &[]).await;
        assert_eq!(status.code(), Code::Unimplemented, "{path}");
        let details = status.get_error_details();
        let info = details.error_info().unwrap();
        assert_eq!(
            (info.reason.as_str(), info.metadata["instance"].as_str()),
            ("NO_SUCH_PATH", "/unmatched"),
            "{path}"
        );
    }
    let long = format!("/dcm.v1.LogicalClouds/{}", "x".repeat(10_000));
    let status = call(&dcm, &long, &[]).await;
    assert_eq!(status.code(), Code::InvalidArgument);
    let details = status.get_error_details();
    let info = details.error_info().unwrap();
    assert_eq!((info.reason.as_str(), info.metadata["instance"].as_str()), ("URI_TOO_LONG", "/unmatched"));
    // A message that is none: the fields have other types.
    let mut grpc = Grpc::new(dcm.channel());
    grpc.ready().await.unwrap();
    let codec = tonic_prost::ProstCodec::<pb::PartStatus, pb::GetStatusResponse>::default();
    let message = pb::PartStatus { state: 3, reason: "x".to_owned() };
    let path = "/dcm.v1.LogicalClouds/GetStatus".parse().unwrap();
    let status = grpc.unary(Request::new(message), path, codec).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
    assert_eq!(status.get_error_details().error_info().unwrap().reason, "MALFORMED");
    dcm.stop().await;
}

#[tokio::test]
async fn only_hosts_that_are_ours_are_listened_to() {
    let dcm = Dcm::start(&["--allowed-host", "dcm.example.com"]).await;
    let asked =
        || pb::GetLogicalCloudRequest { project: "p".to_owned(), name: "lc-1".to_owned(), ..Default::default() };
    for (host, code) in [
        ("evil.example.com", Code::PermissionDenied),
        ("10.0.0.1:9078", Code::PermissionDenied),
        ("dcm.example.com", Code::NotFound),
        ("localhost:9078", Code::NotFound),
    ] {
        let endpoint = Endpoint::from_shared(format!("http://{}", dcm.running.grpc_addr())).unwrap();
        let channel = endpoint.origin(format!("http://{host}").parse().unwrap()).connect().await.unwrap();
        let status = LogicalCloudsClient::new(channel.clone()).get_logical_cloud(asked()).await.unwrap_err();
        assert_eq!(status.code(), code, "{host}");
        // A prober knows a pod's address and not its name. What takes the place of a watch is for clients only.
        let mut health = HealthClient::new(channel.clone());
        assert!(health.check(HealthCheckRequest::default()).await.is_ok());
        let is_ours = code == Code::NotFound;
        assert_eq!(health.watch(HealthCheckRequest::default()).await.is_ok(), is_ours, "{host}");
        let mut reflection = v1::server_reflection_client::ServerReflectionClient::new(channel);
        assert_eq!(reflection.server_reflection_info(stream::pending()).await.is_ok(), is_ours, "{host}");
    }
    let foreign = [("origin", "http://evil.example.com")];
    assert_eq!(call(&dcm, "/dcm.v1.LogicalClouds/GetStatus", &foreign).await.code(), Code::PermissionDenied);
    dcm.stop().await;
}

#[tokio::test]
async fn whoever_does_not_speak_grpc_is_told_where_he_is() {
    let dcm = Dcm::start(&[]).await;
    let url = format!("http://{}{LC}", dcm.running.grpc_addr());
    let answer = reqwest::Client::builder().no_proxy().build().unwrap().get(url).send().await.unwrap();
    assert_eq!(answer.status(), 415);
    assert!(answer.text().await.unwrap().contains("--http"));
    dcm.stop().await;
}

#[tokio::test]
async fn a_call_has_the_id_that_its_client_gave_and_is_counted() {
    let dcm = Dcm::start(&[]).await;
    dcm.with_cloud().await;
    let mut asked = Request::new(pb::GetLogicalCloudRequest {
        project: "p".to_owned(),
        name: "lc-1".to_owned(),
        ..Default::default()
    });
    asked.metadata_mut().insert("x-request-id", "mine-1".parse().unwrap());
    let answer = dcm.clouds().get_logical_cloud(asked).await.unwrap();
    assert_eq!(answer.metadata().get("x-request-id").unwrap(), "mine-1");
    let status = call(&dcm, "/dcm.v1.LogicalClouds/GetStatus", &[("x-request-id", "mine-2")]).await;
    assert_eq!(status.get_error_details().request_info().unwrap().request_id, "mine-2");
    assert_eq!(status.metadata().get("x-request-id").unwrap(), "mine-2");
    let metrics = dcm.request(reqwest::Method::GET, "/metrics").send().await.unwrap().text().await.unwrap();
    for line in [
        "dcm_grpc_calls_total{method=\"dcm.v1.LogicalClouds/GetLogicalCloud\",code=\"OK\"} 1",
        "dcm_grpc_calls_total{method=\"dcm.v1.LogicalClouds/GetStatus\",code=\"INVALID_ARGUMENT\"} 1",
        "dcm_grpc_call_duration_seconds_count{method=\"dcm.v1.LogicalClouds/GetLogicalCloud\"} 1",
        "dcm_grpc_calls_in_flight 0",
    ] {
        assert!(metrics.lines().any(|known| known == line), "{line} in {metrics}");
    }
    dcm.stop().await;
}

/// Nobody makes room for a message because it says that it is long.
#[tokio::test]
async fn a_length_that_no_message_has_is_refused() {
    let dcm = Dcm::start(&[]).await;
    let frame = bytes::Bytes::from_static(&[0, 0xff, 0xff, 0xff, 0xff, 1]);
    let request = http::Request::post(format!("http://{}/dcm.v1.LogicalClouds/GetStatus", dcm.running.grpc_addr()))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(tonic::body::Body::new(http_body_util::Full::new(frame)))
        .unwrap();
    let answer = dcm.channel().oneshot(request).await.unwrap();
    let code: i32 = answer.headers()["grpc-status"].to_str().unwrap().parse().unwrap();
    assert_eq!((answer.status().as_u16(), Code::from(code)), (200, Code::ResourceExhausted));
    assert!(answer.headers().contains_key("grpc-status-details-bin"));
    dcm.stop().await;
}
