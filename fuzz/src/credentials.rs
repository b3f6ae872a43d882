//! PEM, certificate signing requests, certificates and keys: what clusters return and operators register.

use std::time::Duration;

use data_encoding::BASE64;
use dcm_core::{
    credential::{CredentialMaker as _, Error, SigningCa, Subject},
    secret::Secret,
};
use dcm_mesh::credential::UserCredentials;
use jiff::Timestamp;

const KEY: &str = include_str!("../fixtures/key.pem");
const CA: &str = include_str!("../fixtures/ca.pem");
const REQUEST: &str = include_str!("../fixtures/request.pem");
const CERTIFICATE: &str = include_str!("../fixtures/certificate.pem");

/// A letter, and what it says the rest is: `c` a certificate, `r` a request, `k` a private key, each in DER; `p` a text that
/// is taken for PEM of each of them.
///
/// What cannot be used is refused as such. What is signed is for the subject that was asked for, whatever the request
/// says, and within the life of the CA.
pub fn run(data: &[u8]) {
    let Some((letter, rest)) = data.split_first() else { return };
    match letter {
        b'c' => certificate(&pem("CERTIFICATE", rest)),
        b'r' => request(&pem("CERTIFICATE REQUEST", rest)),
        b'k' => {
            for label in ["PRIVATE KEY", "EC PRIVATE KEY", "RSA PRIVATE KEY"] {
                key(&pem(label, rest));
            }
        }
        b'p' => {
            let Ok(text) = std::str::from_utf8(rest) else { return };
            certificate(text);
            request(text);
            key(text);
        }
        _ => {}
    }
}

fn pem(label: &str, der: &[u8]) -> String {
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", BASE64.encode(der))
}

/// The result, where it is none of the two refusals that say what to do.
fn accepted<T>(result: Result<T, Error>) -> Option<T> {
    match result {
        Ok(value) => Some(value),
        Err(Error::Malformed { reason, .. }) => {
            assert!(!reason.is_empty());
            None
        }
        Err(Error::KeyMismatch) => None,
        Err(other) => panic!("{other:?}"),
    }
}

fn subject() -> Subject {
    Subject { common_name: "a".to_owned(), organization: "b".to_owned() }
}

fn now() -> Timestamp {
    "2040-01-01T00:00:00Z".parse().unwrap()
}

fn secret() -> Secret {
    Secret::new(KEY)
}

fn certificate(text: &str) {
    if let Some(facts) = accepted(UserCredentials.inspect(text, &secret())) {
        assert!(facts.not_before <= facts.not_after);
    }
    let key = secret();
    let ca = SigningCa { certificate_pem: text, key_pem: &key };
    let is_ca = accepted(UserCredentials.check_ca(&ca)).is_some();
    let signed = accepted(UserCredentials.sign(REQUEST, &subject(), &ca, now(), Duration::from_secs(3600)));
    if let Some(signed) = signed {
        assert!(is_ca, "what is no CA signs");
        check(&signed);
    }
}

fn request(text: &str) {
    let key = secret();
    let ca = SigningCa { certificate_pem: CA, key_pem: &key };
    let signed = accepted(UserCredentials.sign(text, &subject(), &ca, now(), Duration::from_secs(3600)));
    if let Some(signed) = signed {
        check(&signed);
    }
}

/// What was signed for our key reads as what was asked for; a request may be another key's.
fn check(signed: &str) {
    let Some(facts) = accepted(UserCredentials.inspect(signed, &secret())) else { return };
    assert_eq!(facts.subject, subject());
    assert!(facts.not_before <= now() && now() < facts.not_after);
    assert!(facts.not_after.duration_since(now()) <= jiff::SignedDuration::from_secs(3600));
}

fn key(text: &str) {
    let given = Secret::new(text);
    if let Some(facts) = accepted(UserCredentials.inspect(CERTIFICATE, &given)) {
        assert_eq!(facts.subject, subject());
    }
    let ca = SigningCa { certificate_pem: CA, key_pem: &given };
    if accepted(UserCredentials.check_ca(&ca)).is_some() {
        let signed = accepted(UserCredentials.sign(REQUEST, &subject(), &ca, now(), Duration::from_secs(3600)));
        check(&signed.expect("what can sign signs"));
    }
}
