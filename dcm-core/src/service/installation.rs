use super::{Ports, reencryption};
use crate::{
    error::Error,
    keys,
    model::{Installation, Uid},
    secret::Secret,
    store::{self, StoreExt},
};

/// The installation's id, made on first use. Of several processes that start at once, one wins.
///
/// # Errors
/// [`Error::Secret`] where an encryption key is missing that the data may have been written with: better now than
/// at the first secret.
pub(super) async fn read_or_make(ports: &Ports) -> Result<Uid, Error> {
    let key = keys::installation("this")?;
    loop {
        let found = ports.store.load::<Installation>(&key).await?;
        reencryption::admit(ports, found.as_ref().map(|entry| &entry.value)).await?;
        if let Some(found) = found {
            ports.sealer.open(&key, &found.value.canary)?;
            return Ok(found.value.id);
        }
        let id = Uid::from_random(ports.entropy.bytes());
        let canary = ports.sealer.seal(&key, &Secret::new(id.as_str()))?;
        let installation = Installation { id, created_at: ports.clock.now(), canary };
        match ports.store.insert(&key, &installation).await {
            Ok(_) => return Ok(installation.id),
            Err(store::Error::Conflict { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
}
