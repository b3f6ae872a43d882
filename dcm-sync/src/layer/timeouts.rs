use std::collections::BTreeMap;
use std::{future::Future, sync::Arc, time::Duration};

use async_trait::async_trait;
use dcm_core::sync::{
    CertificateRequest, ClusterAccess, Comparison, CutOff, Desired, Facts, Failure, Grant, InventoryItem, IssuedToken,
    Reason, Removal, Report, Synchronizer, TokenRequest,
};

/// Bounds how long one call may take.
///
/// # Caveats
/// What a call that is cut off has made meanwhile is not known: its report then holds the inventory that
/// came in, and everything that may have been made since, without a uid.
#[derive(Debug)]
pub struct Timeouts {
    inner: Arc<dyn Synchronizer>,
    bound: Duration,
    answer_bound: Duration,
}

impl Timeouts {
    /// Cuts calls off that take longer than `bound`.
    #[must_use]
    pub fn new(inner: Arc<dyn Synchronizer>, bound: Duration) -> Self {
        Self { inner, bound, answer_bound: bound }
    }

    /// Cuts calls off sooner whose answer somebody waits for: [`Synchronizer::compare`] and
    /// [`Synchronizer::cut_off`].
    #[must_use]
    pub fn answers_within(self, bound: Duration) -> Self {
        Self { answer_bound: bound.min(self.bound), ..self }
    }

    async fn bounded<T>(&self, call: impl Future<Output = T> + Send) -> Result<T, Failure> {
        Self::within(self.bound, call).await
    }

    async fn within<T>(bound: Duration, call: impl Future<Output = T> + Send) -> Result<T, Failure> {
        tokio::time::timeout(bound, call).await.map_err(|_| {
            let detail = format!(
                "the work on the cluster was cut off after {} s; it goes on at the next attempt",
                bound.as_secs_f32()
            );
            Failure::new(Reason::Timeout, detail)
        })
    }
}

#[async_trait]
impl Synchronizer for Timeouts {
    async fn probe(&self, access: &ClusterAccess) -> Result<Facts, Failure> {
        self.bounded(self.inner.probe(access)).await?
    }

    async fn capabilities(&self, access: &ClusterAccess) -> Result<BTreeMap<String, Vec<String>>, Failure> {
        self.bounded(self.inner.capabilities(access)).await?
    }

    async fn apply(&self, access: &ClusterAccess, desired: &Desired) -> Report {
        let result = self.bounded(self.inner.apply(access, desired)).await;
        result.unwrap_or_else(|failure| {
            let mut inventory = desired.inventory.clone();
            for object in &desired.objects {
                if inventory.iter().all(|item| item.id != object.id) {
                    inventory.push(InventoryItem { id: object.id.clone(), uid: None, adopted: false });
                }
            }
            cut_off(inventory, failure)
        })
    }

    async fn sign(&self, access: &ClusterAccess, request: &CertificateRequest) -> Result<String, Failure> {
        self.bounded(self.inner.sign(access, request)).await?
    }

    async fn token(&self, access: &ClusterAccess, request: &TokenRequest) -> Result<IssuedToken, Failure> {
        self.bounded(self.inner.token(access, request)).await?
    }

    async fn compare(&self, access: &ClusterAccess, desired: &Desired) -> Result<Comparison, Failure> {
        Self::within(self.answer_bound, self.inner.compare(access, desired)).await?
    }

    async fn cut_off(&self, access: &ClusterAccess, cut: &CutOff) -> Result<Vec<Grant>, Failure> {
        Self::within(self.answer_bound, self.inner.cut_off(access, cut)).await?
    }

    async fn remove(&self, access: &ClusterAccess, removal: &Removal) -> Report {
        let result = self.bounded(self.inner.remove(access, removal)).await;
        result.unwrap_or_else(|failure| cut_off(removal.inventory.clone(), failure))
    }
}

fn cut_off(inventory: Vec<InventoryItem>, failure: Failure) -> Report {
    Report { inventory, failure: Some(failure), ..Report::default() }
}
