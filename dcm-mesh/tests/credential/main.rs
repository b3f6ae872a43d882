//! What users' keys, requests and certificates promise, judged by other stacks: x509-parser, rustls (webpki) and OpenSSL.

#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout)] // Helpers of tests; clippy.toml knows the tests themselves only.

mod openssl;
mod support;

use std::{sync::Arc, time::Duration};

use dcm_core::{
    credential::{CredentialMaker as _, Error, KeyAlgorithm, SigningCa},
    secret::Secret,
};
use dcm_mesh::credential::UserCredentials;
use jiff::{SignedDuration, Timestamp};
use openssl::openssl;
use rustls::pki_types::{CertificateDer, UnixTime, pem::PemObject as _};
use support::{Ca, NOW, subject, timestamp};
use x509_parser::{
    certification_request::X509CertificationRequest,
    prelude::{FromDer as _, X509Certificate},
};

const ALGORITHMS: [KeyAlgorithm; 4] =
    [KeyAlgorithm::EcdsaP256, KeyAlgorithm::Ed25519, KeyAlgorithm::Rsa2048, KeyAlgorithm::Rsa4096];
const QUARTER: Duration = Duration::from_secs(90 * 24 * 3600);

fn der(pem: &str) -> CertificateDer<'static> {
    CertificateDer::from_pem_slice(pem.as_bytes()).unwrap()
}

fn sign(ca: &Ca, csr: &str, lifetime: Duration) -> Result<String, Error> {
    UserCredentials.sign(csr, &subject(), &ca.signing(), timestamp(NOW), lifetime)
}

#[test]
fn a_request_holds_the_subject_and_nothing_else() {
    for algorithm in ALGORITHMS {
        let made = UserCredentials.request(&subject(), algorithm).unwrap();
        let block = rustls::pki_types::CertificateSigningRequestDer::from_pem_slice(made.csr_pem.as_bytes()).unwrap();
        let (rest, request) = X509CertificationRequest::from_der(&block).unwrap();
        assert!(rest.is_empty());
        request.verify_signature().unwrap();
        let info = &request.certification_request_info;
        let names: Vec<String> =
            info.subject.iter_attributes().map(|a| format!("{}={}", a.attr_type(), a.as_str().unwrap())).collect();
        assert_eq!(names, ["2.5.4.10=dcm:uid-1", "2.5.4.3=dcm:p:c:u:id"]);
        assert_eq!(info.attributes().len(), 0, "{algorithm:?}");
    }
}

#[test]
fn a_signed_certificate_is_for_client_authentication_only() {
    let ca = Ca::new();
    for algorithm in ALGORITHMS {
        let made = UserCredentials.request(&subject(), algorithm).unwrap();
        let pem = sign(&ca, &made.csr_pem, QUARTER).unwrap();
        let block = der(&pem);
        let (_, certificate) = X509Certificate::from_der(&block).unwrap();
        let constraints = certificate.basic_constraints().unwrap().unwrap();
        assert!(constraints.critical && !constraints.value.ca);
        let usage = certificate.key_usage().unwrap().unwrap();
        let is_rsa = matches!(algorithm, KeyAlgorithm::Rsa2048 | KeyAlgorithm::Rsa4096);
        assert!(usage.critical && usage.value.digital_signature());
        assert_eq!(usage.value.key_encipherment(), is_rsa);
        assert!(!usage.value.key_cert_sign() && !usage.value.crl_sign());
        let extended = certificate.extended_key_usage().unwrap().unwrap().value;
        assert!(extended.client_auth);
        assert!(!extended.any && !extended.server_auth && extended.other.is_empty());
        assert!(certificate.subject_alternative_name().unwrap().is_none());
        let facts = UserCredentials.inspect(&pem, &made.key_pem).unwrap();
        assert_eq!(facts.subject, subject());
        assert_eq!(facts.not_before, timestamp(NOW - 300));
        assert_eq!(facts.not_after, timestamp(NOW + 90 * 24 * 3600));
    }
}

#[test]
fn rustls_takes_a_signed_certificate_for_its_client() {
    let (ca, other) = (Ca::new(), Ca::new());
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let verifier = |ca: &Ca| {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(der(&ca.certificate)).unwrap();
        rustls::server::WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone()).build().unwrap()
    };
    let at = |seconds: i64| UnixTime::since_unix_epoch(Duration::from_secs(u64::try_from(seconds).unwrap()));
    for algorithm in ALGORITHMS {
        let made = UserCredentials.request(&subject(), algorithm).unwrap();
        let pem = sign(&ca, &made.csr_pem, QUARTER).unwrap();
        let judge = |ca: &Ca, at| verifier(ca).verify_client_cert(&der(&pem), &[], at);
        judge(&ca, at(NOW)).unwrap();
        judge(&ca, at(NOW - 301)).unwrap_err();
        judge(&ca, at(NOW + 90 * 24 * 3600 + 1)).unwrap_err();
        judge(&other, at(NOW)).unwrap_err();
    }
}

#[test]
fn openssl_takes_keys_requests_and_certificates() {
    let Some(openssl) = openssl() else { return };
    let ca = Ca::new();
    openssl.write("ca.pem", &ca.certificate);
    for algorithm in ALGORITHMS {
        let made = UserCredentials.request(&subject(), algorithm).unwrap();
        let certificate = sign(&ca, &made.csr_pem, QUARTER).unwrap();
        openssl.write("user.csr", &made.csr_pem);
        openssl.write("user.pem", &certificate);
        openssl.write("user.key", made.key_pem.expose_str().unwrap());
        openssl.run(&["pkey", "-in", "user.key", "-noout", "-check"]);
        openssl.run(&["req", "-in", "user.csr", "-noout", "-verify"]);
        let name = openssl.run(&["req", "-in", "user.csr", "-noout", "-subject"]);
        assert_eq!(name.trim(), "subject=O = dcm:uid-1, CN = dcm:p:c:u:id");
        let at = NOW.to_string();
        let verify =
            ["verify", "-x509_strict", "-attime", &at, "-CAfile", "ca.pem", "-purpose", "sslclient", "user.pem"];
        assert_eq!(openssl.run(&verify).trim(), "user.pem: OK");
        let (of_key, of_certificate) = (
            openssl.run(&["pkey", "-in", "user.key", "-pubout"]),
            openssl.run(&["x509", "-in", "user.pem", "-noout", "-pubkey"]),
        );
        assert_eq!(of_key, of_certificate);
    }
}

#[test]
fn reads_keys_and_cas_that_openssl_made() {
    let Some(openssl) = openssl() else { return };
    let made = UserCredentials.request(&subject(), KeyAlgorithm::EcdsaP256).unwrap();
    let kinds: [&[&str]; 6] = [
        &["genrsa", "-traditional", "-out", "ca.key", "2048"],
        &["genrsa", "-out", "ca.key", "3072"],
        &["ecparam", "-name", "prime256v1", "-genkey", "-out", "ca.key"],
        &["ecparam", "-name", "secp384r1", "-genkey", "-noout", "-out", "ca.key"],
        &["ecparam", "-name", "secp521r1", "-genkey", "-noout", "-out", "ca.key"],
        &["genpkey", "-algorithm", "ed25519", "-out", "ca.key"],
    ];
    for kind in kinds {
        openssl.run(kind);
        openssl.run(&[
            "req",
            "-x509",
            "-new",
            "-key",
            "ca.key",
            "-out",
            "ca.pem",
            "-days",
            "3650",
            "-subj",
            "/C=DE/O=Ünï/OU=platform/CN=a ca, really",
            "-utf8",
            "-addext",
            "keyUsage=critical,keyCertSign,cRLSign",
        ]);
        let key = Secret::new(openssl.read("ca.key"));
        let certificate = openssl.read("ca.pem");
        let ca = SigningCa { certificate_pem: &certificate, key_pem: &key };
        UserCredentials.check_ca(&ca).unwrap();
        // The CA begins now, by OpenSSL's clock, which the certificate says.
        let (not_before, _) = support::validity(&certificate);
        let now = not_before.saturating_add(SignedDuration::from_hours(1)).unwrap();
        let pem = UserCredentials.sign(&made.csr_pem, &subject(), &ca, now, QUARTER).unwrap();
        openssl.write("user.pem", &pem);
        let at = now.as_second().to_string();
        let verified = openssl.run(&["verify", "-attime", &at, "-CAfile", "ca.pem", "user.pem"]);
        assert_eq!(verified.trim(), "user.pem: OK", "{kind:?}");
    }
}

#[test]
fn imposes_its_own_subject_and_extensions() {
    let ca = Ca::new();
    let key = rcgen::KeyPair::generate().unwrap();
    let mut params = rcgen::CertificateParams::new(vec!["api.example.com".to_owned()]).unwrap();
    params.distinguished_name.push(rcgen::DnType::OrganizationName, "system:masters");
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    params.key_usages = vec![rcgen::KeyUsagePurpose::KeyCertSign];
    params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ServerAuth];
    let csr = params.serialize_request(&key).unwrap().pem().unwrap();

    let pem = sign(&ca, &csr, QUARTER).unwrap();
    let block = der(&pem);
    let (_, certificate) = X509Certificate::from_der(&block).unwrap();
    assert!(!certificate.is_ca());
    assert!(certificate.subject_alternative_name().unwrap().is_none());
    assert!(!certificate.extended_key_usage().unwrap().unwrap().value.server_auth);
    let key = Secret::new(key.serialize_pem());
    assert_eq!(UserCredentials.inspect(&pem, &key).unwrap().subject, subject());
}

#[test]
fn stays_inside_the_life_of_the_ca() {
    let ca = Ca::living(NOW - 60, NOW + 3600);
    let made = UserCredentials.request(&subject(), KeyAlgorithm::EcdsaP256).unwrap();
    for lifetime in [QUARTER, Duration::MAX] {
        let pem = sign(&ca, &made.csr_pem, lifetime).unwrap();
        let facts = UserCredentials.inspect(&pem, &made.key_pem).unwrap();
        assert_eq!(facts.not_before, timestamp(NOW - 60));
        assert_eq!(facts.not_after, timestamp(NOW + 3600));
    }
    let expired = Ca::living(NOW - 3600, NOW - 1);
    let refused = sign(&expired, &made.csr_pem, QUARTER).unwrap_err();
    assert_eq!(refused.to_string(), "the CA certificate cannot be read: it has expired");
    UserCredentials.check_ca(&expired.signing()).unwrap();
}

#[test]
fn serial_numbers_are_long_and_never_the_same() {
    let ca = Ca::new();
    let made = UserCredentials.request(&subject(), KeyAlgorithm::EcdsaP256).unwrap();
    let serials: std::collections::BTreeSet<Vec<u8>> = (0..50)
        .map(|_| {
            let block = der(&sign(&ca, &made.csr_pem, QUARTER).unwrap());
            let (_, certificate) = X509Certificate::from_der(&block).unwrap();
            certificate.raw_serial().to_vec()
        })
        .collect();
    assert_eq!(serials.len(), 50);
    assert!(serials.iter().all(|serial| serial.len() == 16 && serial[0] < 0x80));
}

#[test]
fn a_request_signed_by_another_key_is_refused() {
    let ca = Ca::new();
    let (one, two) = (
        UserCredentials.request(&subject(), KeyAlgorithm::EcdsaP256).unwrap(),
        UserCredentials.request(&subject(), KeyAlgorithm::EcdsaP256).unwrap(),
    );
    let bytes =
        |pem: &str| rustls::pki_types::CertificateSigningRequestDer::from_pem_slice(pem.as_bytes()).unwrap().to_vec();
    let (mut forged, other) = (bytes(&one.csr_pem), bytes(&two.csr_pem));
    let place = |haystack: &[u8]| {
        let (_, request) = X509CertificationRequest::from_der(haystack).unwrap();
        let key = &request.certification_request_info.subject_pki.subject_public_key.data;
        let at = haystack.windows(key.len()).position(|w| w == key.as_ref()).unwrap();
        at..at + key.len()
    };
    let (from, to) = (place(&other), place(&forged));
    forged[to].copy_from_slice(&other[from]);
    let refused = sign(&ca, &openssl::pem("CERTIFICATE REQUEST", &forged), QUARTER).unwrap_err();
    assert!(matches!(refused, Error::Malformed { .. }), "{refused}");
    assert!(refused.to_string().contains("signature"), "{refused}");
}

/// What signs would have to write the subject again as it is, and panics at a question mark in a PrintableString.
#[test]
fn a_ca_with_a_question_mark_in_its_subject_is_malformed() {
    let ca = Ca::new();
    let mut odd = der(&ca.certificate).to_vec();
    // A UTF8String becomes a PrintableString of the same length; the CA's own signature is nobody's concern.
    let (from, to) = (b"\x0c\x0akubernetes", b"\x13\x0akubernete?");
    while let Some(at) = odd.windows(from.len()).position(|window| window == from) {
        odd[at..at + to.len()].copy_from_slice(to);
    }
    assert_ne!(odd, der(&ca.certificate).to_vec());
    let odd = openssl::pem("CERTIFICATE", &odd);
    let signing = SigningCa { certificate_pem: &odd, key_pem: &ca.key };
    let refused = UserCredentials.check_ca(&signing).unwrap_err();
    assert!(refused.to_string().contains("its subject"), "{refused}");
}

#[test]
fn a_ca_certificate_is_taken_with_nothing_beside_it() {
    let ca = Ca::new();
    let made = UserCredentials.request(&subject(), KeyAlgorithm::EcdsaP256).unwrap();
    let (certificate, key) = (&ca.certificate, ca.key.expose_str().unwrap());
    let bare = key.lines().filter(|line| !line.contains("-----")).collect::<Vec<_>>().join("\n");
    let hidden = |text: &str| text.lines().map(|line| format!("# {line}\n")).collect::<String>();
    let (head, tail) = certificate.split_at(certificate.len() / 2);
    for odd in [
        format!("{key}{certificate}"),
        format!("{certificate}{key}"),
        format!("{certificate} {key}"),
        format!("{certificate}{bare}"),
        format!("{bare}\n{certificate}"),
        format!("{}{certificate}", hidden(key)),
        format!("{certificate}{}", key.replace("PRIVATE KEY", "ENCRYPTED PRIVATE KEY")),
        format!("{certificate}{}", key.split("-----END").next().unwrap()),
        format!("{certificate}{}", openssl::pem("OPENSSH PRIVATE KEY", b"s3cret")),
        format!("{certificate}{}", certificate.replace("CERTIFICATE", "X509 CRL")),
        format!("Certificate:\n    Data:\n        Version: 3 (0x2)\n{certificate}"),
        format!("{certificate}password: s3cret"),
        format!("{certificate}-----BEGIN CERTIFICATE-----\n"),
        format!("{head}\npassword: s3cret\n{tail}"),
        certificate.replacen("-----\n", "-----\nProc-Type: 4,ENCRYPTED\n", 1),
        certificate.replace("-----END CERTIFICATE-----", "-----END CERTIFICATE----- s3cret"),
    ] {
        let signing = SigningCa { certificate_pem: &odd, key_pem: &ca.key };
        let signed = UserCredentials.sign(&made.csr_pem, &subject(), &signing, timestamp(NOW), QUARTER);
        for refused in [UserCredentials.check_ca(&signing).unwrap_err(), signed.unwrap_err()] {
            assert!(matches!(refused, Error::Malformed { what: "CA certificate", .. }), "{refused}\n{odd}");
            let shown = format!("{refused} {refused:?}");
            assert!(!shown.contains("s3cret") && bare.lines().all(|line| !shown.contains(line)), "{shown}");
        }
    }
    for fine in [
        certificate.replace('\n', "\r\n"),
        format!("\n# the CA of c1\n\n{certificate} \n\t\n# end"),
        certificate.trim_end().to_owned(),
    ] {
        UserCredentials.check_ca(&SigningCa { certificate_pem: &fine, key_pem: &ca.key }).unwrap();
    }
}

#[test]
fn what_does_not_belong_together_is_a_mismatch() {
    let (ca, other) = (Ca::new(), Ca::new());
    let made = UserCredentials.request(&subject(), KeyAlgorithm::EcdsaP256).unwrap();
    let pem = sign(&ca, &made.csr_pem, QUARTER).unwrap();
    for algorithm in ALGORITHMS {
        let stranger = UserCredentials.request(&subject(), algorithm).unwrap();
        let refused = UserCredentials.inspect(&pem, &stranger.key_pem).unwrap_err();
        assert!(matches!(refused, Error::KeyMismatch), "{refused}");
    }
    let mixed = SigningCa { certificate_pem: &ca.certificate, key_pem: &other.key };
    assert!(matches!(UserCredentials.check_ca(&mixed), Err(Error::KeyMismatch)));
}

#[test]
fn a_certificate_that_is_no_ca_signs_nothing() {
    let ca = Ca::new();
    let made = UserCredentials.request(&subject(), KeyAlgorithm::EcdsaP256).unwrap();
    let pem = sign(&ca, &made.csr_pem, QUARTER).unwrap();
    let user = SigningCa { certificate_pem: &pem, key_pem: &made.key_pem };
    let refused = UserCredentials.check_ca(&user).unwrap_err();
    assert!(refused.to_string().contains("not a CA's"), "{refused}");
}

#[test]
fn a_ca_whose_subject_cannot_be_written_again_is_malformed() {
    let key = rcgen::KeyPair::generate().unwrap();
    let mut params = rcgen::CertificateParams::default();
    params.distinguished_name.push(rcgen::DnType::CustomDnType(vec![2, 999, 3]), "x");
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let certificate = params.self_signed(&key).unwrap().pem();
    let key = Secret::new(key.serialize_pem());
    let refused = UserCredentials.check_ca(&SigningCa { certificate_pem: &certificate, key_pem: &key }).unwrap_err();
    assert!(refused.to_string().contains("its subject"), "{refused}");
}

#[test]
fn other_subjects_than_ours_are_malformed() {
    let ca = Ca::new();
    let made = UserCredentials.request(&subject(), KeyAlgorithm::EcdsaP256).unwrap();
    for extra in [rcgen::DnType::OrganizationalUnitName, rcgen::DnType::CountryName] {
        let pem = ca.sign_as(&made.csr_pem, &extra, "x");
        let refused = UserCredentials.inspect(&pem, &made.key_pem).unwrap_err();
        assert!(matches!(refused, Error::Malformed { .. }), "{refused}");
    }
}

#[test]
fn a_chain_after_the_certificate_is_fine_and_damage_in_it_is_not() {
    let ca = Ca::new();
    let made = UserCredentials.request(&subject(), KeyAlgorithm::EcdsaP256).unwrap();
    let pem = sign(&ca, &made.csr_pem, QUARTER).unwrap();
    let chain = format!("leaf:\n{pem}issuer:\n{}", ca.certificate);
    assert!(UserCredentials.inspect(&chain, &made.key_pem).is_ok());
    let mut longer = der(&pem).to_vec();
    longer.push(0);
    let longer = openssl::pem("CERTIFICATE", &longer);
    for damaged in [longer, format!("{pem}{}", openssl::pem("CERTIFICATE", b"junk"))] {
        let refused = UserCredentials.inspect(&damaged, &made.key_pem).unwrap_err();
        assert!(matches!(refused, Error::Malformed { .. }), "{refused}");
    }
}

#[test]
fn neither_debug_output_nor_errors_hold_a_key() {
    let ca = Ca::new();
    let made = UserCredentials.request(&subject(), KeyAlgorithm::EcdsaP256).unwrap();
    let text = made.key_pem.expose_str().unwrap().to_owned();
    let lines: Vec<&str> = text.lines().filter(|line| !line.starts_with("-----")).collect();
    let mut shown = vec![format!("{made:?}"), format!("{:?}", ca.signing())];
    for damaged in [text.replace('M', "!"), text.replace("-----END", ""), format!("{text}{text}")] {
        let key = Secret::new(damaged);
        let ca = SigningCa { certificate_pem: &ca.certificate, key_pem: &key };
        let refused = UserCredentials.check_ca(&ca).unwrap_err();
        assert!(matches!(refused, Error::Malformed { .. }), "{refused}");
        shown.push(format!("{refused} {refused:?}"));
    }
    for shown in shown {
        assert!(lines.iter().all(|line| !shown.contains(line)), "{shown}");
        assert!(!shown.contains("PRIVATE KEY-----"), "{shown}");
    }
}

#[test]
fn a_time_out_of_range_is_no_panic() {
    let ca = Ca::new();
    let made = UserCredentials.request(&subject(), KeyAlgorithm::EcdsaP256).unwrap();
    for now in [Timestamp::MIN, Timestamp::MAX] {
        let result = UserCredentials.sign(&made.csr_pem, &subject(), &ca.signing(), now, QUARTER);
        assert!(result.is_ok() || matches!(result, Err(Error::Malformed { .. })), "{result:?}");
    }
}
