//! What the certificates say: parameters to a profile, nothing else. RFC 5280, and SPIFFE's X.509-SVID for the name of a CA.

use dcm_core::{
    ca::{Generation, IntermediateParameters, RootParameters, SignerError, Validity},
    model::Uid,
};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, KeyUsagePurpose, SanType, SerialNumber,
};
use sha2::{Digest as _, Sha256};
use time::OffsetDateTime;

/// The longest text that X.520 allows for an organization, a unit of it or a common name.
const LONGEST: usize = 64;

pub(super) fn root(root: &RootParameters<'_>) -> Result<CertificateParams, SignerError> {
    let common_name = format!("{}/root/{}", root.cloud, root.generation);
    let mut params = ca(1, root.serial, root.validity)?;
    params.distinguished_name = name(root.project.as_str(), root.name.as_str(), &common_name);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    Ok(params)
}

pub(super) fn intermediate(intermediate: &IntermediateParameters<'_>) -> Result<CertificateParams, SignerError> {
    let IntermediateParameters { cloud, project, name: cloud_name, trust_domain, cluster, generation, .. } =
        *intermediate;
    let mut params = ca(0, intermediate.serial, intermediate.validity)?;
    let common_name = intermediate_name(cloud, cluster.as_str(), generation);
    params.distinguished_name = name(project.as_str(), cloud_name.as_str(), &common_name);
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let spiffe = format!("spiffe://{trust_domain}").try_into().map_err(super::crypto)?;
    params.subject_alt_names = vec![SanType::URI(spiffe)];
    params.use_authority_key_identifier_extension = true;
    Ok(params)
}

/// 64 characters at most: the logical cloud's uid, eight bytes that stand for the cluster, and the generation.
fn intermediate_name(cloud: &Uid, cluster: &str, generation: Generation) -> String {
    let digest = Sha256::digest(cluster);
    format!("{cloud}/{}/{generation}", data_encoding::HEXLOWER.encode(digest.get(..8).unwrap_or_default()))
}

fn ca(path_length: u8, serial: [u8; 16], validity: Validity) -> Result<CertificateParams, SignerError> {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(path_length));
    params.serial_number = Some(positive(serial));
    params.not_before = at(validity.not_before)?;
    params.not_after = at(validity.not_after)?;
    Ok(params)
}

fn name(organization: &str, unit: &str, common_name: &str) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::OrganizationName, cut(organization));
    name.push(DnType::OrganizationalUnitName, cut(unit));
    name.push(DnType::CommonName, cut(common_name));
    name
}

/// Names of records are ASCII and may be twice as long as X.520 allows. Nothing rests on them: the uid tells clouds apart.
fn cut(text: &str) -> &str {
    text.get(..LONGEST).unwrap_or(text)
}

/// Positive, and of the same length always; 126 of its bits are the given ones.
fn positive(mut bytes: [u8; 16]) -> SerialNumber {
    bytes[0] = bytes[0] & 0x7f | 0x40;
    SerialNumber::from_slice(&bytes)
}

/// X.509 has no years before 0 and after 9999, and rcgen panics at them.
fn at(time: jiff::Timestamp) -> Result<OffsetDateTime, SignerError> {
    let time = OffsetDateTime::from_unix_timestamp(time.as_second());
    let time = time.map_err(|error| SignerError::Crypto(Box::new(error)))?;
    if !(1..=9999).contains(&time.year()) {
        return Err(SignerError::Crypto("a certificate's time is one that X.509 does not have".into()));
    }
    Ok(time)
}
