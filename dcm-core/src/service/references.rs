mod claim;
mod delete;

use super::{
    CloudId, Dcm, Draft, Expected, Listed, Page, Watch, WatchPosition,
    children::{expect, refuse_deleting},
    watch::{Parent, Start},
};
use crate::{
    error::Error,
    keys,
    model::{ClusterReference, ClusterReferenceInput, LogicalCloud},
    name::ReferenceName,
    store::{Entry, Scan, StoreExt},
};

const WHAT: &str = "cluster reference";

/// What became of a delete that may have to wait for clusters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deletion {
    /// It is gone.
    Gone,
    /// It goes once the clusters are clean.
    Accepted,
}

impl Dcm {
    /// Makes a logical cloud use a cluster. The cluster gets it at the next apply.
    ///
    /// # Errors
    /// [`Error::Invalid`] (also where the cluster is not registered), [`Error::NotFound`] (the logical
    /// cloud), [`Error::AlreadyExists`], [`Error::Refused`] where the logical cloud uses that cluster already
    /// or beyond the largest number.
    pub async fn create_reference(
        &self,
        id: &CloudId,
        draft: Draft<ClusterReferenceInput>,
    ) -> Result<Entry<ClusterReference>, Error> {
        let short = draft.input.short;
        let reference = draft.check(|input, faults| input.check(self.new_uid(), None, faults))?;
        let cloud = self.cloud(id).await?.value;
        refuse_deleting(&cloud)?;
        let cluster = self.registered(&reference, short).await?;
        let name = reference.metadata.name.clone();
        let (prefix, key) = (keys::references(&cloud.uid)?, keys::reference(&cloud.uid, &name)?);
        if self.store().get(&key).await?.is_some() {
            return Err(Error::exists(WHAT, &name));
        }
        let uid = reference.uid.clone();
        self.claim(&cloud, &cluster, &reference).await?;
        let keys = (&prefix, key);
        let label = (WHAT, name.as_str());
        let made = self.create_child((id, &cloud.uid), keys, reference, label, ClusterReference::MOST).await;
        let confirmed = match made {
            Ok(entry) => self.confirm_reference(&cloud, &cluster, entry, short).await,
            Err(error) => Err(error),
        };
        if confirmed.is_err() {
            self.unclaim(&cloud, &cluster.value.uid, &uid).await?;
        }
        confirmed
    }

    /// Reads a cluster reference by its name; else the only one to a cluster of that name.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub async fn reference(&self, id: &CloudId, name: &ReferenceName) -> Result<Entry<ClusterReference>, Error> {
        let cloud = self.cloud(id).await?.value;
        self.find_reference(&cloud, name).await
    }

    /// Lists a logical cloud's cluster references by name.
    ///
    /// # Errors
    /// [`Error::NotFound`] (the logical cloud).
    pub async fn references(&self, id: &CloudId, page: &Page) -> Result<Listed<Entry<ClusterReference>>, Error> {
        let cloud = self.cloud(id).await?.value;
        self.page(keys::references(&cloud.uid)?, page).await
    }

    /// Watches a logical cloud's cluster references.
    ///
    /// # Errors
    /// [`Error::NotFound`] (the logical cloud); [`Error::Store`]: also where the position is too old, or another list's.
    pub async fn watch_references(
        &self,
        id: &CloudId,
        from: Option<&WatchPosition>,
    ) -> Result<Watch<Entry<ClusterReference>>, Error> {
        let start = Start::of(self.store(), from).await?;
        let cloud = self.cloud(id).await?;
        self.watch_list(start, keys::references(&cloud.value.uid)?, Some(Parent::cloud(&cloud)?)).await
    }

    /// Changes a cluster reference: its metadata and load-balancer IP; its cluster while the logical cloud
    /// is not applied.
    ///
    /// # Errors
    /// [`Error::Invalid`], [`Error::NotFound`], [`Error::Changed`], [`Error::Refused`].
    pub async fn update_reference(
        &self,
        id: &CloudId,
        name: &ReferenceName,
        draft: Draft<ClusterReferenceInput>,
        expected: Expected<'_>,
    ) -> Result<Entry<ClusterReference>, Error> {
        let cloud = self.cloud(id).await?.value;
        refuse_deleting(&cloud)?;
        let found = self.find_reference(&cloud, name).await?;
        let name = found.value.metadata.name.clone();
        let label = (WHAT, name.as_str());
        let new = draft.check(|input, faults| input.check(found.value.uid.clone(), Some(&name), faults))?;
        expect(&found, expected, label)?;
        let moved =
            new.cluster_provider != found.value.cluster_provider || new.cluster_name != found.value.cluster_name;
        if moved {
            return Err(Error::Refused(
                "cluster-provider and cluster-name of a reference cannot change; delete it and create another"
                    .to_owned(),
            ));
        }
        self.change(&found.key, label, expected, |old: ClusterReference| {
            if old.uid != new.uid {
                return Err(Error::not_found(WHAT, &name));
            }
            refuse_leaving(&old)?;
            Ok(new.clone())
        })
        .await
    }

    async fn find_reference(
        &self,
        cloud: &LogicalCloud,
        name: &ReferenceName,
    ) -> Result<Entry<ClusterReference>, Error> {
        if let Some(found) = self.store().load(&keys::reference(&cloud.uid, name)?).await? {
            return Ok(found);
        }
        let (prefix, mut after, mut only) = (keys::references(&cloud.uid)?, None, None);
        loop {
            let scan = Scan::below(prefix.clone(), Page::LARGEST_LIMIT).after(after);
            let page = self.store().list_page::<ClusterReference>(scan).await?;
            after = page.last().map(|entry| entry.key.clone());
            let last = page.len() < Page::LARGEST_LIMIT;
            for entry in page {
                if entry.value.cluster_name.as_str() == name.as_str() && only.replace(entry).is_some() {
                    let several =
                        format!("several cluster references are to a cluster \"{name}\"; use the reference's own name");
                    return Err(Error::Refused(several));
                }
            }
            if last {
                return only.ok_or_else(|| Error::not_found(WHAT, name));
            }
        }
    }
}

fn refuse_leaving(reference: &ClusterReference) -> Result<(), Error> {
    if reference.deleted_at.is_some() {
        let name = &reference.metadata.name;
        return Err(Error::Refused(format!("the cluster reference \"{name}\" is being deleted")));
    }
    Ok(())
}
