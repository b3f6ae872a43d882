//! From a logical cloud's records to the frozen state that clusters are to be.

use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};

use super::Dcm;
use crate::{
    error::Error,
    keys,
    lifecycle::AppliedPointer,
    model::{Applied, AppliedReference, ClusterReference, LogicalCloud, Quota, ReferencePage, Uid},
    store::{Body, Document, StoreExt},
};

/// A state that was frozen and not written yet.
#[derive(Debug)]
pub(super) struct Frozen {
    pub(super) applied: Applied,
    pub(super) references: Vec<AppliedReference>,
    pub(super) pointer: AppliedPointer,
}

/// Tells whether children have changed: their keys and revisions, which are never used twice.
pub(super) fn fingerprint(children: &[Document]) -> String {
    let mut hash = Sha256::new();
    for document in children {
        for text in [document.key.as_str(), document.revision.as_str()] {
            hash.update((text.len() as u64).to_be_bytes());
            hash.update(text);
        }
    }
    HEXLOWER.encode(&hash.finalize()[..16])
}

impl Dcm {
    /// Freezes a logical cloud as the store has it. References on their way out are left out.
    pub(super) async fn freeze(&self, cloud: &LogicalCloud) -> Result<Frozen, Error> {
        let documents = self.documents_below(keys::desired(&cloud.uid)?).await?;
        let children = fingerprint(&documents);
        let prefix = keys::references(&cloud.uid)?;
        let (mut references, mut quotas) = (Vec::new(), Vec::new());
        for document in &documents {
            if !document.key.is_below(&prefix) {
                quotas.push(document.body.read::<Quota>(&document.key)?);
                continue;
            }
            let reference: ClusterReference = document.body.read(&document.key)?;
            if reference.deleted_at.is_none() {
                references.push(AppliedReference::from(&reference));
            }
        }
        let mut applied = Applied {
            cloud: cloud.uid.clone(),
            project: cloud.project.clone(),
            name: cloud.metadata.name.clone(),
            generation: 0,
            spec: cloud.spec.clone(),
            quotas: Applied::freeze_quotas(&quotas),
            credential_epoch: cloud.credential_epoch,
            pages: references.len().div_ceil(ReferencePage::MOST),
            snapshot: None,
        };
        // The digest is taken without what numbers it: the same state again is the same generation.
        let digest = digest(&applied, &references)?;
        applied.generation = cloud.lifecycle.applied_generation + 1;
        let pointer = AppliedPointer { snapshot: self.new_uid(), edits: cloud.edits, children, digest };
        applied.snapshot = Some(pointer.snapshot.clone());
        Ok(Frozen { applied, references, pointer })
    }

    /// The state that clusters are to be, with another user: nothing else of it changes, whatever was edited
    /// since. `None` where nothing is to be on clusters.
    pub(super) async fn freeze_anew(&self, cloud: &LogicalCloud, epoch: u64) -> Result<Option<Frozen>, Error> {
        let (Some(mut applied), Some(old)) = (self.frozen(cloud).await?, &cloud.lifecycle.applied) else {
            return Ok(None);
        };
        let references = self.frozen_references(cloud).await?;
        applied.credential_epoch = epoch;
        applied.generation = 0;
        applied.snapshot = None;
        let digest = digest(&applied, &references)?;
        applied.generation = cloud.lifecycle.applied_generation + 1;
        let pointer = AppliedPointer { snapshot: self.new_uid(), digest, ..old.clone() };
        applied.snapshot = Some(pointer.snapshot.clone());
        Ok(Some(Frozen { applied, references, pointer }))
    }

    /// Writes a frozen state. Nobody sees it before the logical cloud points to it.
    pub(super) async fn keep(&self, frozen: &Frozen) -> Result<(), Error> {
        let (cloud, snapshot) = (&frozen.applied.cloud, &frozen.pointer.snapshot);
        for (number, references) in frozen.references.chunks(ReferencePage::MOST).enumerate() {
            let key = keys::applied_page(cloud, snapshot, &page_name(number))?;
            self.store().insert(&key, &ReferencePage { references: references.to_vec() }).await?;
        }
        self.store().insert(&keys::applied(cloud, snapshot)?, &frozen.applied).await?;
        Ok(())
    }

    /// Reads the state that a logical cloud's clusters are to be.
    pub(super) async fn frozen(&self, cloud: &LogicalCloud) -> Result<Option<Applied>, Error> {
        let Some(pointer) = &cloud.lifecycle.applied else {
            return Ok(None);
        };
        let key = keys::applied(&cloud.uid, &pointer.snapshot)?;
        Ok(Some(self.read::<Applied>(&key, ("applied state", cloud.metadata.name.as_str())).await?.value))
    }

    /// Reads the references of the state that a logical cloud's clusters are to be. Not found where that is another state
    /// meanwhile, and the one that `cloud` tells of is being removed.
    pub(super) async fn frozen_references(&self, cloud: &LogicalCloud) -> Result<Vec<AppliedReference>, Error> {
        let (Some(applied), Some(pointer)) = (self.frozen(cloud).await?, &cloud.lifecycle.applied) else {
            return Ok(Vec::new());
        };
        let pages =
            self.store().list_all::<ReferencePage>(&keys::applied_pages(&cloud.uid, &pointer.snapshot)?).await?;
        // Some of them, or none, would look like a state that has fewer clusters.
        if pages.len() != applied.pages {
            return Err(Error::not_found("applied state", &cloud.metadata.name));
        }
        Ok(pages.into_iter().flat_map(|page| page.value.references).collect())
    }

    /// Removes frozen states that nothing points to any more. One that is being written now is of a later
    /// generation than the present one, and stays.
    pub(super) async fn drop_old_states(&self, cloud: &LogicalCloud) -> Result<(), Error> {
        let current = cloud.lifecycle.applied.as_ref().map(|pointer| &pointer.snapshot);
        for entry in self.store().list_all::<Applied>(&keys::applied_all(&cloud.uid)?).await? {
            let old = entry.value.generation <= cloud.lifecycle.applied_generation;
            if old && current.is_none_or(|snapshot| snapshot.as_str() != entry.key.last()) {
                self.drop_state(&cloud.uid, entry.key.last()).await?;
            }
        }
        Ok(())
    }

    pub(super) async fn drop_state(&self, cloud: &Uid, snapshot: &str) -> Result<(), Error> {
        let pages = keys::applied_pages_all(cloud)?.child(snapshot)?;
        self.remove_below(pages).await?;
        Ok(self.store().remove(&keys::applied_all(cloud)?.child(snapshot)?).await?)
    }
}

fn page_name(number: usize) -> String {
    format!("{number:06}")
}

fn digest(applied: &Applied, references: &[AppliedReference]) -> Result<String, Error> {
    let key = keys::applied_all(&applied.cloud)?;
    let mut hash = Sha256::new();
    hash.update(Body::write(&key, applied)?.as_bytes());
    for page in references.chunks(ReferencePage::MOST) {
        hash.update(Body::write(&key, &ReferencePage { references: page.to_vec() })?.as_bytes());
    }
    Ok(HEXLOWER.encode(&hash.finalize()))
}
