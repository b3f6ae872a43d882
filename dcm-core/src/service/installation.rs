use super::Ports;
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
/// [`Error::Secret`] where the encryption key is not the one that the data was written with: better now than
/// at the first secret.
pub(super) async fn read_or_make(ports: &Ports) -> Result<Uid, Error> {
    let key = keys::installation("this")?;
    loop {
        if let Some(found) = ports.store.load::<Installation>(&key).await? {
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
