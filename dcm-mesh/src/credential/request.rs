use dcm_core::credential::{Error, Subject};
use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair, PublicKeyData, SubjectPublicKeyInfo};
use x509_parser::{
    certification_request::X509CertificationRequest, oid_registry::OID_PKCS1_RSAENCRYPTION, prelude::FromDer as _,
};

use super::{crypto, malformed, pem};

const WHAT: &str = "certificate signing request";

/// What counts of a request whose signature holds: the rest of it is its maker's wish.
#[derive(Debug)]
pub(super) struct Requested {
    pub(super) public_key: SubjectPublicKeyInfo,
    pub(super) is_rsa: bool,
}

pub(super) fn subject_name(subject: &Subject) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::OrganizationName, subject.organization.as_str());
    name.push(DnType::CommonName, subject.common_name.as_str());
    name
}

/// A request with the subject alone: no names beside it, no extensions.
pub(super) fn make(subject: &Subject, key: &KeyPair) -> Result<String, Error> {
    let mut params = CertificateParams::default();
    params.distinguished_name = subject_name(subject);
    params.serialize_request(key).and_then(|request| request.pem()).map_err(crypto)
}

/// Reads a request and checks that it was signed with the key that it is for.
pub(super) fn read(csr_pem: &str) -> Result<Requested, Error> {
    let der = pem::read_request(WHAT, csr_pem)?;
    let (rest, request) =
        X509CertificationRequest::from_der(&der).map_err(|_| malformed(WHAT, "it is not a PKCS #10 request"))?;
    if !rest.is_empty() {
        return Err(malformed(WHAT, "bytes follow the request"));
    }
    request.verify_signature().map_err(|_| malformed(WHAT, "its signature does not hold for its public key"))?;
    let spki = &request.certification_request_info.subject_pki;
    let public_key =
        SubjectPublicKeyInfo::from_der(spki.raw).map_err(|_| malformed(WHAT, "keys of its kind are not supported"))?;
    // What rcgen will write must be what the signature was checked with.
    if public_key.der_bytes() != spki.subject_public_key.data.as_ref() {
        return Err(malformed(WHAT, "its public key is encoded oddly"));
    }
    Ok(Requested { public_key, is_rsa: spki.algorithm.algorithm == OID_PKCS1_RSAENCRYPTION })
}
