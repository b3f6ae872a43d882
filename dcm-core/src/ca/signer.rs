use std::fmt;

use jiff::Timestamp;

use super::Generation;
use crate::{
    model::Uid,
    name::{ClusterIdentity, LogicalCloudName, ProjectName, TrustDomain},
    secret::Secret,
    store::BoxError,
};

/// The kinds of key that a CA can have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum KeyAlgorithm {
    /// ECDSA on P-256.
    #[default]
    EcdsaP256,
    /// ECDSA on P-384.
    EcdsaP384,
}

/// How long a certificate is valid, in whole seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Validity {
    /// From this time.
    pub not_before: Timestamp,
    /// To this time.
    pub not_after: Timestamp,
}

/// What a root's certificate says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RootParameters<'a> {
    /// The kind of its key.
    pub algorithm: KeyAlgorithm,
    /// Its logical cloud.
    pub cloud: &'a Uid,
    /// The logical cloud's project.
    pub project: &'a ProjectName,
    /// The logical cloud's name.
    pub name: &'a LogicalCloudName,
    /// Which root of the logical cloud.
    pub generation: Generation,
    /// Random bytes for its serial number.
    pub serial: [u8; 16],
    /// How long it is valid.
    pub validity: Validity,
}

/// What an intermediate's certificate says, beside its public key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IntermediateParameters<'a> {
    /// Its logical cloud.
    pub cloud: &'a Uid,
    /// The logical cloud's project.
    pub project: &'a ProjectName,
    /// The logical cloud's name.
    pub name: &'a LogicalCloudName,
    /// The logical cloud's trust domain.
    pub trust_domain: &'a TrustDomain,
    /// Its cluster.
    pub cluster: &'a ClusterIdentity,
    /// Which intermediate of the cluster.
    pub generation: Generation,
    /// Random bytes for its serial number.
    pub serial: [u8; 16],
    /// How long it is valid.
    pub validity: Validity,
}

/// A root with its key.
#[derive(Clone, Debug)]
pub struct RootKey {
    /// Its certificate, PEM.
    pub certificate_pem: String,
    /// Its private key, PKCS #8 in PEM.
    pub key_pem: Secret,
}

/// A root that signs.
#[derive(Clone, Copy, Debug)]
pub struct SigningRoot<'a> {
    /// Its certificate, PEM.
    pub certificate_pem: &'a str,
    /// Its private key, PEM.
    pub key_pem: &'a Secret,
}

/// The key that a request was signed with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestedKey {
    /// A digest of the public key (SHA-256 of its SubjectPublicKeyInfo), in hexadecimal digits.
    pub digest: String,
}

/// A signed certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedIntermediate {
    /// The certificate, PEM.
    pub certificate_pem: String,
    /// Its serial number, in lower-case hexadecimal digits.
    pub serial: String,
}

/// Makes roots and signs intermediates: pure cryptography, which keeps nothing.
///
/// Calls may use the processor for a while: whoever calls from a runtime and minds keeps them off its workers.
pub trait CaSigner: Send + Sync + fmt::Debug {
    /// Makes a key and its self-signed certificate: a critical CA of path length 1 for certificates and CRLs.
    ///
    /// # Errors
    /// [`SignerError::Crypto`].
    fn make_root(&self, parameters: &RootParameters<'_>) -> Result<RootKey, SignerError>;

    /// Checks that a request was signed with its own key, and that the key is strong enough.
    ///
    /// # Errors
    /// [`SignerError::Request`].
    fn read_request(&self, csr_pem: &str) -> Result<RequestedKey, SignerError>;

    /// Signs what [`CaProvider`](super::CaProvider) says of an intermediate, for the key of a request. Nothing else of the
    /// request counts.
    ///
    /// # Errors
    /// [`SignerError::Request`]; [`SignerError::Root`] where the root cannot be read or its key is another one.
    fn sign_intermediate(
        &self,
        csr_pem: &str,
        root: &SigningRoot<'_>,
        parameters: &IntermediateParameters<'_>,
    ) -> Result<SignedIntermediate, SignerError>;
}

/// Why nothing was signed.
#[derive(Debug, thiserror::Error)]
pub enum SignerError {
    /// The request is not good enough; says why, and what is.
    #[error("the request cannot be used: {0}")]
    Request(String),
    /// The stored root is damaged.
    #[error("the stored root cannot be used: {0}")]
    Root(String),
    /// The cryptography itself failed.
    #[error("making a key or signature failed")]
    Crypto(#[source] BoxError),
}
