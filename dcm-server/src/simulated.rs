//! Simulated clusters in place of registered ones: a [`Synchronizer`] around a [`Synchronizer`].

use async_trait::async_trait;
use dcm_core::{
    secret::Secret,
    sync::{
        CertificateRequest, ClusterAccess, Comparison, CutOff, Desired, Facts, Failure, Grant, IssuedToken, Reason,
        Removal, Report, Synchronizer, TokenRequest,
    },
};
use dcm_sim::Simulation;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Leads every call to the simulated cluster of the same provider and name, made on first use. The
/// registered kubeconfig is never dialled.
#[derive(Debug)]
pub struct SimulatedSynchronizer {
    inner: Arc<dyn Synchronizer>,
    simulation: Simulation,
}

impl SimulatedSynchronizer {
    /// Wraps what speaks to clusters.
    #[must_use]
    pub fn new(inner: Arc<dyn Synchronizer>, simulation: Simulation) -> Self {
        Self { inner, simulation }
    }

    async fn lead(&self, access: &ClusterAccess) -> Result<ClusterAccess, Failure> {
        let cluster = self.simulation.cluster(access.provider.as_str(), access.cluster.as_str()).await;
        let cluster = cluster.map_err(|error| {
            Failure::new(Reason::Unreachable, format!("the simulated cluster could not be started: {error}"))
        })?;
        let kubeconfig = Secret::new(cluster.admin_kubeconfig().to_string());
        Ok(ClusterAccess { kubeconfig, ..access.clone() })
    }
}

#[async_trait]
impl Synchronizer for SimulatedSynchronizer {
    async fn probe(&self, access: &ClusterAccess) -> Result<Facts, Failure> {
        self.inner.probe(&self.lead(access).await?).await
    }

    async fn capabilities(&self, access: &ClusterAccess) -> Result<BTreeMap<String, Vec<String>>, Failure> {
        self.inner.capabilities(&self.lead(access).await?).await
    }

    async fn apply(&self, access: &ClusterAccess, desired: &Desired) -> Report {
        match self.lead(access).await {
            Ok(access) => self.inner.apply(&access, desired).await,
            Err(failure) => {
                Report { inventory: desired.inventory.clone(), failure: Some(failure), ..Report::default() }
            }
        }
    }

    async fn sign(&self, access: &ClusterAccess, request: &CertificateRequest) -> Result<String, Failure> {
        self.inner.sign(&self.lead(access).await?, request).await
    }

    async fn token(&self, access: &ClusterAccess, request: &TokenRequest) -> Result<IssuedToken, Failure> {
        self.inner.token(&self.lead(access).await?, request).await
    }

    async fn compare(&self, access: &ClusterAccess, desired: &Desired) -> Result<Comparison, Failure> {
        self.inner.compare(&self.lead(access).await?, desired).await
    }

    async fn cut_off(&self, access: &ClusterAccess, cut: &CutOff) -> Result<Vec<Grant>, Failure> {
        self.inner.cut_off(&self.lead(access).await?, cut).await
    }

    async fn remove(&self, access: &ClusterAccess, removal: &Removal) -> Report {
        match self.lead(access).await {
            Ok(access) => self.inner.remove(&access, removal).await,
            Err(failure) => {
                Report { inventory: removal.inventory.clone(), failure: Some(failure), ..Report::default() }
            }
        }
    }
}
