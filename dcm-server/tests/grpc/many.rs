//! Logical clouds on many clusters: every answer fits into what a gRPC client takes that was told of no limit.

use std::{collections::BTreeSet, sync::Arc};

use dcm_core::{
    keys,
    model::{ClusterReference, ClusterStatus, Credential, Uid},
    name::ReferenceName,
    secret::{Sealer as _, Secret},
    store::{Store, StoreExt as _},
};
use dcm_proto::v1 as pb;
use dcm_store::{
    encryption::{AeadSealer, Keyring},
    memory::MemoryStore,
};
use prost::Message as _;
use serde_json::{Value, json};
use tempfile::TempDir;
use tonic::Code;
use tonic_types::StatusExt as _;

use crate::{
    same,
    support::{CLUSTERS, Dcm, LC, kubeconfig},
};

/// What clients take that were told of no limit.
const LIMIT: usize = 4 * 1024 * 1024;

/// The logical cloud `lc-1` as a store has it that knows many clusters of it, without their registrations.
pub(crate) struct Many {
    pub(crate) dcm: Dcm,
    pub(crate) store: Arc<MemoryStore>,
    pub(crate) cloud: Uid,
    folder: TempDir,
}

impl Many {
    /// With clusters `c-00000` and so on, each of which is away for a reason that is told in so many bytes.
    pub(crate) async fn start(count: usize, bytes: usize) -> Self {
        let (store, folder) = (Arc::new(MemoryStore::new()), tempfile::tempdir().unwrap());
        let options = ["--resync-period", "0s", "--encryption-key-file", &key_in(&folder)];
        let dcm = Dcm::over(Arc::clone(&store) as _, &options).await;
        dcm.with_cloud().await;
        let listed = pb::ListLogicalCloudsRequest { project: "p".to_owned(), ..Default::default() };
        let listed = dcm.clouds().list_logical_clouds(listed).await.unwrap().into_inner();
        let cloud = Uid::parse(&listed.logical_clouds[0].uid).unwrap();
        let many = Self { dcm, store, cloud, folder };
        for number in 0..count {
            many.add(&name(number), bytes).await;
        }
        many
    }

    /// The key of all servers on this store.
    pub(crate) fn key(&self) -> String {
        key_in(&self.folder)
    }

    pub(crate) async fn add(&self, name: &str, bytes: usize) {
        let reference: ReferenceName = name.parse().unwrap();
        let document = json!({
            "uid": self.cloud, "metadata": { "name": name }, "cluster-provider": "default", "cluster-name": name,
            "loadbalancer-ip": "0.0.0.0",
        });
        let document: ClusterReference = serde_json::from_value(document).unwrap();
        self.store.insert(&keys::reference(&self.cloud, &reference).unwrap(), &document).await.unwrap();
        self.store.insert(&keys::status(&self.cloud, &reference).unwrap(), &self.status(name, bytes)).await.unwrap();
    }

    fn status(&self, name: &str, bytes: usize) -> ClusterStatus {
        let document = json!({
            "cloud": self.cloud, "reference": name, "reference-uid": self.cloud, "cluster-provider": "default",
            "cluster-name": name, "goal": "absent", "generation": 1, "reached": false, "parts": {}, "inventory": [],
            "connectivity": "unavailable", "since": "2026-01-02T03:04:05Z",
            "failure": { "reason": "Unreachable", "detail": "x".repeat(bytes) },
        });
        serde_json::from_value(document).unwrap()
    }

    /// The cluster is away for another reason.
    pub(crate) async fn change(&self, name: &str, bytes: usize) {
        let key = keys::status(&self.cloud, &name.parse().unwrap()).unwrap();
        let status = self.status(name, bytes);
        self.store.update(&key, |_| Ok::<_, dcm_core::store::Error>(status.clone())).await.unwrap();
    }

    pub(crate) async fn remove(&self, name: &str) {
        let name = name.parse().unwrap();
        for key in [keys::status(&self.cloud, &name).unwrap(), keys::reference(&self.cloud, &name).unwrap()] {
            let found = self.store.get(&key).await.unwrap().unwrap();
            self.store.delete(&key, &found.revision).await.unwrap();
        }
    }

    /// As though a kubeconfig of some more than so many bytes had been issued for a cluster, like the one that there is for `c`.
    async fn issue(&self, name: &str, bytes: usize) {
        self.add(name, 1).await;
        let key = |name: &str| keys::credential(&self.cloud, &name.parse().unwrap()).unwrap();
        let mut credential = self.store.load::<Credential>(&key("c")).await.unwrap().unwrap().value;
        let mut config = kubeconfig();
        config["clusters"][0]["cluster"]["certificate-authority-data"] = json!("A".repeat(bytes));
        let sealer = AeadSealer::new(Keyring::load_or_create(self.key().as_ref()).unwrap()).unwrap();
        credential.kubeconfig = sealer.seal(&key(name), &Secret::new(config.to_string())).unwrap();
        self.store.insert(&key(name), &credential).await.unwrap();
    }

    async fn page(&self, page_size: i32, page_token: &str) -> pb::GetStatusResponse {
        let asked = pb::GetStatusRequest { page_size, page_token: page_token.to_owned(), ..asked() };
        // The client's own limit is the default one.
        let page = self.dcm.clouds().get_status(asked).await.unwrap().into_inner();
        assert!(page.encoded_len() < LIMIT, "{}", page.encoded_len());
        page
    }

    /// All pages, and how many there were.
    async fn pages(&self, page_size: i32) -> (pb::LogicalCloudStatus, usize) {
        let (mut clusters, mut token) = (Vec::new(), String::new());
        for count in 1.. {
            let page = self.page(page_size, &token).await;
            let mut status = page.status.unwrap();
            clusters.append(&mut status.clusters);
            if page.next_page_token.is_empty() {
                return (pb::LogicalCloudStatus { clusters, ..status }, count);
            }
            token = page.next_page_token;
        }
        unreachable!("pages end");
    }
}

fn key_in(folder: &TempDir) -> String {
    folder.path().join("key").display().to_string()
}

pub(crate) fn name(number: usize) -> String {
    format!("c-{number:05}")
}

fn asked() -> pb::GetStatusRequest {
    pb::GetStatusRequest { project: "p".to_owned(), logical_cloud: "lc-1".to_owned(), ..Default::default() }
}

pub(crate) fn names(status: &pb::LogicalCloudStatus) -> Vec<String> {
    status.clusters.iter().map(|cluster| cluster.cluster_reference.clone()).collect()
}

#[tokio::test]
async fn the_status_of_ten_thousand_clusters_is_read_by_a_client_that_knows_no_limits() {
    const COUNT: usize = ClusterReference::MOST;
    // As a whole some 20 MiB.
    let many = Many::start(COUNT, 300).await;
    let all: Vec<String> = (0..COUNT).map(name).collect();
    let (status, pages) = many.pages(0).await;
    assert_eq!((names(&status), pages, status.cluster_count), (all.clone(), 20, COUNT as u32));
    // A page of a thousand would have some 2 MiB.
    let (status, pages) = many.pages(1000).await;
    assert_eq!((names(&status), pages), (all, 10));
    many.dcm.stop().await;
}

#[tokio::test]
async fn a_page_ends_where_a_message_has_no_room_and_says_what_rest_says() {
    const COUNT: usize = 1500;
    // A page of a thousand would have some 9 MiB.
    let many = Many::start(COUNT, 1500).await;
    let (status, pages) = many.pages(1000).await;
    assert!((5..=7).contains(&pages), "{pages}");
    assert_eq!(many.dcm.get(&format!("{LC}/status")).await.expect(200), same::status(&status));
    assert_eq!(status.cluster_count, COUNT as u32);
    many.dcm.stop().await;
}

#[tokio::test]
async fn who_reads_page_by_page_loses_no_cluster_and_meets_none_twice_while_they_change() {
    const COUNT: usize = 300;
    let many = Many::start(COUNT, 10).await;
    let (mut token, mut told) = (String::new(), Vec::new());
    for round in 0.. {
        let page = many.page(7, &token).await;
        let status = page.status.unwrap();
        assert!(status.clusters.len() <= 7);
        told.extend(names(&status));
        if page.next_page_token.is_empty() {
            break;
        }
        token = page.next_page_token;
        // Those before, at and after the place where the next page begins.
        for number in (round..COUNT).step_by(11) {
            many.change(&name(number), round).await;
        }
        // Others come and go on both sides of it.
        many.add(&format!("a-{round}"), 1).await;
        many.add(&format!("{token}-new"), 1).await;
        if let Some(before) = told.iter().find(|name| name.ends_with("-new")) {
            many.remove(before).await;
            told.retain(|name| !name.ends_with("-new"));
        }
    }
    told.retain(|name| !name.ends_with("-new"));
    assert_eq!(told, (0..COUNT).map(name).collect::<Vec<_>>());
    many.dcm.stop().await;
}

#[tokio::test]
async fn one_cluster_is_told_alone_and_the_whole_with_it() {
    let many = Many::start(30, 10).await;
    let one = |name: &str| pb::GetStatusRequest { cluster_reference: Some(name.to_owned()), ..asked() };
    let answer = many.dcm.clouds().get_status(one("c-00017")).await.unwrap().into_inner();
    let (whole, _) = many.pages(0).await;
    let status = answer.status.unwrap();
    assert_eq!((&status.clusters[..], answer.next_page_token.as_str()), (&whole.clusters[17..18], ""));
    assert_eq!((status.status, status.cluster_count), (whole.status, 30));
    // One that is there, and was not applied yet.
    let body = json!({ "metadata": { "name": "new" }, "spec": { "kubeconfig": kubeconfig() } });
    many.dcm.post(CLUSTERS, &body).await.expect(201);
    let reference = json!({ "cluster-reference": "new", "loadbalancer-ip": "0.0.0.0" });
    many.dcm.post(&format!("{LC}/cluster-references"), &reference).await.expect(200);
    let answer = many.dcm.clouds().get_status(one("new")).await.unwrap().into_inner();
    assert_eq!(answer.status.unwrap().clusters, []);
    // One that is not there at all.
    assert_eq!(many.dcm.clouds().get_status(one("c-99999")).await.unwrap_err().code(), Code::NotFound);
    many.dcm.stop().await;
}

#[tokio::test]
async fn what_is_no_page_of_a_status_names_the_field() {
    let dcm = Dcm::start(&[]).await;
    dcm.with_cloud().await;
    for (bad, field) in [
        (pb::GetStatusRequest { page_size: -1, ..asked() }, "page_size"),
        (pb::GetStatusRequest { page_size: 1001, ..asked() }, "page_size"),
        (pb::GetStatusRequest { page_token: "a b".to_owned(), ..asked() }, "page_token"),
        (pb::GetStatusRequest { cluster_reference: Some(String::new()), ..asked() }, "cluster_reference"),
        (pb::GetStatusRequest { cluster_reference: Some("a b".to_owned()), ..asked() }, "cluster_reference"),
        // Where one cluster is asked for, no page follows.
        (
            pb::GetStatusRequest { cluster_reference: Some("c".to_owned()), page_token: "c".to_owned(), ..asked() },
            "page_token",
        ),
    ] {
        let status = dcm.clouds().get_status(bad).await.unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument);
        assert_eq!(same::of_status(&status)["errors"][0]["field"], field);
    }
    dcm.stop().await;
}

#[tokio::test]
async fn a_list_of_large_records_comes_in_pages_that_every_client_takes() {
    let dcm = Dcm::start(&[]).await;
    dcm.with_cloud().await;
    for number in 0..8 {
        let pair = json!({ "metadata": { "name": format!("k{number}") }, "spec": { "kv": [{ "k": "x".repeat(900 * 1024) }] } });
        dcm.post(&format!("{LC}/kv-pairs"), &pair).await.expect(201);
    }
    let (mut token, mut told) = (String::new(), BTreeSet::new());
    loop {
        let asked = pb::ListKvPairsRequest {
            project: "p".to_owned(),
            logical_cloud: "lc-1".to_owned(),
            page_token: token,
            ..Default::default()
        };
        let page = dcm.clouds().list_kv_pairs(asked).await.unwrap().into_inner();
        for pair in page.kv_pairs {
            assert!(told.insert(pair.metadata.unwrap().name.unwrap()));
        }
        token = page.next_page_token;
        if token.is_empty() {
            break;
        }
    }
    assert_eq!(told.len(), 8);
    dcm.stop().await;
}

#[tokio::test]
async fn a_kubeconfig_for_all_clusters_that_clients_would_not_take_says_to_ask_for_each() {
    let many = Many::start(0, 0).await;
    let dcm = &many.dcm;
    let cluster = json!({ "metadata": { "name": "c" }, "spec": { "kubeconfig": kubeconfig() } });
    dcm.post(CLUSTERS, &cluster).await.expect(201);
    let reference = json!({ "cluster-reference": "c", "loadbalancer-ip": "0.0.0.0" });
    dcm.post(&format!("{LC}/cluster-references"), &reference).await.expect(200);
    dcm.order(&format!("{LC}/apply")).await.expect(200);
    dcm.wait_for(pb::OverallStatus::Created).await;
    let get = async |reference: Option<&str>, format: pb::KubeconfigFormat| {
        let asked = pb::GetKubeconfigRequest {
            project: "p".to_owned(),
            logical_cloud: "lc-1".to_owned(),
            cluster_reference: reference.map(str::to_owned),
            format: format.into(),
        };
        dcm.clouds().get_kubeconfig(asked).await
    };
    for name in ["c-0", "c-1", "c-2"] {
        many.issue(name, 1_000_000).await;
    }
    // As much as there is room for, in both forms.
    for format in [pb::KubeconfigFormat::Json, pb::KubeconfigFormat::Yaml] {
        let text = get(None, format).await.unwrap().into_inner().kubeconfig;
        assert!((3_000_000..LIMIT).contains(&text.len()), "{}", text.len());
    }
    many.issue("c-3", 1_000_000).await;
    let status = get(None, pb::KubeconfigFormat::Json).await.unwrap_err();
    assert_eq!(status.code(), Code::ResourceExhausted);
    assert_eq!(status.get_error_details().error_info().unwrap().reason, "ANSWER_TOO_LARGE");
    assert!(status.message().contains("ask for each by its cluster reference"), "{}", status.message());
    let one = get(Some("c-3"), pb::KubeconfigFormat::Json).await.unwrap().into_inner();
    assert!(serde_json::from_str::<Value>(&one.kubeconfig).is_ok());
    // REST's clients know no such limit.
    let whole = dcm.get(&format!("{LC}/kubeconfig")).await.expect(200);
    assert_eq!(whole["contexts"].as_array().unwrap().len(), 5);
    many.dcm.stop().await;
}
