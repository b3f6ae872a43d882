use data_encoding::BASE64;
use dcm_core::{credential::Error, secret::Secret};
use rcgen::KeyPair;
use rustls_pki_types::{CertificateDer, CertificateSigningRequestDer, PrivateKeyDer, pem::PemObject};
use zeroize::Zeroizing;

use super::malformed;

/// All certificates of a text, at least one.
pub(super) fn read_certificates(what: &'static str, pem: &str) -> Result<Vec<CertificateDer<'static>>, Error> {
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.as_bytes()).collect();
    match all {
        Ok(all) if !all.is_empty() => Ok(all),
        Ok(_) => Err(malformed(what, "it holds no PEM block CERTIFICATE")),
        Err(_) => Err(malformed(what, "its PEM is damaged")),
    }
}

/// All certificates of a text that holds nothing else: such a text is shown, and a key may not be in it.
pub(crate) fn read_only_certificates(what: &'static str, pem: &str) -> Result<Vec<CertificateDer<'static>>, Error> {
    const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
    const END: &str = "-----END CERTIFICATE-----";
    if pem.split("-----BEGIN ").skip(1).any(|block| !block.starts_with("CERTIFICATE-----")) {
        return Err(malformed(what, "it holds another PEM block than CERTIFICATE; take that out"));
    }
    let all = read_certificates(what, pem)?;
    let mut inside = false;
    for line in pem.split(['\n', '\r']).map(str::trim_end) {
        match (inside, line) {
            (false, BEGIN) => inside = true,
            (true, END) => inside = false,
            (true, _) if line.bytes().all(|b| b.is_ascii_alphanumeric() || b"+/=".contains(&b)) => {}
            (true, _) => return Err(malformed(what, "its PEM is damaged")),
            (false, "") => {}
            (false, _) if line.starts_with('#') && !line.contains("-----") => {}
            (false, _) => return Err(malformed(what, "text stands around its PEM block; give the block alone")),
        }
    }
    if inside { Err(malformed(what, "its PEM is damaged")) } else { Ok(all) }
}

pub(crate) fn read_request(what: &'static str, pem: &str) -> Result<CertificateSigningRequestDer<'static>, Error> {
    let mut all = CertificateSigningRequestDer::pem_slice_iter(pem.as_bytes());
    match (all.next(), all.next()) {
        (Some(Ok(request)), None) => Ok(request),
        (None, _) => Err(malformed(what, "it holds no PEM block CERTIFICATE REQUEST")),
        (Some(Ok(_)), Some(Ok(_))) => Err(malformed(what, "it holds more than one request")),
        _ => Err(malformed(what, "its PEM is damaged")),
    }
}

pub(super) fn read_private_key(what: &'static str, pem: &Secret) -> Result<Zeroizing<PrivateKeyDer<'static>>, Error> {
    let mut all = PrivateKeyDer::pem_slice_iter(pem.expose());
    let first = all.next().map(|key| key.map(Zeroizing::new));
    match (first, all.next().map(|key| key.map(Zeroizing::new))) {
        (Some(Ok(key)), None) => Ok(key),
        (None, _) => Err(malformed(what, "it holds no PEM block PRIVATE KEY (an encrypted one cannot be used)")),
        (Some(Ok(_)), Some(Ok(_))) => Err(malformed(what, "it holds more than one private key")),
        _ => Err(malformed(what, "its PEM is damaged")),
    }
}

/// The private key in PEM, without a copy that is not wiped.
pub(crate) fn private_key(key: &KeyPair) -> Secret {
    const LINE: usize = 48; // 64 characters of base64, as RFC 7468 has it.
    let der = key.serialized_der();
    let mut text = String::with_capacity(der.len() * 3 / 2 + 80);
    text.push_str("-----BEGIN PRIVATE KEY-----\n");
    for line in der.chunks(LINE) {
        BASE64.encode_append(line, &mut text);
        text.push('\n');
    }
    text.push_str("-----END PRIVATE KEY-----\n");
    Secret::new(text)
}
