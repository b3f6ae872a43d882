//! Watches: what they tell is what REST's tell, and each edge goes on where the other left off.

use std::collections::VecDeque;

use dcm_proto::v1::{self as pb, watch_response::Event};
use reqwest::Method;
use serde_json::{Value, json};
use tonic::{Code, Streaming};

use crate::{
    same,
    support::{CLOUDS, Dcm, LC, PATIENCE, cloud, kubeconfig, refused_alike},
};

/// One thing that a watch told, in REST's words.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Told {
    id: String,
    name: &'static str,
    data: Value,
}

/// Server-sent events.
struct Events {
    response: reqwest::Response,
    text: String,
    read: VecDeque<Told>,
}

impl Events {
    async fn next(&mut self) -> Told {
        loop {
            if let Some(told) = self.read.pop_front() {
                return told;
            }
            let chunk = tokio::time::timeout(PATIENCE, self.response.chunk()).await.unwrap().unwrap();
            self.text.push_str(std::str::from_utf8(&chunk.expect("the events ended")).unwrap());
            while let Some((event, rest)) = self.text.split_once("\n\n") {
                let field = |name: &str| event.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
                let name = match field("event: ") {
                    "put" => "put",
                    "deleted" => "deleted",
                    "synced" => "synced",
                    "ended" => "ended",
                    _ => "",
                };
                let told = Told {
                    id: field("id: ").to_owned(),
                    name,
                    data: serde_json::from_str(field("data: ")).unwrap_or_default(),
                };
                let rest = rest.to_owned();
                if !name.is_empty() {
                    self.read.push_back(told);
                }
                self.text = rest;
            }
        }
    }
}

/// What a message of a watch says in REST's words.
fn told(message: &pb::WatchResponse) -> Told {
    let put = |etag: &str, record: Value| {
        let mut data = json!({ "record": record });
        if !etag.is_empty() {
            data["etag"] = json!(etag);
        }
        ("put", data)
    };
    let (name, data) = match message.event.as_ref().unwrap() {
        Event::LogicalCloud(cloud) => put(&cloud.etag, same::cloud(cloud)),
        Event::ClusterReference(reference) => put(&reference.etag, same::reference(reference)),
        Event::UserPermissions(all) => {
            let flat: Vec<Value> = all.user_permissions.iter().map(same::flat_permission).collect();
            put(&all.etag, json!({ "permissions": flat }))
        }
        Event::Quota(quota) => put(&quota.etag, same::quota(quota)),
        Event::KvPair(pair) => put(&pair.etag, same::kv_pair(pair)),
        Event::Status(update) => {
            assert!(!update.more, "a few clusters are told at once");
            put("", same::status(update.status.as_ref().unwrap()))
        }
        Event::Deleted(name) => ("deleted", json!({ "name": name })),
        Event::Synced(_) => ("synced", json!({})),
        Event::Ended(_) => ("ended", json!({})),
    };
    Told { id: message.event_id.clone(), name, data }
}

async fn next(watch: &mut Streaming<pb::WatchResponse>) -> Told {
    told(&tokio::time::timeout(PATIENCE, watch.message()).await.unwrap().unwrap().expect("the watch ended"))
}

fn asked(watched: pb::Watched, last_event_id: &str) -> pb::WatchRequest {
    let logical_cloud = if watched == pb::Watched::LogicalClouds { String::new() } else { "lc-1".to_owned() };
    pb::WatchRequest {
        project: "p".to_owned(),
        logical_cloud,
        watched: watched.into(),
        last_event_id: last_event_id.to_owned(),
        ..Default::default()
    }
}

impl Dcm {
    async fn events(&self, path: &str, last_event_id: &str) -> Events {
        let request = self.request(Method::GET, &format!("{path}?watch=true")).header("last-event-id", last_event_id);
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 200);
        Events { response, text: String::new(), read: VecDeque::new() }
    }

    async fn watch(&self, watched: pb::Watched, last_event_id: &str) -> Streaming<pb::WatchResponse> {
        self.clouds().watch(asked(watched, last_event_id)).await.unwrap().into_inner()
    }
}

/// Each list, with a change of it.
const LISTS: [(pb::Watched, &str); 5] = [
    (pb::Watched::LogicalClouds, CLOUDS),
    (pb::Watched::ClusterReferences, "/v2/projects/p/logical-clouds/lc-1/cluster-references"),
    (pb::Watched::UserPermissions, "/v2/projects/p/logical-clouds/lc-1/user-permissions"),
    (pb::Watched::Quotas, "/v2/projects/p/logical-clouds/lc-1/cluster-quotas"),
    (pb::Watched::KvPairs, "/v2/projects/p/logical-clouds/lc-1/kv-pairs"),
];

impl Dcm {
    async fn change_all(&self, round: usize) {
        let mut body = cloud();
        body["metadata"]["description"] = json!(format!("round {round}"));
        self.put(LC, &body).await.expect(200);
        let reference = json!({ "metadata": { "name": format!("r{round}") }, "spec": { "cluster-name": format!("c{round}"), "loadbalancer-ip": "0.0.0.0" } });
        self.post(LISTS[1].1, &reference).await.expect(200);
        let rule = json!({ "name": format!("u{round}"), "apiGroups": [""], "resources": ["pods"], "verbs": ["get"] });
        self.post(LISTS[2].1, &rule).await.expect(200);
        let quota = json!({ "metadata": { "name": format!("q{round}") }, "spec": { "pods": round.to_string() } });
        self.post(LISTS[3].1, &quota).await.expect(201);
        let pair = json!({ "metadata": { "name": format!("k{round}") }, "spec": { "kv": [{ "round": round }] } });
        self.post(LISTS[4].1, &pair).await.expect(201);
    }
}

#[tokio::test]
async fn both_edges_tell_the_same_and_go_on_where_the_other_left_off() {
    let dcm = Dcm::start(&[]).await;
    dcm.with_cloud().await;
    for name in ["c0", "c1", "c2"] {
        let body = json!({ "metadata": { "name": name }, "spec": { "kubeconfig": kubeconfig() } });
        dcm.post("/v2/cluster-providers/default/clusters", &body).await.expect(201);
    }
    dcm.change_all(0).await;
    let mut open = Vec::new();
    for (watched, path) in LISTS {
        let (mut grpc, mut rest) = (dcm.watch(watched, "").await, dcm.events(path, "").await);
        loop {
            let (one, other) = (next(&mut grpc).await, rest.next().await);
            assert_eq!(one, other, "{watched:?}");
            if one.name == "synced" {
                break;
            }
        }
        open.push((watched, path, grpc, rest));
    }
    dcm.change_all(1).await;
    let mut left_off = Vec::new();
    for (watched, path, mut grpc, mut rest) in open {
        let (one, other) = (next(&mut grpc).await, rest.next().await);
        assert_eq!((one.name, &one.data), ("put", &other.data), "{watched:?}");
        left_off.push((watched, path, one.id, other.id));
    }
    dcm.delete(&format!("{LC}/user-permissions/u1")).await.expect(204);
    dcm.delete(&format!("{LC}/cluster-quotas/q1")).await.expect(204);
    dcm.delete(&format!("{LC}/kv-pairs/k1")).await.expect(204);
    dcm.delete(&format!("{LC}/cluster-references/r1")).await.expect(204);
    // Crosswise: what came after each event is told by the other edge.
    for (watched, path, by_grpc, by_rest) in left_off {
        let (mut grpc, mut rest) = (dcm.watch(watched, &by_rest).await, dcm.events(path, &by_grpc).await);
        let (one, other) = (next(&mut grpc).await, rest.next().await);
        assert_eq!((one.name, &one.data), (other.name, &other.data), "{watched:?}");
        // A reference is marked first; permissions go with a change of their logical cloud.
        let goes_at_once = matches!(watched, pb::Watched::Quotas | pb::Watched::KvPairs);
        assert_eq!(one.name, if goes_at_once { "deleted" } else { "put" }, "{watched:?}");
    }
    dcm.stop().await;
}

#[tokio::test]
async fn the_status_is_told_until_it_is_created_and_the_end_of_the_cloud_ends_the_watch() {
    let dcm = Dcm::start(&[]).await;
    dcm.with_reference().await;
    let mut watch = dcm.watch(pb::Watched::Status, "").await;
    assert_eq!(next(&mut watch).await.data["record"]["status"], "Not Created");
    assert_eq!(next(&mut watch).await.name, "synced");
    dcm.order(&format!("{LC}/apply")).await.expect(200);
    while next(&mut watch).await.data["record"]["status"] != "Created" {}
    dcm.delete(LC).await.expect(202);
    let mut last = next(&mut watch).await;
    while last.name == "put" {
        last = next(&mut watch).await;
    }
    assert_eq!((last.name, last.id.as_str()), ("ended", ""));
    // And nothing follows: the call ends well.
    assert_eq!(watch.message().await.unwrap(), None);
    dcm.stop().await;
}

#[tokio::test]
async fn only_what_is_selected_is_told() {
    let dcm = Dcm::start(&[]).await;
    dcm.with_cloud().await;
    let selecting = |selector: &str| pb::WatchRequest {
        label_selector: selector.to_owned(),
        ..asked(pb::Watched::LogicalClouds, "")
    };
    for (selector, first) in [("tier=web", "put"), ("tier=db", "synced")] {
        let mut watch = dcm.clouds().watch(selecting(selector)).await.unwrap().into_inner();
        assert_eq!(next(&mut watch).await.name, first);
    }
    dcm.stop().await;
}

#[tokio::test]
async fn a_position_of_another_list_is_refused_in_the_same_words() {
    let dcm = Dcm::start(&[]).await;
    dcm.with_cloud().await;
    let mut watch = dcm.watch(pb::Watched::LogicalClouds, "").await;
    let id = next(&mut watch).await.id;
    for id in [id.as_str(), "7"] {
        let rest =
            dcm.send(dcm.request(Method::GET, &format!("{LC}/kv-pairs?watch=true")).header("last-event-id", id)).await;
        assert_eq!(rest.status, 410);
        let status = refused_alike(rest, dcm.clouds().watch(asked(pb::Watched::KvPairs, id)).await);
        assert_eq!(status.code(), Code::OutOfRange);
    }
    dcm.stop().await;
}

#[tokio::test]
async fn what_cannot_be_watched_says_so() {
    let dcm = Dcm::start(&[]).await;
    dcm.with_cloud().await;
    let of_a_cloud = asked(pb::Watched::KvPairs, "");
    for (bad, field) in [
        (asked(pb::Watched::Unspecified, ""), "watched"),
        (pb::WatchRequest { watched: 77, ..of_a_cloud.clone() }, "watched"),
        (pb::WatchRequest { logical_cloud: String::new(), ..of_a_cloud.clone() }, "logical_cloud"),
        (pb::WatchRequest { label_selector: "a=b".to_owned(), ..of_a_cloud.clone() }, "label_selector"),
        (
            pb::WatchRequest { logical_cloud: "lc-1".to_owned(), ..asked(pb::Watched::LogicalClouds, "") },
            "logical_cloud",
        ),
        (pb::WatchRequest { page_size: 1, ..of_a_cloud.clone() }, "page_size"),
        (pb::WatchRequest { cluster_reference: Some("c".to_owned()), ..of_a_cloud.clone() }, "cluster_reference"),
        (pb::WatchRequest { page_size: 1001, ..asked(pb::Watched::Status, "") }, "page_size"),
        (
            pb::WatchRequest { cluster_reference: Some("a b".to_owned()), ..asked(pb::Watched::Status, "") },
            "cluster_reference",
        ),
    ] {
        let status = dcm.clouds().watch(bad).await.unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument);
        assert_eq!(same::of_status(&status)["errors"][0]["field"], field);
    }
    dcm.stop().await;
}

#[tokio::test]
async fn what_is_not_a_logical_clouds_is_watched_too() {
    let dcm = Dcm::start(&[]).await;
    dcm.post("/v2/projects", &json!({ "metadata": { "name": "a" } })).await.expect(201);
    let mut watch = dcm.projects().watch_projects(pb::WatchProjectsRequest::default()).await.unwrap().into_inner();
    let first = watch.message().await.unwrap().unwrap();
    let Some(pb::watch_projects_response::Event::Project(project)) = &first.event else { panic!("{first:?}") };
    assert_eq!(dcm.get("/v2/projects/a").await.expect(200), same::project(project));

    let mut watch =
        dcm.clusters().watch_cluster_providers(pb::WatchClusterProvidersRequest::default()).await.unwrap().into_inner();
    let first = watch.message().await.unwrap().unwrap();
    let Some(pb::watch_cluster_providers_response::Event::ClusterProvider(provider)) = &first.event else {
        panic!("{first:?}")
    };
    assert_eq!(dcm.get("/v2/cluster-providers/default").await.expect(200), same::provider(provider));

    let asked = pb::WatchClustersRequest { cluster_provider: "default".to_owned(), ..Default::default() };
    let mut watch = dcm.clusters().watch_clusters(asked).await.unwrap().into_inner();
    let first = watch.message().await.unwrap().unwrap();
    assert!(matches!(first.event, Some(pb::watch_clusters_response::Event::Synced(_))), "{first:?}");
    let body = json!({ "metadata": { "name": "c" }, "spec": { "kubeconfig": kubeconfig() } });
    dcm.post("/v2/cluster-providers/default/clusters", &body).await.expect(201);
    let next = watch.message().await.unwrap().unwrap();
    let Some(pb::watch_clusters_response::Event::Cluster(cluster)) = &next.event else { panic!("{next:?}") };
    assert_eq!(cluster.provider, "default");

    let asked = pb::WatchClusterKvPairsRequest {
        cluster_provider: "default".to_owned(),
        cluster: "c".to_owned(),
        ..Default::default()
    };
    let mut watch = dcm.clusters().watch_cluster_kv_pairs(asked).await.unwrap().into_inner();
    assert!(watch.message().await.unwrap().unwrap().event.is_some());
    let pair = json!({ "metadata": { "name": "k" }, "spec": { "kv": [{ "a": 1 }] } });
    dcm.post("/v2/cluster-providers/default/clusters/c/kv-pairs", &pair).await.expect(201);
    let next = watch.message().await.unwrap().unwrap();
    let Some(pb::watch_cluster_kv_pairs_response::Event::KvPair(told)) = &next.event else { panic!("{next:?}") };
    assert_eq!(pair, same::kv_pair(told));

    let mut watch =
        dcm.controllers().watch_controllers(pb::WatchControllersRequest::default()).await.unwrap().into_inner();
    assert!(watch.message().await.unwrap().unwrap().event.is_some());
    let controller = json!({ "metadata": { "name": "ca" }, "spec": { "host": "h", "port": 1 } });
    dcm.post("/v2/controllers", &controller).await.expect(201);
    let next = watch.message().await.unwrap().unwrap();
    let Some(pb::watch_controllers_response::Event::Controller(told)) = &next.event else { panic!("{next:?}") };
    assert_eq!(controller, same::controller(told));
    dcm.stop().await;
}
