//! A CA for one test, and what it signs for the roles.

use std::{fs, path::Path};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, KeyUsagePurpose};

/// Makes `authority.pem`, and for each role a certificate and key with its name as host name, all good for loopback.
pub(crate) fn make(folder: &Path, roles: &[&str]) {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, "the fleet's CA");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let ca = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    fs::write(folder.join("authority.pem"), ca.pem()).unwrap();
    for role in roles {
        let names = vec![(*role).to_owned(), "127.0.0.1".to_owned(), "localhost".to_owned()];
        let mut params = CertificateParams::new(names).unwrap();
        params.distinguished_name.push(DnType::CommonName, *role);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &ca).unwrap();
        fs::write(folder.join(format!("{role}.pem")), certificate.pem()).unwrap();
        fs::write(folder.join(format!("{role}.key")), key.serialize_pem()).unwrap();
    }
}
