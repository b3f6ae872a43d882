use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use dcm_core::sync::{
    CertificateRequest, ClusterAccess, Comparison, CutOff, Desired, Facts, Failure, Grant, IssuedToken, Removal,
    Report, Synchronizer, TokenRequest,
};
use tokio::sync::{Semaphore, SemaphorePermit};

/// Bounds how many calls are under way at the same time; the others wait their turn.
#[derive(Debug)]
pub struct Limited {
    inner: Arc<dyn Synchronizer>,
    turns: Semaphore,
}

impl Limited {
    /// Lets at most `most` calls through side by side, at least one.
    #[must_use]
    pub fn new(inner: Arc<dyn Synchronizer>, most: usize) -> Self {
        Self { inner, turns: Semaphore::new(most.clamp(1, Semaphore::MAX_PERMITS)) }
    }

    async fn turn(&self) -> Option<SemaphorePermit<'_>> {
        // An error says that it was closed, which nobody does.
        self.turns.acquire().await.ok()
    }
}

#[async_trait]
impl Synchronizer for Limited {
    async fn probe(&self, access: &ClusterAccess) -> Result<Facts, Failure> {
        let _turn = self.turn().await;
        self.inner.probe(access).await
    }

    async fn capabilities(&self, access: &ClusterAccess) -> Result<BTreeMap<String, Vec<String>>, Failure> {
        let _turn = self.turn().await;
        self.inner.capabilities(access).await
    }

    async fn apply(&self, access: &ClusterAccess, desired: &Desired) -> Report {
        let _turn = self.turn().await;
        self.inner.apply(access, desired).await
    }

    async fn sign(&self, access: &ClusterAccess, request: &CertificateRequest) -> Result<String, Failure> {
        let _turn = self.turn().await;
        self.inner.sign(access, request).await
    }

    async fn token(&self, access: &ClusterAccess, request: &TokenRequest) -> Result<IssuedToken, Failure> {
        let _turn = self.turn().await;
        self.inner.token(access, request).await
    }

    async fn compare(&self, access: &ClusterAccess, desired: &Desired) -> Result<Comparison, Failure> {
        let _turn = self.turn().await;
        self.inner.compare(access, desired).await
    }

    /// Waits for no turn: whoever is to be cut off does not keep his access until others are served.
    async fn cut_off(&self, access: &ClusterAccess, cut: &CutOff) -> Result<Vec<Grant>, Failure> {
        self.inner.cut_off(access, cut).await
    }

    async fn remove(&self, access: &ClusterAccess, removal: &Removal) -> Report {
        let _turn = self.turn().await;
        self.inner.remove(access, removal).await
    }
}
