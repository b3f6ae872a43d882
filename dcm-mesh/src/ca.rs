//! The CAs of logical clouds: roots, intermediates, and the requests for them.

mod profile;
mod request;
mod sign;

use dcm_core::{
    ca::{
        CaSigner, IntermediateParameters, KeyAlgorithm, RequestedKey, RootKey, RootParameters, SignedIntermediate,
        SignerError, SigningRoot,
    },
    credential::KeyAndRequest,
};

/// Makes roots and signs intermediates, in this process.
///
/// # Guarantees
/// - A root is a critical CA of path length 1, for signing certificates and CRLs only.
/// - An intermediate is what [`CaProvider`](dcm_core::ca::CaProvider) says, whatever its request asks for.
/// - A request counts only if it is signed with its own key, and the key is ECDSA on P-256 or P-384, or RSA with 2048, 3072
///   or 4096 bits.
/// - Neither errors nor debug output hold key material, and keys are wiped from memory after use.
///
/// # Example
/// ```
/// use dcm_core::ca::CaSigner as _;
/// use dcm_mesh::ca::{IntermediateKey, Signer};
///
/// let made = IntermediateKey::default().make()?;
/// let key = Signer.read_request(&made.csr_pem)?;
/// assert_eq!(key.digest.len(), 64);
/// # Ok::<(), dcm_core::ca::SignerError>(())
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Signer;

impl CaSigner for Signer {
    fn make_root(&self, parameters: &RootParameters<'_>) -> Result<RootKey, SignerError> {
        sign::root(parameters)
    }

    fn read_request(&self, csr_pem: &str) -> Result<RequestedKey, SignerError> {
        request::read(csr_pem).map(|read| RequestedKey { digest: read.digest })
    }

    fn sign_intermediate(
        &self,
        csr_pem: &str,
        root: &SigningRoot<'_>,
        parameters: &IntermediateParameters<'_>,
    ) -> Result<SignedIntermediate, SignerError> {
        sign::intermediate(&request::read(csr_pem)?, root, parameters)
    }
}

/// The kind of key that an intermediate CA is to have: its own side, where the key is made and stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IntermediateKey {
    /// ECDSA.
    Ecdsa(KeyAlgorithm),
    /// RSA with 2048 bits.
    Rsa2048,
    /// RSA with 4096 bits. Making one takes a quarter of a second or more.
    Rsa4096,
}

impl Default for IntermediateKey {
    fn default() -> Self {
        Self::Ecdsa(KeyAlgorithm::default())
    }
}

impl IntermediateKey {
    /// Makes a key, and the request for its certificate. The request says nothing but the key: all else is the CA's to say.
    ///
    /// # Errors
    /// [`SignerError::Crypto`].
    pub fn make(self) -> Result<KeyAndRequest, SignerError> {
        request::make(self)
    }
}

fn crypto(source: rcgen::Error) -> SignerError {
    SignerError::Crypto(Box::new(source))
}
