//! Asking clusters what a client waits for: by a gateway where there is one, and else by the synchronizer.

use std::sync::Arc;

use async_trait::async_trait;

use super::{CloudId, Dcm, Preview, Selection};
use crate::{
    error::{Error, ErrorKind},
    gateway::{ClusterGateway, CutOffs, Probe},
    name::{ClusterName, ProviderName},
    sync::{Comparison, Failure, Reason},
};

impl Dcm {
    /// The same DCM, which has others ask the clusters what a client waits for. Its synchronizer is used no more but by what carries out
    /// orders; where nothing does, it may be [`NoClusters`](crate::sync::NoClusters).
    #[must_use]
    pub fn reaching_clusters_through(self, gateway: Arc<dyn ClusterGateway>) -> Self {
        Self { gateway: Some(gateway), ..self }
    }

    pub(super) fn gateway(&self) -> Option<&dyn ClusterGateway> {
        self.gateway.as_deref()
    }
}

#[async_trait]
impl ClusterGateway for Dcm {
    async fn probe_cluster(
        &self,
        provider: &ProviderName,
        cluster: &ClusterName,
    ) -> Result<Result<Probe, Failure>, Error> {
        match self.gateway() {
            Some(gateway) => gateway.probe_cluster(provider, cluster).await,
            None => self.probe_registered(&self.registration(provider, cluster).await?).await,
        }
    }

    async fn diff(&self, id: &CloudId, which: &Selection) -> Result<Preview<Result<Comparison, Failure>>, Error> {
        self.diff(id, which).await
    }

    async fn cut_off_user(&self, id: &CloudId, generation: u64) -> Result<CutOffs, Error> {
        match self.gateway() {
            Some(gateway) => gateway.cut_off_user(id, generation).await,
            None => self.cut_off_since(id, generation).await,
        }
    }
}

/// What is said of a cluster that nobody was there to ask.
pub(super) fn not_asked(error: &Error) -> Failure {
    let reason = match error.kind() {
        ErrorKind::Unavailable => Reason::Unreachable,
        ErrorKind::Timeout => Reason::Timeout,
        ErrorKind::Conflict | ErrorKind::PreconditionFailed => Reason::Conflict,
        _ => Reason::Internal,
    };
    Failure::new(reason, error.to_string())
}
