//! Clusters that take their time.

use std::{
    collections::BTreeMap,
    future::poll_fn,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::Poll,
};

use async_trait::async_trait;
use dcm_core::sync::{
    CertificateRequest, ClusterAccess, Comparison, CutOff, Desired, Facts, Failure, Grant, IssuedToken, Removal,
    Report, Synchronizer, TokenRequest,
};
use dcm_test_utils::clusters::FakeClusters;

/// Fake clusters that answer at the second poll, so that work on them can overlap and be cut off.
#[derive(Debug)]
pub(crate) struct Unhurried {
    inner: Arc<FakeClusters>,
    now: AtomicUsize,
    most: AtomicUsize,
}

/// Counts one call as under way.
struct Under<'a>(&'a AtomicUsize);

impl Drop for Under<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Unhurried {
    pub(crate) const fn new(inner: Arc<FakeClusters>) -> Self {
        Self { inner, now: AtomicUsize::new(0), most: AtomicUsize::new(0) }
    }

    /// How many calls were under way at once, at most.
    pub(crate) fn most_at_once(&self) -> usize {
        self.most.load(Ordering::SeqCst)
    }

    async fn pause(&self) {
        let now = self.now.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(now, Ordering::SeqCst);
        let _under = Under(&self.now);
        let mut asked = false;
        poll_fn(|context| {
            if std::mem::replace(&mut asked, true) {
                return Poll::Ready(());
            }
            context.waker().wake_by_ref();
            Poll::Pending
        })
        .await;
    }
}

#[async_trait]
impl Synchronizer for Unhurried {
    async fn probe(&self, access: &ClusterAccess) -> Result<Facts, Failure> {
        self.pause().await;
        self.inner.probe(access).await
    }

    async fn capabilities(&self, access: &ClusterAccess) -> Result<BTreeMap<String, Vec<String>>, Failure> {
        self.inner.capabilities(access).await
    }

    async fn apply(&self, access: &ClusterAccess, desired: &Desired) -> Report {
        self.pause().await;
        let report = self.inner.apply(access, desired).await;
        self.pause().await;
        report
    }

    async fn sign(&self, access: &ClusterAccess, request: &CertificateRequest) -> Result<String, Failure> {
        self.pause().await;
        self.inner.sign(access, request).await
    }

    async fn token(&self, access: &ClusterAccess, request: &TokenRequest) -> Result<IssuedToken, Failure> {
        self.inner.token(access, request).await
    }

    async fn compare(&self, access: &ClusterAccess, desired: &Desired) -> Result<Comparison, Failure> {
        self.inner.compare(access, desired).await
    }

    async fn cut_off(&self, access: &ClusterAccess, cut: &CutOff) -> Result<Vec<Grant>, Failure> {
        self.inner.cut_off(access, cut).await
    }

    async fn remove(&self, access: &ClusterAccess, removal: &Removal) -> Report {
        self.pause().await;
        self.inner.remove(access, removal).await
    }
}
