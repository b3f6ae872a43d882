use std::{future::Future, sync::Arc, time::Duration};

use async_trait::async_trait;
use dcm_core::sync::{
    CertificateRequest, ClusterAccess, Desired, Facts, Failure, InventoryItem, Reason, Removal, Report, Synchronizer,
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
}

impl Timeouts {
    /// Cuts calls off that take longer than `bound`.
    #[must_use]
    pub fn new(inner: Arc<dyn Synchronizer>, bound: Duration) -> Self {
        Self { inner, bound }
    }

    async fn bounded<T>(&self, call: impl Future<Output = T> + Send) -> Result<T, Failure> {
        tokio::time::timeout(self.bound, call).await.map_err(|_| {
            let detail = format!(
                "the work on the cluster was cut off after {} s; it goes on at the next attempt",
                self.bound.as_secs_f32()
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

    async fn remove(&self, access: &ClusterAccess, removal: &Removal) -> Report {
        let result = self.bounded(self.inner.remove(access, removal)).await;
        result.unwrap_or_else(|failure| cut_off(removal.inventory.clone(), failure))
    }
}

fn cut_off(inventory: Vec<InventoryItem>, failure: Failure) -> Report {
    Report { inventory, failure: Some(failure), ..Report::default() }
}
