//! The port to whatever distributes CA keys: one root for each logical cloud, and under it one intermediate CA for each
//! of its clusters.
//!
//! ```text
//! logical cloud ── root, generation 1 ──┬── cluster a: intermediate, generations 1, 2, …
//!                                       └── cluster b: intermediate, generations 1, 2, …
//! ```
//!
//! Roots and intermediates are counted apart. A root's generation goes up by a rotation; an intermediate's is given by who
//! asks for it, one for each key that the cluster gets.

mod error;
pub(crate) mod rotation;
mod signer;

use std::{fmt, num::NonZeroU32, sync::Arc};

use async_trait::async_trait;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub use error::{Error, UnusableReason};
pub use signer::{
    CaSigner, IntermediateParameters, KeyAlgorithm, RequestedKey, RootKey, RootParameters, SignedIntermediate,
    SignerError, SigningRoot, Validity,
};

use crate::{
    model::Uid,
    name::{ClusterIdentity, LogicalCloudName, ProjectName, TrustDomain},
};

/// Counts roots of a logical cloud, or intermediates of one of its clusters; from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Generation(NonZeroU32);

impl Generation {
    /// The first one.
    pub const FIRST: Self = Self(NonZeroU32::MIN);

    /// A number as a generation; `None` for 0.
    #[must_use]
    pub const fn new(number: u32) -> Option<Self> {
        match NonZeroU32::new(number) {
            Some(number) => Some(Self(number)),
            None => None,
        }
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0.get()
    }

    /// The one after this; `None` after the last that there can be.
    #[must_use]
    pub const fn next(self) -> Option<Self> {
        match self.0.checked_add(1) {
            Some(number) => Some(Self(number)),
            None => None,
        }
    }
}

impl fmt::Display for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The logical cloud that a root is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cloud {
    /// Its uid: what it is known by.
    pub uid: Uid,
    /// Its project, for people who read certificates.
    pub project: ProjectName,
    /// Its name, likewise.
    pub name: LogicalCloudName,
    /// Its trust domain; it stays the same for the logical cloud's life.
    pub trust_domain: TrustDomain,
}

/// Asks for the intermediate CA of a cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IntermediateRequest {
    /// The logical cloud.
    pub cloud: Cloud,
    /// The cluster.
    pub cluster: ClusterIdentity,
    /// Which one of the cluster's intermediates.
    pub generation: Generation,
    /// A PKCS #10 request in PEM, signed with the key that the certificate is to be for. Nothing else of it counts.
    pub csr_pem: String,
}

/// An intermediate CA as it was issued.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Intermediate {
    /// Its generation.
    pub generation: Generation,
    /// The generation of the root that signed it.
    pub root_generation: Generation,
    /// Its certificate, PEM.
    pub certificate_pem: String,
    /// Its chain, PEM: the intermediate first, the root last.
    pub chain_pem: String,
    /// Its serial number: lower-case hexadecimal digits, two for each byte.
    pub serial: String,
    /// It is not valid before this time.
    pub not_before: Timestamp,
    /// It is not valid after this time.
    pub not_after: Timestamp,
    /// What peers in the logical cloud trust at present.
    pub bundle: Bundle,
}

/// What the peers in a logical cloud are to trust.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bundle {
    /// The logical cloud.
    pub cloud: Uid,
    /// The generation of the root that signs new intermediates.
    pub issuing: Generation,
    /// The roots, in the order of their generations: one, or two while a rotation goes on.
    pub anchors: Vec<Anchor>,
}

impl Bundle {
    /// All roots in one text, as a trust bundle is written to a file.
    #[must_use]
    pub fn pem(&self) -> String {
        self.anchors.iter().map(|anchor| anchor.certificate_pem.as_str()).collect()
    }

    /// The root of a generation.
    #[must_use]
    pub fn anchor(&self, generation: Generation) -> Option<&Anchor> {
        self.anchors.iter().find(|anchor| anchor.generation == generation)
    }
}

/// A root that is to be trusted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Anchor {
    /// Its generation.
    pub generation: Generation,
    /// Its certificate, PEM, ending with a line break.
    pub certificate_pem: String,
    /// It is not valid before this time.
    pub not_before: Timestamp,
    /// It is not valid after this time.
    pub not_after: Timestamp,
}

/// A step of the rotation of a root. Each names the generation that it is about, so that it can be repeated.
///
/// ```text
///            introduce 2             switch 2                retire 1
///  1 issues ────────────▶ 1 issues  ──────────▶ 2 issues   ───────────▶ 2 issues
///                         2 trusted             1 trusted
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rotation {
    /// A root of this generation, the one after the latest, is made and trusted. It signs nothing yet.
    Introduce(Generation),
    /// The root of this generation, which was introduced, signs from here on. Ask for it when each cluster trusts it.
    Switch(Generation),
    /// The root of this generation, which does not sign (or not yet), is trusted no longer. Ask for it when no cluster
    /// has a certificate below it any more. A root that was introduced and not switched to is given up so, too.
    Retire(Generation),
}

impl Rotation {
    /// The generation that the step is about.
    #[must_use]
    pub const fn generation(self) -> Generation {
        match self {
            Self::Introduce(generation) | Self::Switch(generation) | Self::Retire(generation) => generation,
        }
    }
}

/// That an intermediate is revoked, and what it means for those who trust it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revoked {
    /// Its generation.
    pub generation: Generation,
    /// Its serial number, as [`Intermediate::serial`] has it.
    pub serial: String,
    /// When it was revoked.
    pub revoked_at: Timestamp,
    /// Until when peers may still trust it: where nothing tells them of the revocation, until it runs out or its root is
    /// retired.
    pub trusted_until: Timestamp,
}

/// Distributes CA keys: built in, or a controller in another process.
///
/// # Contract
/// - **One root for each logical cloud**: made with its first intermediate; nobody else's chain leads to it. Of callers that
///   come at once, through any process, all see the same one.
/// - **Issued once**: for each logical cloud, cluster and generation there is one certificate, recorded before it is
///   answered. Who asks again with the same public key gets it again, byte for byte; another key is refused.
/// - **The private key stays where it was made**: a request proves that its sender has it, and holds nothing else that
///   counts. Names, usages and extensions of a request are ignored; those of the certificate are the provider's.
/// - **What is issued**: a critical CA certificate of path length 0 for signing certificates and CRLs and for digital
///   signatures; no extended key usage, no name constraints; at most one name, `spiffe://<trust domain>` without a path;
///   subject and authority key identifiers; a serial number with 64 random bits or more; a life within its root's; for
///   each generation a subject of its own.
/// - **Refused is unchanged**: a call that fails for what it asks leaves nothing behind.
/// - **Forgotten is for ever**: once [`forget`](Self::forget) was answered, no private key of the logical cloud's roots is kept, and
///   every other call for it is [`Error::Forgotten`], whoever sent it and whenever. So a request that comes late makes no other root.
///
/// `dcm-test-utils` holds a conformance suite with a named test for each promise (`ca_conformance!`).
///
/// # Caveats
/// Whether the logical cloud exists is the caller's to know: a provider may have a store of its own.
#[async_trait]
pub trait CaProvider: Send + Sync + fmt::Debug {
    /// Issues the intermediate CA of a cluster, or answers the one that was issued before.
    ///
    /// # Errors
    /// [`Error::Invalid`] names each bad field: `/csr` where the request cannot be read, is not signed with its own key, or
    /// the key is too weak, or that of another generation where the provider takes each key once (it must where that one was
    /// revoked); `/trust-domain` where it is not the one that the logical cloud has. [`Error::OtherKey`], [`Error::Unusable`].
    async fn issue_intermediate(&self, request: &IntermediateRequest) -> Result<Intermediate, Error>;

    /// What the peers in a logical cloud are to trust.
    ///
    /// # Errors
    /// [`Error::UnknownCloud`] where nothing was issued for it.
    async fn bundle(&self, cloud: &Uid) -> Result<Bundle, Error>;

    /// Takes a step of the rotation of a logical cloud's root. A step that was taken already is answered again.
    ///
    /// When a step is safe is the caller's to know: clusters have to trust a root before it signs, and have to have nothing
    /// below it before it goes.
    ///
    /// # Errors
    /// [`Error::UnknownCloud`]; [`Error::OutOfOrder`] where it is not this step's turn; [`Error::Unsupported`].
    async fn rotate(&self, cloud: &Uid, step: Rotation) -> Result<Bundle, Error>;

    /// Records that an intermediate is not to be trusted: it is not given out again, nor is its key certified again for that
    /// cluster, nor what another generation has for the same key. Who asks again gets the same answer.
    ///
    /// # Errors
    /// [`Error::UnknownCloud`]; [`Error::NotIssued`] where there is no such intermediate; [`Error::Unsupported`].
    async fn revoke(&self, cloud: &Uid, cluster: &ClusterIdentity, generation: Generation) -> Result<Revoked, Error>;

    /// Forgets a logical cloud that was deleted: its roots with their private keys, and what was issued below them. That it is
    /// forgotten is remembered, since its uid never comes back. Who asks again gets the same answer, and a logical cloud that
    /// nothing was issued for is forgotten as well: its first request may be on its way still.
    ///
    /// A provider that has to keep certificates for an audit may do so, but not the roots' private keys.
    ///
    /// # Errors
    /// [`Error::Unavailable`] and the like; then some of it may be done, and a repeat does the rest.
    async fn forget(&self, cloud: &Uid) -> Result<(), Error>;
}

#[async_trait]
impl<T: CaProvider + ?Sized> CaProvider for Arc<T> {
    async fn issue_intermediate(&self, request: &IntermediateRequest) -> Result<Intermediate, Error> {
        (**self).issue_intermediate(request).await
    }

    async fn bundle(&self, cloud: &Uid) -> Result<Bundle, Error> {
        (**self).bundle(cloud).await
    }

    async fn rotate(&self, cloud: &Uid, step: Rotation) -> Result<Bundle, Error> {
        (**self).rotate(cloud, step).await
    }

    async fn revoke(&self, cloud: &Uid, cluster: &ClusterIdentity, generation: Generation) -> Result<Revoked, Error> {
        (**self).revoke(cloud, cluster, generation).await
    }

    async fn forget(&self, cloud: &Uid) -> Result<(), Error> {
        (**self).forget(cloud).await
    }
}
