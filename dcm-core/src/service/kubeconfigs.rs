use std::collections::BTreeSet;

use serde_json::Value;

use super::{CloudId, Dcm};
use crate::{
    error::Error,
    keys,
    model::{Credential, Level, LogicalCloud, kubeconfig},
    name::ReferenceName,
    secret::Secret,
    store::{Entry, Scan, StoreExt},
};

/// So many credentials are read at a time.
const PAGE: usize = 100;

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
        self.merged_kubeconfig_of_at_most(id, usize::MAX).await
    }

    /// As [`Dcm::merged_kubeconfig`], for who takes no more than so many bytes: no more are read then, either.
    ///
    /// # Errors
    /// As there, and [`Error::AnswerTooLarge`] where the kubeconfigs for each cluster have more bytes together, as JSON.
    pub async fn merged_kubeconfig_of_at_most(&self, id: &CloudId, most: usize) -> Result<IssuedKubeconfig, Error> {
        let cloud = self.cloud_with_user(id).await?;
        let prefix = keys::credentials(&cloud.uid)?;
        let (mut configs, mut bytes, mut after) = (Vec::new(), 0_usize, None);
        let name_there = self.name_there(&cloud).await?;
        let present = self.present_references(&cloud).await?;
        // What an attempt wrote too late for a reference that is gone goes when it is due.
        let present: BTreeSet<&str> = present.keys().map(ReferenceName::as_str).collect();
        loop {
            let page = Scan::below(prefix.clone(), PAGE).after(after);
            let page = self.store().list_page::<Credential>(page).await?;
            let Some(last) = page.last() else { break };
            after = Some(last.key.clone());
            for entry in &page {
                if name_there.as_ref() != Some(&entry.value.name_there) || !present.contains(entry.key.last()) {
                    continue;
                }
                let json = self.open_kubeconfig(entry)?;
                bytes = bytes.saturating_add(json.expose().len());
                if bytes > most {
                    return Err(too_large(most));
                }
                let corrupt = |_| crate::store::Error::Corrupt {
                    key: entry.key.clone(),
                    reason: "its kubeconfig is not JSON".to_owned(),
                };
                configs.push(serde_json::from_slice::<Value>(json.expose()).map_err(corrupt)?);
            }
        }
        // Also where the user was cut off while they were read: those are no way in any more.
        if configs.is_empty() || self.name_there(&cloud).await? != name_there {
            return Err(not_ready("for any cluster of the logical cloud"));
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

fn too_large(most: usize) -> Error {
    Error::AnswerTooLarge(format!(
        "the kubeconfigs for all clusters of the logical cloud have more than {most} bytes together; ask for each by its cluster \
         reference"
    ))
}

fn not_ready(what: &str) -> Error {
    let detail =
        format!("no kubeconfig is issued {what} yet; apply the logical cloud and wait until its status is Created");
    Error::NotReady { detail, retry_after: RETRY_AFTER }
}
