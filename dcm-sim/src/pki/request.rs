//! Certificate signing requests, as clients send them.

use rustls::pki_types::CertificateSigningRequestDer;
use rustls::pki_types::pem::PemObject;
use x509_parser::certification_request::X509CertificationRequest;
use x509_parser::cri_attributes::ParsedCriAttribute;
use x509_parser::oid_registry::OID_X509_EXT_SUBJECT_ALT_NAME;
use x509_parser::prelude::FromDer;

/// The parts of a request whose signature holds.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) subject: Vec<u8>,
    pub(crate) public_key: Vec<u8>,
    pub(crate) alternative_names: Option<Vec<u8>>,
    pub(crate) organisations: Vec<String>,
}

impl Request {
    /// Reads a request in PEM; `None` where it is none, or its signature is wrong.
    pub(crate) fn read(pem: &[u8]) -> Option<Self> {
        let der = CertificateSigningRequestDer::from_pem_slice(pem).ok()?;
        let (_, request) = X509CertificationRequest::from_der(&der).ok()?;
        request.verify_signature().ok()?;
        let info = &request.certification_request_info;
        let alternative_names = info
            .iter_attributes()
            .filter_map(|attribute| match attribute.parsed_attribute() {
                ParsedCriAttribute::ExtensionRequest(requested) => Some(&requested.extensions),
                _ => None,
            })
            .flatten()
            .find(|extension| extension.oid == OID_X509_EXT_SUBJECT_ALT_NAME)
            .map(|extension| extension.value.to_vec());
        Some(Self {
            subject: info.subject.as_raw().to_vec(),
            public_key: info.subject_pki.raw.to_vec(),
            alternative_names,
            organisations: info
                .subject
                .iter_organization()
                .filter_map(|value| value.as_str().ok())
                .map(str::to_owned)
                .collect(),
        })
    }
}
