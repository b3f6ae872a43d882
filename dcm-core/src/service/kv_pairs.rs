use super::{
    CloudId, Dcm, Draft, Expected, Listed, Page, Watch, WatchPosition,
    children::refuse_deleting,
    watch::{Parent, Start},
};
use crate::{
    error::Error,
    keys,
    model::{KvPair, KvPairInput},
    name::KvPairName,
    store::Entry,
};

const WHAT: &str = "kv-pair";

impl Dcm {
    /// Creates a kv-pair of a logical cloud.
    ///
    /// # Errors
    /// [`Error::Invalid`], [`Error::NotFound`] (the logical cloud), [`Error::AlreadyExists`],
    /// [`Error::Refused`] beyond the largest number.
    pub async fn create_kv_pair(&self, id: &CloudId, draft: Draft<KvPairInput>) -> Result<Entry<KvPair>, Error> {
        let value = draft.check(|input, faults| input.check(None, faults))?;
        let cloud = self.cloud(id).await?.value;
        refuse_deleting(&cloud)?;
        let name = value.metadata.name.clone();
        let keys = (&keys::kv_pairs(&cloud.uid)?, keys::kv_pair(&cloud.uid, &name)?);
        self.create_child((id, &cloud.uid), keys, value, (WHAT, name.as_str()), KvPair::MOST).await
    }

    /// Reads a kv-pair.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub async fn kv_pair(&self, id: &CloudId, name: &KvPairName) -> Result<Entry<KvPair>, Error> {
        let cloud = self.cloud(id).await?.value;
        self.read(&keys::kv_pair(&cloud.uid, name)?, (WHAT, name.as_str())).await
    }

    /// Lists a logical cloud's kv-pairs by name.
    ///
    /// # Errors
    /// [`Error::NotFound`] (the logical cloud).
    pub async fn kv_pairs(&self, id: &CloudId, page: &Page) -> Result<Listed<Entry<KvPair>>, Error> {
        let cloud = self.cloud(id).await?.value;
        self.page(keys::kv_pairs(&cloud.uid)?, page).await
    }

    /// Watches a logical cloud's kv-pairs.
    ///
    /// # Errors
    /// [`Error::NotFound`] (the logical cloud); [`Error::Store`]: also where the position is too old, or another list's.
    pub async fn watch_kv_pairs(
        &self,
        id: &CloudId,
        from: Option<&WatchPosition>,
    ) -> Result<Watch<Entry<KvPair>>, Error> {
        let start = Start::of(self.store(), from).await?;
        let cloud = self.cloud(id).await?;
        self.watch_list(start, keys::kv_pairs(&cloud.value.uid)?, Some(Parent::cloud(&cloud)?)).await
    }

    /// Replaces a kv-pair.
    ///
    /// # Errors
    /// [`Error::Invalid`], [`Error::NotFound`], [`Error::Changed`].
    pub async fn update_kv_pair(
        &self,
        id: &CloudId,
        name: &KvPairName,
        draft: Draft<KvPairInput>,
        expected: Expected<'_>,
    ) -> Result<Entry<KvPair>, Error> {
        let value = draft.check(|input, faults| input.check(Some(name), faults))?;
        let cloud = self.cloud(id).await?.value;
        refuse_deleting(&cloud)?;
        let key = keys::kv_pair(&cloud.uid, name)?;
        self.change(&key, (WHAT, name.as_str()), expected, |_: KvPair| Ok(value.clone())).await
    }

    /// Deletes a kv-pair.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Changed`].
    pub async fn delete_kv_pair(&self, id: &CloudId, name: &KvPairName, expected: Expected<'_>) -> Result<(), Error> {
        let cloud = self.cloud(id).await?.value;
        self.erase::<KvPair>(&keys::kv_pair(&cloud.uid, name)?, (WHAT, name.as_str()), expected).await
    }
}
