use data_encoding::HEXLOWER;
use dcm_core::{
    ca::SignerError,
    credential::{self, KeyAndRequest},
};
use rcgen::{
    CertificateParams, DistinguishedName, KeyPair, PKCS_RSA_SHA256, PublicKeyData, RsaKeySize, SubjectPublicKeyInfo,
};
use sha2::{Digest as _, Sha256};
use x509_parser::{
    asn1_rs::Tag,
    certification_request::X509CertificationRequest,
    oid_registry::{
        OID_EC_P256, OID_KEY_TYPE_EC_PUBLIC_KEY, OID_NIST_EC_P384, OID_NIST_EC_P521, OID_PKCS1_RSAENCRYPTION,
        OID_PKCS1_SHA256WITHRSA, OID_PKCS1_SHA384WITHRSA, OID_PKCS1_SHA512WITHRSA, OID_SIG_ECDSA_WITH_SHA256,
        OID_SIG_ECDSA_WITH_SHA384, OID_SIG_ED25519, Oid,
    },
    prelude::FromDer as _,
    public_key::{PublicKey, RSAPublicKey},
    x509::SubjectPublicKeyInfo as ParsedKey,
};
use zeroize::Zeroizing;

use super::{IntermediateKey, crypto, sign};
use crate::credential::pem;

/// A request may be so long; RSA with 4096 bits and a few extensions needs a tenth of it.
const LONGEST: usize = 32 * 1024;
/// The common exponent, and the smallest one that is safe with any padding.
const SMALLEST_EXPONENT: u64 = 65_537;
const ALLOWED: &str = "use ECDSA on P-256 or P-384, or RSA with 2048, 3072 or 4096 bits";

/// What counts of a request: the key that it was signed with.
pub(super) struct Requested {
    pub(super) public_key: SubjectPublicKeyInfo,
    pub(super) digest: String,
}

/// A request with nothing but its key.
pub(super) fn make(kind: IntermediateKey) -> Result<KeyAndRequest, SignerError> {
    let key = match kind {
        IntermediateKey::Ecdsa(algorithm) => sign::generate(algorithm)?,
        IntermediateKey::Rsa2048 => rsa(RsaKeySize::_2048)?,
        IntermediateKey::Rsa4096 => rsa(RsaKeySize::_4096)?,
    };
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    let csr_pem = params.serialize_request(&*key).and_then(|request| request.pem()).map_err(crypto)?;
    Ok(KeyAndRequest { key_pem: pem::private_key(&key), csr_pem })
}

fn rsa(size: RsaKeySize) -> Result<Zeroizing<KeyPair>, SignerError> {
    KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, size).map(Zeroizing::new).map_err(crypto)
}

/// Reads a request, and checks that its key is strong and that it was signed with it.
pub(super) fn read(csr_pem: &str) -> Result<Requested, SignerError> {
    if csr_pem.len() > LONGEST {
        return refuse(format!("must have at most {LONGEST} bytes"));
    }
    let der = pem::read_request("request", csr_pem).map_err(|error| match error {
        credential::Error::Malformed { reason, .. } => {
            SignerError::Request(format!("{reason}; give a PKCS #10 request in PEM"))
        }
        other => SignerError::Crypto(Box::new(other)),
    })?;
    let Ok(([], request)) = X509CertificationRequest::from_der(&der) else {
        return refuse("is not a PKCS #10 request");
    };
    let spki = &request.certification_request_info.subject_pki;
    check_strength(spki)?;
    check_algorithm(&request.signature_algorithm.algorithm)?;
    if request.verify_signature().is_err() {
        return refuse("is not signed with the key that it is for");
    }
    let Ok(public_key) = SubjectPublicKeyInfo::from_der(spki.raw) else {
        return refuse(format!("has a key of an odd form: {ALLOWED}"));
    };
    // What will be certified must be what the signature was checked with.
    if public_key.der_bytes() != spki.subject_public_key.data.as_ref() {
        return refuse("has a public key that is encoded oddly");
    }
    let digest = HEXLOWER.encode(&Sha256::digest(public_key.subject_public_key_info()));
    Ok(Requested { public_key, digest })
}

fn check_strength(spki: &ParsedKey<'_>) -> Result<(), SignerError> {
    let kind = &spki.algorithm.algorithm;
    if *kind == OID_PKCS1_RSAENCRYPTION {
        return match spki.parsed() {
            Ok(PublicKey::RSA(key)) => check_rsa(&key),
            _ => refuse("has an RSA key that cannot be read"),
        };
    }
    if *kind == OID_KEY_TYPE_EC_PUBLIC_KEY {
        let parameters = spki.algorithm.parameters.as_ref().filter(|parameters| parameters.tag() == Tag::Oid);
        let curve = parameters.and_then(|parameters| parameters.as_oid().ok());
        return match curve {
            Some(curve) if curve == OID_EC_P256 || curve == OID_NIST_EC_P384 => Ok(()),
            Some(curve) if curve == OID_NIST_EC_P521 => {
                refuse(format!("has a key on P-521, which few verifiers of the mesh know: {ALLOWED}"))
            }
            Some(curve) => refuse(format!("has a key on the curve {curve}: {ALLOWED}")),
            None => refuse(format!("has a key on a curve that it does not name: {ALLOWED}")),
        };
    }
    if *kind == OID_SIG_ED25519 {
        return refuse(format!("has an Ed25519 key, which few verifiers of the mesh know: {ALLOWED}"));
    }
    refuse(format!("has a key of the kind {kind}: {ALLOWED}"))
}

fn check_rsa(key: &RSAPublicKey<'_>) -> Result<(), SignerError> {
    // Counted here: a leading zero byte is no part of the number.
    let modulus: &[u8] =
        key.modulus.iter().position(|byte| *byte != 0).and_then(|at| key.modulus.get(at..)).unwrap_or_default();
    let bits = modulus.len() * 8 - modulus.first().map_or(0, |byte| byte.leading_zeros() as usize);
    if !matches!(bits, 2048 | 3072 | 4096) {
        return refuse(format!("has an RSA key with {bits} bits: {ALLOWED}"));
    }
    match key.try_exponent() {
        Ok(exponent) if exponent >= SMALLEST_EXPONENT && exponent % 2 == 1 => Ok(()),
        _ => refuse(format!("has an RSA key with an odd exponent: use {SMALLEST_EXPONENT}")),
    }
}

fn check_algorithm(algorithm: &Oid<'_>) -> Result<(), SignerError> {
    const STRONG: [Oid<'static>; 5] = [
        OID_SIG_ECDSA_WITH_SHA256,
        OID_SIG_ECDSA_WITH_SHA384,
        OID_PKCS1_SHA256WITHRSA,
        OID_PKCS1_SHA384WITHRSA,
        OID_PKCS1_SHA512WITHRSA,
    ];
    if STRONG.contains(algorithm) {
        return Ok(());
    }
    refuse(format!("is signed with the algorithm {algorithm}: use ECDSA or RSA (PKCS #1) with SHA-256 or SHA-384"))
}

fn refuse<T>(reason: impl Into<String>) -> Result<T, SignerError> {
    Err(SignerError::Request(reason.into()))
}
