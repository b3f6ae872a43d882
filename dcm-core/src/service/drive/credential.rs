use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};

use super::{CloudWork, Dcm, Task};
use crate::{
    credential::{self, KeyAndRequest, SigningCa, Subject},
    error::Error,
    keys,
    model::{Applied, Cluster, Credential, User, kubeconfig},
    secret::Secret,
    store::{Entry, StoreExt},
    sync::{CertificateRequest, ClusterAccess, Facts, Failure, Reason},
    tenancy::Tenancy,
};

impl Dcm {
    /// Sees to it that the user has a valid certificate and kubeconfig for the cluster.
    pub(super) async fn issue(
        &self,
        work: &CloudWork,
        task: &Task,
        applied: &Applied,
        cluster: &Entry<Cluster>,
        access: &ClusterAccess,
        facts: &Facts,
    ) -> Result<Result<(), Failure>, Error> {
        let (Some(user), Some(namespace)) = (&applied.spec.user, &applied.spec.namespace) else {
            return Ok(Ok(()));
        };
        let key = keys::credential(&work.cloud.uid, &task.reference.name)?;
        let subject = Tenancy { applied, installation: self.installation() }.subject(user);
        let made_of = made_of(task, user, namespace.as_str(), facts);
        let found = self.store().load::<Credential>(&key).await?;
        let valid = found.as_ref().is_some_and(|entry| {
            entry.value.common_name == subject.common_name
                && entry.value.cluster_identity == facts.identity
                && self.now() < entry.value.renew_at()
        });
        if valid && found.as_ref().is_some_and(|entry| entry.value.kubeconfig_of == made_of) {
            return Ok(Ok(()));
        }
        let (private_key, csr, certificate) = match found.filter(|_| valid) {
            Some(entry) => {
                let private_key = self.ports.sealer.open(&key, &entry.value.key)?;
                (private_key, entry.value.csr, entry.value.certificate)
            }
            None => {
                let KeyAndRequest { key_pem, csr_pem } =
                    self.ports.credentials.request(&subject, self.settings().key_algorithm)?;
                match self.sign(work, cluster, access, &subject, &csr_pem).await? {
                    Ok(certificate) => (key_pem, csr_pem, certificate),
                    Err(failure) => return Ok(Err(failure)),
                }
            }
        };
        let inspected = match self.ports.credentials.inspect(&certificate, &private_key) {
            Ok(inspected) if inspected.subject.common_name == subject.common_name => inspected,
            Ok(_) | Err(credential::Error::Malformed { .. } | credential::Error::KeyMismatch) => {
                let detail = "the cluster signed another certificate than the one that was asked for".to_owned();
                return Ok(Err(Failure::new(Reason::CertificateRefused, detail)));
            }
            Err(error) => return Err(error.into()),
        };
        let config = kubeconfig::render(&[kubeconfig::Access {
            name: task.reference.name.as_str(),
            user: user.user_name.as_str(),
            endpoint: &facts.endpoint,
            namespace: namespace.as_str(),
            certificate_pem: &certificate,
            key_pem: &private_key,
        }]);
        let credential = Credential {
            cloud: work.cloud.uid.clone(),
            cluster_identity: facts.identity.clone(),
            common_name: subject.common_name,
            key: self.ports.sealer.seal(&key, &private_key)?,
            csr,
            certificate,
            not_before: inspected.not_before,
            not_after: inspected.not_after,
            kubeconfig_of: made_of,
            kubeconfig: self.ports.sealer.seal(&key, &Secret::new(config.to_string()))?,
        };
        let put = |_: Option<Credential>| -> Result<_, Error> { Ok(credential.clone()) };
        self.store().update(&key, put).await?;
        Ok(Ok(()))
    }

    /// Has a request signed: by DCM itself where the cluster's CA key was registered, else by the cluster.
    async fn sign(
        &self,
        work: &CloudWork,
        cluster: &Entry<Cluster>,
        access: &ClusterAccess,
        subject: &Subject,
        csr_pem: &str,
    ) -> Result<Result<String, Failure>, Error> {
        let lifetime = self.settings().credential_lifetime;
        if let (Some(certificate_pem), Some(sealed)) = (&cluster.value.ca_certificate, &cluster.value.ca_key) {
            let key_pem = &self.ports.sealer.open(&cluster.key, sealed)?;
            let ca = SigningCa { certificate_pem, key_pem };
            return Ok(Ok(self.ports.credentials.sign(csr_pem, subject, &ca, self.now(), lifetime)?));
        }
        let request = CertificateRequest { owner: self.owner(work), csr_pem: csr_pem.to_owned(), lifetime };
        Ok(self.ports.synchronizer.sign(access, &request).await)
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
