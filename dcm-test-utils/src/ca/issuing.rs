//! What a CA issues, and that it issues it once.

use std::{collections::BTreeSet, sync::Arc};

use dcm_core::ca::{CaProvider, Error};
use futures_util::future::join_all;
use jiff::SignedDuration;

use super::{
    ask, issue,
    judge::{
        self, authority_key_id, ca_below, certificate, certificates, chain_holds, parse, soon, subject_key_id, trusts,
        workload,
    },
    requester::{Key, cloud, generation},
};

type AnyCa = Arc<dyn CaProvider>;

/// The chain of what is issued ends at a root of the bundle, signed all the way.
pub async fn what_is_issued_leads_to_the_bundle(ca: AnyCa) {
    let (cloud, key) = (cloud(), Key::new());
    let issued = issue(&*ca, &key.request(&cloud, "c1", 1)).await;
    assert_eq!(issued.generation, generation(1));
    let chain = certificates(&issued.chain_pem);
    assert_eq!(chain.first(), Some(&certificate(&issued.certificate_pem)), "the intermediate comes first");
    let bundle = ca.bundle(&cloud.uid).await.expect("a bundle");
    assert_eq!(bundle, issued.bundle);
    assert_eq!(bundle.cloud, cloud.uid);
    assert_eq!(bundle.issuing, issued.root_generation);
    chain_holds(&issued);
    let root = parse(chain.last().expect("a root"));
    root.verify_signature(None).expect("the root signed itself");
    let constraints = root.basic_constraints().expect("one").expect("the root is a CA").value;
    assert!(constraints.ca && constraints.path_len_constraint.is_none_or(|length| length >= 1));
    assert!(root.key_usage().expect("one").is_none_or(|usage| usage.value.key_cert_sign()));
    assert_eq!(certificates(&bundle.pem()).len(), bundle.anchors.len());
}

/// It is a CA for workloads and revocation lists in its trust domain, with random number and two identifiers.
pub async fn an_intermediate_says_what_it_must_and_nothing_more(ca: AnyCa) {
    let (cloud, key) = (cloud(), Key::new());
    let issued = issue(&*ca, &key.request(&cloud, "c1", 1)).await;
    let chain = certificates(&issued.chain_pem);
    let (intermediate, above) = (parse(&chain[0]), parse(&chain[1]));
    let constraints = intermediate.basic_constraints().expect("one").expect("basic constraints");
    assert!(constraints.critical && constraints.value.ca);
    assert_eq!(constraints.value.path_len_constraint, Some(0));
    let usage = intermediate.key_usage().expect("one").expect("a key usage");
    let flags = usage.value;
    assert!(usage.critical && flags.key_cert_sign() && flags.crl_sign() && flags.digital_signature(), "{flags}");
    assert!(!flags.key_encipherment() && !flags.data_encipherment() && !flags.key_agreement(), "{flags}");
    assert!(intermediate.extended_key_usage().expect("one").is_none(), "no extended key usage");
    assert!(intermediate.name_constraints().expect("one").is_none(), "no name constraints");
    let name = format!("spiffe://{}", cloud.trust_domain);
    let names = judge::other_names(&intermediate);
    assert!(names.is_empty() || names == [name], "{names:?}");
    assert!(subject_key_id(&intermediate).is_some());
    assert_eq!(authority_key_id(&intermediate), subject_key_id(&above));
    let serial = intermediate.raw_serial();
    assert!((9..=20).contains(&serial.len()) && serial[0] < 0x80, "64 random bits or more, and positive: {serial:?}");
    let hex: String = serial.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(issued.serial, hex);
    let (own, roots) = (intermediate.validity(), above.validity());
    assert!(roots.not_before <= own.not_before && own.not_after <= roots.not_after, "its life is within its root's");
    assert_eq!(own.not_before.timestamp(), issued.not_before.as_second());
    assert_eq!(own.not_after.timestamp(), issued.not_after.as_second());
    assert_ne!(intermediate.subject().as_raw(), above.subject().as_raw());
    let of_key = rcgen::PublicKeyData::subject_public_key_info(&key.0);
    assert_eq!(intermediate.public_key().raw, of_key, "it is for the key of the request");
}

/// Verifiers of the mesh take a workload's certificate below it, and not before or after its life.
pub async fn workloads_below_it_are_trusted_in_its_life_only(ca: AnyCa) {
    let (cloud, key) = (cloud(), Key::new());
    let issued = issue(&*ca, &key.request(&cloud, "c1", 1)).await;
    let between = [certificate(&issued.certificate_pem)];
    let judged = |at| {
        let leaf = workload(&issued, &key, cloud.trust_domain.as_str(), at);
        trusts(&issued.bundle, &leaf, &between, at)
    };
    judged(soon(&issued)).expect("trusted");
    judged(judge::after(issued.not_after, SignedDuration::from_mins(1))).expect_err("its life is over");
    judged(judge::after(issued.not_before, SignedDuration::from_mins(-1))).expect_err("its life has not begun");
}

/// Its path length is 0.
pub async fn no_ca_below_it_is_trusted(ca: AnyCa) {
    let (cloud, key) = (cloud(), Key::new());
    let issued = issue(&*ca, &key.request(&cloud, "c1", 1)).await;
    let [leaf, below] = ca_below(&issued, &key, soon(&issued));
    let between = [below, certificate(&issued.certificate_pem)];
    trusts(&issued.bundle, &leaf, &between, soon(&issued)).expect_err("the path is too long");
}

/// Who asks again with the same key gets what he got, byte for byte, however he writes the request.
pub async fn a_repeat_gives_the_same_certificate_back(ca: AnyCa) {
    let (cloud, key) = (cloud(), Key::new());
    let request = key.request(&cloud, "c1", 1);
    let first = issue(&*ca, &request).await;
    assert_eq!(issue(&*ca, &request).await, first);
    // Signatures on P-256 hold chance, so this is another text.
    assert_eq!(issue(&*ca, &key.request(&cloud, "c1", 1)).await, first);
}

/// A generation is its first key's.
pub async fn refuses_another_key_for_the_same_generation(ca: AnyCa) {
    let (cloud, key, other) = (cloud(), Key::new(), Key::new());
    let first = issue(&*ca, &key.request(&cloud, "c1", 1)).await;
    match ask(&*ca, &other.request(&cloud, "c1", 1)).await {
        Err(Error::OtherKey { cluster, generation: number }) => {
            assert_eq!((cluster.as_str(), number), ("c1", generation(1)));
        }
        answer => panic!("not refused: {answer:?}"),
    }
    assert_eq!(issue(&*ca, &key.request(&cloud, "c1", 1)).await, first);
    issue(&*ca, &other.request(&cloud, "c1", 2)).await;
}

/// The same, when they come at the same time.
pub async fn repeats_at_once_get_one_certificate(ca: AnyCa) {
    let (cloud, key) = (cloud(), Key::new());
    let request = key.request(&cloud, "c1", 1);
    let all = join_all((0..16).map(|_| issue(&*ca, &request))).await;
    assert!(all.iter().all(|issued| *issued == all[0]), "all get the same");
}

/// One of several keys gets a generation, and all others are told so.
pub async fn of_several_keys_at_once_one_wins(ca: AnyCa) {
    let cloud = cloud();
    let requests: Vec<_> = (0..8).map(|_| Key::new().request(&cloud, "c1", 1)).collect();
    let answers = join_all(requests.iter().map(|request| ask(&*ca, request))).await;
    let won = answers.iter().filter(|answer| answer.is_ok()).count();
    let refused = answers.iter().filter(|answer| matches!(answer, Err(Error::OtherKey { .. }))).count();
    assert_eq!((won, refused), (1, 7), "{answers:?}");
}

/// Subject and serial number tell all intermediates of a logical cloud apart.
pub async fn each_generation_and_cluster_has_names_and_a_number_of_its_own(ca: AnyCa) {
    let cloud = cloud();
    let (mut subjects, mut serials) = (BTreeSet::new(), BTreeSet::new());
    for (cluster, number) in [("c1", 1), ("c1", 2), ("c1", u32::MAX), ("c2", 1), ("c-2", 1)] {
        let issued = issue(&*ca, &Key::new().request(&cloud, cluster, number)).await;
        assert_eq!(issued.generation, generation(number));
        let der = certificate(&issued.certificate_pem);
        assert!(subjects.insert(parse(&der).subject().to_string()), "a subject of its own");
        assert!(serials.insert(issued.serial), "a serial number of its own");
    }
}

/// A key that is stolen in one logical cloud says nothing in another.
pub async fn clouds_do_not_trust_each_other(ca: AnyCa) {
    let (one, other) = (cloud(), cloud());
    let (key, other_key) = (Key::new(), Key::new());
    let issued = issue(&*ca, &key.request(&one, "c1", 1)).await;
    let others = issue(&*ca, &other_key.request(&other, "c1", 1)).await;
    let at = soon(&issued);
    // Even for a name of the other one.
    let leaf = workload(&issued, &key, other.trust_domain.as_str(), at);
    let between = [certificate(&issued.certificate_pem), certificate(&others.certificate_pem)];
    trusts(&issued.bundle, &leaf, &between, at).expect("at home");
    trusts(&others.bundle, &leaf, &between, at).expect_err("another logical cloud's root");
}

/// However many ask first, a logical cloud has one root.
pub async fn clusters_at_once_get_one_root(ca: AnyCa) {
    let cloud = cloud();
    let requests: Vec<_> = (0..12).map(|n| Key::new().request(&cloud, &format!("c{n}"), 1)).collect();
    let all = join_all(requests.iter().map(|request| issue(&*ca, request))).await;
    assert!(all.iter().all(|issued| issued.bundle == all[0].bundle), "all have the same bundle");
    all.iter().for_each(chain_holds);
    assert_eq!(all[0].bundle.anchors.len(), 1);
}

/// There is no bundle before something was issued.
pub async fn a_cloud_that_nothing_was_issued_for_is_unknown(ca: AnyCa) {
    let cloud = cloud();
    match ca.bundle(&cloud.uid).await {
        Err(Error::UnknownCloud { cloud: named }) => assert_eq!(named, cloud.uid),
        answer => panic!("known: {answer:?}"),
    }
}
