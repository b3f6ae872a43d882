//! Cutting a user off, and giving him a new credential, without waiting for an apply.

use futures_util::{StreamExt as _, stream};

use super::{
    CloudId, Dcm, Expected,
    children::expect,
    drive::{another_cluster, own_fault},
    gateway::not_asked,
    orders::{ATTEMPTS, advance},
};
use crate::{
    error::Error,
    gateway::{ClusterGateway, CutOffs},
    keys,
    lifecycle::{Event, Lifecycle, Phase},
    model::{Applied, Cluster, ClusterStatus, Connectivity, LogicalCloud, Order},
    name::{Namespace, ReferenceName},
    store::{Entry, StoreExt},
    sync::{CutOff, Failure, Grant, Reason},
    tenancy::{Identity, Tenancy},
};

/// On how many clusters at once a user is cut off.
const SIDE_BY_SIDE: usize = 64;

/// What became of cutting a user off.
#[derive(Clone, Debug)]
pub struct Revocation {
    /// The logical cloud with the order for a new credential in it.
    pub cloud: LogicalCloud,
    /// Every cluster that held something of it, or was being worked on, by the names of the references: what may still give him
    /// access there, or why he may not be cut off there yet. That is done as soon as the cluster can be had, and as what was
    /// at work there for the user from before ([`Reason::Conflict`]) has ended.
    pub clusters: CutOffs,
}

impl Dcm {
    /// Cuts the user off at once on every cluster that can be reached, and orders a new credential for him.
    ///
    /// From then on he is another user for clusters: no certificate or token from before ever fits a binding
    /// again. Edits since the last apply still wait for the next one.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Refused`] where he has no access, or an admin cloud has no user.
    pub async fn revoke_user(&self, id: &CloudId) -> Result<Revocation, Error> {
        self.revoke_user_at(id, None).await
    }

    pub(super) async fn revoke_user_at(&self, id: &CloudId, expected: Expected<'_>) -> Result<Revocation, Error> {
        let (cloud, applied) = self.replace_user(id, Event::Revoke, expected).await?;
        let clusters = match self.gateway() {
            Some(gateway) => self.have_cut_off(gateway, id, &cloud, &applied).await?,
            None => self.cut_off_everywhere(&cloud, &applied).await?,
        };
        self.let_in_again(id, &cloud).await?;
        Ok(Revocation { cloud, clusters })
    }

    /// Has others cut the user off. Where they cannot, it is the order's to do.
    async fn have_cut_off(
        &self,
        gateway: &dyn ClusterGateway,
        id: &CloudId,
        cloud: &LogicalCloud,
        applied: &Applied,
    ) -> Result<CutOffs, Error> {
        let error = match gateway.cut_off_user(id, applied.generation).await {
            Ok(clusters) => return Ok(clusters),
            Err(error) => error,
        };
        let mut failure = not_asked(&error);
        failure.detail.push_str("; the user is cut off there as soon as a synchronizer carries out the order");
        let meant = self.meant_to_be_cut_off(cloud, applied).await?;
        Ok(meant.into_iter().map(|status| (status.reference, Err(failure.clone()))).collect())
    }

    /// Cuts everybody off but the user that the store says: the applied state of this generation, or of a later one.
    pub(super) async fn cut_off_since(&self, id: &CloudId, generation: u64) -> Result<CutOffs, Error> {
        for _ in 0..ATTEMPTS {
            let cloud = self.cloud(id).await?.value;
            if cloud.lifecycle.applied_generation < generation {
                break;
            }
            let applied = match self.frozen(&cloud).await {
                // Applied anew meanwhile.
                Err(Error::NotFound { .. }) => continue,
                applied => applied?,
            };
            let Some(applied) = applied.filter(|applied| applied.tenant().is_some()) else {
                return Err(nobody());
            };
            let clusters = self.cut_off_everywhere(&cloud, &applied).await?;
            // Who asked may be gone, or have asked again meanwhile.
            self.let_in_again(id, &cloud).await?;
            return Ok(clusters);
        }
        Err(Error::changed("logical cloud", &id.name, false))
    }

    /// Cuts the user off on every cluster that can be reached.
    async fn cut_off_everywhere(&self, cloud: &LogicalCloud, applied: &Applied) -> Result<CutOffs, Error> {
        let meant = self.meant_to_be_cut_off(cloud, applied).await?;
        let cuts: Vec<_> = meant.into_iter().map(|status| self.cut_off(cloud, applied, status)).collect();
        Ok(stream::iter(cuts).buffered(SIDE_BY_SIDE).collect().await)
    }

    /// The clusters that hold something, or are being worked on for a user from before. Read after the order was given: whoever claims
    /// a cluster from then on for what was before gives it up.
    async fn meant_to_be_cut_off(&self, cloud: &LogicalCloud, applied: &Applied) -> Result<Vec<ClusterStatus>, Error> {
        let statuses = self.store().list_all::<ClusterStatus>(&keys::statuses(&cloud.uid)?).await?;
        let is_meant =
            |status: &ClusterStatus| !status.inventory.is_empty() || is_held_for_before(status, applied.generation);
        Ok(statuses.into_iter().map(|entry| entry.value).filter(is_meant).collect())
    }

    /// Orders a new credential for the user; the one from before is of no use as soon as that is there.
    ///
    /// # Errors
    /// As [`Dcm::revoke_user`].
    pub async fn renew_user(&self, id: &CloudId) -> Result<LogicalCloud, Error> {
        self.renew_user_at(id, None).await
    }

    pub(super) async fn renew_user_at(&self, id: &CloudId, expected: Expected<'_>) -> Result<LogicalCloud, Error> {
        Ok(self.replace_user(id, Event::Renew, expected).await?.0)
    }

    /// Somebody else has made the user another one while he was cut off: he who has access now was perhaps cut off
    /// too, behind the worker's back. An order of its own has it make good for that, whatever is done about drift.
    async fn let_in_again(&self, id: &CloudId, cut_off: &LogicalCloud) -> Result<(), Error> {
        for _ in 0..ATTEMPTS {
            let cloud = match self.cloud(id).await {
                Err(Error::NotFound { .. }) => return Ok(()),
                found => found?,
            };
            let alone = cloud.value.uid != cut_off.uid || cloud.value.credential_epoch == cut_off.credential_epoch;
            if alone || cloud.value.lifecycle.phase != Phase::Applied {
                return Ok(());
            }
            let order = self.new_order(&cloud.key, self.is_forced(&cloud.value).await?, true);
            let lifecycle = Lifecycle { order: Some(order.id.clone()), ..cloud.value.lifecycle.clone() };
            match self.give_order(cloud, lifecycle, order).await {
                Err(Error::Changed { .. }) => {}
                given => return given.map(drop),
            }
        }
        Err(Error::changed("logical cloud", &id.name, false))
    }

    /// Makes the user another one for clusters, in what was applied and in what will be.
    async fn replace_user(
        &self,
        id: &CloudId,
        event: Event,
        expected: Expected<'_>,
    ) -> Result<(LogicalCloud, Applied), Error> {
        for _ in 0..ATTEMPTS {
            let mut cloud = self.cloud(id).await?;
            expect(&cloud, expected, ("logical cloud", id.name.as_str()))?;
            let phase = advance(&cloud.value, event)?;
            cloud.value.credential_epoch = self.new_epoch(&cloud.value);
            let frozen = match self.freeze_anew(&cloud.value, cloud.value.credential_epoch).await {
                // Applied anew meanwhile.
                Err(Error::NotFound { .. }) => continue,
                frozen => frozen?,
            };
            let Some(frozen) = frozen.filter(|frozen| frozen.applied.tenant().is_some()) else {
                return Err(nobody());
            };
            self.keep(&frozen).await?;
            let mut order = self.new_order(&cloud.key, self.is_forced(&cloud.value).await?, false);
            order.cut_off = (event == Event::Revoke).then(|| self.new_uid());
            let lifecycle = cloud.value.lifecycle.clone();
            let lifecycle = lifecycle.applying(frozen.applied.generation, frozen.pointer.clone());
            let lifecycle = Lifecycle { phase, order: Some(order.id.clone()), ..lifecycle };
            match self.give_order(cloud, lifecycle, order).await {
                Ok(cloud) => return Ok((cloud, frozen.applied)),
                Err(Error::Changed { .. }) => {
                    self.drop_state(&frozen.applied.cloud, frozen.pointer.snapshot.as_str()).await?;
                }
                Err(error) => return Err(error),
            }
        }
        Err(Error::changed("logical cloud", &id.name, false))
    }

    /// Whether what is being carried out was forced: with another user it still is.
    async fn is_forced(&self, cloud: &LogicalCloud) -> Result<bool, Error> {
        let order = self.store().load::<Order>(&keys::order(&cloud.uid)?).await?;
        Ok(order.is_some_and(|order| order.value.force && Some(&order.value.id) == cloud.lifecycle.order.as_ref()))
    }

    async fn cut_off(
        &self,
        cloud: &LogicalCloud,
        applied: &Applied,
        status: ClusterStatus,
    ) -> (ReferenceName, Result<Vec<Grant>, Failure>) {
        let name = status.reference.clone();
        // A cluster that does not answer is not waited for: it is in the worker's hands. Where work was stopped,
        // nobody has looked since.
        let looked_for = cloud.lifecycle.phase == Phase::Applied && status.unreachable_since.is_some();
        let away = status.failure.clone().filter(|_| looked_for);
        let cut = match away {
            Some(failure) => Err(failure),
            None => self.cut_off_for_good(cloud, applied, status).await.unwrap_or_else(|error| {
                Err(own_fault(error).unwrap_or_else(|error| Failure::new(Reason::Internal, error.to_string())))
            }),
        };
        (name, cut)
    }

    /// Cuts off on one cluster whoever is not the user now: somebody else may have made the user another one since the order was given, and
    /// whom he has let in stays.
    async fn cut_off_for_good(
        &self,
        cloud: &LogicalCloud,
        applied: &Applied,
        status: ClusterStatus,
    ) -> Result<Result<Vec<Grant>, Failure>, Error> {
        let mut now = (cloud.clone(), applied.clone(), status);
        for _ in 0..ATTEMPTS {
            if let Some(newer) = self.applied_since(&now).await? {
                now = newer;
            }
            let (cloud, newest, status) = &now;
            let cut = self.cut_off_unless_held(cloud, newest, status.clone(), applied.generation).await?;
            // As a store looks whose state is older than what the cluster was given, but it was this call's own that is.
            let is_outdated = cut.as_ref().is_err_and(|failure| failure.reason == Reason::StoreOlderThanCluster);
            if !is_outdated || self.applied_since(&now).await?.is_none() {
                return Ok(cut);
            }
        }
        Err(Error::changed("logical cloud", cloud.metadata.name.as_str(), false))
    }

    /// What a cluster of the logical cloud is to be now, and how far it is, where that is another state than the one that is known. What
    /// has ended since is no such state: whose access was taken there is known.
    async fn applied_since(
        &self,
        (cloud, applied, status): &(LogicalCloud, Applied, ClusterStatus),
    ) -> Result<Option<(LogicalCloud, Applied, ClusterStatus)>, Error> {
        let key = keys::logical_cloud(&cloud.project_uid, &cloud.metadata.name)?;
        let is_newer =
            |now: &LogicalCloud| now.uid == cloud.uid && now.lifecycle.applied_generation != applied.generation;
        let Some(now) = self.store().load::<LogicalCloud>(&key).await?.map(|now| now.value).filter(is_newer) else {
            return Ok(None);
        };
        let frozen = match self.frozen(&now).await {
            // And anew meanwhile: who asks again sees it.
            Err(Error::NotFound { .. }) => None,
            frozen => frozen?,
        };
        let Some(frozen) = frozen.filter(|frozen| frozen.tenant().is_some()) else { return Ok(None) };
        let status = self.store().load::<ClusterStatus>(&keys::status(&cloud.uid, &status.reference)?).await?;
        Ok(status.map(|status| (now, frozen, status.value)))
    }

    /// Cuts the user off on one cluster, and says that it is done where nobody lets him in again who was there before this generation:
    /// an attempt for him may do that as long as it has its claim.
    async fn cut_off_unless_held(
        &self,
        cloud: &LogicalCloud,
        applied: &Applied,
        mut status: ClusterStatus,
        generation: u64,
    ) -> Result<Result<Vec<Grant>, Failure>, Error> {
        let cut = self.cut_off_there(cloud, applied, &status).await?;
        if cut.is_err() || !is_held_for_before(&status, generation) {
            return Ok(cut);
        }
        let key = keys::status(&cloud.uid, &status.reference)?;
        match self.store().load::<ClusterStatus>(&key).await?.map(|entry| entry.value) {
            Some(now) if (&now.holder, now.token) == (&status.holder, status.token) => {
                let detail = "an attempt for an earlier order has not ended on this cluster, and may let the user in again; he is \
                              cut off there once more as soon as it has";
                return Ok(Err(Failure::new(Reason::Conflict, detail.to_owned())));
            }
            Some(now) => status = now,
            None => {}
        }
        // It has ended, perhaps after he was cut off.
        self.cut_off_there(cloud, applied, &status).await
    }

    /// Cuts the user off on one cluster. The outer error is ours, the inner one the cluster's.
    pub(super) async fn cut_off_there(
        &self,
        cloud: &LogicalCloud,
        applied: &Applied,
        status: &ClusterStatus,
    ) -> Result<Result<Vec<Grant>, Failure>, Error> {
        let Some((namespace, keep)) = self.identity(applied) else {
            return Ok(Ok(Vec::new()));
        };
        let cluster: Entry<Cluster> = match self.registration(&status.cluster_provider, &status.cluster_name).await {
            Ok(cluster) => cluster,
            Err(Error::NotFound { .. }) => {
                let detail = "the cluster is not registered any more".to_owned();
                return Ok(Err(Failure::new(Reason::NotRegistered, detail)));
            }
            Err(error) => return Err(error),
        };
        if let Some(failure) = self.seen_as_another(&cluster, status).await? {
            return Ok(Err(failure));
        }
        let access = self.access(&cluster)?;
        let cut = CutOff {
            owner: self.owner_of(&cloud.uid, &cloud.lifecycle),
            namespace: namespace.clone(),
            inventory: status.inventory.clone(),
            keep,
        };
        Ok(self.ports.synchronizer.cut_off(&access, &cut).await)
    }

    /// Why a cluster is not one that may be asked to cut him off: on another one than he is on, he would be missed and said to be out. What
    /// was last seen of it counts unless the registration was written since and nobody could look.
    async fn seen_as_another(
        &self,
        cluster: &Entry<Cluster>,
        status: &ClusterStatus,
    ) -> Result<Option<Failure>, Error> {
        let Some(health) = self.health(&cluster.value.uid).await? else { return Ok(None) };
        let identity = match health.connectivity {
            Connectivity::Available => health.identity,
            Connectivity::Unavailable | Connectivity::Unknown => match self.probe(&self.access(cluster)?).await {
                Ok(facts) => Some(facts.identity),
                Err(failure) => return Ok(Some(failure)),
            },
        };
        Ok(identity.and_then(|identity| another_cluster(status, &identity)))
    }

    /// Who the user is on clusters, and in which namespace; `None` for an admin cloud.
    pub(super) fn identity<'a>(&self, applied: &'a Applied) -> Option<(&'a Namespace, Identity)> {
        let (namespace, user) = applied.tenant()?;
        Some((namespace, Tenancy { applied, installation: self.installation() }.identity(user)))
    }
}

fn nobody() -> Error {
    Error::Refused("an admin cloud has no user, so there is nobody to cut off".to_owned())
}

/// Whether somebody attempts a cluster for a user who was there before.
fn is_held_for_before(status: &ClusterStatus, generation: u64) -> bool {
    status.holder.is_some() && status.held_for.is_none_or(|held_for| held_for < generation)
}
