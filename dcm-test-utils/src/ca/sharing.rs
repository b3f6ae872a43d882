//! What a CA promises that several processes serve together, or that goes on after a restart.

use std::sync::Arc;

use dcm_core::ca::{CaProvider, Error, Rotation, UnusableReason};
use futures_util::future::join_all;

use super::{
    ask,
    forgetting::is_forgotten,
    issue,
    judge::chain_holds,
    requester::{Key, cloud, generation},
    supported,
};

type AnyCa = Arc<dyn CaProvider>;

async fn several(open: impl AsyncFn() -> AnyCa) -> Vec<AnyCa> {
    let mut all = Vec::new();
    for _ in 0..4 {
        all.push(open().await);
    }
    all
}

/// Whoever is asked first, all have one root.
pub async fn instances_make_one_root(open: impl AsyncFn() -> AnyCa) {
    let all = several(open).await;
    for _ in 0..5 {
        let cloud = cloud();
        let requests: Vec<_> = (0..all.len()).map(|n| Key::new().request(&cloud, &format!("c{n}"), 1)).collect();
        let issued = join_all(all.iter().zip(&requests).map(|(ca, request)| issue(&**ca, request))).await;
        assert!(issued.iter().all(|one| one.bundle == issued[0].bundle), "all have the same bundle");
        issued.iter().for_each(chain_holds);
        assert_eq!(issued[0].bundle.anchors.len(), 1);
    }
}

/// One request that goes to all of them gets one certificate.
pub async fn instances_issue_one_certificate(open: impl AsyncFn() -> AnyCa) {
    let all = several(open).await;
    for number in 1..=5 {
        let request = Key::new().request(&cloud(), "c1", number);
        let issued = join_all(all.iter().map(|ca| issue(&**ca, &request))).await;
        assert!(issued.iter().all(|one| *one == issued[0]), "all answer the same");
    }
}

/// One of several keys gets a generation, whomever each asks.
pub async fn instances_let_one_key_win(open: impl AsyncFn() -> AnyCa) {
    let all = several(open).await;
    let cloud = cloud();
    for number in 1..=5 {
        let requests: Vec<_> = all.iter().map(|_| Key::new().request(&cloud, "c1", number)).collect();
        let answers = join_all(all.iter().zip(&requests).map(|(ca, request)| ask(&**ca, request))).await;
        let won = answers.iter().filter(|answer| answer.is_ok()).count();
        let refused = answers.iter().filter(|answer| matches!(answer, Err(Error::OtherKey { .. }))).count();
        assert_eq!((won, refused), (1, all.len() - 1), "{answers:?}");
    }
}

/// Also those that are opened later.
pub async fn what_one_issued_all_others_give_back(open: impl AsyncFn() -> AnyCa) {
    let request = Key::new().request(&cloud(), "c1", 1);
    let one = open().await;
    let issued = issue(&*one, &request).await;
    drop(one);
    for ca in several(open).await {
        assert_eq!(issue(&*ca, &request).await, issued);
        assert_eq!(ca.bundle(&request.cloud.uid).await.expect("a bundle"), issued.bundle);
    }
}

/// What is decided through one holds for all at once.
pub async fn a_rotation_and_a_revocation_through_one_are_seen_by_all(open: impl AsyncFn() -> AnyCa) {
    let all = several(open).await;
    let (key, cloud) = (Key::new(), cloud());
    let request = key.request(&cloud, "c1", 1);
    let issued = issue(&*all[0], &request).await;
    if supported(all[0].revoke(&cloud.uid, &request.cluster, generation(1)).await).is_some() {
        for ca in &all {
            let refused = ask(&**ca, &request).await;
            let expected = matches!(refused, Err(Error::Unusable { reason: UnusableReason::Revoked, .. }));
            assert!(expected, "{refused:?}");
        }
    }
    let second = generation(issued.root_generation.get() + 1);
    // The same step through all at once is one step.
    for step in [Rotation::Introduce(second), Rotation::Switch(second)] {
        let answers = join_all(all.iter().map(|ca| ca.rotate(&cloud.uid, step))).await;
        let bundles: Vec<_> = answers.into_iter().map(supported).collect();
        assert!(bundles.iter().all(|bundle| *bundle == bundles[0]), "{step:?}: {bundles:?}");
        for ca in &all {
            if let Some(bundle) = &bundles[0] {
                assert_eq!(ca.bundle(&cloud.uid).await.expect("a bundle"), *bundle);
            }
        }
    }
}

/// Also those that are opened later, and those that were asked before.
pub async fn what_one_has_forgotten_all_others_have(open: impl AsyncFn() -> AnyCa) {
    let mut all = several(&open).await;
    let (key, cloud) = (Key::new(), cloud());
    let request = key.request(&cloud, "c1", 1);
    for ca in &all {
        issue(&**ca, &request).await;
    }
    all[0].forget(&cloud.uid).await.expect("it is forgotten");
    all.push(open().await);
    for ca in &all {
        is_forgotten(&**ca, &cloud, &key).await;
    }
}
