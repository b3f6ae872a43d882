//! What the layers promise, around a synchronizer that does as it is told.

#![allow(clippy::unwrap_used)] // Helpers of tests; clippy.toml knows the tests themselves only.

use std::collections::BTreeMap;
use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use dcm_core::{
    model::{AdoptionPolicy, DeletePolicy, Uid},
    name::{ClusterName, ProviderName},
    secret::Secret,
    sync::{
        CertificateRequest, ClusterAccess, Comparison, CutOff, Desired, Endpoint, Facts, Failure, Grant, InventoryItem,
        IssuedToken, Object, ObjectId, Owner, Part, Reason, Removal, Report, Synchronizer, TokenRequest,
    },
};
use dcm_sync::layer::{Limited, Timeouts};
use serde_json::Value;
use tokio::time::{Instant, sleep};

/// Takes its time over everything, and counts how many calls are under way.
#[derive(Debug, Default)]
struct Slow {
    under_way: AtomicUsize,
    most: AtomicUsize,
    takes: Duration,
}

impl Slow {
    fn taking(seconds: u64) -> Arc<Self> {
        Arc::new(Self { takes: Duration::from_secs(seconds), ..Self::default() })
    }

    async fn work(&self) {
        let now = self.under_way.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(now, Ordering::SeqCst);
        sleep(self.takes).await;
        self.under_way.fetch_sub(1, Ordering::SeqCst);
    }
}

#[async_trait]
impl Synchronizer for Slow {
    async fn probe(&self, _: &ClusterAccess) -> Result<Facts, Failure> {
        self.work().await;
        Ok(Facts {
            identity: "id".to_owned(),
            version: "v1".to_owned(),
            endpoint: Endpoint { server: "s".to_owned(), ca_pem: None, tls_server_name: None },
            clock: None,
        })
    }

    async fn capabilities(&self, _: &ClusterAccess) -> Result<BTreeMap<String, Vec<String>>, Failure> {
        self.work().await;
        Ok(BTreeMap::new())
    }

    async fn apply(&self, _: &ClusterAccess, _: &Desired) -> Report {
        self.work().await;
        Report::default()
    }

    async fn sign(&self, _: &ClusterAccess, _: &CertificateRequest) -> Result<String, Failure> {
        self.work().await;
        Ok("pem".to_owned())
    }

    async fn token(&self, _: &ClusterAccess, _: &TokenRequest) -> Result<IssuedToken, Failure> {
        self.work().await;
        Err(Failure::new(Reason::Other, "none"))
    }

    async fn compare(&self, _: &ClusterAccess, _: &Desired) -> Result<Comparison, Failure> {
        self.work().await;
        Ok(Comparison::default())
    }

    async fn cut_off(&self, _: &ClusterAccess, _: &CutOff) -> Result<Vec<Grant>, Failure> {
        self.work().await;
        Ok(Vec::new())
    }

    async fn remove(&self, _: &ClusterAccess, _: &Removal) -> Report {
        self.work().await;
        Report::default()
    }
}

fn access() -> ClusterAccess {
    ClusterAccess {
        provider: ProviderName::new("p").unwrap(),
        cluster: ClusterName::new("c").unwrap(),
        kubeconfig: Secret::new("{}"),
    }
}

fn owner() -> Owner {
    Owner { store_id: "s".to_owned(), cloud: Uid::from_random([1; 16]), generation: 1, history: Vec::new() }
}

fn id(name: &str) -> ObjectId {
    ObjectId {
        api_version: "v1".to_owned(),
        kind: "ResourceQuota".to_owned(),
        namespace: Some("ns".to_owned()),
        name: name.to_owned(),
    }
}

fn item(name: &str, uid: Option<&str>) -> InventoryItem {
    InventoryItem { id: id(name), uid: uid.map(str::to_owned), adopted: false }
}

fn desired() -> Desired {
    let object = |name| Object { part: Part::Quota, id: id(name), manifest: Value::Null };
    Desired {
        owner: owner(),
        namespace: None,
        objects: vec![object("old"), object("new")],
        inventory: vec![item("old", Some("u")), item("gone", Some("v"))],
        adoption: AdoptionPolicy::Never,
        force: false,
    }
}

fn removal() -> Removal {
    Removal {
        owner: owner(),
        namespace: None,
        inventory: vec![item("old", Some("u"))],
        delete: DeletePolicy::Delete,
        force: false,
    }
}

fn request() -> CertificateRequest {
    CertificateRequest { owner: owner(), csr_pem: String::new(), lifetime: Duration::ZERO }
}

#[tokio::test(start_paused = true)]
async fn limited_lets_so_many_calls_through_and_loses_none() {
    let slow = Slow::taking(1);
    let limited = Arc::new(Limited::new(slow.clone(), 3));
    let start = Instant::now();
    let calls = (0..12).map(|_| {
        let limited = limited.clone();
        tokio::spawn(async move { limited.apply(&access(), &desired()).await })
    });
    for call in calls.collect::<Vec<_>>() {
        assert_eq!(call.await.unwrap(), Report::default());
    }
    assert_eq!(slow.most.load(Ordering::SeqCst), 3);
    assert_eq!(start.elapsed().as_secs(), 4);
}

#[tokio::test(start_paused = true)]
async fn a_dropped_call_gives_its_turn_back() {
    let limited = Limited::new(Slow::taking(1), 1);
    for _ in 0..5 {
        let cut = tokio::time::timeout(Duration::from_millis(1), limited.probe(&access())).await;
        assert!(cut.is_err());
    }
    assert!(limited.probe(&access()).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn timeouts_cut_every_call_off_and_say_so() {
    let timeouts = Timeouts::new(Slow::taking(3600), Duration::from_secs(60));
    let start = Instant::now();
    let failures = [
        timeouts.probe(&access()).await.unwrap_err(),
        timeouts.sign(&access(), &request()).await.unwrap_err(),
        timeouts.apply(&access(), &desired()).await.failure.unwrap(),
        timeouts.remove(&access(), &removal()).await.failure.unwrap(),
    ];
    for failure in failures {
        assert_eq!(failure.reason, Reason::Timeout);
        assert!(failure.detail.contains("60 s"), "{failure}");
    }
    assert_eq!(start.elapsed(), Duration::from_secs(240));
}

#[tokio::test(start_paused = true)]
async fn what_a_cut_off_call_may_have_made_is_kept_in_mind() {
    let timeouts = Timeouts::new(Slow::taking(3600), Duration::from_secs(60));
    let report = timeouts.apply(&access(), &desired()).await;
    assert_eq!(report.inventory, [item("old", Some("u")), item("gone", Some("v")), item("new", None)]);
    let report = timeouts.remove(&access(), &removal()).await;
    assert_eq!(report.inventory, [item("old", Some("u"))]);
}

#[tokio::test(start_paused = true)]
async fn quick_calls_pass_through_both() {
    let inner = Arc::new(Timeouts::new(Slow::taking(1), Duration::from_secs(60)));
    let layers = Limited::new(inner, 1);
    assert_eq!(layers.probe(&access()).await.unwrap().identity, "id");
    assert_eq!(layers.sign(&access(), &request()).await.unwrap(), "pem");
    assert_eq!(layers.apply(&access(), &desired()).await, Report::default());
    assert_eq!(layers.remove(&access(), &removal()).await, Report::default());
}
