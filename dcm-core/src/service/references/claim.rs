//! Which logical cloud uses which cluster, recorded on the cluster's side: once only, and found by whoever
//! wants to delete the cluster.

use super::WHAT;
use crate::{
    error::Error,
    fault::Faults,
    keys,
    model::{Cluster, ClusterReference, ClusterUse, LogicalCloud, Uid},
    name::ReferenceName,
    service::{CloudId, Dcm},
    store::{self, Entry, StoreExt},
};

impl Dcm {
    /// Takes a new reference back whose cluster went meanwhile, or is used by another reference of the same
    /// logical cloud that was made at the same time.
    pub(super) async fn confirm_reference(
        &self,
        cloud: &LogicalCloud,
        cluster: &Entry<Cluster>,
        entry: Entry<ClusterReference>,
        short: bool,
    ) -> Result<Entry<ClusterReference>, Error> {
        let use_key = keys::cluster_use(&cluster.value.uid, &cloud.uid)?;
        let used = self.store().load::<ClusterUse>(&use_key).await?;
        let refused = match used {
            Some(used) if used.value.reference_uid != entry.value.uid => {
                Some(used_already(&used.value.reference, cluster))
            }
            Some(_) if self.is_still::<Cluster>(&cluster.key, &cluster.value.uid).await? => None,
            _ => Some(unknown_cluster(&entry.value, short)),
        };
        match refused {
            None => Ok(entry),
            Some(error) => {
                self.take_back(&entry).await?;
                Err(error)
            }
        }
    }

    /// Whether a recorded use still stands for a reference.
    pub(in crate::service) async fn is_in_use(&self, used: &ClusterUse) -> Result<bool, Error> {
        let id = CloudId { project: used.project.clone(), name: used.name.clone() };
        match self.cloud(&id).await {
            Ok(cloud) if cloud.value.uid == used.cloud => {
                let key = keys::reference(&used.cloud, &used.reference)?;
                let found = self.store().load::<ClusterReference>(&key).await?;
                Ok(found.is_some_and(|found| found.value.uid == used.reference_uid))
            }
            Ok(_) | Err(Error::NotFound { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// The registration of the cluster that a new reference names.
    pub(super) async fn registered(&self, reference: &ClusterReference, short: bool) -> Result<Entry<Cluster>, Error> {
        let (provider, name) = (&reference.cluster_provider, &reference.cluster_name);
        loop {
            match self.registration(provider, name).await {
                Ok(cluster) => {
                    if let Some(cluster) = self.unmarked(cluster).await? {
                        return Ok(cluster);
                    }
                }
                Err(Error::NotFound { .. }) => return Err(unknown_cluster(reference, short)),
                Err(error) => return Err(error),
            }
        }
    }

    /// Records that a logical cloud is about to use a cluster. A record whose reference is not there, perhaps
    /// not yet, is taken over; its maker notices ([`Dcm::confirm_reference`]).
    pub(super) async fn claim(
        &self,
        cloud: &LogicalCloud,
        cluster: &Entry<Cluster>,
        reference: &ClusterReference,
    ) -> Result<(), Error> {
        let key = keys::cluster_use(&cluster.value.uid, &cloud.uid)?;
        let name = &reference.metadata.name;
        let used = ClusterUse {
            cloud: cloud.uid.clone(),
            project: cloud.project.clone(),
            name: cloud.metadata.name.clone(),
            reference: name.clone(),
            reference_uid: reference.uid.clone(),
        };
        match self.store().insert(&key, &used).await {
            Ok(_) => return Ok(()),
            Err(store::Error::Conflict { .. }) => {}
            Err(error) => return Err(error.into()),
        }
        let Some(found) = self.store().load::<ClusterUse>(&key).await? else {
            return Err(Error::changed(WHAT, name, false));
        };
        if self.is_in_use(&found.value).await? {
            return Err(used_already(&found.value.reference, cluster));
        }
        let entry = Entry { value: used, ..found };
        self.write(entry, (WHAT, name.as_str()), None).await.map(drop)
    }

    /// Takes the record of a use away, if it is that reference's.
    pub(super) async fn unclaim(&self, cloud: &LogicalCloud, cluster: &Uid, reference: &Uid) -> Result<(), Error> {
        let key = keys::cluster_use(cluster, &cloud.uid)?;
        match self.store().load::<ClusterUse>(&key).await? {
            Some(found) if found.value.reference_uid == *reference => self.take_back(&found).await,
            _ => Ok(()),
        }
    }
}

fn used_already(holder: &ReferenceName, cluster: &Entry<Cluster>) -> Error {
    let (cluster, provider) = (&cluster.value.metadata.name, &cluster.value.provider);
    Error::Refused(format!(
        "the cluster reference \"{holder}\" of this logical cloud uses the cluster {provider}/{cluster} already"
    ))
}

fn unknown_cluster(reference: &ClusterReference, short: bool) -> Error {
    let mut faults = Faults::new();
    let (provider, cluster) = (&reference.cluster_provider, &reference.cluster_name);
    let at = if short { "/cluster-reference" } else { "/spec/cluster-name" };
    faults.add(
        at,
        format!("no cluster \"{cluster}\" is registered with the cluster provider \"{provider}\"; register it with POST /v2/cluster-providers/{provider}/clusters"),
    );
    faults.into()
}
