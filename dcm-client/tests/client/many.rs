//! A status that the server tells in pages and in parts is whole for who uses this client.

use dcm_client::{Client, Event, Kind, Watch, v1 as pb};
use futures_util::StreamExt as _;
use pb::watch_response::Event as Told;

use crate::support::{client, cloud, named, soon, start};

const CLUSTERS: [&str; 5] = ["a", "b", "c", "d", "e"];

/// Makes the logical cloud `lc-1` on five clusters, and applies it.
async fn apply(dcm: &Client) {
    let (project, logical_cloud) = of();
    dcm.logical_clouds().create_logical_cloud(cloud("ns-1")).await.unwrap();
    for name in CLUSTERS {
        let spec = pb::ClusterSpec { kubeconfig: Some(KUBECONFIG.to_owned()), ..Default::default() };
        let cluster = pb::Cluster { metadata: named(name), spec: Some(spec), ..Default::default() };
        let made = pb::CreateClusterRequest { cluster_provider: "default".to_owned(), cluster: Some(cluster) };
        dcm.clusters().create_cluster(made).await.unwrap();
        let spec = pb::ClusterReferenceSpec {
            cluster_name: Some(name.to_owned()),
            loadbalancer_ip: Some("0.0.0.0".to_owned()),
            ..Default::default()
        };
        let reference = pb::ClusterReference { metadata: named(name), spec: Some(spec), ..Default::default() };
        let made = pb::CreateClusterReferenceRequest {
            project: project.clone(),
            logical_cloud: logical_cloud.clone(),
            cluster_reference: Some(reference),
        };
        dcm.logical_clouds().create_cluster_reference(made).await.unwrap();
    }
    let order = pb::ApplyRequest { project, logical_cloud, ..Default::default() };
    dcm.logical_clouds().apply(order).await.unwrap();
}

fn of() -> (String, String) {
    ("p".to_owned(), "lc-1".to_owned())
}

fn watch(dcm: &Client, page_size: i32, last_event_id: &str) -> Watch<pb::WatchResponse> {
    let (project, logical_cloud) = of();
    dcm.logical_clouds().watch(pb::WatchRequest {
        project,
        logical_cloud,
        watched: pb::Watched::Status.into(),
        page_size,
        last_event_id: last_event_id.to_owned(),
        ..Default::default()
    })
}

fn names(status: &pb::LogicalCloudStatus) -> Vec<&str> {
    status.clusters.iter().map(|cluster| cluster.cluster_reference.as_str()).collect()
}

/// The next that is told, and its id.
async fn next(watch: &mut Watch<pb::WatchResponse>) -> (Told, String) {
    match soon(watch.next()).await.expect("the watch has ended").unwrap() {
        Event::Told(told) => (told.event.unwrap(), told.event_id),
        Event::Restarted => panic!("restarted"),
    }
}

#[tokio::test]
async fn a_watch_tells_all_clusters_however_many_parts_come() {
    let server = start().await;
    let dcm = client(server.grpc_addr());
    apply(&dcm).await;
    for page_size in [1, 2, 0] {
        let mut watch = watch(&dcm, page_size, "");
        loop {
            let Told::Status(update) = next(&mut watch).await.0 else { continue };
            let status = update.status.unwrap();
            assert!(!update.more);
            assert_eq!(names(&status), CLUSTERS, "{page_size}");
            if status.status() == pb::OverallStatus::Created {
                break;
            }
        }
    }
    server.stop().await;
}

#[tokio::test]
async fn a_watch_goes_on_after_a_state_that_came_in_parts() {
    let server = start().await;
    let dcm = client(server.grpc_addr());
    apply(&dcm).await;
    let mut first = watch(&dcm, 2, "");
    let last = loop {
        let (told, id) = next(&mut first).await;
        let Told::Status(update) = told else { continue };
        if update.status.unwrap().status() == pb::OverallStatus::Created {
            break id;
        }
    };
    let mut resumed = watch(&dcm, 2, &last);
    let (project, logical_cloud) = of();
    let stop = pb::StopRequest { project, logical_cloud, ..Default::default() };
    dcm.logical_clouds().stop(stop).await.unwrap();
    let Told::Status(update) = next(&mut resumed).await.0 else { panic!("no status") };
    let status = update.status.unwrap();
    assert_eq!((status.status(), names(&status)), (pb::OverallStatus::Stopped, CLUSTERS.to_vec()));
    server.stop().await;
}

#[tokio::test]
async fn a_whole_status_is_read_page_by_page() {
    let server = start().await;
    let dcm = client(server.grpc_addr());
    apply(&dcm).await;
    let clouds = dcm.logical_clouds();
    let (project, logical_cloud) = of();
    let asked = pb::GetStatusRequest { project, logical_cloud, ..Default::default() };
    for page_size in [1, 2, 5, 0] {
        let asked = pb::GetStatusRequest { page_size, ..asked.clone() };
        let status = clouds.get_whole_status(asked).await.unwrap();
        assert_eq!((names(&status), status.cluster_count), (CLUSTERS.to_vec(), 5), "{page_size}");
    }
    let one = pb::GetStatusRequest { cluster_reference: Some("c".to_owned()), ..asked.clone() };
    assert_eq!(names(&clouds.get_whole_status(one).await.unwrap()), ["c"]);
    let refused = clouds.get_whole_status(pb::GetStatusRequest { page_size: 1001, ..asked }).await.unwrap_err();
    assert_eq!((refused.kind(), refused.faults()[0].place.as_str()), (Some(Kind::Malformed), "page_size"));
    server.stop().await;
}

/// Of the right form; it leads nowhere.
const KUBECONFIG: &str = r#"{
    "apiVersion": "v1", "kind": "Config", "current-context": "c",
    "clusters": [{ "name": "k", "cluster": { "server": "https://127.0.0.1:1",
        "certificate-authority-data": "LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0tCi0tLS0tRU5EIENFUlRJRklDQVRFLS0tLS0K" } }],
    "users": [{ "name": "u", "user": { "token": "t0ken" } }],
    "contexts": [{ "name": "c", "context": { "cluster": "k", "user": "u" } }]
}"#;
