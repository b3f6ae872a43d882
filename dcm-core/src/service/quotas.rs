use super::{
    CloudId, Dcm, Draft, Expected, Listed, Page, Watch, WatchPosition,
    children::refuse_deleting,
    watch::{Parent, Start},
};
use crate::{
    error::Error,
    keys,
    model::{Quota, QuotaInput},
    name::QuotaName,
    store::Entry,
};

const WHAT: &str = "quota";

impl Dcm {
    /// Creates a quota of a logical cloud. Clusters get it at the next apply.
    ///
    /// # Errors
    /// [`Error::Invalid`], [`Error::NotFound`] (the logical cloud), [`Error::AlreadyExists`],
    /// [`Error::Refused`] beyond the largest number.
    pub async fn create_quota(&self, id: &CloudId, draft: Draft<QuotaInput>) -> Result<Entry<Quota>, Error> {
        let value = draft.check(|input, faults| input.check(None, faults))?;
        let cloud = self.cloud(id).await?.value;
        refuse_deleting(&cloud)?;
        if cloud.spec.namespace.is_none() {
            return Err(Error::Refused("an admin cloud has no namespace, so it has no quotas".to_owned()));
        }
        let name = value.metadata.name.clone();
        let keys = (&keys::quotas(&cloud.uid)?, keys::quota(&cloud.uid, &name)?);
        self.create_child((id, &cloud.uid), keys, value, (WHAT, name.as_str()), Quota::MOST).await
    }

    /// Reads a quota.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub async fn quota(&self, id: &CloudId, name: &QuotaName) -> Result<Entry<Quota>, Error> {
        let cloud = self.cloud(id).await?.value;
        self.read(&keys::quota(&cloud.uid, name)?, (WHAT, name.as_str())).await
    }

    /// Lists a logical cloud's quotas by name.
    ///
    /// # Errors
    /// [`Error::NotFound`] (the logical cloud).
    pub async fn quotas(&self, id: &CloudId, page: &Page) -> Result<Listed<Entry<Quota>>, Error> {
        let cloud = self.cloud(id).await?.value;
        self.page(keys::quotas(&cloud.uid)?, page).await
    }

    /// Watches a logical cloud's quotas.
    ///
    /// # Errors
    /// [`Error::NotFound`] (the logical cloud); [`Error::Store`]: also where the position is too old, or another list's.
    pub async fn watch_quotas(&self, id: &CloudId, from: Option<&WatchPosition>) -> Result<Watch<Entry<Quota>>, Error> {
        let start = Start::of(self.store(), from).await?;
        let cloud = self.cloud(id).await?;
        self.watch_list(start, keys::quotas(&cloud.value.uid)?, Some(Parent::cloud(&cloud)?)).await
    }

    /// Replaces a quota.
    ///
    /// # Errors
    /// [`Error::Invalid`], [`Error::NotFound`], [`Error::Changed`].
    pub async fn update_quota(
        &self,
        id: &CloudId,
        name: &QuotaName,
        draft: Draft<QuotaInput>,
        expected: Expected<'_>,
    ) -> Result<Entry<Quota>, Error> {
        let value = draft.check(|input, faults| input.check(Some(name), faults))?;
        let cloud = self.cloud(id).await?.value;
        refuse_deleting(&cloud)?;
        let key = keys::quota(&cloud.uid, name)?;
        self.change(&key, (WHAT, name.as_str()), expected, |_: Quota| Ok(value.clone())).await
    }

    /// Deletes a quota.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Changed`].
    pub async fn delete_quota(&self, id: &CloudId, name: &QuotaName, expected: Expected<'_>) -> Result<(), Error> {
        let cloud = self.cloud(id).await?.value;
        self.erase::<Quota>(&keys::quota(&cloud.uid, name)?, (WHAT, name.as_str()), expected).await
    }
}
