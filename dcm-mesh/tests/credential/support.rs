use dcm_core::{
    credential::{SigningCa, Subject},
    secret::Secret,
};
use jiff::Timestamp;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, DnType, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use x509_parser::prelude::{FromDer as _, X509Certificate};

/// 2026-01-01, in seconds.
pub(crate) const NOW: i64 = 1_767_225_600;

pub(crate) fn subject() -> Subject {
    Subject { common_name: "dcm:p:c:u:id".to_owned(), organization: "dcm:uid-1".to_owned() }
}

pub(crate) fn timestamp(seconds: i64) -> Timestamp {
    Timestamp::from_second(seconds).unwrap()
}

/// A cluster's CA, made without the code under test.
pub(crate) struct Ca {
    pub(crate) certificate: String,
    pub(crate) key: Secret,
}

impl Ca {
    pub(crate) fn new() -> Self {
        Self::living(NOW - 365 * 24 * 3600, NOW + 10 * 365 * 24 * 3600)
    }

    pub(crate) fn living(from: i64, to: i64) -> Self {
        let at = |seconds| time::OffsetDateTime::from_unix_timestamp(seconds).unwrap();
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, "kubernetes");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages =
            vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign, KeyUsagePurpose::DigitalSignature];
        (params.not_before, params.not_after) = (at(from), at(to));
        Self { certificate: params.self_signed(&key).unwrap().pem(), key: Secret::new(key.serialize_pem()) }
    }

    pub(crate) fn signing(&self) -> SigningCa<'_> {
        SigningCa { certificate_pem: &self.certificate, key_pem: &self.key }
    }

    /// Signs as a careless CA does: what the request asks for, and one more name.
    pub(crate) fn sign_as(&self, csr: &str, kind: &DnType, value: &str) -> String {
        let key = KeyPair::from_pem(self.key.expose_str().unwrap()).unwrap();
        let issuer = Issuer::from_ca_cert_pem(&self.certificate, key).unwrap();
        let mut request = CertificateSigningRequestParams::from_pem(csr).unwrap();
        request.params.distinguished_name.push(kind.clone(), value.to_owned());
        request.signed_by(&issuer).unwrap().pem()
    }
}

/// When a certificate begins and ends.
pub(crate) fn validity(pem: &str) -> (Timestamp, Timestamp) {
    use rustls::pki_types::{CertificateDer, pem::PemObject as _};
    let der = CertificateDer::from_pem_slice(pem.as_bytes()).unwrap();
    let (_, certificate) = X509Certificate::from_der(&der).unwrap();
    let validity = certificate.validity();
    (timestamp(validity.not_before.timestamp()), timestamp(validity.not_after.timestamp()))
}
