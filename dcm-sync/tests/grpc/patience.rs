//! Deadlines, and clients that go away.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use async_trait::async_trait;
use dcm_core::{
    error::Error,
    gateway::{self, ClusterGateway, CutOffs, Probe},
    name::{ClusterName, ProviderName},
    service::{CloudId, Page, Preview, Selection},
    sync::{Comparison, Failure, Reason},
};
use dcm_test_utils::{builders::cloud_id, patience::until_so};

use crate::support::Served;

/// A gateway whose clusters never answer; it counts the calls, and those that were dropped.
#[derive(Debug, Default)]
struct Silent {
    begun: AtomicU32,
    dropped: Arc<AtomicU32>,
}

struct Counted(Arc<AtomicU32>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

impl Silent {
    async fn wait<T>(&self) -> T {
        self.begun.fetch_add(1, Ordering::SeqCst);
        let _counted = Counted(Arc::clone(&self.dropped));
        std::future::pending().await
    }

    fn counts(&self) -> (u32, u32) {
        (self.begun.load(Ordering::SeqCst), self.dropped.load(Ordering::SeqCst))
    }
}

#[async_trait]
impl ClusterGateway for Silent {
    async fn probe_cluster(&self, _: &ProviderName, _: &ClusterName) -> Result<Result<Probe, Failure>, Error> {
        self.wait().await
    }

    async fn diff(&self, _: &CloudId, _: &Selection) -> Result<Preview<Result<Comparison, Failure>>, Error> {
        self.wait().await
    }

    async fn cut_off_user(&self, _: &CloudId, _: u64) -> Result<CutOffs, Error> {
        self.wait().await
    }
}

const PATIENCE: Duration = Duration::from_secs(20);

#[tokio::test]
async fn a_call_ends_at_its_deadline_on_both_sides() {
    let silent = Arc::<Silent>::default();
    let served = Served::start(silent.clone()).await;
    let client = served.client().within(Duration::from_millis(300));
    let begun = Instant::now();
    let error = client.diff(&cloud_id("lc-1"), &Selection::Page(Page::default())).await.unwrap_err();
    assert!(matches!(error, Error::Gateway(gateway::Error::Timeout)), "{error:?}");
    assert!(begun.elapsed() < PATIENCE / 2, "{:?}", begun.elapsed());
    until_so(PATIENCE, "dropped there", async || silent.counts() == (1, 1)).await;
}

#[tokio::test]
async fn a_call_that_is_dropped_is_dropped_there() {
    let silent = Arc::<Silent>::default();
    let served = Served::start(silent.clone()).await;
    let client = served.client().within(Duration::from_secs(3600));
    let call = tokio::spawn(async move {
        drop(client.probe_cluster(&"default".parse().unwrap(), &"c1".parse().unwrap()).await);
    });
    until_so(PATIENCE, "begun", async || silent.counts() == (1, 0)).await;
    call.abort();
    until_so(PATIENCE, "dropped there", async || silent.counts() == (1, 1)).await;
}

/// A gateway with one cluster whose differences are as long as it is told.
#[derive(Debug)]
struct Long(usize);

#[async_trait]
impl ClusterGateway for Long {
    async fn probe_cluster(&self, _: &ProviderName, _: &ClusterName) -> Result<Result<Probe, Failure>, Error> {
        Ok(Err(Failure::new(Reason::Internal, "")))
    }

    async fn diff(&self, _: &CloudId, _: &Selection) -> Result<Preview<Result<Comparison, Failure>>, Error> {
        let compared = Comparison { remarks: vec!["x".repeat(self.0)], ..Comparison::default() };
        Ok(Preview { generation: 1, clusters: vec![("c1".parse().unwrap(), Ok(compared))], next: None })
    }

    async fn cut_off_user(&self, _: &CloudId, _: u64) -> Result<CutOffs, Error> {
        Ok(Vec::new())
    }
}

#[tokio::test]
async fn a_long_answer_arrives_and_one_beyond_the_bound_is_refused_with_what_to_do() {
    const BOUND: usize = 6 * 1024 * 1024;
    for (length, fits) in [(BOUND - 1024, true), (BOUND + 1024, false)] {
        let served = Served::start(Arc::new(Long(length))).await;
        let client = served.client().largest_answer(BOUND);
        match client.diff(&cloud_id("lc-1"), &Selection::Page(Page::default())).await {
            Ok(preview) => assert!(fits && preview.clusters[0].1.as_ref().unwrap().remarks[0].len() == length),
            Err(Error::Refused(why)) => assert!(!fits && why.contains("fewer clusters"), "{why}"),
            Err(other) => panic!("{other:?}"),
        }
    }
}
