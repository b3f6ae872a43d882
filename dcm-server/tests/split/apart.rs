//! No way from a main server to clusters, whatever it could reach.

use std::time::{Duration, Instant};

use dcm_proto::v1::{DiffRequest, logical_clouds_client::LogicalCloudsClient};
use dcm_test_utils::patience::{until, until_so};
use reqwest::Method;
use serde_json::{Value, json};
use tonic::{Code, Request};
use tonic_types::StatusExt as _;

use crate::bed::{Bed, Door, PATIENCE, Reply, subjects};

const AWAY: &str = "the synchronizer cannot be reached, and only a synchronizer reaches clusters";

/// Refused for want of a synchronizer, and for a while only.
#[track_caller]
fn is_away(reply: &Reply, detail: &str) {
    assert_eq!(reply.status, 503, "{:#}", reply.body);
    let retry_after: u64 = reply.headers["retry-after"].to_str().unwrap().parse().unwrap();
    assert!(retry_after >= 1);
    assert!(reply.body["detail"].as_str().unwrap().starts_with(detail), "{:#}", reply.body);
}

async fn ask_over_grpc(bed: &Bed, within: Duration) -> Result<(), tonic::Status> {
    let mut client = LogicalCloudsClient::new(
        tonic::transport::Endpoint::from_shared(format!("http://{}", bed.main.grpc_addr())).unwrap().connect_lazy(),
    );
    let asked = DiffRequest { project: "p".to_owned(), logical_cloud: "lc-1".to_owned(), ..DiffRequest::default() };
    let mut request = Request::new(asked);
    request.set_timeout(within);
    client.diff(request).await.map(drop)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_main_server_makes_no_connection_to_clusters_and_says_who_is_away() {
    let (door, new) = (Door::open("c1").await, Door::open("c2").await);
    let mut bed = Bed::split().await;
    bed.register(&door).await.expect(201);
    let cloud = bed.applied("lc-1", &[&door]).await;
    let before = subjects(&door, "lc-1");
    assert!(door.came() > 0 && before.len() == 1);
    bed.stop_synchronizer().await;

    let came = door.came();
    let diff = format!("{cloud}/diff");
    is_away(&bed.get(&diff).await, AWAY);
    let status = ask_over_grpc(&bed, PATIENCE).await.unwrap_err();
    assert_eq!((status.code(), status.message()), (Code::Unavailable, AWAY));
    assert!(status.get_details_retry_info().unwrap().retry_delay.unwrap() >= Duration::from_secs(1));
    let health = bed.register(&new).await.expect(201)["health"].take();
    assert_eq!((&health["connectivity"], &health["reason"]), (&json!("unknown"), &json!("Unreachable")), "{health}");
    assert_eq!(health["detail"], AWAY);
    let path = "/v2/cluster-providers/default/clusters/c1";
    let changed = bed.call(Method::PUT, path, Some(&door.registration())).await.expect(200);
    assert_eq!(changed["health"]["connectivity"], "unknown");
    let revoked = bed.post(&format!("{cloud}/user/revoke"), &json!({})).await.expect(202);
    let access = &revoked["clusters"][0]["c1"];
    assert_eq!((&access["access"], &access["reason"]), (&json!("Not Revoked Yet"), &json!("Unreachable")), "{access}");
    let ready: Value = bed.get("/readyz").await.expect(200);
    assert_eq!(ready["status"], "ready");
    // It serves all the same what needs no cluster.
    bed.get(&format!("{cloud}/manifests")).await.expect(200);
    bed.get(path).await.expect(200);
    assert_eq!((door.came(), new.came()), (came, 0), "nobody but the synchronizer goes to the clusters");
    assert_eq!(subjects(&door, "lc-1"), before);

    bed.start_synchronizer().await;
    // What was ordered is carried out, and the user is another one.
    until_so(PATIENCE, "revoked", async || subjects(&door, "lc-1").first().is_some_and(|name| *name != before[0]))
        .await;
    let compared = until(PATIENCE, "a diff", async || {
        let reply = bed.get(&diff).await;
        if reply.status == 200 { Ok(reply.body) } else { Err(reply.body) }
    })
    .await;
    assert!(compared["clusters"][0]["c1"]["changes"].is_array(), "{compared}");
    assert!(door.came() > came);
    let changed = bed.call(Method::PUT, path, Some(&door.registration())).await.expect(200);
    assert_eq!(changed["health"]["connectivity"], "available");
    bed.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_main_server_that_knows_no_synchronizer_says_so_and_asks_one_as_soon_as_it_is_registered() {
    let door = Door::open("c1").await;
    let mut bed = Bed::main_as("main").await;
    let health = bed.register(&door).await.expect(201)["health"].take();
    let unknown = "no synchronizer is known here, and only a synchronizer reaches clusters: give --synchronizer";
    assert_eq!(health["connectivity"], "unknown", "{health}");
    assert!(health["detail"].as_str().unwrap().starts_with(unknown), "{health}");
    let cloud = bed.cloud("lc-1", &[&door]).await;
    is_away(&bed.get(&format!("{cloud}/diff")).await, unknown);
    until(PATIENCE, "waited for", async || {
        let ready = bed.get("/readyz").await.expect(200);
        let is_so = ready["waiting-for"][0]["reason"].as_str().is_some_and(|reason| reason.contains("rsync"));
        if is_so { Ok(()) } else { Err(ready) }
    })
    .await;
    assert_eq!(door.came(), 0);
    bed.start_synchronizer().await;
    bed.get(&format!("{cloud}/diff")).await.expect(200);
    assert!(door.came() > 0);
    bed.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_synchronizer_serves_nobody_whose_identity_is_not_allowed() {
    let door = Door::open("c1").await;
    let mut bed = Bed::main_as("other").await;
    bed.start_synchronizer().await;
    let health = bed.register(&door).await.expect(201)["health"].take();
    assert_eq!(health["connectivity"], "unknown", "{health}");
    let cloud = bed.cloud("lc-1", &[&door]).await;
    is_away(&bed.get(&format!("{cloud}/diff")).await, "the synchronizer does not serve this server");
    assert_eq!(door.came(), 0);
    // Anybody hears that it serves, but it serves not everybody.
    let refused = async || {
        let ready = bed.get("/readyz").await.expect(200);
        let waits = ready["waiting-for"].as_array().cloned().unwrap_or_default();
        waits.iter().any(|one| {
            one["part"] == "synchronizer"
                && one["reason"].as_str().is_some_and(|why| why.starts_with("it refuses this server"))
        })
    };
    let begun = Instant::now();
    while !refused().await {
        assert!(begun.elapsed() < Duration::from_secs(20), "{}", bed.get("/readyz").await.expect(200));
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    bed.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deadline_goes_along_and_a_client_that_goes_away_is_not_worked_for() {
    let door = Door::open("c1").await;
    let bed = Bed::split().await;
    bed.register(&door).await.expect(201);
    let cloud = bed.applied("lc-1", &[&door]).await;
    bed.post(
        &format!("{cloud}/user-permissions"),
        &json!({ "name": "more", "apiGroups": [""], "resources": ["services"], "verbs": ["get"] }),
    )
    .await
    .expect(200);
    door.cluster.faults().set_latency(Duration::from_secs(30));
    let in_flight = async || {
        let http = bed.synchronizer.as_ref().unwrap().http_addr();
        let text = reqwest::get(format!("http://{http}/metrics")).await.unwrap().text().await.unwrap();
        let line = text.lines().find(|line| line.starts_with("dcm_grpc_calls_in_flight ")).unwrap().to_owned();
        line.rsplit(' ').next().unwrap().parse::<u64>().unwrap()
    };
    let begun = Instant::now();
    let status = ask_over_grpc(&bed, Duration::from_secs(2)).await.unwrap_err();
    assert!(matches!(status.code(), Code::DeadlineExceeded | Code::Cancelled), "{status:?}");
    assert!(begun.elapsed() < Duration::from_secs(8), "{:?}", begun.elapsed());
    until_so(Duration::from_secs(5), "dropped there", async || in_flight().await == 0).await;

    // One that waits longer, and goes away.
    let http = bed.main.http_addr();
    let asking = tokio::spawn(reqwest::get(format!("http://{http}{cloud}/diff")));
    until_so(PATIENCE, "asked there", async || in_flight().await == 1).await;
    asking.abort();
    until_so(Duration::from_secs(5), "dropped there", async || in_flight().await == 0).await;
    door.cluster.faults().set_latency(Duration::ZERO);
    bed.stop().await;
}
