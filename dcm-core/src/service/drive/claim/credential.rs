//! The credential of a cluster that is claimed: a document of its own, fenced by the claim on the status.
//!
//! It is read, then the claim is looked at, then it is written in the place of what was read. Whoever takes a claim over
//! writes the credential once as it is, after his claim: so what was read before that comes too late.

use super::{Claim, lost_race};
use crate::{
    error::Error,
    keys,
    model::{Credential, Uid},
    name::ReferenceName,
    service::{Dcm, orders::ATTEMPTS},
    store::{self, Key, Precondition, Revision, StoreExt},
};

impl Dcm {
    /// Writes the credential once more as it is: what an attempt that was cut off may still have on its way to the
    /// store comes too late.
    pub(super) async fn fence_credential(&self, cloud: &Uid, reference: &ReferenceName) -> Result<(), Error> {
        let key = keys::credential(cloud, reference)?;
        for _ in 0..ATTEMPTS {
            let Some(found) = self.store().get(&key).await? else { return Ok(()) };
            match self.store().put(&key, found.body, Precondition::AtRevision(found.revision)).await {
                Err(store::Error::Conflict { .. }) => {}
                written => return Ok(written.map(drop)?),
            }
        }
        Err(Error::changed("credential", reference.as_str(), false))
    }

    /// Writes a credential in the place of what was read since the claim.
    pub(in crate::service::drive) async fn put_credential(
        &self,
        claim: &mut Claim,
        key: &Key,
        credential: &Credential,
        mut read: Option<Revision>,
    ) -> Result<(), Error> {
        for _ in 0..ATTEMPTS {
            self.still_held(claim).await?;
            let written = match &read {
                Some(revision) => self.store().replace(key, credential, revision).await,
                None => self.store().insert(key, credential).await,
            };
            match written {
                // It may have been encrypted anew.
                Err(store::Error::Conflict { .. }) => {
                    read = self.store().get(key).await?.map(|found| found.revision);
                }
                written => return Ok(written.map(drop)?),
            }
        }
        Err(lost_race(claim))
    }

    /// Takes the credential away, and with it what would renew it.
    pub(in crate::service::drive) async fn take_credential(
        &self,
        claim: &mut Claim,
        cloud: &Uid,
        reference: &ReferenceName,
    ) -> Result<(), Error> {
        let key = keys::credential(cloud, reference)?;
        for _ in 0..ATTEMPTS {
            let Some(found) = self.store().get(&key).await? else { return Ok(()) };
            self.still_held(claim).await?;
            match self.store().delete(&key, &found.revision).await {
                Err(store::Error::Conflict { .. }) => {}
                deleted => {
                    deleted?;
                    // What cannot be read can go all the same; its renewal goes when it is due.
                    let at = found.body.read::<Credential>(&key).ok().and_then(|found| found.renew_at);
                    return match at {
                        Some(at) => self.forget_renewal(cloud, reference, at).await,
                        None => Ok(()),
                    };
                }
            }
        }
        Err(lost_race(claim))
    }
}
