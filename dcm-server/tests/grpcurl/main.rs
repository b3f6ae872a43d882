//! gRPC as a client of another make finds it: grpcurl, at the path that `DCM_TEST_GRPCURL` holds (`testbed/tool grpcurl`).

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod secured;
mod support;

use serde_json::json;

use support::{Grpcurl, Place, cloud, code};

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

#[tokio::test(flavor = "multi_thread")]
async fn reflection_lists_and_describes_what_is_served() {
    let Some(grpcurl) = Grpcurl::find("reflection") else { return };
    let place = Place::new();
    let server = place.plain().await;
    let asks = grpcurl.of(&server, &["-plaintext"]);
    let mut services = asks.say(&["list"]).good();
    services.retain(|line| !line.is_empty());
    services.sort();
    assert_eq!(services, SERVICES);
    for service in SERVICES {
        let described = asks.say(&["describe", service]).good().join("\n");
        assert!(described.contains(&format!("{service} is a service")) && described.contains("rpc "), "{described}");
    }
    assert!(asks.say(&["list", "dcm.v1.LogicalClouds"]).good().contains(&"dcm.v1.LogicalClouds.Apply".to_owned()));
    // A message with what it imports, and its fields with their comments' names.
    let message = asks.say(&["describe", "dcm.v1.LogicalCloud"]).good().join("\n");
    assert!(message.contains(".dcm.v1.Metadata metadata = 1;"), "{message}");
    let message = asks.say(&["-msg-template", "describe", ".StatusRegistration"]).good().join("\n");
    assert!(message.contains(".StatusValue statusType = 5;") && message.contains("\"clientId\": \"\""), "{message}");
    let unknown = asks.say(&["describe", "dcm.v1.Nothing"]);
    assert!(!unknown.is_good() && unknown.stderr.contains("not found"), "{unknown:?}");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_goes_in_and_comes_out_as_json() {
    let Some(grpcurl) = Grpcurl::find("calls") else { return };
    let place = Place::new();
    let server = place.plain().await;
    let asks = grpcurl.of(&server, &["-plaintext"]);
    let made = asks.call("dcm.v1.LogicalClouds/CreateLogicalCloud", &cloud("lc-1")).message();
    let asked = json!({ "project": "p", "name": "lc-1" });
    let read = asks.call("dcm.v1.LogicalClouds/GetLogicalCloud", &asked).message();
    assert_eq!(read["logicalCloud"], made["logicalCloud"]);
    assert_eq!(read["logicalCloud"]["spec"]["labels"]["tier"], "web");
    let list = asks.call("dcm.v1.LogicalClouds/ListLogicalClouds", &json!({ "project": "p" })).message();
    assert_eq!(list["logicalClouds"][0], made["logicalCloud"]);
    for service in ["", "dcm.v1.LogicalClouds", "StatusNotify"] {
        let health = asks.call("grpc.health.v1.Health/Check", &json!({ "service": service })).message();
        assert_eq!(health["status"], "SERVING", "{service:?}");
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_has_its_code_and_details_that_can_be_read() {
    let Some(grpcurl) = Grpcurl::find("errors") else { return };
    let place = Place::new();
    let server = place.plain().await;
    let asks = grpcurl.of(&server, &["-plaintext", "-format-error"]);
    let mut bad = cloud("lc-1");
    bad["logical_cloud"]["spec"]["namespace"] = json!("Not A Name");
    for (method, message, expected, kind) in [
        ("GetLogicalCloud", json!({ "project": "p", "name": "none" }), code::NOT_FOUND, "NOT_FOUND"),
        ("CreateLogicalCloud", bad, code::INVALID_ARGUMENT, "INVALID"),
    ] {
        let status = asks.call(&format!("dcm.v1.LogicalClouds/{method}"), &message).status(expected);
        let details = status["details"].as_array().unwrap();
        let detail = |name: &str| {
            let is_it = |detail: &&serde_json::Value| detail["@type"].as_str().unwrap().ends_with(name);
            details.iter().find(is_it).unwrap_or_else(|| panic!("no {name} in {status}"))
        };
        assert_eq!(detail("google.rpc.ErrorInfo")["reason"], kind, "{status}");
        assert!(!detail("google.rpc.RequestInfo")["requestId"].as_str().unwrap().is_empty());
        if kind == "INVALID" {
            let violations = &detail("google.rpc.BadRequest")["fieldViolations"];
            assert_eq!(violations[0]["field"], "/spec/namespace", "{status}");
        }
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn watches_stream_to_their_end() {
    let Some(grpcurl) = Grpcurl::find("watches") else { return };
    let place = Place::new();
    let server = place.plain().await;
    let asks = grpcurl.of(&server, &["-plaintext"]);
    asks.call("dcm.v1.LogicalClouds/CreateLogicalCloud", &cloud("lc-1")).message();
    let watched = json!({ "project": "p", "logical_cloud": "lc-1", "watched": "WATCHED_STATUS" });
    let mut watch = asks.begin("dcm.v1.LogicalClouds/Watch", &watched);
    let key = json!({ "project": "p", "logicalCloud": "lc-1" });
    let registration = json!({ "clientId": "grpcurl", "lcKey": key, "statusType": "READY" });
    let mut notified = asks.begin("StatusNotify/StatusRegister", &registration);
    watch.wait_for("\"synced\"");
    notified.wait_for("NOT_READY");
    asks.call("dcm.v1.LogicalClouds/DeleteLogicalCloud", &json!({ "project": "p", "name": "lc-1" })).message();
    let told = watch.end().messages();
    assert_eq!(told[0]["status"]["status"]["status"], "OVERALL_STATUS_NOT_CREATED", "{told:?}");
    assert!(told[1].get("synced").is_some() && told.last().unwrap().get("ended").is_some(), "{told:?}");
    assert_eq!(notified.end().messages(), [json!({ "statusValue": "NOT_READY" })]);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_roles_serve_each_other_is_not_to_be_had_on_the_public_port() {
    let Some(grpcurl) = Grpcurl::find("the public port") else { return };
    let place = Place::new();
    let server = place.plain().await;
    let asks = grpcurl.of(&server, &["-plaintext", "-format-error"]).with_our_files();
    for method in [
        "dcm.sync.v1.ResourceSynchronizer/GetStatus",
        "dcm.sync.v1.ResourceSynchronizer/Terminate",
        "dcm.sync.v1.ClusterGateway/Diff",
        "dcm.sync.v1.ClusterGateway/CutOffUser",
        "dcm.ca.v1.CaKeyDistribution/GetBundle",
        "dcm.ca.v1.CaKeyDistribution/Rotate",
    ] {
        asks.call(method, &json!({})).status(code::UNIMPLEMENTED);
    }
    server.stop().await;
}
