//! Over TLS, and over TLS with client certificates.

use std::sync::Arc;

use dcm_store::memory::MemoryStore;
use serde_json::json;

use crate::support::{Asks, Grpcurl, Place, cloud, code};

const DCM: &str = "spiffe://example.com/dcm";

const PROJECTS: &str = "dcm.v1.Projects/ListProjects";

#[tokio::test(flavor = "multi_thread")]
async fn tls_is_spoken_with_who_trusts_the_servers_ca() {
    let Some(grpcurl) = Grpcurl::find("TLS") else { return };
    let place = Place::new();
    let server = place.secured(&[]).await;
    let ca = place.path("ca.crt");
    grpcurl.of(&server, &["-cacert", &ca]).call(PROJECTS, &json!({})).message();
    for options in [&["-plaintext"][..], &[], &["-cacert", &ca, "-servername", "other.example.com"]] {
        let called = grpcurl.of(&server, options).call(PROJECTS, &json!({}));
        assert!(!called.is_good() && called.stdout.is_empty(), "{options:?}: {called:?}");
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn where_client_certificates_are_asked_for_nobody_is_served_without_one() {
    let Some(grpcurl) = Grpcurl::find("mutual TLS") else { return };
    let place = Place::new();
    let ca = place.path("ca.crt");
    let server = place.secured(&["--client-ca", &ca]).await;
    let (cert, key) = place.pair("operator", &["operator.example.com"]);
    let asks = grpcurl.of(&server, &["-cacert", &ca, "-cert", &cert, "-key", &key]);
    asks.call(PROJECTS, &json!({})).message();
    let elsewhere = Place::new();
    let (cert, key) = elsewhere.pair("stranger", &["operator.example.com"]);
    for shown in [&[][..], &["-cert", &cert, "-key", &key]] {
        let options = [&["-cacert", &ca], shown].concat();
        for ask in [&["list"][..], &[PROJECTS]] {
            let called = grpcurl.of(&server, &options).say(ask);
            assert!(!called.is_good() && called.stdout.is_empty(), "{called:?}");
            assert!(called.stderr.contains("tls: "), "{called:?}");
        }
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_synchronizer_serves_main_servers_and_nobody_else() {
    let Some(grpcurl) = Grpcurl::find("dcm.sync.v1") else { return };
    let place = Place::new();
    let (ca, store) = (place.path("ca.crt"), Arc::new(MemoryStore::default()));
    let main = place.plain_on(Arc::clone(&store) as _).await;
    grpcurl.of(&main, &["-plaintext"]).call("dcm.v1.LogicalClouds/CreateLogicalCloud", &cloud("lc-1")).message();
    let options = ["--role", "synchronizer", "--client-ca", &ca, "--allowed-identity", DCM];
    let server = place.secured_on(store, &options).await;
    let asked = json!({ "project": "p", "logical_cloud": "lc-1" });
    let method = |name: &str| format!("dcm.sync.v1.ResourceSynchronizer/{name}");

    let (cert, key) = place.pair("dcm", &[DCM]);
    let dcm = grpcurl.of(&server, &["-format-error", "-cacert", &ca, "-cert", &cert, "-key", &key]);
    let services = dcm.say(&["list"]).good();
    for service in ["dcm.sync.v1.ResourceSynchronizer", "dcm.sync.v1.ClusterGateway"] {
        assert!(services.contains(&service.to_owned()), "{services:?}");
    }
    assert!(!services.iter().any(|name| name.starts_with("dcm.v1.") || name == "StatusNotify"), "{services:?}");
    let told = dcm.call(&method("GetStatus"), &asked).message();
    assert_eq!(told["status"]["status"], "OVERALL_STATUS_NOT_CREATED", "{told}");
    // An order that the store does not hold.
    dcm.call(&method("Terminate"), &asked).status(code::FAILED_PRECONDITION);
    let mut cut_off = asked.clone();
    cut_off["generation"] = json!(1);
    dcm.call("dcm.sync.v1.ClusterGateway/CutOffUser", &cut_off).status(code::ABORTED);

    let (cert, key) = place.pair("other", &["spiffe://example.com/other"]);
    let other = grpcurl.of(&server, &["-format-error", "-cacert", &ca, "-cert", &cert, "-key", &key]);
    for name in ["GetStatus", "Start", "Stop", "Terminate", "WatchStatus"] {
        let status = other.call(&method(name), &asked).status(code::PERMISSION_DENIED);
        assert!(status["message"].as_str().unwrap().contains("spiffe://example.com/other"), "{status}");
    }
    for name in ["ProbeCluster", "Diff", "CutOffUser"] {
        let method = format!("dcm.sync.v1.ClusterGateway/{name}");
        other.call(&method, &json!({})).status(code::PERMISSION_DENIED);
    }
    let nobody = grpcurl.of(&server, &["-cacert", &ca]).with_our_files().call(&method("GetStatus"), &asked);
    assert!(!nobody.is_good() && nobody.stderr.contains("tls: "), "{nobody:?}");
    server.stop().await;
    main.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_ends_what_one_with_another_certificate_has_registered() {
    let Some(grpcurl) = Grpcurl::find("StatusNotify over mutual TLS") else { return };
    let place = Place::new();
    let ca = place.path("ca.crt");
    let server = place.secured(&["--client-ca", &ca]).await;
    let [one, other] = ["one.example.com", "other.example.com"].map(|name| {
        let (cert, key) = place.pair(name, &[name]);
        grpcurl.of(&server, &["-cacert", &ca, "-cert", &cert, "-key", &key])
    });
    one.call("dcm.v1.LogicalClouds/CreateLogicalCloud", &cloud("lc-1")).message();
    let asked = json!({ "clientId": "a", "lcKey": { "project": "p", "logicalCloud": "lc-1" }, "statusType": "READY" });
    let mut ones = one.begin("StatusNotify/StatusRegister", &asked);
    ones.wait_for("NOT_READY");
    // The same id, and another client's.
    let deregister = |asks: &Asks| asks.call("StatusNotify/StatusDeregister", &json!({ "clientId": "a" })).message();
    deregister(&other);
    let mut others = other.begin("StatusNotify/StatusRegister", &asked);
    others.wait_for("NOT_READY");
    deregister(&other);
    others.end().good();
    assert!(ones.goes_on(), "the other one's was ended");
    deregister(&one);
    ones.end().good();
    server.stop().await;
}
