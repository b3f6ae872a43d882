use data_encoding::HEXLOWER;
use dcm_core::ca::{
    IntermediateParameters, KeyAlgorithm, RootKey, RootParameters, SignedIntermediate, SignerError, SigningRoot,
};
use rcgen::{Issuer, KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384};
use rustls_pki_types::{CertificateDer, pem::PemObject as _};
use x509_parser::{certificate::X509Certificate, prelude::FromDer as _};
use zeroize::Zeroizing;

use super::{crypto, profile, request::Requested};
use crate::credential::{certificate, key, pem};

pub(super) fn root(parameters: &RootParameters<'_>) -> Result<RootKey, SignerError> {
    let key = generate(parameters.algorithm)?;
    let certificate = profile::root(parameters)?.self_signed(&*key).map_err(crypto)?;
    Ok(RootKey { certificate_pem: ended(certificate.pem()), key_pem: pem::private_key(&key) })
}

pub(super) fn generate(algorithm: KeyAlgorithm) -> Result<key::Key, SignerError> {
    let algorithm = match algorithm {
        KeyAlgorithm::EcdsaP256 => &PKCS_ECDSA_P256_SHA256,
        KeyAlgorithm::EcdsaP384 => &PKCS_ECDSA_P384_SHA384,
    };
    KeyPair::generate_for(algorithm).map(Zeroizing::new).map_err(crypto)
}

pub(super) fn intermediate(
    requested: &Requested,
    root: &SigningRoot<'_>,
    parameters: &IntermediateParameters<'_>,
) -> Result<SignedIntermediate, SignerError> {
    let (root_der, key) = read_root(root)?;
    let issuer = Issuer::from_ca_cert_der(&root_der, &*key).map_err(|_| damaged("its certificate cannot be read"))?;
    let signed = profile::intermediate(parameters)?.signed_by(&requested.public_key, &issuer).map_err(crypto)?;
    // Verifiers compare issuer and subject byte by byte, and rcgen writes the name anew.
    let (ca, written) = (parse(&root_der)?, parse(signed.der())?);
    if ca.subject().as_raw() != written.issuer().as_raw() {
        return Err(damaged("its subject is of a form that is not supported"));
    }
    let serial = HEXLOWER.encode(written.raw_serial());
    Ok(SignedIntermediate { certificate_pem: ended(signed.pem()), serial })
}

fn read_root(root: &SigningRoot<'_>) -> Result<(CertificateDer<'static>, key::Key), SignerError> {
    let der = CertificateDer::from_pem_slice(root.certificate_pem.as_bytes())
        .map_err(|_| damaged("its certificate is no PEM block CERTIFICATE"))?;
    let key = key::read("key", root.key_pem).map_err(|_| damaged("its key cannot be read"))?;
    if !certificate::belongs(&parse(&der)?, &key) {
        return Err(damaged("its key is not that of its certificate"));
    }
    Ok((der, key))
}

fn parse<'a>(der: &'a CertificateDer<'_>) -> Result<X509Certificate<'a>, SignerError> {
    X509Certificate::from_der(der).map(|(_, parsed)| parsed).map_err(|_| damaged("its certificate cannot be read"))
}

fn damaged(reason: &str) -> SignerError {
    SignerError::Root(reason.to_owned())
}

/// A block that another one can follow.
fn ended(mut pem: String) -> String {
    if !pem.ends_with('\n') {
        pem.push('\n');
    }
    pem
}
