use std::collections::BTreeSet;

use serde_json::Value;

use super::{CloudId, Dcm};
use crate::{
    error::Error,
    keys,
    model::{Credential, Level, LogicalCloud, kubeconfig},
    name::ReferenceName,
    secret::Secret,
    store::{Entry, StoreExt},
};

/// How soon to ask again for a kubeconfig that is being made, in seconds.
const RETRY_AFTER: u64 = 2;

/// A kubeconfig for a logical cloud's user. Holds his private key.
#[derive(Clone, Debug)]
pub struct IssuedKubeconfig {
    json: Secret,
}

impl IssuedKubeconfig {
    /// The kubeconfig's JSON text. Every call is a place to review.
    #[must_use]
    pub fn expose_json(&self) -> &[u8] {
        self.json.expose()
    }
}

impl Dcm {
    /// The user's kubeconfig for one cluster.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::NotReady`] while it is not issued, [`Error::Refused`] for an admin
    /// cloud.
    pub async fn kubeconfig(&self, id: &CloudId, reference: &ReferenceName) -> Result<IssuedKubeconfig, Error> {
        let cloud = self.cloud_with_user(id).await?;
        let reference = self.reference(id, reference).await?.value.metadata.name;
        let key = keys::credential(&cloud.uid, &reference)?;
        let found = self.store().load::<Credential>(&key).await?;
        let name_there = self.name_there(&cloud).await?;
        let found = found.filter(|entry| name_there.as_ref() == Some(&entry.value.name_there));
        let entry = found.ok_or_else(|| not_ready(&format!("for the cluster reference \"{reference}\"")))?;
        Ok(IssuedKubeconfig { json: self.open_kubeconfig(&entry)? })
    }

    /// One kubeconfig with a context for every cluster whose credential is issued.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::NotReady`] while none is issued, [`Error::Refused`] for an admin cloud.
    pub async fn merged_kubeconfig(&self, id: &CloudId) -> Result<IssuedKubeconfig, Error> {
        let cloud = self.cloud_with_user(id).await?;
        let mut credentials = self.store().list_all::<Credential>(&keys::credentials(&cloud.uid)?).await?;
        let name_there = self.name_there(&cloud).await?;
        let present = self.present_references(&cloud).await?;
        // What an attempt wrote too late for a reference that is gone goes when it is due.
        let present: BTreeSet<&str> = present.keys().map(ReferenceName::as_str).collect();
        credentials
            .retain(|entry| name_there.as_ref() == Some(&entry.value.name_there) && present.contains(entry.key.last()));
        if credentials.is_empty() {
            return Err(not_ready("for any cluster of the logical cloud"));
        }
        let mut configs = Vec::with_capacity(credentials.len());
        for entry in &credentials {
            let json = self.open_kubeconfig(entry)?;
            let corrupt = |_| crate::store::Error::Corrupt {
                key: entry.key.clone(),
                reason: "its kubeconfig is not JSON".to_owned(),
            };
            configs.push(serde_json::from_slice::<Value>(json.expose()).map_err(corrupt)?);
        }
        Ok(IssuedKubeconfig { json: Secret::new(kubeconfig::merge(&configs).to_string()) })
    }

    /// The user's name on clusters as it was applied. A credential of another name was cut off.
    async fn name_there(&self, cloud: &LogicalCloud) -> Result<Option<String>, Error> {
        let applied = match self.frozen(cloud).await {
            // Applied anew meanwhile.
            Err(Error::NotFound { .. }) => None,
            found => found?,
        };
        let identity = applied.as_ref().and_then(|applied| self.identity(applied));
        Ok(identity.map(|(_, identity)| identity.name().to_owned()))
    }

    async fn cloud_with_user(&self, id: &CloudId) -> Result<LogicalCloud, Error> {
        let cloud = self.cloud(id).await?.value;
        if cloud.spec.level == Level::Admin {
            return Err(Error::Refused("an admin cloud has no user, so it has no kubeconfig".to_owned()));
        }
        Ok(cloud)
    }

    fn open_kubeconfig(&self, entry: &Entry<Credential>) -> Result<Secret, Error> {
        Ok(self.ports.sealer.open(&entry.key, &entry.value.kubeconfig)?)
    }
}

fn not_ready(what: &str) -> Error {
    let detail =
        format!("no kubeconfig is issued {what} yet; apply the logical cloud and wait until its status is Created");
    Error::NotReady { detail, retry_after: RETRY_AFTER }
}
