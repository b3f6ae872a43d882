use jiff::Timestamp;

use super::{ATTEMPTS, BuiltInCa, roots};
use crate::{
    ca::{
        Error, Generation, Intermediate, IntermediateParameters, IntermediateRequest, RequestedKey, Revoked,
        SignerError, SigningRoot, UnusableReason, Validity,
    },
    fault::Faults,
    keys,
    model::{CaRoot, CertificateAuthority, IntermediateCa, Uid},
    name::ClusterIdentity,
    store::{self, Entry, Key, StoreExt},
};

impl BuiltInCa {
    pub(super) async fn issue(&self, request: &IntermediateRequest) -> Result<Intermediate, Error> {
        let authority = match self.authority(&request.cloud.uid).await {
            Ok(found) => Some(found.value),
            Err(Error::UnknownCloud { .. }) => None,
            Err(error) => return Err(error),
        };
        let requested = self.check(request, authority.as_ref())?;
        let key = intermediate_key(&request.cloud.uid, &request.cluster, request.generation)?;
        if let Some(found) = self.store().load::<IntermediateCa>(&key).await? {
            return self.answer(&requested, found.value).await;
        }
        let authority = match authority {
            Some(authority) => authority,
            None => {
                let authority = self.make_authority(&request.cloud).await?;
                // Somebody else may have made it, for what he thinks that the logical cloud is.
                self.check(request, Some(&authority))?;
                authority
            }
        };
        self.refuse_known_key(request, &requested).await?;
        let issued = self.sign(request, &requested, &authority)?;
        match self.store().insert(&key, &issued).await {
            Ok(_) => match self.answer(&requested, issued).await {
                // Meanwhile: what was recorded too late goes as well.
                Err(forgotten @ Error::Forgotten { .. }) => {
                    self.store().remove(&key).await?;
                    Err(forgotten)
                }
                answer => answer,
            },
            Err(error @ store::Error::Conflict { .. }) => match self.store().load::<IntermediateCa>(&key).await? {
                Some(found) => self.answer(&requested, found.value).await,
                None => Err(error.into()),
            },
            Err(error) => Err(error.into()),
        }
    }

    /// Names all that is wrong with a request; answers its key where nothing is.
    fn check(
        &self,
        request: &IntermediateRequest,
        authority: Option<&CertificateAuthority>,
    ) -> Result<RequestedKey, Error> {
        let mut faults = Faults::new();
        if let Some(known) = authority {
            let cloud = &request.cloud;
            let mut same = |pointer: &str, is: &str, was: &str| {
                if is != was {
                    faults.add(pointer, format!("is {was:?} for this logical cloud, and stays so"));
                }
            };
            same("/project", cloud.project.as_str(), known.project.as_str());
            same("/logical-cloud", cloud.name.as_str(), known.name.as_str());
            same("/trust-domain", cloud.trust_domain.as_str(), known.trust_domain.as_str());
        }
        let requested = match self.ports.signer.read_request(&request.csr_pem) {
            Ok(requested) => Some(requested),
            Err(SignerError::Request(reason)) => {
                faults.add("/csr", reason);
                None
            }
            Err(error) => return Err(error.into()),
        };
        match (requested, faults.is_empty()) {
            (Some(requested), true) => Ok(requested),
            _ => Err(Error::Invalid(faults)),
        }
    }

    /// Refuses a key that another generation has: to revoke the one would leave the other, which whoever distrusts the key does
    /// not know for the same.
    async fn refuse_known_key(&self, request: &IntermediateRequest, requested: &RequestedKey) -> Result<(), Error> {
        let same = self.with_key(&request.cloud.uid, &request.cluster, &requested.digest).await?;
        match same.iter().find(|other| other.generation != request.generation) {
            Some(IntermediateCa { generation, revoked_at, .. }) => {
                let was = if revoked_at.is_some() { ", which was revoked" } else { "" };
                let reason = format!("its key is that of the generation {generation}{was}: make a new one");
                Err(Error::invalid("/csr", reason))
            }
            None => Ok(()),
        }
    }

    /// The intermediates of a cluster that are for a key.
    async fn with_key(
        &self,
        cloud: &Uid,
        cluster: &ClusterIdentity,
        digest: &str,
    ) -> Result<Vec<IntermediateCa>, Error> {
        let all = self.store().list_all::<IntermediateCa>(&keys::intermediate_cas(cloud, cluster)?).await?;
        Ok(all.into_iter().map(|entry| entry.value).filter(|found| found.key_digest == digest).collect())
    }

    fn sign(
        &self,
        request: &IntermediateRequest,
        requested: &RequestedKey,
        authority: &CertificateAuthority,
    ) -> Result<IntermediateCa, Error> {
        let now = self.ports.clock.now();
        let root = &authority.root;
        let validity = within(root, roots::validity(now, self.settings.intermediate_lifetime), now)?;
        let key_pem = self.open_root(authority)?;
        let signing = SigningRoot { certificate_pem: &root.certificate, key_pem: &key_pem };
        let parameters = IntermediateParameters {
            cloud: &authority.cloud,
            project: &authority.project,
            name: &authority.name,
            trust_domain: &authority.trust_domain,
            cluster: &request.cluster,
            generation: request.generation,
            serial: self.ports.entropy.bytes(),
            validity,
        };
        let signed = self.ports.signer.sign_intermediate(&request.csr_pem, &signing, &parameters)?;
        Ok(IntermediateCa {
            cloud: authority.cloud.clone(),
            cluster: request.cluster.clone(),
            generation: request.generation,
            root_generation: root.generation,
            key_digest: requested.digest.clone(),
            certificate: signed.certificate_pem,
            serial: signed.serial,
            not_before: validity.not_before,
            not_after: validity.not_after,
            issued_at: now,
            revoked_at: None,
        })
    }

    /// Answers what is recorded, if it may be used with this key.
    async fn answer(&self, requested: &RequestedKey, found: IntermediateCa) -> Result<Intermediate, Error> {
        // Read after it was recorded: who got the same key into another generation meanwhile, and has it revoked by now, is seen.
        let same = self.with_key(&found.cloud, &found.cluster, &requested.digest).await?;
        let IntermediateCa { cluster, generation, .. } = found;
        if found.key_digest != requested.digest {
            return Err(Error::OtherKey { cluster, generation });
        }
        if found.revoked_at.is_some() || same.iter().any(|other| other.revoked_at.is_some()) {
            return Err(Error::Unusable { cluster, generation, reason: UnusableReason::Revoked });
        }
        // Read after the intermediate: a rotation that went by meanwhile is seen.
        let authority = self.authority(&found.cloud).await?.value;
        let Some(root) = authority.trusted_root(found.root_generation) else {
            return Err(Error::Unusable { cluster, generation, reason: UnusableReason::RootRetired });
        };
        Ok(Intermediate {
            generation,
            root_generation: found.root_generation,
            chain_pem: format!("{}{}", found.certificate, root.certificate),
            certificate_pem: found.certificate,
            serial: found.serial,
            not_before: found.not_before,
            not_after: found.not_after,
            bundle: authority.bundle(),
        })
    }

    pub(super) async fn revoke_intermediate(
        &self,
        cloud: &Uid,
        cluster: &ClusterIdentity,
        generation: Generation,
    ) -> Result<Revoked, Error> {
        self.authority(cloud).await?;
        let key = intermediate_key(cloud, cluster, generation)?;
        let mut attempt = 1;
        loop {
            let Some(Entry { revision, value, .. }) = self.store().load::<IntermediateCa>(&key).await? else {
                return Err(Error::NotIssued { cluster: cluster.clone(), generation });
            };
            let revoked_at = value.revoked_at.unwrap_or_else(|| self.ports.clock.now());
            let told = Revoked { generation, serial: value.serial.clone(), revoked_at, trusted_until: value.not_after };
            if value.revoked_at.is_some() {
                return Ok(told);
            }
            let revoked = IntermediateCa { revoked_at: Some(revoked_at), ..value };
            match self.store().replace(&key, &revoked, &revision).await {
                Ok(_) => return Ok(told),
                Err(store::Error::Conflict { .. }) if attempt < ATTEMPTS => attempt += 1,
                Err(error) => return Err(error.into()),
            }
        }
    }
}

fn intermediate_key(cloud: &Uid, cluster: &ClusterIdentity, generation: Generation) -> Result<Key, Error> {
    Ok(keys::intermediate_ca(cloud, cluster, &keys::generation_number(generation))?)
}

/// A life within its root's.
fn within(root: &CaRoot, wanted: Validity, now: Timestamp) -> Result<Validity, Error> {
    let (not_before, not_after) = (wanted.not_before.max(root.not_before), wanted.not_after.min(root.not_after));
    if now >= root.not_after {
        let (generation, end) = (root.generation, root.not_after);
        return Err(Error::OutOfOrder(format!(
            "the root of the generation {generation} ran out at {end}: rotate to a new one"
        )));
    }
    if now < root.not_before {
        let (generation, begin) = (root.generation, root.not_before);
        return Err(Error::OutOfOrder(format!(
            "the root of the generation {generation} is not valid before {begin}: set the CA's clock right"
        )));
    }
    Ok(Validity { not_before, not_after })
}
