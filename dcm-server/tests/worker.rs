//! The worker against simulated clusters that are down, slow, hostile, or come back.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails loudly")]

use std::time::{Duration, Instant};

use dcm_core::{
    lifecycle::Event,
    model::ClusterInput,
    service::{CloudId, CloudStatus, Dcm, Overall},
    sync::Reason,
};
use dcm_server::{Config, Running};
use dcm_sim::{Cluster, ClusterOptions, Fault};
use dcm_test_utils::{
    builders::{cloud_id, cloud_input, metadata, provider, reference_input},
    patience::{until, until_so},
};

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(30);

struct Setting {
    server: Running,
    clusters: Vec<Cluster>,
    id: CloudId,
}

/// A server on the memory store, and a logical cloud that refers to three clusters.
async fn setting() -> Setting {
    setting_of(3, "64").await
}

/// As many clusters as wanted, and so many of them worked on side by side.
async fn setting_of(clusters: usize, concurrency: &str) -> Setting {
    dcm_server::install_crypto_provider();
    let options = ["--http", "127.0.0.1:0", "--grpc", "127.0.0.1:0", "--store", "memory:", "--resync-period", "0s"];
    let options = options.into_iter().chain(["--cluster-concurrency", concurrency]);
    let server = dcm_server::start(Config::from_options(options).unwrap()).await.unwrap();
    let mut setting = Setting { server, clusters: Vec::new(), id: cloud_id("lc-1") };
    for number in 1..=clusters {
        let name = format!("c{number}");
        let cluster = Cluster::start(ClusterOptions::named(&name)).await.unwrap();
        let kubeconfig = Some(cluster.admin_kubeconfig());
        let input = ClusterInput { metadata: metadata(&name), kubeconfig, ..ClusterInput::default() };
        setting.dcm().create_cluster(&provider("default"), input.into()).await.unwrap();
        setting.clusters.push(cluster);
    }
    setting.create_cloud("lc-1", "ns-1").await;
    setting
}

impl Setting {
    fn dcm(&self) -> &Dcm {
        self.server.dcm()
    }

    /// A logical cloud that refers to all clusters.
    async fn create_cloud(&self, name: &str, namespace: &str) -> CloudId {
        let id = cloud_id(name);
        self.dcm().create_logical_cloud(&id.project, cloud_input(name, namespace).into()).await.unwrap();
        for cluster in &self.clusters {
            self.dcm().create_reference(&id, reference_input(cluster.name()).into()).await.unwrap();
        }
        id
    }

    async fn apply(&self) {
        self.dcm().apply(&self.id, Event::Apply, false).await.unwrap();
    }

    /// Waits until the status is as wanted.
    async fn until(&self, what: &str, wanted: impl Fn(&CloudStatus) -> bool) -> CloudStatus {
        self.until_of(&self.id, what, wanted).await
    }

    async fn until_of(&self, id: &CloudId, what: &str, wanted: impl Fn(&CloudStatus) -> bool) -> CloudStatus {
        until(PATIENCE, what, async || {
            let status = self.dcm().status(id).await.unwrap();
            if wanted(&status) { Ok(status) } else { Err(format!("{status:#?}")) }
        })
        .await
    }

    async fn until_overall(&self, wanted: Overall) {
        self.until(wanted.as_str(), |status| status.overall == wanted).await;
    }

    /// Waits until no order is left. The status says that all is done a moment before: what it is made of is
    /// recorded first, so that a crash in between loses nothing.
    async fn until_no_order_waits(&self) {
        let none = async || self.dcm().waiting_orders(None, 10).await.unwrap().is_empty();
        until_so(PATIENCE, "settled", none).await;
    }
}

/// How many of the clusters are as they should be.
fn reached(status: &CloudStatus) -> usize {
    status.clusters.iter().filter(|(_, status)| status.as_ref().is_some_and(|status| status.reached)).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_that_is_down_holds_up_no_other_one_and_heals_by_itself() {
    let setting = setting().await;
    setting.clusters[1].faults().set_down(true).await;
    setting.apply().await;
    let status = setting.until("two reached", |status| reached(status) == 2).await;
    assert_eq!(status.overall, Overall::CreationInProgress);
    let status = setting.until("noticed", |s| s.clusters[1].1.as_ref().is_some_and(|s| s.failure.is_some())).await;
    assert_eq!(status.clusters[1].1.as_ref().unwrap().reason(), Some(Reason::Unreachable));
    setting.clusters[1].faults().set_down(false).await;
    setting.until_overall(Overall::Created).await;
    setting.until_no_order_waits().await;
    setting.server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_that_never_answers_holds_up_no_other_one() {
    let setting = setting().await;
    setting.clusters[0].faults().add(Fault::hang());
    setting.apply().await;
    setting.until("two reached", |status| reached(status) == 2).await;
    setting.server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn clusters_that_never_answer_give_their_places_to_others() {
    let setting = setting_of(6, "2").await;
    for cluster in &setting.clusters[..4] {
        cluster.faults().add(Fault::hang());
    }
    let began = Instant::now();
    setting.apply().await;
    let status = setting.until("two reached", |status| reached(status) == 2).await;
    assert!(began.elapsed() < Duration::from_secs(12), "waited for those that never answer");
    assert_eq!(status.overall, Overall::CreationInProgress);
    setting.server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn all_logical_clouds_on_a_cluster_that_is_back_are_served_at_once_whatever_else_is_away() {
    let setting = setting_of(2, "64").await;
    let mut ids = Vec::new();
    for number in 0..20 {
        ids.push(setting.create_cloud(&format!("many-{number}"), &format!("many-{number}")).await);
    }
    for cluster in &setting.clusters {
        cluster.faults().set_down(true).await;
    }
    for id in &ids {
        setting.dcm().apply(id, Event::Apply, false).await.unwrap();
    }
    // Long enough for pauses that are seen.
    for id in &ids {
        let tired = |status: &CloudStatus| status.clusters[1].1.as_ref().is_some_and(|s| s.attempts >= 5);
        let status = setting.until_of(id, "tried", tired).await;
        assert_eq!(status.clusters[1].1.as_ref().unwrap().reason(), Some(Reason::Unreachable));
    }
    // What is planned now: the first have been tried again meanwhile.
    let mut planned = Vec::new();
    for id in &ids {
        let status = setting.dcm().status(id).await.unwrap();
        planned.push(status.clusters[1].1.as_ref().unwrap().next_attempt.unwrap());
    }
    setting.clusters[1].faults().set_down(false).await;
    let mut early = 0;
    for (id, planned) in ids.iter().zip(planned) {
        let status = setting.until_of(id, "served", |status| reached(status) == 1).await;
        let status = status.clusters[1].1.as_ref().unwrap();
        early += usize::from(status.last_attempt.unwrap() < planned);
        assert_eq!((status.next_attempt, status.unreachable_since), (None, None));
    }
    assert!(early >= 15, "only {early} were served before their own time");
    setting.server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn passing_errors_of_every_kind_heal_by_themselves() {
    for fault in [
        Fault::status(429).retry_after(1),
        Fault::status(500),
        Fault::status(503),
        Fault::status(409),
        Fault::cut_answer(),
    ] {
        let setting = setting().await;
        setting.clusters[2].faults().add(fault.times(2));
        setting.apply().await;
        setting.until_overall(Overall::Created).await;
        setting.server.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_terminate_in_the_middle_of_an_apply_wins() {
    let setting = setting().await;
    for cluster in &setting.clusters {
        cluster.faults().set_latency(Duration::from_millis(10));
    }
    for pause in [0, 5, 20, 60, 150] {
        setting.apply().await;
        tokio::time::sleep(Duration::from_millis(pause)).await;
        setting.dcm().terminate(&setting.id, false).await.unwrap();
        setting.until_overall(Overall::Deleted).await;
        for cluster in &setting.clusters {
            assert!(cluster.objects().get("namespaces", "", "ns-1").is_none(), "after {pause} ms");
        }
    }
    setting.server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_apply_that_changes_nothing_writes_nothing_on_clusters() {
    let setting = setting().await;
    setting.apply().await;
    setting.until_overall(Overall::Created).await;
    let before = setting.clusters[0].objects().revision();
    setting.clusters[0].clear_requests();
    setting.apply().await;
    setting.until_no_order_waits().await;
    assert_eq!(setting.clusters[0].objects().revision(), before);
    let requests = setting.clusters[0].requests();
    assert!(!requests.is_empty() && requests.iter().all(|request| request.method == "GET"), "{requests:#?}");
    setting.server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_leaves_nothing_half_and_the_next_start_goes_on() {
    dcm_server::install_crypto_provider();
    let folder = tempfile::tempdir().unwrap();
    let store = format!("sled:{}", folder.path().join("data").display());
    let cluster = Cluster::start(ClusterOptions::named("c1").latency(Duration::from_millis(10))).await.unwrap();
    let config =
        || Config::from_options(["--http", "127.0.0.1:0", "--grpc", "127.0.0.1:0", "--store", &store]).unwrap();
    let server = dcm_server::start(config()).await.unwrap();
    let id = cloud_id("lc-1");
    let input = ClusterInput {
        metadata: metadata("c1"),
        kubeconfig: Some(cluster.admin_kubeconfig()),
        ..ClusterInput::default()
    };
    server.dcm().create_cluster(&provider("default"), input.into()).await.unwrap();
    server.dcm().create_logical_cloud(&id.project, cloud_input("lc-1", "ns-1").into()).await.unwrap();
    server.dcm().create_reference(&id, reference_input("c1").into()).await.unwrap();
    server.dcm().apply(&id, Event::Apply, false).await.unwrap();
    server.stop().await;
    let server = dcm_server::start(config()).await.unwrap();
    let setting = Setting { server, clusters: vec![cluster], id };
    setting.until_overall(Overall::Created).await;
    setting.server.stop().await;
}
