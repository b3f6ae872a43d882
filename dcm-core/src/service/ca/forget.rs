use super::{ATTEMPTS, BuiltInCa};
use crate::{
    ca::Error,
    keys,
    model::{CaRecord, ForgottenCa, Uid},
    service::sweep::remove_below,
    store::{self, Body, Precondition},
};

impl BuiltInCa {
    pub(super) async fn forget_cloud(&self, cloud: &Uid) -> Result<(), Error> {
        // First, so that nothing is issued any more: who recorded an intermediate before looks here once more before he answers.
        self.bury_roots(cloud).await?;
        // Each time: one that came too late may lie here.
        Ok(remove_below(self.store(), keys::intermediate_cas_all(cloud)?).await?)
    }

    /// Puts that it is forgotten in the place of the roots.
    async fn bury_roots(&self, cloud: &Uid) -> Result<(), Error> {
        let key = keys::certificate_authority(cloud)?;
        let forgotten = ForgottenCa { cloud: cloud.clone(), forgotten_at: self.ports.clock.now() };
        let body = Body::write(&key, &CaRecord::Forgotten(forgotten))?;
        let mut attempt = 1;
        loop {
            // As it lies there: roots that cannot be read go as well.
            let precondition = match self.store().get(&key).await? {
                Some(found) if matches!(found.body.read(&key), Ok(CaRecord::Forgotten(_))) => return Ok(()),
                Some(found) => Precondition::AtRevision(found.revision),
                None => Precondition::Absent,
            };
            match self.store().put(&key, body.clone(), precondition).await {
                Ok(_) => return Ok(()),
                Err(store::Error::Conflict { .. }) if attempt < ATTEMPTS => attempt += 1,
                Err(error) => return Err(error.into()),
            }
        }
    }
}
