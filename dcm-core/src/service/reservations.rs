use futures_util::{StreamExt, TryStreamExt, stream};

use super::{CloudId, CloudWork, Dcm};
use crate::{
    error::Error,
    keys,
    lifecycle::Phase,
    model::{Applied, AppliedReference, ClusterReference, LogicalCloud, PermissionScope, Reservation},
    name::Namespace,
    store::{self, StoreExt},
};

/// How many reservations are made side by side: enough for a store to share its syncs.
const SIDE_BY_SIDE: usize = 32;

impl Dcm {
    /// Reserves the logical cloud's namespace on those of the clusters whose identity is known. The others
    /// are reserved when they are first reached.
    pub(super) async fn reserve_all(
        &self,
        cloud: &LogicalCloud,
        namespace: &Namespace,
        references: &[AppliedReference],
    ) -> Result<(), Error> {
        let reserve = |reference: &AppliedReference| {
            let reference = reference.clone();
            async move {
                let cluster = self.registration(&reference.cluster_provider, &reference.cluster_name).await?;
                let health = self.health(&cluster.value.uid).await?;
                let Some(identity) = health.and_then(|health| health.identity) else {
                    return Ok(());
                };
                let holder = self.reserve(cloud, namespace, &reference, &identity).await?;
                holder.map_or(Ok(()), |holder| Err(taken(namespace, &reference, &holder)))
            }
        };
        // Collected first: a closure over borrowed items does not make a `Send` stream.
        let all: Vec<_> = references.iter().map(reserve).collect();
        stream::iter(all).buffer_unordered(SIDE_BY_SIDE).try_collect().await
    }

    /// Reserves a namespace on a cluster; answers who has it, where that is somebody else.
    pub(super) async fn reserve(
        &self,
        cloud: &LogicalCloud,
        namespace: &Namespace,
        reference: &AppliedReference,
        identity: &str,
    ) -> Result<Option<Reservation>, Error> {
        let key = keys::reservation(identity, namespace)?;
        let wanted = Reservation {
            cloud: cloud.uid.clone(),
            project: cloud.project.clone(),
            name: cloud.metadata.name.clone(),
            reference: reference.name.clone(),
            reference_uid: reference.uid.clone(),
        };
        for _ in 0..super::orders::ATTEMPTS {
            let written = match self.store().load::<Reservation>(&key).await? {
                // While its cloud is applied nobody takes it away. Otherwise it is written once more, so that
                // whoever has just judged it void comes too late.
                Some(found) if found.value == wanted && cloud.lifecycle.phase == Phase::Applied => {
                    return Ok(None);
                }
                Some(found) if found.value == wanted => self.store().replace(&key, &wanted, &found.revision).await,
                Some(found) if self.holds(&found.value).await? => return Ok(Some(found.value)),
                Some(found) => self.store().replace(&key, &wanted, &found.revision).await,
                None => self.store().insert(&key, &wanted).await,
            };
            match written {
                Ok(_) => return Ok(None),
                Err(store::Error::Conflict { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(Error::changed("reservation", namespace, false))
    }

    /// The first namespace into which a permission reaches and that is another logical cloud's on a cluster, with
    /// who has it. Whatever the operator allows, tenants do not reach into each other's.
    pub(super) async fn reaches_into(
        &self,
        applied: &Applied,
        identity: &str,
    ) -> Result<Option<(Namespace, Reservation)>, Error> {
        let Some((_, user)) = applied.tenant() else {
            return Ok(None);
        };
        for permission in &user.permissions {
            let PermissionScope::Namespace(namespace) = &permission.scope else { continue };
            let found = self.store().load::<Reservation>(&keys::reservation(identity, namespace)?).await?;
            if let Some(found) = found.filter(|found| found.value.cloud != applied.cloud)
                && self.holds(&found.value).await?
            {
                return Ok(Some((namespace.clone(), found.value)));
            }
        }
        Ok(None)
    }

    /// Gives a logical cloud's reservation back, unless another order came meanwhile.
    pub(super) async fn release(&self, work: &CloudWork, namespace: &Namespace, identity: &str) -> Result<(), Error> {
        let key = keys::reservation(identity, namespace)?;
        let found = self.store().load::<Reservation>(&key).await?;
        match found.filter(|found| found.value.cloud == work.cloud().uid) {
            Some(found) if self.unchanged(work).await?.is_some() => self.take_back(&found).await,
            _ => Ok(()),
        }
    }

    /// Whether a reservation still stands: its logical cloud is there, may be on clusters, and has that
    /// reference. One that a crash left behind does not; its would-be holder asks again before it touches
    /// the cluster.
    async fn holds(&self, reservation: &Reservation) -> Result<bool, Error> {
        let id = CloudId { project: reservation.project.clone(), name: reservation.name.clone() };
        match self.cloud(&id).await {
            Ok(cloud) if cloud.value.uid == reservation.cloud => {
                let key = keys::reference(&reservation.cloud, &reservation.reference)?;
                let reference = self.store().load::<ClusterReference>(&key).await?;
                let there = reference.is_some_and(|found| found.value.uid == reservation.reference_uid);
                Ok(there && cloud.value.lifecycle.phase.is_on_clusters())
            }
            Ok(_) | Err(Error::NotFound { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }
}

fn taken(namespace: &Namespace, reference: &AppliedReference, holder: &Reservation) -> Error {
    let (provider, cluster) = (&reference.cluster_provider, &reference.cluster_name);
    let (project, name, other) = (&holder.project, &holder.name, &holder.reference);
    Error::Refused(format!(
        "the namespace \"{namespace}\" on the cluster {provider}/{cluster} belongs to the logical cloud {project}/{name} (its reference \"{other}\")"
    ))
}
