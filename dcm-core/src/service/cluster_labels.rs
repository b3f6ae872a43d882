//! The labels of a cluster, one by one: a view onto the map in its registration, which is the only place where they are kept.

use std::collections::BTreeMap;

use super::{Dcm, Draft, Expected};
use crate::{
    error::Error,
    model::{Cluster, ClusterLabel, ClusterLabelInput},
    name::{ClusterName, LabelKey, ProviderName},
    store::Revision,
};

const WHAT: &str = "cluster label";

impl Dcm {
    /// Adds a label to a cluster.
    ///
    /// # Errors
    /// [`Error::Invalid`], [`Error::NotFound`] (the cluster), [`Error::AlreadyExists`], [`Error::Refused`] beyond the
    /// largest number.
    pub async fn create_cluster_label(
        &self,
        cluster: (&ProviderName, &ClusterName),
        draft: Draft<ClusterLabelInput>,
    ) -> Result<(ClusterLabel, Revision), Error> {
        let label = draft.check(|input, faults| input.check(None, faults))?;
        let key = label.key.as_str();
        let revision = self
            .change_labels(cluster, None, |labels| {
                if labels.contains_key(key) {
                    return Err(Error::exists(WHAT, key));
                }
                if labels.len() >= ClusterLabel::MOST {
                    return Err(Error::Refused(format!("a cluster has at most {} of a {WHAT}", ClusterLabel::MOST)));
                }
                labels.insert(key.to_owned(), label.value.clone());
                Ok(())
            })
            .await?;
        Ok((label, revision))
    }

    /// Reads all labels of a cluster, and the state that its registration is in.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub async fn cluster_labels(
        &self,
        cluster: (&ProviderName, &ClusterName),
    ) -> Result<(BTreeMap<String, String>, Revision), Error> {
        let found = self.registration(cluster.0, cluster.1).await?;
        Ok((found.value.labels, found.revision))
    }

    /// Reads a label of a cluster.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub async fn cluster_label(
        &self,
        cluster: (&ProviderName, &ClusterName),
        key: &LabelKey,
    ) -> Result<(ClusterLabel, Revision), Error> {
        let (mut labels, revision) = self.cluster_labels(cluster).await?;
        let value = labels.remove(key.as_str()).ok_or_else(|| Error::not_found(WHAT, key))?;
        Ok((ClusterLabel { key: key.clone(), value }, revision))
    }

    /// Gives a label of a cluster another value.
    ///
    /// # Errors
    /// [`Error::Invalid`], [`Error::NotFound`], [`Error::Changed`].
    pub async fn update_cluster_label(
        &self,
        cluster: (&ProviderName, &ClusterName),
        key: &LabelKey,
        draft: Draft<ClusterLabelInput>,
        expected: Expected<'_>,
    ) -> Result<(ClusterLabel, Revision), Error> {
        let label = draft.check(|input, faults| input.check(Some(key), faults))?;
        let revision = self
            .change_labels(cluster, expected, |labels| {
                let value = labels.get_mut(key.as_str()).ok_or_else(|| Error::not_found(WHAT, key))?;
                value.clone_from(&label.value);
                Ok(())
            })
            .await?;
        Ok((label, revision))
    }

    /// Takes a label off a cluster.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Changed`].
    pub async fn delete_cluster_label(
        &self,
        cluster: (&ProviderName, &ClusterName),
        key: &LabelKey,
        expected: Expected<'_>,
    ) -> Result<(), Error> {
        let remove = |labels: &mut BTreeMap<String, String>| {
            labels.remove(key.as_str()).map(drop).ok_or_else(|| Error::not_found(WHAT, key))
        };
        self.change_labels(cluster, expected, remove).await.map(drop)
    }

    async fn change_labels(
        &self,
        (provider, name): (&ProviderName, &ClusterName),
        expected: Expected<'_>,
        mut change: impl FnMut(&mut BTreeMap<String, String>) -> Result<(), Error> + Send,
    ) -> Result<Revision, Error> {
        let found = self.registration(provider, name).await?;
        let change = |mut cluster: Cluster| {
            change(&mut cluster.labels)?;
            Ok(cluster)
        };
        Ok(self.change(&found.key, ("cluster", name.as_str()), expected, change).await?.revision)
    }
}
