//! Two servers in this process, on one store.

use std::{sync::Arc, time::Duration};

use dcm_core::store::Store;
use dcm_server::{Config, Running};
use dcm_sim::Fault;
use dcm_store::memory::MemoryStore;
use dcm_test_utils::patience::until_so;
use tokio::time::Instant;

use crate::bed::{Api, clusters, made};

const LEASE: Duration = Duration::from_secs(2);

/// The store that servers share.
struct Shared {
    memory: Arc<MemoryStore>,
    /// A connection string, where it is MongoDB.
    uri: Option<String>,
    folder: tempfile::TempDir,
    lease: Duration,
}

impl Shared {
    fn memory() -> Self {
        Self { memory: Arc::default(), uri: None, folder: tempfile::tempdir().unwrap(), lease: LEASE }
    }

    #[cfg(feature = "mongodb")]
    fn mongodb(what: &str) -> Option<Self> {
        let uri = dcm_test_utils::mongodb::fresh_database(what)?;
        Some(Self { uri: Some(uri), ..Self::memory() })
    }

    async fn server(&self) -> (Running, Api) {
        let key = self.folder.path().join("key");
        let lease = format!("{}ms", self.lease.as_millis());
        let store = self.uri.as_deref().unwrap_or("memory:");
        let options = ["--http", "127.0.0.1:0", "--grpc", "127.0.0.1:0", "--store", store, "--resync-period", "0s"];
        let options = options.into_iter().chain(["--lease", &lease]);
        let options = options.chain(["--cluster-concurrency", "4", "--encryption-key-file"]);
        let options = options.map(Into::into).chain([key.into_os_string()]);
        let config = Config::from_options::<std::ffi::OsString>(options).unwrap();
        let running = match self.uri {
            Some(_) => dcm_server::start(config).await.unwrap(),
            None => dcm_server::start_on(Arc::clone(&self.memory) as Arc<dyn Store>, config).await.unwrap(),
        };
        let api = Api::of(format!("http://{}", running.http_addr()));
        (running, api)
    }
}

/// One test for each store that several servers can share.
macro_rules! on_each_store {
    ($($name:ident;)*) => {
        mod memory {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $name() {
                super::$name(super::Shared::memory()).await;
            })*
        }
        #[cfg(feature = "mongodb")]
        mod mongodb {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $name() {
                let Some(shared) = super::Shared::mongodb(stringify!($name)) else { return };
                super::$name(shared).await;
            })*
        }
    };
}

on_each_store! {
    both_work_on_one_logical_cloud_and_each_cluster_is_worked_on_once;
    what_one_has_in_hand_goes_on_at_once_when_it_stops;
    a_rolling_restart_loses_nothing_and_fails_no_request;
    an_order_that_one_takes_reaches_what_the_other_has_in_hand;
}

async fn both_work_on_one_logical_cloud_and_each_cluster_is_worked_on_once(mut shared: Shared) {
    // Long enough for a busy machine: who loses his lease begins anew.
    shared.lease = LEASE * 6;
    let clusters = clusters(24, Duration::from_millis(30)).await;
    let ((one, api), (two, other)) = (shared.server().await, shared.server().await);
    until_so(shared.lease, "both known", async || api.counted("members").await == 2).await;
    api.register(&clusters).await;
    let cloud = api.create("lc-1", &clusters).await;
    api.apply(&cloud).await;
    other.wait_for(&cloud, "Created").await;
    let claims = [api.counted("claims_total").await, other.counted("claims_total").await];
    assert!(claims.iter().all(|claims| *claims >= 3), "one did it all: {claims:?}");
    for cluster in &clusters {
        assert_eq!(made(cluster, "/namespaces"), 1, "{}", cluster.name());
        assert_eq!(made(cluster, "/certificatesigningrequests"), 1, "{}", cluster.name());
    }
    other.terminate(&cloud).await;
    api.wait_for(&cloud, "Deleted").await;
    for cluster in &clusters {
        assert!(cluster.objects().get("namespaces", "", "lc-1").is_none(), "{}", cluster.name());
    }
    one.stop().await;
    until_so(shared.lease, "left", async || other.counted("members").await == 1).await;
    assert_eq!(other.counted("lost_leases_total").await, 0);
    two.stop().await;
}

async fn what_one_has_in_hand_goes_on_at_once_when_it_stops(shared: Shared) {
    let clusters = clusters(4, Duration::from_millis(5)).await;
    let (one, api) = shared.server().await;
    api.register(&clusters).await;
    let cloud = api.create("lc-1", &clusters).await;
    // Whoever asks gets no answer, and holds the cluster as long as that takes.
    for cluster in &clusters {
        cluster.faults().add(Fault::hang().on_path("/api/v1/namespaces/kube-system"));
    }
    api.apply(&cloud).await;
    until_so(Duration::from_secs(20), "in hand", async || api.counted("claims_total").await >= 4).await;
    let (two, other) = shared.server().await;
    until_so(Duration::from_secs(20), "seen", async || other.counted("members").await == 2).await;
    let stopped = tokio::spawn(one.stop());
    for cluster in &clusters {
        cluster.faults().clear();
    }
    stopped.await.unwrap();
    let began = Instant::now();
    other.wait_for(&cloud, "Created").await;
    assert!(began.elapsed() < LEASE * 2, "{:?}", began.elapsed());
    two.stop().await;
}

async fn a_rolling_restart_loses_nothing_and_fails_no_request(shared: Shared) {
    let clusters = clusters(3, Duration::from_millis(5)).await;
    let (mut one, mut api) = shared.server().await;
    api.register(&clusters).await;
    let mut clouds = Vec::new();
    for number in 0..6 {
        clouds.push(api.create(&format!("lc-{number}"), &clusters).await);
    }
    for round in 0..6 {
        // Requests go to the new one before the old one stops, as a load balancer has it.
        let (next, next_api) = shared.server().await;
        for (number, cloud) in clouds.iter().enumerate() {
            let at = if number.is_multiple_of(2) { &api } else { &next_api };
            if (number + round).is_multiple_of(2) { at.apply(cloud).await } else { at.terminate_or_not(cloud).await }
        }
        one.stop().await;
        (one, api) = (next, next_api);
    }
    for (number, cloud) in clouds.iter().enumerate() {
        api.wait_for(cloud, if (number + 5).is_multiple_of(2) { "Created" } else { "Deleted" }).await;
    }
    until_so(LEASE, "alone", async || api.counted("members").await == 1).await;
    one.stop().await;
}

async fn an_order_that_one_takes_reaches_what_the_other_has_in_hand(shared: Shared) {
    let clusters = clusters(2, Duration::from_millis(5)).await;
    let (one, api) = shared.server().await;
    api.register(&clusters).await;
    let cloud = api.create("lc-1", &clusters).await;
    clusters[0].faults().set_down(true).await;
    api.apply(&cloud).await;
    // One of them has a timer for the cluster that is away; the other one takes what ends the wait.
    until_so(Duration::from_secs(20), "tried", async || api.counted("claims_total").await >= 3).await;
    let (two, other) = shared.server().await;
    other.terminate(&cloud).await;
    api.wait_for(&cloud, "Deletion in Progress").await;
    clusters[0].faults().set_down(false).await;
    api.wait_for(&cloud, "Deleted").await;
    for cluster in &clusters {
        assert!(cluster.objects().get("namespaces", "", "lc-1").is_none(), "{}", cluster.name());
    }
    one.stop().await;
    two.stop().await;
}
