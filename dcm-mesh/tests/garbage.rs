//! Whatever is fed to it, it answers with an error and does not panic.

#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout)] // Helpers of tests; clippy.toml knows the tests themselves only.

use std::time::Duration;

use data_encoding::BASE64;
use dcm_core::{
    credential::{CredentialMaker as _, Error, KeyAlgorithm, SigningCa, Subject},
    secret::Secret,
};
use dcm_mesh::credential::UserCredentials;
use jiff::Timestamp;
use proptest::{prelude::*, test_runner::RngSeed};
use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair};
use std::sync::LazyLock;
use x509_parser::{certification_request::X509CertificationRequest, prelude::FromDer as _};

struct Good {
    key: Secret,
    csr: String,
    /// The part of the request that its signature is for.
    signed: Vec<u8>,
    ca: String,
    certificate: String,
}

/// A time within the life of the CA.
fn now() -> Timestamp {
    Timestamp::UNIX_EPOCH.checked_add(jiff::SignedDuration::from_hours(24 * 365 * 50)).unwrap()
}

fn subject() -> Subject {
    Subject { common_name: "a".to_owned(), organization: "b".to_owned() }
}

static GOOD: LazyLock<Good> = LazyLock::new(|| {
    let made = UserCredentials.request(&subject(), KeyAlgorithm::EcdsaP256).unwrap();
    let key = KeyPair::from_pem(made.key_pem.expose_str().unwrap()).unwrap();
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca = params.self_signed(&key).unwrap().pem();
    let signing = SigningCa { certificate_pem: &ca, key_pem: &made.key_pem };
    let certificate =
        UserCredentials.sign(&made.csr_pem, &subject(), &signing, now(), Duration::from_secs(3600)).unwrap();
    let request = der(&made.csr_pem);
    let signed = X509CertificationRequest::from_der(&request).unwrap().1.certification_request_info.raw.to_vec();
    Good { csr: made.csr_pem, key: made.key_pem, signed, ca, certificate }
});

fn is_refusal<T>(result: &Result<T, Error>) -> bool {
    matches!(result, Err(Error::Malformed { .. } | Error::KeyMismatch))
}

fn der(pem: &str) -> Vec<u8> {
    let lines: Vec<&str> = pem.lines().collect();
    let base64: String = lines[1..lines.len() - 1].concat();
    BASE64.decode(base64.as_bytes()).unwrap()
}

/// A PEM text with one byte of its content changed, added or taken away.
fn damage(pem: &str, at: prop::sample::Index, kind: u8, byte: u8) -> String {
    let lines: Vec<&str> = pem.lines().collect();
    let mut der = der(pem);
    let at = at.index(der.len());
    match kind % 3 {
        0 => der[at] ^= byte.max(1),
        1 => der.insert(at, byte),
        _ => der.truncate(at),
    }
    format!("{}\n{}\n{}\n", lines[0], BASE64.encode(&der), lines[lines.len() - 1])
}

fn feed_certificate(pem: &str) -> Result<(), TestCaseError> {
    let good = &*GOOD;
    let signing = SigningCa { certificate_pem: pem, key_pem: &good.key };
    let results = [
        UserCredentials.inspect(pem, &good.key).map(drop),
        UserCredentials.check_ca(&signing),
        UserCredentials.sign(&good.csr, &subject(), &signing, now(), Duration::from_secs(1)).map(drop),
    ];
    for result in results {
        prop_assert!(result.is_ok() || is_refusal(&result), "{result:?}");
    }
    Ok(())
}

fn feed_request(pem: &str) -> Result<(), TestCaseError> {
    let good = &*GOOD;
    let signing = SigningCa { certificate_pem: &good.ca, key_pem: &good.key };
    let result = UserCredentials.sign(pem, &subject(), &signing, now(), Duration::from_secs(1));
    // Not every byte around what is signed is looked at.
    let is_signed = || der(pem).windows(good.signed.len()).any(|part| part == good.signed);
    prop_assert!(is_refusal(&result) || (result.is_ok() && is_signed()), "{result:?}");
    Ok(())
}

fn feed_key(key: Secret) -> Result<(), TestCaseError> {
    let good = &*GOOD;
    let result = UserCredentials.inspect(&good.certificate, &key);
    prop_assert!(result.is_ok() || is_refusal(&result), "{result:?}");
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 512, failure_persistence: None, rng_seed: RngSeed::Fixed(1), ..ProptestConfig::default()
    })]

    #[test]
    fn any_text_is_refused(text in any::<String>()) {
        feed_request(&text)?;
        feed_certificate(&text)?;
        feed_key(Secret::new(text))?;
    }

    #[test]
    fn any_bytes_in_pem_are_refused(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let pem = |label: &str| format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", BASE64.encode(&bytes));
        feed_request(&pem("CERTIFICATE REQUEST"))?;
        feed_certificate(&pem("CERTIFICATE"))?;
        for label in ["PRIVATE KEY", "EC PRIVATE KEY", "RSA PRIVATE KEY"] {
            feed_key(Secret::new(pem(label)))?;
        }
    }

    #[test]
    fn a_damaged_request_is_refused_where_it_is_signed(at: prop::sample::Index, kind: u8, byte: u8) {
        feed_request(&damage(&GOOD.csr, at, kind, byte))?;
    }

    #[test]
    fn a_damaged_certificate_is_no_panic(at: prop::sample::Index, kind: u8, byte: u8) {
        feed_certificate(&damage(&GOOD.certificate, at, kind, byte))?;
        feed_certificate(&damage(&GOOD.ca, at, kind, byte))?;
    }

    #[test]
    fn a_damaged_key_is_no_panic(at: prop::sample::Index, kind: u8, byte: u8) {
        let key = damage(GOOD.key.expose_str().unwrap(), at, kind, byte);
        feed_key(Secret::new(key))?;
    }
}

#[test]
fn an_untouched_request_is_signed() {
    let good = &*GOOD;
    let signing = SigningCa { certificate_pem: &good.ca, key_pem: &good.key };
    let certificate = UserCredentials.sign(&good.csr, &subject(), &signing, now(), Duration::from_secs(1)).unwrap();
    assert_eq!(UserCredentials.inspect(&certificate, &good.key).unwrap().subject, subject());
}
