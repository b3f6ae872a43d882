use std::collections::BTreeMap;

use async_trait::async_trait;

use super::{
    CertificateRequest, ClusterAccess, Comparison, CutOff, Desired, Facts, Failure, Grant, IssuedToken, Reason,
    Removal, Report, Synchronizer, TokenRequest,
};

/// A [`Synchronizer`] that reaches no cluster: for a process that has no way to them, and carries out no orders.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoClusters;

fn none() -> Failure {
    Failure::new(Reason::Unreachable, "this process has no way to clusters; a synchronizer has")
}

#[async_trait]
impl Synchronizer for NoClusters {
    async fn probe(&self, _: &ClusterAccess) -> Result<Facts, Failure> {
        Err(none())
    }

    async fn capabilities(&self, _: &ClusterAccess) -> Result<BTreeMap<String, Vec<String>>, Failure> {
        Err(none())
    }

    async fn apply(&self, _: &ClusterAccess, desired: &Desired) -> Report {
        Report { inventory: desired.inventory.clone(), failure: Some(none()), ..Report::default() }
    }

    async fn sign(&self, _: &ClusterAccess, _: &CertificateRequest) -> Result<String, Failure> {
        Err(none())
    }

    async fn token(&self, _: &ClusterAccess, _: &TokenRequest) -> Result<IssuedToken, Failure> {
        Err(none())
    }

    async fn compare(&self, _: &ClusterAccess, _: &Desired) -> Result<Comparison, Failure> {
        Err(none())
    }

    async fn cut_off(&self, _: &ClusterAccess, _: &CutOff) -> Result<Vec<Grant>, Failure> {
        Err(none())
    }

    async fn remove(&self, _: &ClusterAccess, removal: &Removal) -> Report {
        Report { inventory: removal.inventory.clone(), failure: Some(none()), ..Report::default() }
    }
}
