//! That a logical cloud which was deleted is forgotten, for ever.

use std::sync::Arc;

use dcm_core::ca::{CaProvider, Cloud, Error, Rotation};
use futures_util::future::{join, join_all};

use super::{
    ask, issue, patiently,
    requester::{Key, cloud, generation},
};

type AnyCa = Arc<dyn CaProvider>;

async fn forget(ca: &dyn CaProvider, cloud: &Cloud) {
    patiently(async || ca.forget(&cloud.uid).await).await.expect("it is forgotten");
}

/// Whatever is asked for the logical cloud, it is refused for the same reason. Shared with the suite of CAs in several processes.
pub(super) async fn is_forgotten(ca: &dyn CaProvider, cloud: &Cloud, key: &Key) {
    let forgotten = |error: Option<Error>, what: &str| match error {
        Some(Error::Forgotten { cloud: uid }) => assert_eq!(uid, cloud.uid),
        other => panic!("{what} is not refused as forgotten: {other:?}"),
    };
    for (cluster, number) in [("c1", 1), ("c1", 2), ("c2", 1)] {
        forgotten(ask(ca, &key.request(cloud, cluster, number)).await.err(), "what was issued before");
        forgotten(ask(ca, &Key::new().request(cloud, cluster, number)).await.err(), "a new key");
    }
    forgotten(patiently(async || ca.bundle(&cloud.uid).await).await.err(), "the bundle");
    let cluster = "c1".parse().expect("an identity");
    let rotated = patiently(async || ca.rotate(&cloud.uid, Rotation::Introduce(generation(2))).await).await.err();
    let revoked = patiently(async || ca.revoke(&cloud.uid, &cluster, generation(1)).await).await.err();
    for (error, what) in [(rotated, "a rotation"), (revoked, "a revocation")] {
        // Who cannot do that at all says so.
        if !matches!(error, Some(Error::Unsupported { .. })) {
            forgotten(error, what);
        }
    }
}

/// Neither what was issued nor a new root comes back, whoever asks for it and however late.
pub async fn a_forgotten_cloud_is_issued_nothing_and_told_nothing(ca: AnyCa) {
    let (cloud, key) = (cloud(), Key::new());
    issue(&*ca, &key.request(&cloud, "c1", 1)).await;
    issue(&*ca, &Key::new().request(&cloud, "c2", 1)).await;
    forget(&*ca, &cloud).await;
    is_forgotten(&*ca, &cloud, &key).await;
}

/// Who does not know whether it was done asks again.
pub async fn forgetting_can_be_repeated(ca: AnyCa) {
    let (cloud, key) = (cloud(), Key::new());
    issue(&*ca, &key.request(&cloud, "c1", 1)).await;
    join_all((0..4).map(|_| forget(&*ca, &cloud))).await;
    forget(&*ca, &cloud).await;
    is_forgotten(&*ca, &cloud, &key).await;
    forget(&*ca, &cloud).await;
}

/// Its first request may be on its way still: it makes no root then.
pub async fn a_cloud_that_nothing_was_issued_for_is_forgotten_too(ca: AnyCa) {
    let (cloud, key) = (cloud(), Key::new());
    forget(&*ca, &cloud).await;
    is_forgotten(&*ca, &cloud, &key).await;
}

/// Requests that come at the same time are answered as before it or as after it; after it nothing is left.
pub async fn what_is_asked_for_while_it_is_forgotten_does_not_stay(ca: AnyCa) {
    for _ in 0..10 {
        let (cloud, key) = (cloud(), Key::new());
        let requests: Vec<_> = (1..=8).map(|number| Key::new().request(&cloud, "c1", number)).collect();
        let asked = join_all(requests.iter().map(|request| ask(&*ca, request)));
        let (answers, ()) = join(asked, forget(&*ca, &cloud)).await;
        for answer in answers {
            assert!(matches!(answer, Ok(_) | Err(Error::Forgotten { .. })), "{answer:?}");
        }
        is_forgotten(&*ca, &cloud, &key).await;
    }
}

/// Not even one of the same name: it has another uid.
pub async fn other_clouds_are_not_forgotten(ca: AnyCa) {
    let (gone, stays) = (cloud(), cloud());
    let again = Cloud { uid: cloud().uid, ..gone.clone() };
    let (key, other) = (Key::new(), Key::new());
    let issued = issue(&*ca, &key.request(&stays, "c1", 1)).await;
    let before = issue(&*ca, &other.request(&gone, "c1", 1)).await;
    forget(&*ca, &gone).await;
    assert_eq!(issue(&*ca, &key.request(&stays, "c1", 1)).await, issued);
    let anew = issue(&*ca, &other.request(&again, "c1", 1)).await;
    assert_ne!(anew.bundle.anchors[0].certificate_pem, before.bundle.anchors[0].certificate_pem, "a root of its own");
}
