use super::{
    Dcm, Draft, Expected, Listed, Page, Watch, WatchPosition,
    watch::{Parent, Start},
};
use crate::{
    error::Error,
    keys,
    model::{Cluster, KvPair, KvPairInput},
    name::{ClusterName, KvPairName, ProviderName},
    store::{Entry, StoreExt},
};

const WHAT: &str = "kv-pair";

impl Dcm {
    /// Creates a kv-pair of a cluster.
    ///
    /// # Errors
    /// [`Error::Invalid`], [`Error::NotFound`] (the cluster), [`Error::AlreadyExists`], [`Error::Refused`] beyond the
    /// largest number.
    pub async fn create_cluster_kv_pair(
        &self,
        (provider, cluster): (&ProviderName, &ClusterName),
        draft: Draft<KvPairInput>,
    ) -> Result<Entry<KvPair>, Error> {
        let value = draft.check(|input, faults| input.check(None, faults))?;
        let parent = self.registration(provider, cluster).await?;
        let uid = &parent.value.uid;
        let name = value.metadata.name.clone();
        let keys = (&keys::cluster_kv_pairs(uid)?, keys::cluster_kv_pair(uid, &name)?);
        // Who deletes a cluster takes its kv-pairs along afterwards: one that was made before the cluster went is
        // seen then, and one that comes after it is taken back here.
        let confirm = async || match self.store().load::<Cluster>(&parent.key).await? {
            Some(now) if now.value.uid == *uid => Ok(()),
            _ => Err(Error::not_found("cluster", cluster)),
        };
        self.create_among(keys, value, (WHAT, name.as_str()), ("cluster", KvPair::MOST), confirm).await
    }

    /// Reads a kv-pair of a cluster.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub async fn cluster_kv_pair(
        &self,
        (provider, cluster): (&ProviderName, &ClusterName),
        name: &KvPairName,
    ) -> Result<Entry<KvPair>, Error> {
        let parent = self.registration(provider, cluster).await?;
        self.read(&keys::cluster_kv_pair(&parent.value.uid, name)?, (WHAT, name.as_str())).await
    }

    /// Lists a cluster's kv-pairs by name.
    ///
    /// # Errors
    /// [`Error::NotFound`] (the cluster).
    pub async fn cluster_kv_pairs(
        &self,
        (provider, cluster): (&ProviderName, &ClusterName),
        page: &Page,
    ) -> Result<Listed<Entry<KvPair>>, Error> {
        let parent = self.registration(provider, cluster).await?;
        self.page(keys::cluster_kv_pairs(&parent.value.uid)?, page).await
    }

    /// Watches a cluster's kv-pairs.
    ///
    /// # Errors
    /// [`Error::NotFound`] (the cluster); [`Error::Store`]: also where the position is too old, or another list's.
    pub async fn watch_cluster_kv_pairs(
        &self,
        (provider, cluster): (&ProviderName, &ClusterName),
        from: Option<&WatchPosition>,
    ) -> Result<Watch<Entry<KvPair>>, Error> {
        let start = Start::of(self.store(), from).await?;
        let parent = self.registration(provider, cluster).await?;
        let pairs = keys::cluster_kv_pairs(&parent.value.uid)?;
        self.watch_list(start, pairs, Some(Parent::cluster(&parent)?)).await
    }

    /// Replaces a kv-pair of a cluster.
    ///
    /// # Errors
    /// [`Error::Invalid`], [`Error::NotFound`], [`Error::Changed`].
    pub async fn update_cluster_kv_pair(
        &self,
        (provider, cluster): (&ProviderName, &ClusterName),
        name: &KvPairName,
        draft: Draft<KvPairInput>,
        expected: Expected<'_>,
    ) -> Result<Entry<KvPair>, Error> {
        let value = draft.check(|input, faults| input.check(Some(name), faults))?;
        let parent = self.registration(provider, cluster).await?;
        let key = keys::cluster_kv_pair(&parent.value.uid, name)?;
        self.change(&key, (WHAT, name.as_str()), expected, |_: KvPair| Ok(value.clone())).await
    }

    /// Deletes a kv-pair of a cluster.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Changed`].
    pub async fn delete_cluster_kv_pair(
        &self,
        (provider, cluster): (&ProviderName, &ClusterName),
        name: &KvPairName,
        expected: Expected<'_>,
    ) -> Result<(), Error> {
        let parent = self.registration(provider, cluster).await?;
        let key = keys::cluster_kv_pair(&parent.value.uid, name)?;
        self.erase::<KvPair>(&key, (WHAT, name.as_str()), expected).await
    }
}
