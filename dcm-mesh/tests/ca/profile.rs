//! What roots and intermediates say, judged by OpenSSL and x509-parser, and which keys are taken.

use dcm_core::{
    ca::{
        CaSigner as _, Generation, IntermediateParameters, KeyAlgorithm, RootKey, RootParameters, SignerError,
        SigningRoot, Validity,
    },
    model::Uid,
    name::{ClusterIdentity, LogicalCloudName, ProjectName, TrustDomain},
    secret::Secret,
};
use dcm_mesh::ca::{IntermediateKey, Signer};
use dcm_test_utils::ca::judge::{certificate, other_names, parse};
use jiff::{SignedDuration, Timestamp};
use proptest::{prelude::*, test_runner::RngSeed};
use rcgen::{CertificateParams, KeyPair};

use crate::openssl::openssl;

/// 2026-01-01, in seconds.
const NOW: i64 = 1_767_225_600;
const DAY: i64 = 24 * 3600;

const KEYS: [IntermediateKey; 4] = [
    IntermediateKey::Ecdsa(KeyAlgorithm::EcdsaP256),
    IntermediateKey::Ecdsa(KeyAlgorithm::EcdsaP384),
    IntermediateKey::Rsa2048,
    IntermediateKey::Rsa4096,
];

struct Names {
    uid: Uid,
    project: ProjectName,
    name: LogicalCloudName,
    trust_domain: TrustDomain,
    cluster: ClusterIdentity,
}

impl Names {
    fn new(project: &str, name: &str, trust_domain: &str, cluster: &str) -> Self {
        Self {
            uid: Uid::from_random([7; 16]),
            project: project.parse().unwrap(),
            name: name.parse().unwrap(),
            trust_domain: trust_domain.parse().unwrap(),
            cluster: cluster.parse().unwrap(),
        }
    }

    fn root(&self, algorithm: KeyAlgorithm, generation: Generation) -> RootKey {
        let parameters = RootParameters {
            algorithm,
            cloud: &self.uid,
            project: &self.project,
            name: &self.name,
            generation,
            serial: [0xff; 16],
            validity: living(3652),
        };
        Signer.make_root(&parameters).unwrap()
    }

    fn intermediate(&self, generation: Generation, days: i64) -> IntermediateParameters<'_> {
        IntermediateParameters {
            cloud: &self.uid,
            project: &self.project,
            name: &self.name,
            trust_domain: &self.trust_domain,
            cluster: &self.cluster,
            generation,
            serial: [0; 16],
            validity: living(days),
        }
    }
}

impl Default for Names {
    fn default() -> Self {
        Self::new("walmart", "lc-1", "lc-1.walmart.example", "7c0f9a52-60a2-4d0f-a5f0-0e62b6a5b1de")
    }
}

fn living(days: i64) -> Validity {
    let at = |seconds| Timestamp::from_second(seconds).unwrap();
    Validity { not_before: at(NOW - 300), not_after: at(NOW + days * DAY) }
}

fn signing(root: &RootKey) -> SigningRoot<'_> {
    SigningRoot { certificate_pem: &root.certificate_pem, key_pem: &root.key_pem }
}

/// The lines of a text without the blanks around them, and the line after each of these.
fn follows(text: &str, line: &str) -> String {
    let mut lines = text.lines().map(str::trim);
    lines.find(|found| *found == line).unwrap_or_else(|| panic!("no {line:?} in\n{text}"));
    lines.next().unwrap().to_owned()
}

#[test]
fn openssl_reads_and_trusts_what_is_issued() {
    let Some(openssl) = openssl() else { return };
    let names = Names::default();
    for algorithm in [KeyAlgorithm::EcdsaP256, KeyAlgorithm::EcdsaP384] {
        let root = names.root(algorithm, Generation::FIRST);
        openssl.write("root.pem", &root.certificate_pem);
        openssl.write("root.key", root.key_pem.expose_str().unwrap());
        openssl.run(&["pkey", "-in", "root.key", "-noout", "-check"]);
        let text = openssl.run(&["x509", "-in", "root.pem", "-noout", "-text"]);
        assert_eq!(follows(&text, "X509v3 Basic Constraints: critical"), "CA:TRUE, pathlen:1");
        assert_eq!(follows(&text, "X509v3 Key Usage: critical"), "Certificate Sign, CRL Sign");
        assert!(text.contains("X509v3 Subject Key Identifier") && !text.contains("Subject Alternative Name"), "{text}");
        for kind in KEYS {
            let made = kind.make().unwrap();
            openssl.write("ca.csr", &made.csr_pem);
            openssl.write("ca.key", made.key_pem.expose_str().unwrap());
            openssl.run(&["req", "-in", "ca.csr", "-noout", "-verify"]);
            let issued = Signer
                .sign_intermediate(&made.csr_pem, &signing(&root), &names.intermediate(Generation::FIRST, 90))
                .unwrap();
            openssl.write("ca.pem", &issued.certificate_pem);
            let text = openssl.run(&["x509", "-in", "ca.pem", "-noout", "-text"]);
            assert_eq!(follows(&text, "X509v3 Basic Constraints: critical"), "CA:TRUE, pathlen:0");
            let usage = "Digital Signature, Certificate Sign, CRL Sign";
            assert_eq!(follows(&text, "X509v3 Key Usage: critical"), usage);
            assert_eq!(follows(&text, "X509v3 Subject Alternative Name:"), "URI:spiffe://lc-1.walmart.example");
            assert!(!text.contains("Extended Key Usage") && !text.contains("Name Constraints"), "{text}");
            let serial = openssl.run(&["x509", "-in", "ca.pem", "-noout", "-serial"]);
            assert_eq!(serial.trim().to_lowercase(), format!("serial={}", issued.serial));
            let (of_request, of_certificate) = (
                openssl.run(&["req", "-in", "ca.csr", "-noout", "-pubkey"]),
                openssl.run(&["x509", "-in", "ca.pem", "-noout", "-pubkey"]),
            );
            assert_eq!(of_request, of_certificate);
            let at = NOW.to_string();
            openssl.run(&["verify", "-x509_strict", "-attime", &at, "-CAfile", "root.pem", "ca.pem"]);
        }
    }
}

#[test]
fn every_generation_has_a_subject_that_is_not_cut() {
    let long = "x".repeat(128);
    let names = Names::new(&long, &long, "lc-1.walmart.example", &long);
    let root = names.root(KeyAlgorithm::EcdsaP256, Generation::new(u32::MAX).unwrap());
    let mut subjects = Vec::new();
    let der = certificate(&root.certificate_pem);
    subjects.push(parse(&der).subject().to_string());
    let csr = IntermediateKey::default().make().unwrap().csr_pem;
    for number in [1, 2, u32::MAX - 1, u32::MAX] {
        let generation = Generation::new(number).unwrap();
        let issued = Signer.sign_intermediate(&csr, &signing(&root), &names.intermediate(generation, 90)).unwrap();
        let der = certificate(&issued.certificate_pem);
        let parsed = parse(&der);
        for attribute in parsed.subject().iter_attributes() {
            assert!(attribute.as_str().unwrap().len() <= 64, "X.520 allows 64 characters: {}", parsed.subject());
        }
        assert!(parsed.subject().to_string().contains(&format!("/{number}")), "{}", parsed.subject());
        subjects.push(parsed.subject().to_string());
    }
    subjects.sort();
    subjects.dedup();
    assert_eq!(subjects.len(), 5);
}

fn reason(csr: &str) -> String {
    match Signer.read_request(csr) {
        Err(SignerError::Request(reason)) => reason,
        other => panic!("not refused: {other:?}"),
    }
}

#[test]
fn other_kinds_of_keys_are_refused_by_name() {
    let csr = |algorithm| {
        let key = KeyPair::generate_for(algorithm).unwrap();
        CertificateParams::default().serialize_request(&key).unwrap().pem().unwrap()
    };
    let refused = reason(&csr(&rcgen::PKCS_ECDSA_P521_SHA512));
    assert!(refused.contains("P-521") && refused.contains("use ECDSA on P-256"), "{refused}");
    let refused = reason(&csr(&rcgen::PKCS_ED25519));
    assert!(refused.contains("Ed25519"), "{refused}");
}

#[test]
fn weak_keys_and_digests_of_openssl_are_refused_by_name() {
    let Some(openssl) = openssl() else { return };
    let request = |key: &[&str], digest: &str| {
        openssl.run(key);
        openssl.run(&["req", "-new", "-key", "k.pem", digest, "-subj", "/CN=x", "-out", "k.csr"]);
        openssl.read("k.csr")
    };
    let rsa = |bits: &'static str| ["genrsa", "-out", "k.pem", bits];
    for (bits, named) in [("1024", "1024 bits"), ("1536", "1536 bits"), ("2047", "2047 bits")] {
        let refused = reason(&request(&rsa(bits), "-sha256"));
        assert!(refused.contains("RSA") && refused.contains(named), "{refused}");
    }
    let refused = reason(&request(&["genrsa", "-3", "-out", "k.pem", "2048"], "-sha256"));
    assert!(refused.contains("exponent"), "{refused}");
    let refused = reason(&request(&rsa("2048"), "-sha1"));
    assert!(refused.contains("algorithm"), "{refused}");
    let refused = reason(&request(&["ecparam", "-name", "secp256k1", "-genkey", "-noout", "-out", "k.pem"], "-sha256"));
    assert!(refused.contains("curve 1.3.132.0.10"), "{refused}");
    let refused = reason(&request(
        &["ecparam", "-name", "prime256v1", "-param_enc", "explicit", "-genkey", "-noout", "-out", "k.pem"],
        "-sha256",
    ));
    assert!(refused.contains("curve that it does not name"), "{refused}");
    for bits in ["2048", "3072", "4096"] {
        Signer.read_request(&request(&rsa(bits), "-sha512")).unwrap();
    }
    for curve in ["prime256v1", "secp384r1"] {
        let key = ["ecparam", "-name", curve, "-genkey", "-noout", "-out", "k.pem"];
        Signer.read_request(&request(&key, "-sha256")).unwrap();
    }
}

#[test]
fn a_key_has_one_digest_however_it_is_asked_for() {
    let key = KeyPair::generate().unwrap();
    let csr =
        |names: Vec<String>| CertificateParams::new(names).unwrap().serialize_request(&key).unwrap().pem().unwrap();
    let one = Signer.read_request(&csr(vec![])).unwrap();
    assert_eq!(Signer.read_request(&csr(vec!["dcm.example".to_owned()])).unwrap(), one);
    let other = Signer.read_request(&IntermediateKey::default().make().unwrap().csr_pem).unwrap();
    assert_ne!(other, one);
}

#[test]
fn a_root_that_is_damaged_or_has_another_key_signs_nothing() {
    let names = Names::default();
    let csr = IntermediateKey::default().make().unwrap().csr_pem;
    let (one, other) = (
        names.root(KeyAlgorithm::EcdsaP256, Generation::FIRST),
        names.root(KeyAlgorithm::EcdsaP256, Generation::FIRST),
    );
    let odd = Secret::new("s3cret");
    for root in [
        SigningRoot { certificate_pem: &one.certificate_pem, key_pem: &other.key_pem },
        SigningRoot { certificate_pem: &one.certificate_pem, key_pem: &odd },
        SigningRoot { certificate_pem: "s3cret", key_pem: &one.key_pem },
    ] {
        let refused = Signer.sign_intermediate(&csr, &root, &names.intermediate(Generation::FIRST, 90)).unwrap_err();
        assert!(matches!(refused, SignerError::Root(_)), "{refused:?}");
        assert!(!format!("{refused} {refused:?}").contains("s3cret"), "{refused:?}");
    }
}

/// Names as the rules allow them.
fn names() -> impl Strategy<Value = [String; 4]> {
    let record = "[A-Za-z0-9]([-A-Za-z0-9_.]{0,126}[A-Za-z0-9])?";
    let domain = "[a-z0-9]([-a-z0-9]{0,20}[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]{0,20}[a-z0-9])?){0,5}";
    [record.boxed(), record.boxed(), domain.boxed(), record.boxed()]
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 128, failure_persistence: None, rng_seed: RngSeed::Fixed(1), ..ProptestConfig::default()
    })]

    #[test]
    fn every_name_that_is_valid_stays_in_its_place(names in names(), number in 1..=u32::MAX, serial: [u8; 16]) {
        let [project, name, trust_domain, cluster] = names;
        let names = Names::new(&project, &name, &trust_domain, &cluster);
        let root = names.root(KeyAlgorithm::EcdsaP256, Generation::FIRST);
        let csr = IntermediateKey::default().make().unwrap().csr_pem;
        let generation = Generation::new(number).unwrap();
        let parameters = IntermediateParameters { serial, ..names.intermediate(generation, 90) };
        let issued = Signer.sign_intermediate(&csr, &signing(&root), &parameters).unwrap();
        let (der, root_der) = (certificate(&issued.certificate_pem), certificate(&root.certificate_pem));
        let (parsed, above) = (parse(&der), parse(&root_der));
        prop_assert_eq!(other_names(&parsed), [format!("spiffe://{trust_domain}")]);
        let values: Vec<&str> = parsed.subject().iter_attributes().map(|attribute| attribute.as_str().unwrap()).collect();
        let cut = |text: &str| text[..text.len().min(64)].to_owned();
        prop_assert_eq!(values.len(), 3);
        prop_assert_eq!((values[0].to_owned(), values[1].to_owned()), (cut(&project), cut(&name)));
        prop_assert!(values[2].starts_with(names.uid.as_str()) && values[2].ends_with(&format!("/{number}")), "{}", values[2]);
        prop_assert_eq!(parsed.issuer().as_raw(), above.subject().as_raw());
        prop_assert_eq!(parsed.raw_serial().len(), 16);
        prop_assert!(parsed.raw_serial()[0] < 0x80);
        prop_assert!(parsed.verify_signature(Some(above.public_key())).is_ok());
    }

    #[test]
    fn no_other_text_is_a_name(text in "\\PC{0,40}|[\"'\\\\\n\r\t /:@%]{1,8}|a[\"\n/]b") {
        let plain = |text: &str| text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
        for taken in [
            text.parse::<TrustDomain>().is_ok(),
            text.parse::<ClusterIdentity>().is_ok(),
            text.parse::<ProjectName>().is_ok(),
        ] {
            prop_assert!(!taken || plain(&text), "{text:?}");
        }
    }

    #[test]
    fn any_text_in_place_of_a_request_is_refused(text in any::<String>(), bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let pem = crate::openssl::pem("CERTIFICATE REQUEST", &bytes);
        for odd in [text, pem] {
            let refused = Signer.read_request(&odd);
            prop_assert!(matches!(refused, Err(SignerError::Request(_))), "{refused:?}");
        }
    }

    #[test]
    fn a_damaged_request_is_refused_where_it_counts(at: prop::sample::Index, byte in 1..=u8::MAX, kind in 0..3_u8) {
        static KEY: std::sync::LazyLock<KeyPair> = std::sync::LazyLock::new(|| KeyPair::generate().unwrap());
        let csr = CertificateParams::default().serialize_request(&*KEY).unwrap();
        let mut der = csr.der().to_vec();
        let at = at.index(der.len());
        match kind {
            0 => der[at] ^= byte,
            1 => der.insert(at, byte),
            _ => der.truncate(at),
        }
        let whole = Signer.read_request(&csr.pem().unwrap()).unwrap();
        match Signer.read_request(&crate::openssl::pem("CERTIFICATE REQUEST", &der)) {
            Ok(read) => prop_assert_eq!(read, whole),
            Err(refused) => prop_assert!(matches!(refused, SignerError::Request(_)), "{refused:?}"),
        }
    }
}

#[test]
fn a_time_out_of_range_is_no_panic() {
    let names = Names::default();
    let root = names.root(KeyAlgorithm::EcdsaP256, Generation::FIRST);
    let csr = IntermediateKey::default().make().unwrap().csr_pem;
    for (not_before, not_after) in [(Timestamp::MIN, Timestamp::MAX), (Timestamp::MAX, Timestamp::MIN)] {
        let validity = Validity { not_before, not_after };
        let parameters = IntermediateParameters { validity, ..names.intermediate(Generation::FIRST, 90) };
        drop(Signer.sign_intermediate(&csr, &signing(&root), &parameters));
    }
    let century = SignedDuration::from_hours(24 * 365 * 100);
    let later = living(1).not_before.checked_add(century).unwrap();
    let validity = Validity { not_before: later, not_after: later.checked_add(century).unwrap() };
    let parameters = IntermediateParameters { validity, ..names.intermediate(Generation::FIRST, 90) };
    let issued = Signer.sign_intermediate(&csr, &signing(&root), &parameters).unwrap();
    let der = certificate(&issued.certificate_pem);
    assert_eq!(parse(&der).validity().not_after.timestamp(), validity.not_after.as_second());
}
