//! The rotation of a root, step by step.

use std::sync::Arc;

use dcm_core::ca::{Bundle, CaProvider, Cloud, Error, Rotation, UnusableReason};

use super::{
    ask, issue,
    judge::{certificate, soon, trusts, workload},
    patiently,
    requester::{Key, cloud, generation},
    supported,
};

type AnyCa = Arc<dyn CaProvider>;

async fn rotate(ca: &dyn CaProvider, cloud: &Cloud, step: Rotation) -> Result<Bundle, Error> {
    patiently(async || ca.rotate(&cloud.uid, step).await).await
}

/// A logical cloud that something was issued for, and its bundle.
async fn known(ca: &dyn CaProvider) -> (Cloud, Bundle) {
    let cloud = cloud();
    let issued = issue(ca, &Key::new().request(&cloud, "c0", 1)).await;
    (cloud, issued.bundle)
}

fn numbers(bundle: &Bundle) -> Vec<u32> {
    bundle.anchors.iter().map(|anchor| anchor.generation.get()).collect()
}

/// Each step changes what it says, and at no step a peer that follows it trusts nobody.
pub async fn a_rotation_trusts_both_then_switches_then_retires(ca: AnyCa) {
    let (cloud, key, new_key) = (cloud(), Key::new(), Key::new());
    let old = issue(&*ca, &key.request(&cloud, "c1", 1)).await;
    let first = old.root_generation;
    let Some(second) = first.next() else { panic!("a generation after {first}") };
    let Some(both) = supported(rotate(&*ca, &cloud, Rotation::Introduce(second)).await) else { return };
    assert_eq!((both.issuing, numbers(&both)), (first, vec![first.get(), second.get()]));
    assert_eq!(ca.bundle(&cloud.uid).await.expect("a bundle"), both);
    let still = issue(&*ca, &Key::new().request(&cloud, "c2", 1)).await;
    assert_eq!(still.root_generation, first, "the old root signs until the switch");

    let switched = rotate(&*ca, &cloud, Rotation::Switch(second)).await.expect("a switch");
    assert_eq!((switched.issuing, numbers(&switched)), (second, vec![first.get(), second.get()]));
    let new = issue(&*ca, &new_key.request(&cloud, "c1", 2)).await;
    assert_eq!((new.root_generation, &new.bundle), (second, &switched));
    let again = issue(&*ca, &key.request(&cloud, "c1", 1)).await;
    assert_eq!(again.certificate_pem, old.certificate_pem, "what was issued stays");
    let shown = [(&old, &key), (&new, &new_key)];
    for bundle in [&both, &switched] {
        for (issued, key) in shown {
            let leaf = workload(issued, key, cloud.trust_domain.as_str(), soon(&new));
            trusts(bundle, &leaf, &[certificate(&issued.certificate_pem)], soon(&new)).expect("both are trusted");
        }
    }

    let retired = rotate(&*ca, &cloud, Rotation::Retire(first)).await.expect("the old root is retired");
    assert_eq!((retired.issuing, numbers(&retired)), (second, vec![second.get()]));
    let judged = shown.map(|(issued, key)| {
        let leaf = workload(issued, key, cloud.trust_domain.as_str(), soon(&new));
        trusts(&retired, &leaf, &[certificate(&issued.certificate_pem)], soon(&new))
    });
    assert!(judged[0].is_err() && judged[1].is_ok(), "{judged:?}");
}

/// A step that was taken is answered again and changes nothing.
pub async fn steps_can_be_repeated(ca: AnyCa) {
    let (cloud, bundle) = known(&*ca).await;
    let first = bundle.issuing;
    let second = generation(first.get() + 1);
    for step in [Rotation::Introduce(second), Rotation::Switch(second), Rotation::Retire(first)] {
        let Some(once) = supported(rotate(&*ca, &cloud, step).await) else { return };
        assert_eq!(rotate(&*ca, &cloud, step).await.expect("a repeat"), once, "{step:?}");
    }
    let all = rotate(&*ca, &cloud, Rotation::Introduce(second)).await.expect("a late repeat");
    assert_eq!(numbers(&all), [second.get()], "a late repeat makes no other root");
}

/// None is left out, and nothing that signs is taken away.
pub async fn refuses_steps_out_of_order(ca: AnyCa) {
    let (cloud, bundle) = known(&*ca).await;
    let first = bundle.issuing.get();
    let at = |number: u32| generation(first + number);
    let refused = async |step| match rotate(&*ca, &cloud, step).await {
        Err(Error::OutOfOrder(reason)) => assert!(!reason.is_empty(), "{step:?}"),
        Err(Error::Unsupported { .. }) => {}
        answer => panic!("{step:?} is not refused: {answer:?}"),
    };
    for step in [Rotation::Switch(at(1)), Rotation::Retire(at(0)), Rotation::Introduce(at(2)), Rotation::Retire(at(1))]
    {
        refused(step).await;
    }
    assert_eq!(ca.bundle(&cloud.uid).await.expect("a bundle"), bundle, "nothing has changed");
    if supported(rotate(&*ca, &cloud, Rotation::Introduce(at(1))).await).is_none() {
        return;
    }
    refused(Rotation::Introduce(at(2))).await;
    // It is given up before anything was signed with it, and its number is not used again.
    let given_up = rotate(&*ca, &cloud, Rotation::Retire(at(1))).await.expect("it is given up");
    assert_eq!(given_up, bundle);
    refused(Rotation::Switch(at(1))).await;
    refused(Rotation::Introduce(at(1))).await;
    let next = rotate(&*ca, &cloud, Rotation::Introduce(at(2))).await.expect("the next one");
    assert_eq!(numbers(&next), [first, first + 2]);
}

/// Nobody would trust it.
pub async fn what_a_retired_root_signed_is_not_given_out(ca: AnyCa) {
    let (cloud, key) = (cloud(), Key::new());
    let old = issue(&*ca, &key.request(&cloud, "c1", 1)).await;
    let second = generation(old.root_generation.get() + 1);
    for step in [Rotation::Introduce(second), Rotation::Switch(second), Rotation::Retire(old.root_generation)] {
        if supported(rotate(&*ca, &cloud, step).await).is_none() {
            return;
        }
    }
    match ask(&*ca, &key.request(&cloud, "c1", 1)).await {
        Err(Error::Unusable { reason: UnusableReason::RootRetired, .. }) => {}
        answer => panic!("not refused: {answer:?}"),
    }
    issue(&*ca, &Key::new().request(&cloud, "c1", 2)).await;
}

/// There is nothing to rotate.
pub async fn the_rotation_of_an_unknown_cloud_is_refused(ca: AnyCa) {
    let cloud = cloud();
    let refused = rotate(&*ca, &cloud, Rotation::Introduce(generation(2))).await;
    assert!(matches!(refused, Err(Error::UnknownCloud { .. } | Error::Unsupported { .. })), "{refused:?}");
}
