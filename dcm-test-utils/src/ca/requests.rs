//! What counts of a request, and which ones are refused.

use std::sync::Arc;

use data_encoding::BASE64;
use dcm_core::ca::{CaProvider, Error};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, KeyUsagePurpose,
    SanType,
};

use super::{
    ask, faulty_fields, issue,
    judge::{certificate, other_names, parse},
    requester::{Key, WEAK, cloud, request},
};

type AnyCa = Arc<dyn CaProvider>;

/// Neither subject nor names nor extensions of a request are in the certificate.
pub async fn what_a_request_asks_for_is_ignored(ca: AnyCa) {
    let (cloud, key) = (cloud(), Key::new());
    let mut wish = CertificateParams::default();
    wish.distinguished_name = DistinguishedName::new();
    wish.distinguished_name.push(DnType::CommonName, "root of all");
    wish.subject_alt_names = vec![
        SanType::URI("spiffe://other.example".try_into().expect("a name")),
        SanType::DnsName("dcm.example".try_into().expect("a name")),
    ];
    wish.is_ca = IsCa::Ca(BasicConstraints::Constrained(7));
    wish.key_usages = vec![KeyUsagePurpose::KeyEncipherment];
    wish.extended_key_usages = vec![ExtendedKeyUsagePurpose::CodeSigning];
    let issued = issue(&*ca, &request(&cloud, "c1", 1, &key.csr_asking(&wish))).await;
    let der = certificate(&issued.certificate_pem);
    let parsed = parse(&der);
    assert!(!parsed.subject().to_string().contains("root of all"), "{}", parsed.subject());
    let own = format!("spiffe://{}", cloud.trust_domain);
    assert!(other_names(&parsed).iter().all(|name| *name == own), "{:?}", other_names(&parsed));
    assert_eq!(parsed.basic_constraints().expect("one").expect("a CA").value.path_len_constraint, Some(0));
    assert!(!parsed.key_usage().expect("one").expect("a key usage").value.key_encipherment());
    assert!(parsed.extended_key_usage().expect("one").is_none());
}

/// A request proves that its sender has the key.
pub async fn refuses_a_request_that_its_key_did_not_sign(ca: AnyCa) {
    let cloud = cloud();
    let refused = ask(&*ca, &request(&cloud, "c1", 1, &spoiled(&Key::new().csr()))).await;
    assert_eq!(faulty_fields(refused), ["/csr"]);
}

/// RSA with 1024 bits is no key for a CA, and the refusal says what is wrong.
pub async fn refuses_a_weak_key(ca: AnyCa) {
    match ask(&*ca, &request(&cloud(), "c1", 1, WEAK)).await {
        Err(Error::Invalid(faults)) => {
            let [fault] = faults.as_slice() else { panic!("one fault: {faults}") };
            assert_eq!(fault.pointer, "/csr");
            assert!(fault.detail.contains("RSA") && fault.detail.contains("1024"), "{}", fault.detail);
        }
        answer => panic!("not refused: {answer:?}"),
    }
}

/// Whatever is in its place, it is refused by name.
pub async fn refuses_what_is_no_request(ca: AnyCa) {
    let (cloud, key) = (cloud(), Key::new());
    let csr = key.csr();
    let odd = [
        String::new(),
        "hello".to_owned(),
        csr.replace("CERTIFICATE REQUEST", "CERTIFICATE"),
        csr.replace('A', "!"),
        csr[..csr.len() / 2].to_owned(),
        format!("{csr}{csr}"),
        "-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n".to_owned(),
    ];
    for odd in odd {
        let refused = ask(&*ca, &request(&cloud, "c1", 1, &odd)).await;
        assert_eq!(faulty_fields(refused), ["/csr"], "{odd:?}");
    }
}

/// Not even a root is made for it.
pub async fn a_refused_request_leaves_nothing_behind(ca: AnyCa) {
    let (cloud, key) = (cloud(), Key::new());
    for csr in [WEAK, &spoiled(&key.csr()), "hello"] {
        assert_eq!(faulty_fields(ask(&*ca, &request(&cloud, "c1", 1, csr)).await), ["/csr"]);
    }
    let bundle = ca.bundle(&cloud.uid).await;
    assert!(matches!(bundle, Err(Error::UnknownCloud { .. })), "{bundle:?}");
    issue(&*ca, &key.request(&cloud, "c1", 1)).await;
}

/// A logical cloud keeps its trust domain, so nobody gets another one's name below its root.
pub async fn refuses_another_trust_domain_for_a_cloud(ca: AnyCa) {
    let (cloud, key) = (cloud(), Key::new());
    issue(&*ca, &key.request(&cloud, "c1", 1)).await;
    let other = dcm_core::ca::Cloud { trust_domain: "other.example".parse().expect("a trust domain"), ..cloud.clone() };
    for (cluster, number) in [("c1", 1), ("c1", 2), ("c2", 1)] {
        let refused = ask(&*ca, &key.request(&other, cluster, number)).await;
        assert_eq!(faulty_fields(refused), ["/trust-domain"]);
    }
    issue(&*ca, &key.request(&cloud, "c2", 1)).await;
}

/// The same request with another signature.
fn spoiled(csr: &str) -> String {
    let lines: Vec<&str> = csr.trim_end().lines().collect();
    let mut der = BASE64.decode(lines[1..lines.len() - 1].concat().as_bytes()).expect("base64");
    *der.last_mut().expect("bytes") ^= 1;
    let text = BASE64.encode(&der);
    let wrapped: Vec<&str> = text.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).expect("ASCII")).collect();
    format!("{}\n{}\n{}\n", lines[0], wrapped.join("\n"), lines[lines.len() - 1])
}
