//! The port to whatever makes users' keys and certificates.

use std::time::Duration;

use jiff::Timestamp;

use crate::{secret::Secret, store::BoxError};

/// The subject of a user's certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject {
    /// The common name: what Kubernetes takes for the user's name.
    pub common_name: String,
    /// The organization: what Kubernetes takes for a group.
    pub organization: String,
}

/// The kinds of key that a user can get.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum KeyAlgorithm {
    /// ECDSA on P-256.
    #[default]
    EcdsaP256,
    /// Ed25519.
    Ed25519,
    /// RSA with 2048 bits.
    Rsa2048,
    /// RSA with 4096 bits.
    Rsa4096,
}

/// A new key together with a request for its certificate.
#[derive(Clone, Debug)]
pub struct KeyAndRequest {
    /// The private key, PKCS #8 in PEM.
    pub key_pem: Secret,
    /// The PKCS #10 request in PEM.
    pub csr_pem: String,
}

/// What a certificate says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateFacts {
    /// Whom it is for.
    pub subject: Subject,
    /// It is not valid before this time.
    pub not_before: Timestamp,
    /// It is not valid after this time.
    pub not_after: Timestamp,
}

/// Makes users' keys, and signs with a cluster's registered CA.
///
/// Calls may take long (RSA): whoever calls from a runtime keeps them off its workers.
pub trait CredentialMaker: Send + Sync + std::fmt::Debug {
    /// Makes a key and a certificate signing request for it.
    ///
    /// # Errors
    /// [`Error::Crypto`].
    fn request(&self, subject: &Subject, algorithm: KeyAlgorithm) -> Result<KeyAndRequest, Error>;

    /// Signs a request with a CA's key. Subject and extensions are the ones given here, whatever the
    /// request says: client authentication only, not a CA, from five minutes before `now`.
    ///
    /// # Errors
    /// [`Error::Malformed`] where the CA or the request cannot be read, [`Error::Crypto`].
    fn sign(
        &self,
        csr_pem: &str,
        subject: &Subject,
        ca: &SigningCa<'_>,
        now: Timestamp,
        lifetime: Duration,
    ) -> Result<String, Error>;

    /// Reads a certificate, and checks that it belongs to the private key.
    ///
    /// # Errors
    /// [`Error::Malformed`] where it cannot be read, [`Error::KeyMismatch`].
    fn inspect(&self, certificate_pem: &str, key_pem: &Secret) -> Result<CertificateFacts, Error>;

    /// Checks that a CA certificate and key can be used for [`CredentialMaker::sign`].
    ///
    /// # Errors
    /// [`Error::Malformed`], [`Error::KeyMismatch`].
    fn check_ca(&self, ca: &SigningCa<'_>) -> Result<(), Error>;
}

/// A cluster's CA as it was registered.
#[derive(Clone, Copy, Debug)]
pub struct SigningCa<'a> {
    /// The CA's certificate, PEM.
    pub certificate_pem: &'a str,
    /// Its private key, PEM.
    pub key_pem: &'a Secret,
}

/// Why there is no credential.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A PEM block or what it holds is not what it should be.
    #[error("the {what} cannot be read: {reason}")]
    Malformed {
        /// Which input.
        what: &'static str,
        /// What is wrong, without its content.
        reason: String,
    },
    /// The certificate and the private key do not belong together.
    #[error("the certificate does not belong to the private key")]
    KeyMismatch,
    /// The cryptography itself failed.
    #[error("making a key or signature failed")]
    Crypto(#[source] BoxError),
}
