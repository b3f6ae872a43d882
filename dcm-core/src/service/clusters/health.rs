//! What is known of clusters, and how it is found out.

use std::collections::BTreeMap;

use crate::{
    error::Error,
    gateway::Probe,
    keys,
    model::{Cluster, ClusterHealth, Connectivity, Uid},
    service::{Dcm, gateway::not_asked},
    store::{self, Entry, StoreExt},
    sync::{ClusterAccess, Facts, Failure, Reason},
};

impl Dcm {
    /// Asks a cluster who it is. Its answer is a stranger's: an identity becomes part of a key.
    pub(in crate::service) async fn probe(&self, access: &ClusterAccess) -> Result<Facts, Failure> {
        let facts = self.ports.synchronizer.probe(access).await?;
        check_identity(&facts.identity)?;
        Ok(facts)
    }

    /// Asks a registered cluster who it is, and what DCM may do there.
    pub(in crate::service) async fn probe_registered(
        &self,
        cluster: &Entry<Cluster>,
    ) -> Result<Result<Probe, Failure>, Error> {
        let access = self.access(cluster)?;
        let Facts { identity, version, .. } = match self.probe(&access).await {
            Ok(facts) => facts,
            Err(failure) => return Ok(Err(failure)),
        };
        // Not known is better than known from before: the credential may be another one.
        let capabilities = self.ports.synchronizer.capabilities(&access).await.unwrap_or_default();
        Ok(Ok(Probe { identity, version, capabilities }))
    }

    /// What was last seen of a cluster.
    pub(in crate::service) async fn health(&self, cluster: &Uid) -> Result<Option<ClusterHealth>, Error> {
        let found = self.store().load(&keys::cluster_health(cluster)?).await?;
        Ok(found.map(|entry| entry.value))
    }

    /// Records what was seen of a cluster, where that is news.
    pub(in crate::service) async fn record_health(
        &self,
        cluster: &Uid,
        seen: &Result<Facts, Failure>,
    ) -> Result<(), Error> {
        let key = keys::cluster_health(cluster)?;
        let found = self.store().load::<ClusterHealth>(&key).await?.map(|entry| entry.value);
        let now = self.now();
        let capabilities = found.as_ref().map(|health| health.capabilities.clone()).unwrap_or_default();
        let new = match seen {
            Ok(facts) => ClusterHealth {
                connectivity: Connectivity::Available,
                identity: Some(facts.identity.clone()),
                version: Some(facts.version.clone()),
                reason: None,
                detail: None,
                capabilities,
                checked_at: now,
            },
            Err(failure) => ClusterHealth {
                connectivity: Connectivity::Unavailable,
                identity: found.as_ref().and_then(|health| health.identity.clone()),
                version: found.as_ref().and_then(|health| health.version.clone()),
                reason: Some(failure.reason),
                detail: Some(failure.detail.clone()),
                capabilities,
                checked_at: now,
            },
        };
        let same = found.is_some_and(|old| ClusterHealth { checked_at: now, ..old } == new);
        if !same {
            let keep = |_: Option<ClusterHealth>| -> Result<_, store::Error> { Ok(new.clone()) };
            self.store().update(&key, keep).await?;
        }
        Ok(())
    }

    /// Asks a cluster once who it is, and what DCM may do there, and records it.
    pub(super) async fn look_at(&self, cluster: &Entry<Cluster>) -> Result<(), Error> {
        let key = keys::cluster_health(&cluster.value.uid)?;
        let before = self.store().load::<ClusterHealth>(&key).await?.map(|found| found.value);
        let (connectivity, seen) = self.ask(cluster).await?;
        let now = self.now();
        let keep = |old: Option<ClusterHealth>| -> Result<_, store::Error> {
            Ok(match (&seen, old) {
                // Somebody has seen it meanwhile.
                (Err(_), Some(old)) if connectivity == Connectivity::Unknown && before.as_ref() != Some(&old) => old,
                (Ok(probe), _) => ClusterHealth {
                    connectivity,
                    identity: Some(probe.identity.clone()),
                    version: Some(probe.version.clone()),
                    reason: None,
                    detail: None,
                    capabilities: probe.capabilities.clone(),
                    checked_at: now,
                },
                (Err(failure), old) => ClusterHealth {
                    connectivity,
                    identity: old.as_ref().and_then(|old| old.identity.clone()),
                    version: old.and_then(|old| old.version),
                    reason: Some(failure.reason),
                    detail: Some(failure.detail.clone()),
                    capabilities: BTreeMap::new(),
                    checked_at: now,
                },
            })
        };
        self.store().update(&key, keep).await?;
        Ok(())
    }

    /// Asks a cluster, or has others ask it. Where those are away, nothing is known of it.
    async fn ask(&self, cluster: &Entry<Cluster>) -> Result<(Connectivity, Result<Probe, Failure>), Error> {
        let seen = match self.gateway() {
            None => self.probe_registered(cluster).await?,
            Some(gateway) => match gateway.probe_cluster(&cluster.value.provider, &cluster.value.metadata.name).await {
                Ok(seen) => seen.and_then(|probe| check_identity(&probe.identity).map(|()| probe)),
                Err(error @ Error::NotFound { .. }) => {
                    let Cluster { provider, metadata, uid, .. } = &cluster.value;
                    if self.registration(provider, &metadata.name).await?.value.uid != *uid {
                        return Err(error);
                    }
                    // It is registered here, so whoever was asked looks into another store.
                    return Ok((Connectivity::Unknown, Err(not_asked(&error))));
                }
                Err(error) => return Ok((Connectivity::Unknown, Err(not_asked(&error)))),
            },
        };
        Ok((if seen.is_ok() { Connectivity::Available } else { Connectivity::Unavailable }, seen))
    }
}

/// Refuses an identity that cannot become part of a key.
fn check_identity(identity: &str) -> Result<(), Failure> {
    let is_sane = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if !identity.is_empty() && identity.len() <= 128 && identity.chars().all(is_sane) {
        return Ok(());
    }
    let detail = "the uid of the cluster's kube-system namespace is not one: is this a Kubernetes API server?";
    Err(Failure::new(Reason::ServerError, detail))
}
