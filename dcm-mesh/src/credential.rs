//! The users' keys, the requests for their certificates, and certificates signed with a cluster's own CA.

mod authority;
pub(crate) mod certificate;
pub(crate) mod key;
pub(crate) mod pem;
mod request;

use std::time::Duration;

use dcm_core::{
    credential::{CertificateFacts, CredentialMaker, Error, KeyAlgorithm, KeyAndRequest, SigningCa, Subject},
    secret::Secret,
};
use jiff::Timestamp;

use self::authority::Authority;

/// Makes users' keys and signs their certificates, in this process.
///
/// # Guarantees
/// - A request holds its subject's common name and organization, and nothing else.
/// - A certificate that is signed here is for client authentication only and never a CA, whatever its
///   request asks for; it has a random serial number and lies within the life of its CA.
/// - Neither errors nor debug output hold key material, and keys are wiped from memory after use.
///
/// # Caveats
/// Calls use the processor: an RSA key with 4096 bits takes a quarter of a second or more. Callers on a
/// runtime keep them off its workers.
///
/// # Example
/// ```
/// use dcm_core::credential::{CredentialMaker as _, KeyAlgorithm, Subject};
/// use dcm_mesh::credential::UserCredentials;
///
/// let subject = Subject { common_name: "dcm:p:c:u:id".to_owned(), organization: "dcm:uid".to_owned() };
/// let made = UserCredentials.request(&subject, KeyAlgorithm::EcdsaP256)?;
/// assert!(made.csr_pem.starts_with("-----BEGIN CERTIFICATE REQUEST-----"));
/// # Ok::<(), dcm_core::credential::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct UserCredentials;

impl CredentialMaker for UserCredentials {
    fn request(&self, subject: &Subject, algorithm: KeyAlgorithm) -> Result<KeyAndRequest, Error> {
        let key = key::generate(algorithm)?;
        Ok(KeyAndRequest { csr_pem: request::make(subject, &key)?, key_pem: pem::private_key(&key) })
    }

    fn sign(
        &self,
        csr_pem: &str,
        subject: &Subject,
        ca: &SigningCa<'_>,
        now: Timestamp,
        lifetime: Duration,
    ) -> Result<String, Error> {
        let request = request::read(csr_pem)?;
        Authority::new(ca)?.sign(&request, subject, now, lifetime)
    }

    fn inspect(&self, certificate_pem: &str, key_pem: &Secret) -> Result<CertificateFacts, Error> {
        let key = key::read("private key", key_pem)?;
        certificate::inspect(certificate_pem, &key)
    }

    fn check_ca(&self, ca: &SigningCa<'_>) -> Result<(), Error> {
        Authority::new(ca)?.try_out()
    }
}

fn malformed(what: &'static str, reason: impl Into<String>) -> Error {
    Error::Malformed { what, reason: reason.into() }
}

fn crypto(source: rcgen::Error) -> Error {
    Error::Crypto(Box::new(source))
}
