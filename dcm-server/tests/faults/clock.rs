//! DCM's clock is not the cluster's.

use std::{
    hash::{BuildHasher as _, RandomState},
    sync::Arc,
};

use dcm_core::{
    clock::{Clock, Entropy},
    lifecycle::Event,
    model::ClusterInput,
    name::ReferenceName,
    service::{CloudId, Dcm, Overall, Ports, Settings},
};
use dcm_mesh::credential::UserCredentials;
use dcm_server::worker::{Worker, WorkerHandle, WorkerSettings};
use dcm_store::encryption::{AeadSealer, Keyring};
use dcm_sync::kube::KubeSynchronizer;
use dcm_test_utils::{
    builders::{cloud_id, cloud_input, metadata, provider, reference_input},
    patience::until,
};
use http::Method;
use jiff::{SignedDuration, Timestamp};
use kube::config::{KubeConfigOptions, Kubeconfig};
use serde_json::Value;

use crate::{
    bed::{self, Admin, Bed},
    setting::PATIENCE,
};

/// A clock that is wrong by so much.
#[derive(Debug)]
struct Wrong(SignedDuration);

impl Clock for Wrong {
    #[allow(clippy::disallowed_methods, reason = "it is the machine's clock that this one is compared with")]
    fn now(&self) -> Timestamp {
        Timestamp::now() + self.0
    }
}

#[derive(Debug)]
struct Chance;

impl Entropy for Chance {
    fn bytes(&self) -> [u8; 16] {
        let half = || u128::from(RandomState::new().hash_one(0_u8));
        (half() << 64 | half()).to_be_bytes()
    }
}

/// A DCM with a clock of its own, and its worker.
async fn dcm(skew: SignedDuration) -> (Dcm, WorkerHandle) {
    let settings = WorkerSettings { concurrency: 4, resync_period: None, resync_at_start: false, lease: None };
    let (wake, worker) = Worker::new(settings);
    let ports = Ports {
        store: dcm_store::open(dcm_store::Config::Memory).await.unwrap(),
        sealer: Arc::new(AeadSealer::new(Keyring::random().unwrap()).unwrap()),
        credentials: Arc::new(UserCredentials),
        synchronizer: Arc::new(KubeSynchronizer::default()),
        clock: Arc::new(Wrong(skew)),
        entropy: Arc::new(Chance),
        wake,
    };
    let dcm = Dcm::open(ports, Settings::default()).await.unwrap();
    dcm.ensure_default_provider().await.unwrap();
    let worker = worker.start(dcm.clone());
    (dcm, worker)
}

/// Makes a logical cloud on the cluster.
async fn create(dcm: &Dcm, bed: &Bed, namespace: &str) -> CloudId {
    let id = cloud_id("lc");
    let kubeconfig = Some(bed.admin_kubeconfig());
    let input = ClusterInput { metadata: metadata("real"), kubeconfig, ..ClusterInput::default() };
    dcm.create_cluster(&provider("default"), input.into()).await.unwrap();
    dcm.create_logical_cloud(&id.project, cloud_input("lc", namespace).into()).await.unwrap();
    dcm.create_reference(&id, reference_input("real").into()).await.unwrap();
    dcm.apply(&id, Event::Apply, false).await.unwrap();
    id
}

/// Waits until nothing is left to do, and all is there.
async fn settled(dcm: &Dcm, id: &CloudId) {
    until(PATIENCE, "settled", async || {
        let waits = !dcm.waiting_orders(None, 1).await.unwrap().is_empty();
        if waits { Err(format!("{:#?}", dcm.status(id).await.unwrap())) } else { Ok(()) }
    })
    .await;
    assert_eq!(dcm.status(id).await.unwrap().overall, Overall::Created);
}

async fn kubeconfig(dcm: &Dcm, id: &CloudId) -> Value {
    let issued = dcm.kubeconfig(id, &ReferenceName::new("real").unwrap()).await.unwrap();
    serde_json::from_slice(issued.expose_json()).unwrap()
}

/// Waits until the user is let in.
async fn works(kubeconfig: &Value, namespace: &str) {
    let config: Kubeconfig = serde_json::from_value(kubeconfig.clone()).unwrap();
    let config = kube::Config::from_custom_kubeconfig(config, &KubeConfigOptions::default()).await.unwrap();
    let user = Admin(kube::Client::try_from(config).unwrap());
    let path = format!("/api/v1/namespaces/{namespace}/configmaps/none");
    // The API server's own cache of roles and bindings takes a moment.
    until(PATIENCE, "let in", async || match user.call(Method::GET, &path, "application/json", &Value::Null).await {
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
        other => Err(format!("{other:?}")),
    })
    .await;
}

async fn a_clock_that_is_wrong(test: &str, skew: SignedDuration) {
    let Some((bed, _well)) = bed::well(test).await else { return };
    let (dcm, worker) = dcm(skew).await;
    let namespace = format!("faults-{}", &dcm.installation().as_str()[..8]);
    let id = create(&dcm, bed, &namespace).await;
    settled(&dcm, &id).await;
    let first = kubeconfig(&dcm, &id).await;
    works(&first, &namespace).await;
    let status = dcm.status(&id).await.unwrap();
    let remarks = &status.clusters[0].1.as_ref().unwrap().remarks;
    assert!(remarks.iter().any(|remark| remark.contains("clock") && remark.contains("set both right")), "{remarks:?}");
    dcm.resync(&id).await.unwrap();
    settled(&dcm, &id).await;
    assert!(kubeconfig(&dcm, &id).await == first, "each look has a new certificate made");
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_hour_before_the_clusters() {
    a_clock_that_is_wrong("an_hour_before_the_clusters", SignedDuration::from_hours(1)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_hour_behind_the_clusters() {
    a_clock_that_is_wrong("an_hour_behind_the_clusters", SignedDuration::from_hours(-1)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_year_before_the_clusters() {
    a_clock_that_is_wrong("a_year_before_the_clusters", SignedDuration::from_hours(24 * 365)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_year_behind_the_clusters() {
    a_clock_that_is_wrong("a_year_behind_the_clusters", SignedDuration::from_hours(-24 * 365)).await;
}
