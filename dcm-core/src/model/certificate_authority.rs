use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Uid;
use crate::{
    ca::{Anchor, Bundle, Generation},
    name::{ClusterIdentity, LogicalCloudName, ProjectName, TrustDomain},
    secret::Sealed,
    store::Stored,
};

/// The certificate authority of a logical cloud: its roots, and which of them signs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct CertificateAuthority {
    /// The logical cloud's uid.
    pub cloud: Uid,
    /// Its project.
    pub project: ProjectName,
    /// Its name.
    pub name: LogicalCloudName,
    /// Its trust domain.
    pub trust_domain: TrustDomain,
    /// The root that signs.
    pub root: CaRoot,
    /// The one that is to sign next: trusted, but it signs nothing yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<CaRoot>,
    /// The one that signed before: still trusted, but it signs no more intermediates.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous: Option<CaRoot>,
    /// The latest generation that a root ever had: none is used twice.
    pub latest: Generation,
}

impl CertificateAuthority {
    /// The roots that are trusted, in the order of their generations.
    pub fn trusted(&self) -> impl Iterator<Item = &CaRoot> {
        [self.previous.as_ref(), Some(&self.root), self.next.as_ref()].into_iter().flatten()
    }

    /// The trusted root of a generation.
    #[must_use]
    pub fn trusted_root(&self, generation: Generation) -> Option<&CaRoot> {
        self.trusted().find(|root| root.generation == generation)
    }

    /// What is told of it.
    #[must_use]
    pub fn bundle(&self) -> Bundle {
        let anchor = |root: &CaRoot| Anchor {
            generation: root.generation,
            certificate_pem: root.certificate.clone(),
            not_before: root.not_before,
            not_after: root.not_after,
        };
        Bundle {
            cloud: self.cloud.clone(),
            issuing: self.root.generation,
            anchors: self.trusted().map(anchor).collect(),
        }
    }
}

impl Stored for CertificateAuthority {
    const KIND: &'static str = "CertificateAuthority";
    const VERSION: u32 = 1;
}

/// What is kept of a logical cloud's certificate authority: one document in either form, so that whoever makes a root and whoever
/// forgets the logical cloud meet in one conditional write.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum CaRecord {
    /// It is in force.
    Kept(Box<CertificateAuthority>),
    /// The logical cloud was deleted.
    Forgotten(ForgottenCa),
}

impl Stored for CaRecord {
    const KIND: &'static str = CertificateAuthority::KIND;
    const VERSION: u32 = CertificateAuthority::VERSION;

    fn upgrade(version: u32, document: serde_json::Value) -> Result<serde_json::Value, String> {
        CertificateAuthority::upgrade(version, document)
    }
}

/// That a logical cloud's certificate authority is forgotten: kept for good, so that none is made for it again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct ForgottenCa {
    /// The logical cloud's uid.
    pub cloud: Uid,
    /// When it was forgotten.
    pub forgotten_at: Timestamp,
}

/// That the CA, which may be away, is to forget a logical cloud that is gone: there until it has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct PendingForget {
    /// The logical cloud's uid.
    pub cloud: Uid,
    /// Since when the logical cloud is gone.
    pub since: Timestamp,
}

impl Stored for PendingForget {
    const KIND: &'static str = "PendingForget";
    const VERSION: u32 = 1;
}

/// A root of a logical cloud.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct CaRoot {
    /// Which one.
    pub generation: Generation,
    /// Its certificate, PEM.
    pub certificate: String,
    /// Its private key, PKCS #8 in PEM.
    pub key: Sealed,
    /// It is not valid before this time.
    pub not_before: Timestamp,
    /// It is not valid after this time.
    pub not_after: Timestamp,
}

/// An intermediate CA as it was issued. Its private key is its cluster's, and was never here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct IntermediateCa {
    /// The logical cloud's uid.
    pub cloud: Uid,
    /// The cluster.
    pub cluster: ClusterIdentity,
    /// Which of the cluster's intermediates.
    pub generation: Generation,
    /// Which root signed it.
    pub root_generation: Generation,
    /// A digest of its public key ([`RequestedKey::digest`](crate::ca::RequestedKey::digest)).
    pub key_digest: String,
    /// Its certificate, PEM.
    pub certificate: String,
    /// Its serial number, in hexadecimal digits.
    pub serial: String,
    /// It is not valid before this time.
    pub not_before: Timestamp,
    /// It is not valid after this time.
    pub not_after: Timestamp,
    /// When it was issued.
    pub issued_at: Timestamp,
    /// When it was revoked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked_at: Option<Timestamp>,
}

impl Stored for IntermediateCa {
    const KIND: &'static str = "IntermediateCa";
    const VERSION: u32 = 1;
}
