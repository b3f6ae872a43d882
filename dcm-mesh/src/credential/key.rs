use aws_lc_rs::{error::Unspecified, signature::Ed25519KeyPair};
use dcm_core::{
    credential::{Error, KeyAlgorithm},
    secret::Secret,
};
use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ED25519, PKCS_RSA_SHA256, RsaKeySize};
use rustls_pki_types::PrivatePkcs8KeyDer;
use zeroize::Zeroizing;

use super::{crypto, malformed, pem};

/// A key pair whose private half is wiped on drop.
pub(crate) type Key = Zeroizing<KeyPair>;

pub(super) fn generate(algorithm: KeyAlgorithm) -> Result<Key, Error> {
    let key = match algorithm {
        KeyAlgorithm::EcdsaP256 => KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(crypto),
        KeyAlgorithm::Ed25519 => ed25519(),
        KeyAlgorithm::Rsa2048 => rsa(RsaKeySize::_2048),
        KeyAlgorithm::Rsa4096 => rsa(RsaKeySize::_4096),
    };
    key.map(Zeroizing::new)
}

fn rsa(size: RsaKeySize) -> Result<KeyPair, Error> {
    KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, size).map_err(crypto)
}

/// In version 1 of PKCS #8: many readers (OpenSSL up to 3.x among them) refuse version 2, which rcgen writes.
fn ed25519() -> Result<KeyPair, Error> {
    let failed = |error: Unspecified| Error::Crypto(Box::new(error));
    let document = Ed25519KeyPair::generate().map_err(failed)?.to_pkcs8v1().map_err(failed)?;
    let der = PrivatePkcs8KeyDer::from(document.as_ref());
    KeyPair::from_pkcs8_der_and_sign_algo(&der, &PKCS_ED25519).map_err(crypto)
}

/// Reads a private key: PKCS #8, SEC 1 or PKCS #1, not encrypted.
pub(crate) fn read(what: &'static str, key_pem: &Secret) -> Result<Key, Error> {
    let der = pem::read_private_key(what, key_pem)?;
    let key = KeyPair::try_from(&*der)
        .map_err(|_| malformed(what, "it is not an ECDSA, Ed25519 or RSA (2048 bits or more) key"))?;
    Ok(Zeroizing::new(key))
}
