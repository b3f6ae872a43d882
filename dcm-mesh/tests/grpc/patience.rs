//! Deadlines and repeats.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use async_trait::async_trait;
use dcm_core::{
    ca::{Bundle, CaProvider, Error, Generation, Intermediate, IntermediateRequest, Revoked, Rotation},
    model::Uid,
    name::ClusterIdentity,
    store::Store,
};
use dcm_mesh::grpc::Patience;
use dcm_store::memory::MemoryStore;
use dcm_test_utils::ca::requester::{Key, cloud};

use crate::support::{HURRIED, Served, built_in, client};

/// What stands before a CA.
#[derive(Clone, Copy, Debug)]
enum Trouble {
    Away,
    Silent,
    Broken,
}

/// A CA that is in trouble for its first calls.
#[derive(Debug)]
struct Troubled {
    ca: Arc<dyn CaProvider>,
    trouble: Trouble,
    calls: AtomicU32,
    bad: u32,
}

impl Troubled {
    async fn new(trouble: Trouble, bad: u32) -> Arc<Self> {
        let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
        Arc::new(Self { ca: built_in(&store).await, trouble, calls: AtomicU32::new(0), bad })
    }

    fn calls(&self) -> u32 {
        self.calls.load(Ordering::SeqCst)
    }

    async fn get_through(&self) -> Result<(), Error> {
        if self.calls.fetch_add(1, Ordering::SeqCst) >= self.bad {
            return Ok(());
        }
        match self.trouble {
            Trouble::Away => Err(Error::Unavailable { retry_after: Duration::from_millis(20), source: "away".into() }),
            Trouble::Silent => std::future::pending().await,
            Trouble::Broken => Err(Error::Internal("broken".into())),
        }
    }
}

#[async_trait]
impl CaProvider for Troubled {
    async fn issue_intermediate(&self, request: &IntermediateRequest) -> Result<Intermediate, Error> {
        self.get_through().await?;
        self.ca.issue_intermediate(request).await
    }

    async fn bundle(&self, cloud: &Uid) -> Result<Bundle, Error> {
        self.get_through().await?;
        self.ca.bundle(cloud).await
    }

    async fn rotate(&self, cloud: &Uid, step: Rotation) -> Result<Bundle, Error> {
        self.get_through().await?;
        self.ca.rotate(cloud, step).await
    }

    async fn revoke(&self, cloud: &Uid, cluster: &ClusterIdentity, generation: Generation) -> Result<Revoked, Error> {
        self.get_through().await?;
        self.ca.revoke(cloud, cluster, generation).await
    }

    async fn forget(&self, cloud: &Uid) -> Result<(), Error> {
        self.get_through().await?;
        self.ca.forget(cloud).await
    }
}

#[tokio::test]
async fn a_ca_that_is_away_for_a_while_is_asked_again() {
    let ca = Troubled::new(Trouble::Away, 3).await;
    let served = Served::start(Arc::clone(&ca) as _).await;
    served.client(HURRIED).issue_intermediate(&Key::new().request(&cloud(), "c1", 1)).await.unwrap();
    assert_eq!(ca.calls(), 4);
}

#[tokio::test]
async fn a_ca_that_does_not_answer_is_given_a_deadline_and_asked_again() {
    let ca = Troubled::new(Trouble::Silent, 2).await;
    let served = Served::start(Arc::clone(&ca) as _).await;
    served.client(HURRIED).issue_intermediate(&Key::new().request(&cloud(), "c1", 1)).await.unwrap();
    assert_eq!(ca.calls(), 3);
}

#[tokio::test]
async fn a_call_ends_when_its_time_is_up() {
    let patience = Patience { call: Duration::from_secs(1), ..HURRIED };
    for trouble in [Trouble::Away, Trouble::Silent] {
        let ca = Troubled::new(trouble, u32::MAX).await;
        let served = Served::start(Arc::clone(&ca) as _).await;
        let began = Instant::now();
        let error = served.client(patience).bundle(&cloud().uid).await.unwrap_err();
        match trouble {
            Trouble::Away => assert!(matches!(error, Error::Unavailable { .. }), "{error:?}"),
            _ => assert!(matches!(error, Error::Timeout { .. }), "{error:?}"),
        }
        assert!(error.retry_after().is_some());
        assert!(ca.calls() > 1, "{trouble:?}: {} calls", ca.calls());
        assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    }
}

#[tokio::test]
async fn a_call_may_have_no_end() {
    let ca = Troubled::new(Trouble::Away, 1).await;
    let served = Served::start(Arc::clone(&ca) as _).await;
    let client = served.client(Patience { attempt: Duration::MAX, call: Duration::MAX, ..HURRIED });
    client.issue_intermediate(&Key::new().request(&cloud(), "c1", 1)).await.unwrap();
    assert_eq!(ca.calls(), 2);
}

#[tokio::test]
async fn what_is_refused_or_broken_is_not_asked_again() {
    let ca = Troubled::new(Trouble::Broken, 1).await;
    let served = Served::start(Arc::clone(&ca) as _).await;
    let client = served.client(HURRIED);
    assert!(matches!(client.bundle(&cloud().uid).await, Err(Error::Internal(_))));
    assert_eq!(ca.calls(), 1);
    assert!(matches!(client.bundle(&cloud().uid).await, Err(Error::UnknownCloud { .. })));
    assert_eq!(ca.calls(), 2);
}

#[tokio::test]
async fn a_ca_may_come_later_and_come_back() {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let served = Served::start(built_in(&store).await).await;
    let address = served.address;
    served.kill().await;

    // Patient enough for a machine that is busy.
    let ca = client(address, Patience { attempt: Duration::from_secs(5), ..HURRIED });
    let request = Key::new().request(&cloud(), "c1", 1);
    let asked = tokio::spawn({
        let (ca, request) = (ca.clone(), request.clone());
        async move { ca.issue_intermediate(&request).await }
    });
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(!asked.is_finished(), "it waits");
    let served = Served::start_at(address, built_in(&store).await).await;
    let issued = asked.await.unwrap().unwrap();

    served.kill().await;
    let _served = Served::start_at(address, built_in(&store).await).await;
    assert_eq!(ca.issue_intermediate(&request).await.unwrap(), issued);
}

#[tokio::test]
async fn where_nobody_listens_the_ca_is_unavailable() {
    let served = Served::start(Troubled::new(Trouble::Away, 0).await).await;
    let address = served.address;
    served.kill().await;
    let ca = client(address, Patience { call: Duration::from_secs(2), ..HURRIED });
    let error = ca.bundle(&cloud().uid).await.unwrap_err();
    assert!(matches!(error, Error::Unavailable { .. }), "{error:?}");
}
