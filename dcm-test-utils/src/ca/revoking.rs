//! The revocation of an intermediate.

use std::sync::Arc;

use dcm_core::ca::{CaProvider, Cloud, Error, Revoked, UnusableReason};

use super::{
    ask, faulty_fields, issue, patiently,
    requester::{Key, cloud, generation},
    supported,
};

type AnyCa = Arc<dyn CaProvider>;

async fn revoke(ca: &dyn CaProvider, cloud: &Cloud, cluster: &str, number: u32) -> Result<Revoked, Error> {
    let cluster = cluster.parse().expect("an identity");
    patiently(async || ca.revoke(&cloud.uid, &cluster, generation(number)).await).await
}

/// A repeat does not get it, a later generation does, and a second revocation says what the first said.
pub async fn what_is_revoked_is_not_given_out_again(ca: AnyCa) {
    let (cloud, key) = (cloud(), Key::new());
    let issued = issue(&*ca, &key.request(&cloud, "c1", 1)).await;
    let Some(revoked) = supported(revoke(&*ca, &cloud, "c1", 1).await) else { return };
    assert_eq!((revoked.generation, &revoked.serial), (generation(1), &issued.serial));
    assert!(revoked.trusted_until <= issued.not_after);
    match ask(&*ca, &key.request(&cloud, "c1", 1)).await {
        Err(Error::Unusable { cluster, generation: number, reason: UnusableReason::Revoked }) => {
            assert_eq!((cluster.as_str(), number), ("c1", generation(1)));
        }
        answer => panic!("not refused: {answer:?}"),
    }
    assert_eq!(revoke(&*ca, &cloud, "c1", 1).await.expect("again"), revoked);
    issue(&*ca, &Key::new().request(&cloud, "c1", 2)).await;
}

/// Under another number it would be the same key.
pub async fn a_revoked_key_is_not_certified_again(ca: AnyCa) {
    let (cloud, key) = (cloud(), Key::new());
    issue(&*ca, &key.request(&cloud, "c1", 1)).await;
    if supported(revoke(&*ca, &cloud, "c1", 1).await).is_some() {
        assert_eq!(faulty_fields(ask(&*ca, &key.request(&cloud, "c1", 2)).await), ["/csr"]);
        issue(&*ca, &Key::new().request(&cloud, "c1", 2)).await;
    }
}

/// There is nothing to revoke.
pub async fn revoking_what_was_never_issued_is_refused(ca: AnyCa) {
    let (known, unknown, key) = (cloud(), cloud(), Key::new());
    issue(&*ca, &key.request(&known, "c1", 1)).await;
    for (cluster, number) in [("c1", 2), ("c2", 1)] {
        let refused = revoke(&*ca, &known, cluster, number).await;
        assert!(matches!(refused, Err(Error::NotIssued { .. } | Error::Unsupported { .. })), "{refused:?}");
    }
    let refused = revoke(&*ca, &unknown, "c1", 1).await;
    assert!(matches!(refused, Err(Error::UnknownCloud { .. } | Error::Unsupported { .. })), "{refused:?}");
    issue(&*ca, &Key::new().request(&known, "c1", 2)).await;
}

/// Neither other generations nor other clusters nor other logical clouds lose theirs.
pub async fn other_intermediates_stay(ca: AnyCa) {
    let (one, other) = (cloud(), cloud());
    let keys: Vec<Key> = (0..4).map(|_| Key::new()).collect();
    let places = [(&one, "c1", 1), (&one, "c1", 2), (&one, "c2", 1), (&other, "c1", 1)];
    let requests: Vec<_> =
        keys.iter().zip(places).map(|(key, (cloud, cluster, number))| key.request(cloud, cluster, number)).collect();
    let mut issued = Vec::new();
    for request in &requests {
        issued.push(issue(&*ca, request).await);
    }
    if supported(revoke(&*ca, &one, "c1", 1).await).is_some() {
        for (request, issued) in requests.iter().zip(&issued).skip(1) {
            assert_eq!(issue(&*ca, request).await, *issued);
        }
    }
}
