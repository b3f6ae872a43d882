use jiff::SignedDuration;

use super::{Deletion, WHAT};
use crate::{
    error::Error,
    keys,
    model::{ClusterReference, ClusterStatus, LogicalCloud},
    name::ReferenceName,
    service::{CloudId, Dcm, Expected},
    store::StoreExt,
    sync::Reason,
};

impl Dcm {
    /// Ends a logical cloud's use of a cluster, at once: it does not wait for the next apply.
    ///
    /// With `force` the reference goes although its cluster cannot be cleaned, where that one has been away
    /// for the grace period of [`Settings`](crate::service::Settings), or can never be cleaned by trying again. What the cluster
    /// holds stays there.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Changed`]; [`Error::Refused`] where force is not yet due.
    pub async fn delete_reference(
        &self,
        id: &CloudId,
        name: &ReferenceName,
        expected: Expected<'_>,
        force: bool,
    ) -> Result<Deletion, Error> {
        let cloud = self.cloud(id).await?.value;
        let found = self.find_reference(&cloud, name).await?;
        let label = (WHAT, found.value.metadata.name.as_str());
        if force {
            self.refuse_early_force(&cloud, &found.value).await?;
        }
        let now = self.now();
        // Marked first: an apply that comes meanwhile leaves it out, or is seen below.
        let marked = self
            .change(&found.key, label, expected, |old: ClusterReference| {
                let deleted_at = old.deleted_at.or(Some(now));
                Ok(ClusterReference { deleted_at, forced: old.forced || force, ..old })
            })
            .await?;
        let cloud = self.cloud(id).await?;
        if cloud.value.lifecycle.phase.is_on_clusters() && self.may_be_there(&cloud.value, &marked.value).await? {
            self.give_order_for_reference(&cloud).await?;
            return Ok(Deletion::Accepted);
        }
        self.drop_reference(&cloud.value, &marked.value).await?;
        Ok(Deletion::Gone)
    }

    /// Whether the reference's cluster may hold something, or be about to.
    async fn may_be_there(&self, cloud: &LogicalCloud, reference: &ClusterReference) -> Result<bool, Error> {
        let status = keys::status(&cloud.uid, &reference.metadata.name)?;
        if self.store().get(&status).await?.is_some() {
            return Ok(true);
        }
        let frozen = match self.frozen_references(cloud).await {
            // Applied anew meanwhile: the worker finds out.
            Err(Error::NotFound { .. }) => return Ok(true),
            frozen => frozen?,
        };
        Ok(frozen.iter().any(|frozen| frozen.uid == reference.uid))
    }

    async fn refuse_early_force(&self, cloud: &LogicalCloud, reference: &ClusterReference) -> Result<(), Error> {
        let key = keys::status(&cloud.uid, &reference.metadata.name)?;
        let Some(status) = self.store().load::<ClusterStatus>(&key).await? else {
            return Ok(());
        };
        let status = status.value;
        let lost = status.reason().is_some_and(Reason::is_lost);
        let grace = SignedDuration::try_from(self.settings().force_after).unwrap_or(SignedDuration::MAX);
        let away = |since| self.now().duration_since(since) >= grace;
        if status.inventory.is_empty() || lost || status.unreachable_since.is_some_and(away) {
            return Ok(());
        }
        Err(Error::Refused(format!(
            "force is for a cluster that is gone for good: this one has not been away for {} s; delete the reference without force",
            grace.as_secs()
        )))
    }

    /// Takes away a reference and all that is kept beside it; the reference itself last, so that what a crash
    /// leaves is found with it.
    pub(in crate::service) async fn drop_reference(
        &self,
        cloud: &LogicalCloud,
        reference: &ClusterReference,
    ) -> Result<(), Error> {
        let name = &reference.metadata.name;
        self.drop_credential(&cloud.uid, name).await?;
        self.store().remove(&keys::status(&cloud.uid, name)?).await?;
        self.drop_bare_reference(cloud, reference).await
    }

    /// Takes away a reference beside which nothing is kept any more but the record of its use.
    pub(in crate::service) async fn drop_bare_reference(
        &self,
        cloud: &LogicalCloud,
        reference: &ClusterReference,
    ) -> Result<(), Error> {
        match self.registration(&reference.cluster_provider, &reference.cluster_name).await {
            Ok(cluster) => self.unclaim(cloud, &cluster.value.uid, &reference.uid).await?,
            Err(Error::NotFound { .. }) => {}
            Err(error) => return Err(error),
        }
        let key = keys::reference(&cloud.uid, &reference.metadata.name)?;
        match self.store().load::<ClusterReference>(&key).await? {
            Some(entry) if entry.value.uid == reference.uid => self.take_back(&entry).await,
            _ => Ok(()),
        }
    }
}
