use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::{ATTEMPTS, BuiltInCa};
use crate::{
    ca::{
        Bundle, Cloud, Error, Generation, RootKey, RootParameters, Rotation, Validity,
        rotation::{self, Next},
    },
    keys,
    model::{CaRecord, CaRoot, CertificateAuthority, Uid},
    secret::Secret,
    store::{self, Entry, Key, StoreExt},
};

/// Clocks of those who judge a certificate may be behind ours by this much.
const BACKDATED: SignedDuration = SignedDuration::from_mins(5);

/// How long a certificate that is made now lives, in whole seconds, as X.509 has it.
pub(super) fn validity(now: Timestamp, lifetime: Duration) -> Validity {
    let whole = |time: Timestamp| Timestamp::from_second(time.as_second()).unwrap_or(time);
    let not_before = now.checked_sub(BACKDATED).unwrap_or(now);
    let lifetime = SignedDuration::try_from(lifetime).unwrap_or(SignedDuration::MAX);
    let not_after = now.checked_add(lifetime).unwrap_or(Timestamp::MAX);
    Validity { not_before: whole(not_before), not_after: whole(not_after) }
}

impl BuiltInCa {
    /// A logical cloud's authority.
    pub(super) async fn authority(&self, cloud: &Uid) -> Result<Entry<CertificateAuthority>, Error> {
        let found = self.store().load::<CaRecord>(&keys::certificate_authority(cloud)?).await?;
        let Entry { key, revision, value } = found.ok_or_else(|| Error::UnknownCloud { cloud: cloud.clone() })?;
        match value {
            CaRecord::Kept(authority) => Ok(Entry { key, revision, value: *authority }),
            CaRecord::Forgotten(_) => Err(Error::Forgotten { cloud: cloud.clone() }),
        }
    }

    /// Makes a logical cloud's authority with its first root; where somebody else was faster, the answer is his.
    pub(super) async fn make_authority(&self, cloud: &Cloud) -> Result<CertificateAuthority, Error> {
        let key = keys::certificate_authority(&cloud.uid)?;
        let root = self.make_root(&key, cloud, Generation::FIRST)?;
        let authority = CertificateAuthority {
            cloud: cloud.uid.clone(),
            project: cloud.project.clone(),
            name: cloud.name.clone(),
            trust_domain: cloud.trust_domain.clone(),
            root,
            next: None,
            previous: None,
            latest: Generation::FIRST,
        };
        match self.store().insert(&key, &authority).await {
            Ok(_) => Ok(authority),
            Err(store::Error::Conflict { .. }) => Ok(self.authority(&cloud.uid).await?.value),
            Err(error) => Err(error.into()),
        }
    }

    fn make_root(&self, key: &Key, cloud: &Cloud, generation: Generation) -> Result<CaRoot, Error> {
        let validity = validity(self.ports.clock.now(), self.settings.root_lifetime);
        let RootKey { certificate_pem, key_pem } = self.ports.signer.make_root(&RootParameters {
            algorithm: self.settings.algorithm,
            cloud: &cloud.uid,
            project: &cloud.project,
            name: &cloud.name,
            generation,
            serial: self.ports.entropy.bytes(),
            validity,
        })?;
        Ok(CaRoot {
            generation,
            certificate: certificate_pem,
            key: self.ports.sealer.seal(key, &key_pem)?,
            not_before: validity.not_before,
            not_after: validity.not_after,
        })
    }

    /// The private key of the root that signs.
    pub(super) fn open_root(&self, authority: &CertificateAuthority) -> Result<Secret, Error> {
        let key = keys::certificate_authority(&authority.cloud)?;
        Ok(self.ports.sealer.open(&key, &authority.root.key)?)
    }

    pub(super) async fn take_step(&self, cloud: &Uid, step: Rotation) -> Result<Bundle, Error> {
        let mut attempt = 1;
        loop {
            let found = self.authority(cloud).await?;
            let authority = match rotation::next(&found.value, step)? {
                Next::Done => return Ok(found.value.bundle()),
                Next::Write(authority) => *authority,
                Next::Make(generation) => self.with_next(&found, generation)?,
            };
            match self.store().replace(&found.key, &authority, &found.revision).await {
                Ok(_) => return Ok(authority.bundle()),
                Err(store::Error::Conflict { .. }) if attempt < ATTEMPTS => attempt += 1,
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn with_next(
        &self,
        found: &Entry<CertificateAuthority>,
        generation: Generation,
    ) -> Result<CertificateAuthority, Error> {
        let authority = found.value.clone();
        let cloud = Cloud {
            uid: authority.cloud.clone(),
            project: authority.project.clone(),
            name: authority.name.clone(),
            trust_domain: authority.trust_domain.clone(),
        };
        let next = Some(self.make_root(&found.key, &cloud, generation)?);
        Ok(CertificateAuthority { next, latest: generation, ..authority })
    }
}
