use data_encoding::HEXLOWER;
use jiff::{SignedDuration, Timestamp};
use sha2::{Digest, Sha256};

use super::{CloudWork, Dcm, Task, claim::Claim};
use crate::{
    credential::{self, KeyAndRequest, SigningCa, Subject},
    error::Error,
    keys,
    model::{Applied, Cluster, Credential, Proof, Uid, User, kubeconfig, renew_after},
    name::{Namespace, ReferenceName},
    secret::Secret,
    store::{self, Entry, Key, StoreExt},
    sync::{CertificateRequest, ClusterAccess, Facts, Failure, InventoryItem, Reason, TokenRequest},
    tenancy::{Identity, Tenancy},
};

/// A cluster that a credential is for.
pub(super) struct Place<'a> {
    pub(super) cluster: &'a Entry<Cluster>,
    pub(super) access: &'a ClusterAccess,
    pub(super) facts: &'a Facts,
    /// What of ours is there.
    pub(super) inventory: &'a [InventoryItem],
}

impl Place<'_> {
    /// The uid of our ServiceAccount of a name.
    fn account_uid(&self, name: &str) -> Option<&str> {
        let account = self.inventory.iter().find(|item| item.id.kind == "ServiceAccount" && item.id.name == name);
        account.and_then(|item| item.uid.as_deref())
    }
}

/// A credential before it is sealed.
struct Issued {
    proof: IssuedProof,
    not_before: Timestamp,
    not_after: Timestamp,
}

enum IssuedProof {
    Certificate { key: Secret, csr: String, certificate: String },
    Token { token: Secret, account_uid: String },
}

impl Dcm {
    /// Sees to it that the user has a valid credential and kubeconfig for the cluster.
    pub(super) async fn issue(
        &self,
        work: &CloudWork,
        task: &Task,
        applied: &Applied,
        place: &Place<'_>,
        claim: &mut Claim,
    ) -> Result<Result<(), Failure>, Error> {
        let Some((namespace, user)) = applied.tenant() else {
            return Ok(Ok(()));
        };
        let tenancy = Tenancy { applied, installation: self.installation() };
        let identity = tenancy.identity(user);
        let key = keys::credential(&work.cloud.uid, &task.reference.name)?;
        let made_of = made_of(task, user, namespace.as_str(), place.facts);
        let found = self.store().load::<Credential>(&key).await?;
        let read = found.as_ref().map(|entry| entry.revision.clone());
        let old_renewal = found.as_ref().and_then(|entry| entry.value.renew_at);
        let valid = found.filter(|entry| self.is_valid(&entry.value, &identity, place));
        if valid.as_ref().is_some_and(|entry| entry.value.kubeconfig_of == made_of) {
            return Ok(Ok(()));
        }
        let (issued, renew_at) = match valid {
            Some(Entry { value, .. }) => {
                let issued = self.open_credential(&key, &value)?;
                (issued, value.renew_at.unwrap_or(value.not_after))
            }
            None => {
                let issued = match &identity {
                    Identity::CommonName(_) => self.certificate(work, place, &tenancy.subject(user)).await?,
                    Identity::Account(name) => self.token(work, place, namespace, name).await,
                };
                let issued = match issued {
                    Ok(issued) => issued,
                    Err(failure) => return Ok(Err(failure)),
                };
                // Whose clock is right does not matter: how long it lives is what the cluster that judges it says.
                let life = issued.not_after.duration_since(self.now_there(place.facts));
                if life <= SignedDuration::ZERO {
                    return Ok(Err(Failure::new(
                        Reason::CertificateRefused,
                        "the credential that the cluster issued has run out already, by the cluster's own clock: has its CA run out?",
                    )));
                }
                let after = renew_after(life, self.ports.entropy.bytes()[0]);
                let renew_at = self.now().checked_add(after).unwrap_or(issued.not_after);
                (issued, renew_at)
            }
        };
        let config = kubeconfig::render(&[kubeconfig::Access {
            name: task.reference.name.as_str(),
            user: user.user_name.as_str(),
            endpoint: &place.facts.endpoint,
            namespace: namespace.as_str(),
            proof: issued.proof.shown(),
        }]);
        let credential = Credential {
            cloud: work.cloud.uid.clone(),
            cluster_identity: place.facts.identity.clone(),
            name_there: identity.name().to_owned(),
            proof: self.seal_proof(&key, &issued.proof)?,
            not_before: issued.not_before,
            not_after: issued.not_after,
            renew_at: Some(renew_at),
            kubeconfig_of: made_of,
            kubeconfig: self.ports.sealer.seal(&key, &Secret::new(config.to_string()))?,
        };
        self.plan_renewal(work, &task.reference.name, renew_at).await?;
        self.put_credential(claim, &key, &credential, read).await?;
        if let Some(old) = old_renewal.filter(|old| keys::renewal_time(*old) != keys::renewal_time(renew_at)) {
            self.forget_renewal(&work.cloud.uid, &task.reference.name, old).await?;
        }
        Ok(Ok(()))
    }

    fn is_valid(&self, credential: &Credential, identity: &Identity, place: &Place<'_>) -> bool {
        let alive = match (&credential.proof, identity) {
            (Proof::Certificate { .. }, Identity::CommonName(_)) => true,
            (Proof::Token { account_uid, .. }, Identity::Account(name)) => place.account_uid(name) == Some(account_uid),
            _ => false,
        };
        alive
            && credential.name_there == identity.name()
            && credential.cluster_identity == place.facts.identity
            && self.now_there(place.facts) < credential.not_after
            && credential.renew_at.is_some_and(|at| self.is_yet_to_come(at, credential))
    }

    /// Whether a credential is to be renewed later. A renewal that is further off than the credential's whole life was
    /// planned by a clock that was wrong.
    fn is_yet_to_come(&self, renew_at: Timestamp, credential: &Credential) -> bool {
        let life = credential.not_after.duration_since(credential.not_before);
        let off = renew_at.duration_since(self.now());
        SignedDuration::ZERO < off && off <= life
    }

    /// What the cluster's clock says; ours where it does not say.
    fn now_there(&self, facts: &Facts) -> Timestamp {
        facts.clock.unwrap_or_else(|| self.now())
    }

    fn open_credential(&self, key: &Key, credential: &Credential) -> Result<Issued, Error> {
        let open = |sealed| self.ports.sealer.open(key, sealed);
        let proof = match &credential.proof {
            Proof::Certificate { key, csr, certificate } => {
                IssuedProof::Certificate { key: open(key)?, csr: csr.clone(), certificate: certificate.clone() }
            }
            Proof::Token { token, account_uid } => {
                IssuedProof::Token { token: open(token)?, account_uid: account_uid.clone() }
            }
        };
        Ok(Issued { proof, not_before: credential.not_before, not_after: credential.not_after })
    }

    fn seal_proof(&self, key: &Key, proof: &IssuedProof) -> Result<Proof, Error> {
        let seal = |secret| self.ports.sealer.seal(key, secret);
        Ok(match proof {
            IssuedProof::Certificate { key, csr, certificate } => {
                Proof::Certificate { key: seal(key)?, csr: csr.clone(), certificate: certificate.clone() }
            }
            IssuedProof::Token { token, account_uid } => {
                Proof::Token { token: seal(token)?, account_uid: account_uid.clone() }
            }
        })
    }

    /// A new key with its certificate.
    async fn certificate(
        &self,
        work: &CloudWork,
        place: &Place<'_>,
        subject: &Subject,
    ) -> Result<Result<Issued, Failure>, Error> {
        let credentials = &self.ports.credentials;
        let KeyAndRequest { key_pem: key, csr_pem: csr } =
            credentials.request(subject, self.settings().key_algorithm)?;
        let certificate = match self.sign(work, place, subject, &csr).await? {
            Ok(certificate) => certificate,
            Err(failure) => return Ok(Err(failure)),
        };
        match credentials.inspect(&certificate, &key) {
            Ok(facts) if facts.subject.common_name == subject.common_name => Ok(Ok(Issued {
                proof: IssuedProof::Certificate { key, csr, certificate },
                not_before: facts.not_before,
                not_after: facts.not_after,
            })),
            Ok(_) | Err(credential::Error::Malformed { .. } | credential::Error::KeyMismatch) => {
                let detail = "the cluster signed another certificate than the one that was asked for";
                Ok(Err(Failure::new(Reason::CertificateRefused, detail)))
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Has a request signed: by DCM itself where the cluster's CA key was registered, else by the cluster.
    async fn sign(
        &self,
        work: &CloudWork,
        place: &Place<'_>,
        subject: &Subject,
        csr_pem: &str,
    ) -> Result<Result<String, Failure>, Error> {
        let lifetime = self.settings().credential_lifetime;
        let Entry { key, value: cluster, .. } = place.cluster;
        if let (Some(certificate_pem), Some(sealed)) = (&cluster.ca_certificate, &cluster.ca_key) {
            let key_pem = &self.ports.sealer.open(key, sealed)?;
            let ca = SigningCa { certificate_pem, key_pem };
            let now = self.now_there(place.facts);
            return Ok(Ok(self.ports.credentials.sign(csr_pem, subject, &ca, now, lifetime)?));
        }
        let request = CertificateRequest { owner: self.owner(work), csr_pem: csr_pem.to_owned(), lifetime };
        Ok(self.ports.synchronizer.sign(place.access, &request).await)
    }

    /// A new token of the user's ServiceAccount.
    async fn token(
        &self,
        work: &CloudWork,
        place: &Place<'_>,
        namespace: &Namespace,
        account: &str,
    ) -> Result<Issued, Failure> {
        let request = TokenRequest {
            owner: self.owner(work),
            namespace: namespace.clone(),
            account: account.to_owned(),
            lifetime: self.settings().credential_lifetime,
        };
        let issued = self.ports.synchronizer.token(place.access, &request).await?;
        if place.account_uid(account) != Some(&issued.account_uid) {
            let detail = "the user's ServiceAccount was made anew while a token of it was asked for";
            return Err(Failure::new(Reason::Conflict, detail));
        }
        Ok(Issued {
            proof: IssuedProof::Token { token: issued.token, account_uid: issued.account_uid },
            not_before: issued.issued_at,
            not_after: issued.expires_at,
        })
    }

    /// Takes a credential away, and with it what would renew it.
    pub(in crate::service) async fn drop_credential(
        &self,
        cloud: &Uid,
        reference: &ReferenceName,
    ) -> Result<(), Error> {
        let key = keys::credential(cloud, reference)?;
        let found = match self.store().load::<Credential>(&key).await {
            // What cannot be read can go all the same; its renewal goes when it is due.
            Err(store::Error::Corrupt { .. }) => None,
            found => found?,
        };
        self.store().remove(&key).await?;
        match found.and_then(|entry| entry.value.renew_at) {
            Some(at) => self.forget_renewal(cloud, reference, at).await,
            None => Ok(()),
        }
    }
}

impl IssuedProof {
    fn shown(&self) -> kubeconfig::AccessProof<'_> {
        match self {
            Self::Certificate { key, certificate, .. } => {
                kubeconfig::AccessProof::Certificate { certificate_pem: certificate, key_pem: key }
            }
            Self::Token { token, .. } => kubeconfig::AccessProof::Token(token),
        }
    }
}

/// A digest of what a kubeconfig is made of, beside the credential itself.
fn made_of(task: &Task, user: &User, namespace: &str, facts: &Facts) -> String {
    let endpoint = &facts.endpoint;
    let parts = [
        task.reference.name.as_str(),
        user.user_name.as_str(),
        namespace,
        endpoint.server.as_str(),
        endpoint.ca_pem.as_deref().unwrap_or_default(),
        endpoint.tls_server_name.as_deref().unwrap_or_default(),
    ];
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    HEXLOWER.encode(&hash.finalize()[..16])
}
