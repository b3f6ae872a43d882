use std::time::Duration;

use aws_lc_rs::rand;
use dcm_core::credential::{Error, SigningCa, Subject};
use jiff::{SignedDuration, Timestamp};
use rcgen::{
    Certificate, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyUsagePurpose, PublicKeyData, SerialNumber,
};
use rustls_pki_types::CertificateDer;
use time::OffsetDateTime;
use x509_parser::{
    asn1_rs::{Any, Tag},
    certificate::X509Certificate,
    oid_registry::Oid,
};

use super::{
    certificate, crypto,
    key::{self, Key},
    malformed, pem,
    request::{Requested, subject_name},
};

const WHAT: &str = "CA certificate";
const ODD_SUBJECT: &str = "its subject is of a form that is not supported";
/// Clocks of clusters may be behind ours by this much.
const BACKDATED: SignedDuration = SignedDuration::from_mins(5);

/// A cluster's CA that was checked: it is one, and its key belongs to it.
pub(super) struct Authority {
    der: CertificateDer<'static>,
    key: Key,
    not_before: Timestamp,
    not_after: Timestamp,
}

impl Authority {
    pub(super) fn new(ca: &SigningCa<'_>) -> Result<Self, Error> {
        let mut all = pem::read_only_certificates(WHAT, ca.certificate_pem)?;
        let (Some(der), None) = (all.pop(), all.pop()) else {
            return Err(malformed(WHAT, "it holds more than one certificate; give the one that the key belongs to"));
        };
        let parsed = certificate::parse(WHAT, &der)?;
        check_is_ca(&parsed)?;
        let key = key::read("CA key", ca.key_pem)?;
        if !certificate::belongs(&parsed, &key) {
            return Err(Error::KeyMismatch);
        }
        let not_before = certificate::time(WHAT, parsed.validity().not_before)?;
        let not_after = certificate::time(WHAT, parsed.validity().not_after)?;
        Ok(Self { der, key, not_before, not_after })
    }

    /// Signs something that is thrown away, so that what cannot work is found at once.
    pub(super) fn try_out(&self) -> Result<(), Error> {
        self.issue(&CertificateParams::default(), &*self.key).map(drop)
    }

    pub(super) fn sign(
        &self,
        request: &Requested,
        subject: &Subject,
        now: Timestamp,
        lifetime: Duration,
    ) -> Result<String, Error> {
        let (from, to) = self.validity(now, lifetime)?;
        let mut params = CertificateParams::default();
        params.distinguished_name = subject_name(subject);
        params.serial_number = Some(serial()?);
        params.not_before = at(from)?;
        params.not_after = at(to)?;
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        if request.is_rsa {
            params.key_usages.push(KeyUsagePurpose::KeyEncipherment);
        }
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        params.use_authority_key_identifier_extension = true;
        self.issue(&params, &request.public_key).map(|certificate| certificate.pem())
    }

    fn issue(&self, params: &CertificateParams, public_key: &impl PublicKeyData) -> Result<Certificate, Error> {
        let issuer = Issuer::from_ca_cert_der(&self.der, &*self.key).map_err(|_| malformed(WHAT, ODD_SUBJECT))?;
        let signed = params.signed_by(public_key, &issuer).map_err(crypto)?;
        // Verifiers compare issuer and subject byte by byte, and rcgen writes the name anew.
        let ca = certificate::parse(WHAT, &self.der)?;
        let written = certificate::parse("new certificate", signed.der())?;
        if ca.subject().as_raw() != written.issuer().as_raw() {
            return Err(malformed(WHAT, ODD_SUBJECT));
        }
        Ok(signed)
    }

    fn validity(&self, now: Timestamp, lifetime: Duration) -> Result<(Timestamp, Timestamp), Error> {
        if self.not_after <= now {
            return Err(malformed(WHAT, "it has expired"));
        }
        let from = now.saturating_sub(BACKDATED).unwrap_or(now);
        let to = SignedDuration::try_from(lifetime).ok().and_then(|lifetime| now.checked_add(lifetime).ok());
        let from = from.max(self.not_before);
        let to = to.map_or(self.not_after, |to| to.min(self.not_after));
        if to <= from {
            return Err(malformed(WHAT, "it is not valid yet"));
        }
        Ok((from, to))
    }
}

fn check_is_ca(certificate: &X509Certificate<'_>) -> Result<(), Error> {
    let constraints = certificate.basic_constraints().map_err(|_| malformed(WHAT, "it has two basic constraints"))?;
    if !constraints.is_some_and(|c| c.value.ca) {
        return Err(malformed(WHAT, "it is not a CA's (its basic constraints do not say so)"));
    }
    let usage = certificate.key_usage().map_err(|_| malformed(WHAT, "it has two key usages"))?;
    if usage.is_some_and(|usage| !usage.value.key_cert_sign()) {
        return Err(malformed(WHAT, "its key usage does not allow to sign"));
    }
    // rcgen panics at an empty one, and knows no others than those with one attribute.
    if certificate.subject().iter().any(|rdn| rdn.iter().count() != 1) {
        return Err(malformed(WHAT, ODD_SUBJECT));
    }
    // It panics at kinds of attributes below 2.40 and up as well, which it takes for 3.0 and up.
    let first = |kind: &Oid<'_>| kind.iter().and_then(|mut arcs| arcs.next());
    if certificate.subject().iter_attributes().any(|a| first(a.attr_type()).is_none_or(|first| first > 2)) {
        return Err(malformed(WHAT, ODD_SUBJECT));
    }
    // And at a question mark, which a PrintableString may hold (X.680, section 41.4).
    let is_odd = |value: &Any<'_>| value.tag() == Tag::PrintableString && value.data.contains(&b'?');
    if certificate.subject().iter_attributes().any(|a| is_odd(a.attr_value())) {
        return Err(malformed(WHAT, ODD_SUBJECT));
    }
    Ok(())
}

fn serial() -> Result<SerialNumber, Error> {
    let mut bytes = [0; 16];
    rand::fill(&mut bytes).map_err(|error| Error::Crypto(Box::new(error)))?;
    // Positive, and of the same length always.
    bytes[0] = bytes[0] & 0x7f | 0x40;
    Ok(SerialNumber::from_slice(&bytes))
}

fn at(time: Timestamp) -> Result<OffsetDateTime, Error> {
    OffsetDateTime::from_unix_timestamp(time.as_second()).map_err(|error| Error::Crypto(Box::new(error)))
}
