//! Judges certificates by other stacks than whoever made them: rustls-webpki says what is trusted, x509-parser what is written.

use std::time::Duration;

use dcm_core::ca::{Bundle, Intermediate};
use jiff::{SignedDuration, Timestamp};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SanType,
};
use rustls_pki_types::{CertificateDer, UnixTime, pem::PemObject as _};
use time::OffsetDateTime;
use webpki::{EndEntityCert, KeyUsage, anchor_from_trusted_cert};
use x509_parser::{certificate::X509Certificate, extensions::GeneralName, prelude::FromDer as _};

use super::requester::Key;

/// The certificates of a text.
#[must_use]
pub fn certificates(pem: &str) -> Vec<CertificateDer<'static>> {
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.as_bytes()).collect();
    all.expect("PEM")
}

/// The one certificate of a text.
#[must_use]
pub fn certificate(pem: &str) -> CertificateDer<'static> {
    let mut all = certificates(pem);
    assert_eq!(all.len(), 1, "one certificate");
    all.remove(0)
}

/// Reads a certificate.
#[must_use]
pub fn parse<'a>(der: &'a CertificateDer<'_>) -> X509Certificate<'a> {
    let (rest, parsed) = X509Certificate::from_der(der).expect("an X.509 certificate");
    assert!(rest.is_empty(), "nothing follows");
    parsed
}

/// A time at which what was just issued is valid.
#[must_use]
pub fn soon(intermediate: &Intermediate) -> Timestamp {
    after(intermediate.not_before, SignedDuration::from_mins(10))
}

/// A time so much later.
#[must_use]
pub fn after(time: Timestamp, by: SignedDuration) -> Timestamp {
    time.checked_add(by).expect("a time")
}

/// A workload's certificate below an intermediate, as a mesh makes it: one hour, from five minutes before `now`.
#[must_use]
pub fn workload(intermediate: &Intermediate, key: &Key, trust_domain: &str, now: Timestamp) -> CertificateDer<'static> {
    let mut params = params("workload", now);
    let name = format!("spiffe://{trust_domain}/ns/ns-1/sa/default");
    params.subject_alt_names = vec![SanType::URI(name.try_into().expect("a name"))];
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth, ExtendedKeyUsagePurpose::ServerAuth];
    params.use_authority_key_identifier_extension = true;
    let issuer = certificate(&intermediate.certificate_pem);
    sign(&params, &KeyPair::generate().expect("a key"), &issuer, key)
}

/// A CA below an intermediate, which no verifier should take, and a workload below that.
#[must_use]
pub fn ca_below(intermediate: &Intermediate, key: &Key, now: Timestamp) -> [CertificateDer<'static>; 2] {
    let below = Key::new();
    let mut ca = params("ca", now);
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    ca.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    let ca = sign(&ca, &below.0, &certificate(&intermediate.certificate_pem), key);
    let leaf = sign(&params("workload", now), &KeyPair::generate().expect("a key"), &ca, &below);
    [leaf, ca]
}

fn params(name: &str, now: Timestamp) -> CertificateParams {
    let at = |time: Timestamp| OffsetDateTime::from_unix_timestamp(time.as_second()).expect("a time");
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.not_before = at(after(now, SignedDuration::from_mins(-5)));
    params.not_after = at(after(now, SignedDuration::from_hours(1)));
    params
}

fn sign(params: &CertificateParams, subject: &KeyPair, ca: &CertificateDer<'_>, key: &Key) -> CertificateDer<'static> {
    let issuer = Issuer::from_ca_cert_der(ca, &key.0).expect("an issuer");
    params.signed_by(subject, &issuer).expect("a certificate").der().clone()
}

/// Whether a client that trusts a bundle, and is shown a leaf with the certificates between, trusts it at a time.
///
/// # Errors
/// Why not.
pub fn trusts(
    bundle: &Bundle,
    leaf: &CertificateDer<'_>,
    between: &[CertificateDer<'_>],
    at: Timestamp,
) -> Result<(), webpki::Error> {
    let roots = certificates(&bundle.pem());
    let anchors: Vec<_> = roots.iter().map(|root| anchor_from_trusted_cert(root).expect("an anchor")).collect();
    let at = Duration::from_secs(u64::try_from(at.as_second()).expect("after 1970"));
    let leaf = EndEntityCert::try_from(leaf)?;
    let (at, usage) = (UnixTime::since_unix_epoch(at), KeyUsage::client_auth());
    leaf.verify_for_usage(webpki::ALL_VERIFICATION_ALGS, &anchors, between, at, usage, None, None).map(drop)
}

/// Each certificate of a chain is signed by the next one, and the last one is the bundle's root of that generation.
///
/// # Panics
/// Where it is not so.
pub fn chain_holds(issued: &Intermediate) {
    let chain = certificates(&issued.chain_pem);
    assert!(chain.len() >= 2, "the chain has its root");
    for pair in chain.windows(2) {
        let (below, above) = (parse(&pair[0]), parse(&pair[1]));
        assert_eq!(below.issuer().as_raw(), above.subject().as_raw());
        below.verify_signature(Some(above.public_key())).expect("signed by the next one");
    }
    let root = issued.bundle.anchor(issued.root_generation).expect("the root is in the bundle");
    assert_eq!(chain.last(), Some(&certificate(&root.certificate_pem)), "the root comes last");
}

/// The names beside the subject.
#[must_use]
pub fn other_names(certificate: &X509Certificate<'_>) -> Vec<String> {
    let names = certificate.subject_alternative_name().expect("at most one list of names");
    let names = names.into_iter().flat_map(|names| names.value.general_names.iter());
    let text = |name: &GeneralName<'_>| match name {
        GeneralName::URI(uri) => (*uri).to_owned(),
        other => format!("{other:?}"),
    };
    names.map(text).collect()
}

/// The identifier of a certificate's own key, in hexadecimal digits.
#[must_use]
pub fn subject_key_id(certificate: &X509Certificate<'_>) -> Option<String> {
    use x509_parser::extensions::ParsedExtension;
    certificate.extensions().iter().find_map(|extension| match extension.parsed_extension() {
        ParsedExtension::SubjectKeyIdentifier(id) => Some(format!("{id:x}")),
        _ => None,
    })
}

/// The identifier of its issuer's key.
#[must_use]
pub fn authority_key_id(certificate: &X509Certificate<'_>) -> Option<String> {
    use x509_parser::extensions::ParsedExtension;
    certificate.extensions().iter().find_map(|extension| match extension.parsed_extension() {
        ParsedExtension::AuthorityKeyIdentifier(id) => id.key_identifier.as_ref().map(|id| format!("{id:x}")),
        _ => None,
    })
}
