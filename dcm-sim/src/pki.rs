//! Keys and certificates of one cluster: its CA, the server's certificate, and what the CA signs for clients.

use jiff::{SignedDuration, Timestamp};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    PublicKeyData, SerialNumber,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use time::OffsetDateTime;
use uuid::Uuid;
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::clock;
use crate::error::Error;

mod der;
mod leaf;
mod peer;
mod request;

pub(crate) use leaf::{Leaf, common_name};
pub(crate) use peer::{LenientVerifier, Peer};
pub(crate) use request::Request;

/// How long a cluster's CA and server certificate are valid.
const YEARS: i64 = 10;
/// How far clocks may differ.
pub(crate) const BACKDATE: SignedDuration = SignedDuration::from_mins(5);

/// A cluster's certification authority.
pub(crate) struct Ca {
    issuer: Issuer<'static, KeyPair>,
    certificate: CertificateDer<'static>,
    pub(crate) pem: String,
    subject: Vec<u8>,
    key_id: Vec<u8>,
}

impl std::fmt::Debug for Ca {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ca").finish_non_exhaustive()
    }
}

impl Ca {
    /// Makes a new CA with a P-256 key.
    pub(crate) fn generate(cluster: &str) -> Result<Self, Error> {
        let mut params = CertificateParams::default();
        let name = format!("{} CA", common_name(cluster));
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages =
            vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign, KeyUsagePurpose::DigitalSignature];
        validity(&mut params)?;
        let key = KeyPair::generate().map_err(Error::certificate)?;
        let certificate = params.self_signed(&key).map_err(Error::certificate)?;
        let pem = certificate.pem();
        let certificate = certificate.der().clone();
        let (_, parsed) = X509Certificate::from_der(&certificate).map_err(Error::certificate)?;
        let subject = parsed.subject().as_raw().to_vec();
        Ok(Self { key_id: params.key_identifier(&key), issuer: Issuer::new(params, key), certificate, pem, subject })
    }

    pub(crate) fn certificate(&self) -> &CertificateDer<'static> {
        &self.certificate
    }

    pub(crate) fn key_pem(&self) -> String {
        self.issuer.key().serialize_pem()
    }

    /// The certificate and key that the server shows on loopback.
    pub(crate) fn server(&self) -> Result<(CertificateDer<'static>, PrivateKeyDer<'static>), Error> {
        let names = ["127.0.0.1", "localhost", "kubernetes", "kubernetes.default"].map(str::to_owned);
        let mut params = CertificateParams::new(names).map_err(Error::certificate)?;
        params.distinguished_name.push(DnType::CommonName, "kube-apiserver");
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.use_authority_key_identifier_extension = true;
        params.serial_number = Some(SerialNumber::from_slice(&serial()));
        validity(&mut params)?;
        let key = KeyPair::generate().map_err(Error::certificate)?;
        let certificate = params.signed_by(&key, &self.issuer).map_err(Error::certificate)?;
        let key = PrivatePkcs8KeyDer::from(key.serialize_der());
        Ok((certificate.der().clone(), key.into()))
    }

    /// A certificate and key (PEM both) for a user.
    pub(crate) fn client(&self, user: &str, groups: &[&str]) -> Result<(String, String), Error> {
        let key = KeyPair::generate().map_err(Error::certificate)?;
        let now = clock::now();
        let subject = der::name(user, groups);
        let spki = key.subject_public_key_info();
        let leaf = Leaf {
            subject: &subject,
            public_key: &spki,
            alternative_names: None,
            key_usage: leaf::DIGITAL_SIGNATURE | leaf::KEY_ENCIPHERMENT,
            not_before: now - BACKDATE,
            not_after: now + SignedDuration::from_hours(24 * 365),
        };
        Ok((self.sign(&leaf)?, key.serialize_pem()))
    }
}

/// Validity from a little earlier until years later.
fn validity(params: &mut CertificateParams) -> Result<(), Error> {
    let now = clock::now();
    params.not_before = moment(now - BACKDATE)?;
    params.not_after = moment(now + SignedDuration::from_hours(24 * 365 * YEARS))?;
    Ok(())
}

fn moment(moment: Timestamp) -> Result<OffsetDateTime, Error> {
    OffsetDateTime::from_unix_timestamp(moment.as_second()).map_err(Error::certificate)
}

/// A positive serial number of 122 random bits.
fn serial() -> [u8; 16] {
    let mut serial = *Uuid::new_v4().as_bytes();
    serial[0] = (serial[0] & 0x7f) | 0x40;
    serial
}
