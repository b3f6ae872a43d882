use super::{Base, reencryption};
use crate::{
    error::Error,
    keys,
    model::{Installation, Uid},
    secret::Secret,
    store::{self, StoreExt},
    transfer,
};

/// The installation's id, made on first use. Of several processes that start at once, one wins.
///
/// # Errors
/// [`Error::Secret`] where an encryption key is missing that the data may have been written with: better now than
/// at the first secret. [`Error::Unfinished`] where an import was not finished; [`Error::OtherOwner`], and
/// nothing was written then.
pub(super) async fn read_or_make(ports: &Base<'_>) -> Result<Uid, Error> {
    let key = keys::installation("this")?;
    complete(ports).await?;
    loop {
        let found = ports.store.load::<Installation>(&key).await?;
        if let Some(is) = found.as_ref().map(|entry| entry.value.owner)
            && is != ports.owner
        {
            return Err(Error::OtherOwner { is, wanted: ports.owner });
        }
        reencryption::admit(ports, found.as_ref().map(|entry| &entry.value)).await?;
        if let Some(found) = found {
            // An import that began meanwhile may have written it: it is looked at again, after.
            complete(ports).await?;
            ports.sealer.open(&key, &found.value.canary)?;
            return Ok(found.value.id);
        }
        let id = Uid::from_random(ports.entropy.bytes());
        let canary = ports.sealer.seal(&key, &Secret::new(id.as_str()))?;
        let installation = Installation { id, created_at: ports.clock.now(), canary, owner: ports.owner };
        match ports.store.insert(&key, &installation).await {
            Ok(_) => {
                complete(ports).await?;
                return Ok(installation.id);
            }
            Err(store::Error::Conflict { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

async fn complete(ports: &Base<'_>) -> Result<(), Error> {
    transfer::refuse_unfinished(ports.store).await.map_err(|error| match error {
        transfer::Error::Store(error) => Error::Store(error),
        other => Error::Unfinished(other),
    })
}
