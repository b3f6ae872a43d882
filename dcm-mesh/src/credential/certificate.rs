use dcm_core::credential::{CertificateFacts, Error, Subject};
use jiff::Timestamp;
use rcgen::KeyPair;
use rustls_pki_types::CertificateDer;
use x509_parser::{
    certificate::X509Certificate,
    oid_registry::{OID_X509_COMMON_NAME, OID_X509_ORGANIZATION_NAME, Oid},
    prelude::FromDer as _,
    time::ASN1Time,
    x509::X509Name,
};

use super::{malformed, pem};

/// Reads a user's certificate; what follows the first one is its chain, which must be readable too.
pub(super) fn inspect(certificate_pem: &str, key: &KeyPair) -> Result<CertificateFacts, Error> {
    const WHAT: &str = "certificate";
    let chain = pem::read_certificates(WHAT, certificate_pem)?;
    let parsed = chain.iter().map(|der| parse(WHAT, der)).collect::<Result<Vec<_>, _>>()?;
    let Some(leaf) = parsed.first() else {
        return Err(malformed(WHAT, "it holds no certificate"));
    };
    if !belongs(leaf, key) {
        return Err(Error::KeyMismatch);
    }
    let validity = leaf.validity();
    let (not_before, not_after) = (time(WHAT, validity.not_before)?, time(WHAT, validity.not_after)?);
    if not_after < not_before {
        return Err(malformed(WHAT, "it ends before it begins"));
    }
    Ok(CertificateFacts { subject: subject(WHAT, leaf.subject())?, not_before, not_after })
}

pub(super) fn parse<'a>(what: &'static str, der: &'a CertificateDer<'_>) -> Result<X509Certificate<'a>, Error> {
    match X509Certificate::from_der(der) {
        Ok(([], certificate)) => Ok(certificate),
        Ok(_) => Err(malformed(what, "bytes follow the certificate")),
        Err(_) => Err(malformed(what, "it is not an X.509 certificate")),
    }
}

/// Whether a certificate's public key is a private key's.
pub(crate) fn belongs(certificate: &X509Certificate<'_>, key: &KeyPair) -> bool {
    certificate.public_key().subject_public_key.data.as_ref() == key.public_key_raw()
}

pub(super) fn time(what: &'static str, time: ASN1Time) -> Result<Timestamp, Error> {
    Timestamp::from_second(time.timestamp()).map_err(|_| malformed(what, "it names a time that cannot be"))
}

/// One common name, one organization, and nothing that a reader of the two would overlook.
fn subject(what: &'static str, name: &X509Name<'_>) -> Result<Subject, Error> {
    let mut values = name.iter_attributes().map(|a| (a.attr_type(), a.as_str().ok()));
    let (mut common_name, mut organization) = (None, None);
    let odd = || malformed(what, "its subject is not one common name and one organization");
    let is = |oid: &Oid<'_>, other: &Oid<'_>| oid == other;
    for (oid, value) in values.by_ref() {
        let place = if is(oid, &OID_X509_COMMON_NAME) {
            &mut common_name
        } else if is(oid, &OID_X509_ORGANIZATION_NAME) {
            &mut organization
        } else {
            return Err(odd());
        };
        let value = value.ok_or_else(odd)?;
        if place.replace(value.to_owned()).is_some() {
            return Err(odd());
        }
    }
    Ok(Subject { common_name: common_name.ok_or_else(odd)?, organization: organization.ok_or_else(odd)? })
}
