//! What the CA keeps: sealed, under any failure of the store, through a new encryption key, an export and an import.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use dcm_core::{
    ca::{CaProvider as _, Error, Intermediate, IntermediateRequest, Rotation, UnusableReason},
    clock::Clock,
    model::{CertificateAuthority, IntermediateCa, Uid},
    secret::Sealer,
    service::{BuiltInCa, CaPorts, CaSettings, ReencryptionStep as Step},
    store::{Body, BoxError, Precondition, Scan, Store, StoreExt as _},
    transfer::{About, Input, Mode, Output, Run, export, import},
};
use dcm_mesh::ca::Signer;
use dcm_store::{
    encryption::{AeadSealer, Keyring},
    memory::MemoryStore,
};
use dcm_test_utils::{
    ca::requester::{Key, cloud, generation},
    faulty::FaultyStore,
    ports::{CountingEntropy, ManualClock, start},
};
use futures_util::{
    StreamExt as _,
    stream::{self, BoxStream},
};

const K1: &str = "dcm-key-v1:AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=";
const K2: &str = "dcm-key-v1:AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI=";
const DAY: Duration = Duration::from_secs(24 * 3600);

fn ring(lines: &[&str]) -> Arc<dyn Sealer> {
    Arc::new(AeadSealer::new(lines.join("\n").parse::<Keyring>().unwrap()).unwrap())
}

async fn try_open(
    store: Arc<dyn Store>,
    sealer: Arc<dyn Sealer>,
    clock: Arc<dyn Clock>,
) -> Result<BuiltInCa, dcm_core::error::Error> {
    let entropy = Arc::new(CountingEntropy::starting_at(fastrand::u64(..)));
    BuiltInCa::open(CaPorts { store, sealer, signer: Arc::new(Signer), clock, entropy }, CaSettings::default()).await
}

async fn open(store: Arc<dyn Store>, lines: &[&str]) -> BuiltInCa {
    try_open(store, ring(lines), Arc::new(ManualClock::default())).await.unwrap()
}

async fn authority(store: &dyn Store, request: &IntermediateRequest) -> CertificateAuthority {
    let key = dcm_core::keys::certificate_authority(&request.cloud.uid).unwrap();
    store.load::<CertificateAuthority>(&key).await.unwrap().unwrap().value
}

#[tokio::test]
async fn no_document_shows_a_private_key() {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let ca = open(Arc::clone(&store), &[K1]).await;
    let request = Key::new().request(&cloud(), "c1", 1);
    let issued = ca.issue_intermediate(&request).await.unwrap();
    ca.rotate(&request.cloud.uid, Rotation::Introduce(generation(2))).await.unwrap();
    for document in store.scan(Scan::everything(100)).await.unwrap() {
        let text = String::from_utf8(document.body.as_bytes().to_vec()).unwrap();
        assert!(!text.contains("PRIVATE"), "{}", document.key);
    }
    assert!(!format!("{ca:?} {issued:?}").contains("PRIVATE"));
    let opened = ring(&[K1]);
    let key = dcm_core::keys::certificate_authority(&request.cloud.uid).unwrap();
    let kept = authority(&*store, &request).await;
    for root in kept.trusted() {
        assert!(opened.open(&key, &root.key).unwrap().expose_str().unwrap().contains("PRIVATE KEY"));
    }
}

#[tokio::test]
async fn a_failure_of_the_store_at_any_call_costs_nothing_but_a_repeat() {
    let mut failed = 0;
    for calls in 0.. {
        let inner: Arc<dyn Store> = Arc::new(MemoryStore::new());
        let faulty = Arc::new(FaultyStore::new(Arc::clone(&inner)));
        let ca = open(Arc::clone(&faulty) as _, &[K1]).await;
        let (key, cloud) = (Key::new(), cloud());
        let request = key.request(&cloud, "c1", 1);
        let second = generation(2);
        let all = async || -> Result<Intermediate, Error> {
            let issued = ca.issue_intermediate(&request).await?;
            ca.rotate(&cloud.uid, Rotation::Introduce(second)).await?;
            ca.rotate(&cloud.uid, Rotation::Switch(second)).await?;
            ca.revoke(&cloud.uid, &request.cluster, generation(1)).await?;
            Ok(issued)
        };
        faulty.fail_after(calls);
        let first = all().await;
        if !faulty.has_failed() {
            break;
        }
        failed += 1;
        let error = first.unwrap_err();
        assert!(matches!(error, Error::Unavailable { .. }) && error.retry_after().is_some(), "{error:?}");
        faulty.mend();
        match all().await {
            Ok(issued) => assert_eq!(issued.root_generation, generation(1)),
            // It was revoked before the failure.
            Err(Error::Unusable { .. }) => {}
            Err(error) => panic!("{error:?}"),
        }
        let kept = authority(&*inner, &request).await;
        assert_eq!((kept.root.generation, kept.latest), (second, second), "no root was made twice");
    }
    assert!(failed >= 8, "{failed} calls of the store were seen to fail");
}

#[tokio::test]
async fn roots_are_sealed_anew_with_a_new_encryption_key() {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let ca = open(Arc::clone(&store), &[K1]).await;
    let request = Key::new().request(&cloud(), "c1", 1);
    let issued = ca.issue_intermediate(&request).await.unwrap();
    let both = ca.rotate(&request.cloud.uid, Rotation::Introduce(generation(2))).await.unwrap();

    let ca = open(Arc::clone(&store), &[K2, K1]).await;
    let mut steps = 0;
    let pass = loop {
        steps += 1;
        assert!(steps < 100, "the pass does not end");
        if let Step::Finished(pass) = ca.reencrypt(1).await.unwrap() {
            break pass;
        }
    };
    assert_eq!((pass.reencrypted, pass.failed), (2, 0), "the canary, and the authority with both its roots");
    let new = ring(&[K2]).current_key().to_owned();
    assert!(authority(&*store, &request).await.trusted().all(|root| root.key.key_id == new));
    let view = ca.encryption().await.unwrap();
    assert_eq!(view.in_use, [new]);

    let old = try_open(Arc::clone(&store), ring(&[K1]), Arc::new(ManualClock::default())).await;
    assert!(matches!(old, Err(dcm_core::error::Error::Secret(_))), "{old:?}");
    let ca = open(store, &[K2]).await;
    assert_eq!(ca.issue_intermediate(&request).await.unwrap().certificate_pem, issued.certificate_pem);
    ca.rotate(&request.cloud.uid, Rotation::Switch(generation(2))).await.unwrap();
    let next = ca.issue_intermediate(&Key::new().request(&request.cloud, "c1", 2)).await.unwrap();
    assert_eq!((next.root_generation, next.bundle.anchors), (generation(2), both.anchors));
}

#[derive(Default)]
struct Lines(Vec<u8>);

#[async_trait]
impl Output for Lines {
    async fn write(&mut self, lines: Vec<u8>) -> Result<(), BoxError> {
        self.0.extend(lines);
        Ok(())
    }
}

impl Input for Lines {
    fn open(&self) -> BoxStream<'_, Result<Vec<u8>, BoxError>> {
        stream::iter([Ok(self.0.clone())]).boxed()
    }
}

#[tokio::test]
async fn an_export_holds_the_whole_ca() {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let ca = open(Arc::clone(&store), &[K1]).await;
    let request = Key::new().request(&cloud(), "c1", 1);
    let issued = ca.issue_intermediate(&request).await.unwrap();
    let mut lines = Lines::default();
    let about = About { release: "test".to_owned(), at: start() };
    let exported = export(&*store, &about, &mut lines, &mut |_| {}).await.unwrap();
    assert_eq!(exported.key_ids, [ring(&[K1]).current_key()]);
    let other: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let run = Run { id: Uid::from_random([7; 16]), at: start() };
    import(&*other, &lines, Mode::IntoEmpty, &run, &mut |_| {}).await.unwrap();
    let ca = open(other, &[K1]).await;
    assert_eq!(ca.issue_intermediate(&request).await.unwrap(), issued);
    let more = ca.issue_intermediate(&Key::new().request(&request.cloud, "c2", 1)).await.unwrap();
    assert_eq!(more.bundle, issued.bundle);
}

#[tokio::test]
async fn an_intermediate_lives_no_longer_than_its_root() {
    let clock = Arc::new(ManualClock::default());
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let ca = try_open(store, ring(&[K1]), Arc::clone(&clock) as _).await.unwrap();
    let cloud = cloud();
    let first = ca.issue_intermediate(&Key::new().request(&cloud, "c1", 1)).await.unwrap();
    let root_ends = first.bundle.anchors[0].not_after;
    let at = |days: i64| start().checked_add(jiff::SignedDuration::from_hours(24 * days)).unwrap();
    assert_eq!(first.not_before, start().checked_sub(jiff::SignedDuration::from_mins(5)).unwrap());
    assert_eq!((first.not_after, root_ends), (at(90), at(3652)));

    clock.advance(DAY * 3600);
    let late = ca.issue_intermediate(&Key::new().request(&cloud, "c1", 2)).await.unwrap();
    assert_eq!(late.not_after, root_ends);

    clock.advance(DAY * 52);
    let request = Key::new().request(&cloud, "c1", 3);
    let refused = ca.issue_intermediate(&request).await.unwrap_err();
    assert!(matches!(&refused, Error::OutOfOrder(why) if why.contains("rotate")), "{refused:?}");
    for step in [Rotation::Introduce(generation(2)), Rotation::Switch(generation(2))] {
        ca.rotate(&cloud.uid, step).await.unwrap();
    }
    assert_eq!(ca.issue_intermediate(&request).await.unwrap().root_generation, generation(2));

    clock.go_back(DAY * 3653);
    let refused = ca.issue_intermediate(&Key::new().request(&cloud, "c1", 4)).await.unwrap_err();
    assert!(matches!(&refused, Error::OutOfOrder(why) if why.contains("clock")), "{refused:?}");
}

#[tokio::test]
async fn a_key_is_for_one_generation_and_revoking_it_takes_along_what_came_at_the_same_moment() {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let ca = open(Arc::clone(&store), &[K1]).await;
    let (key, cloud) = (Key::new(), cloud());
    let (first, second) = (key.request(&cloud, "c1", 1), key.request(&cloud, "c1", 2));
    ca.issue_intermediate(&first).await.unwrap();
    let refused = ca.issue_intermediate(&second).await.unwrap_err();
    assert!(
        matches!(&refused, Error::Invalid(faults) if faults.to_string().contains("generation 1: make a new one")),
        "{refused:?}"
    );

    // As two leave it who ask for the same key at one moment: none saw the other's.
    let document = |number: &str| dcm_core::keys::intermediate_ca(&cloud.uid, &first.cluster, number).unwrap();
    let numbers = [1, 2].map(|number| dcm_core::keys::generation_number(generation(number)));
    let issued = store.load::<IntermediateCa>(&document(&numbers[0])).await.unwrap().unwrap().value;
    store.insert(&document(&numbers[1]), &IntermediateCa { generation: generation(2), ..issued }).await.unwrap();
    ca.issue_intermediate(&second).await.unwrap();
    ca.revoke(&cloud.uid, &first.cluster, generation(1)).await.unwrap();
    let refused = ca.issue_intermediate(&second).await.unwrap_err();
    assert!(matches!(refused, Error::Unusable { reason: UnusableReason::Revoked, .. }), "{refused:?}");
}

/// All that the store holds of a CA, but for what every CA's has.
async fn held(store: &dyn Store) -> Vec<dcm_core::store::Document> {
    let all = store.scan(Scan::everything(1000)).await.unwrap().into_iter();
    all.filter(|document| !["installation/this", "encryption/this"].contains(&&*document.key.to_string())).collect()
}

#[tokio::test]
async fn of_a_cloud_that_is_forgotten_there_is_left_that_it_is() {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let ca = open(Arc::clone(&store), &[K1]).await;
    let (cloud, other) = (cloud(), Key::new().request(&cloud(), "c1", 1));
    for (cluster, number) in [("c1", 1), ("c1", 2), ("c2", 1)] {
        ca.issue_intermediate(&Key::new().request(&cloud, cluster, number)).await.unwrap();
    }
    ca.rotate(&cloud.uid, Rotation::Introduce(generation(2))).await.unwrap();
    ca.rotate(&cloud.uid, Rotation::Switch(generation(2))).await.unwrap();
    ca.issue_intermediate(&other).await.unwrap();
    ca.forget(&cloud.uid).await.unwrap();
    let of_cloud: Vec<_> =
        held(&*store).await.into_iter().filter(|found| found.key.to_string().contains(cloud.uid.as_str())).collect();
    let [left] = &*of_cloud else { panic!("{of_cloud:?}") };
    let text = String::from_utf8(left.body.as_bytes().to_vec()).unwrap();
    assert!(text.contains("forgotten-at") && !text.contains("key") && !text.contains("CERTIFICATE"), "{text}");
    ca.issue_intermediate(&other).await.unwrap();
}

#[tokio::test]
async fn a_failure_of_the_store_while_it_forgets_costs_nothing_but_a_repeat() {
    let mut failed = 0;
    for calls in 0.. {
        let inner: Arc<dyn Store> = Arc::new(MemoryStore::new());
        let faulty = Arc::new(FaultyStore::new(Arc::clone(&inner)));
        let ca = open(Arc::clone(&faulty) as _, &[K1]).await;
        let request = Key::new().request(&cloud(), "c1", 1);
        ca.issue_intermediate(&request).await.unwrap();
        ca.issue_intermediate(&Key::new().request(&request.cloud, "c1", 2)).await.unwrap();
        faulty.fail_after(calls);
        let first = ca.forget(&request.cloud.uid).await;
        if !faulty.has_failed() {
            break;
        }
        failed += 1;
        assert!(first.unwrap_err().retry_after().is_some());
        faulty.mend();
        ca.forget(&request.cloud.uid).await.unwrap();
        assert_eq!(held(&*inner).await.len(), 1, "after {calls} calls");
        let refused = ca.issue_intermediate(&request).await.unwrap_err();
        assert!(matches!(refused, Error::Forgotten { .. }), "{refused:?}");
    }
    assert!(failed >= 5, "{failed} calls of the store were seen to fail");
}

#[tokio::test]
async fn roots_that_cannot_be_read_are_forgotten_all_the_same() {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let ca = open(Arc::clone(&store), &[K1]).await;
    let request = Key::new().request(&cloud(), "c1", 1);
    ca.issue_intermediate(&request).await.unwrap();
    let key = dcm_core::keys::certificate_authority(&request.cloud.uid).unwrap();
    let found = store.get(&key).await.unwrap().unwrap();
    let broken = Body::from_json(br#"{"kind":"CertificateAuthority","version":9,"document":{}}"#.to_vec());
    store.put(&key, broken, Precondition::AtRevision(found.revision)).await.unwrap();
    assert!(matches!(ca.issue_intermediate(&request).await, Err(Error::Internal(_))));
    ca.forget(&request.cloud.uid).await.unwrap();
    assert!(matches!(ca.issue_intermediate(&request).await, Err(Error::Forgotten { .. })));
}

#[tokio::test]
async fn that_a_cloud_is_forgotten_outlives_a_new_encryption_key_an_export_and_an_import() {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let ca = open(Arc::clone(&store), &[K1]).await;
    let request = Key::new().request(&cloud(), "c1", 1);
    ca.issue_intermediate(&request).await.unwrap();
    ca.forget(&request.cloud.uid).await.unwrap();

    let ca = open(Arc::clone(&store), &[K2, K1]).await;
    let pass = loop {
        if let Step::Finished(pass) = ca.reencrypt(10).await.unwrap() {
            break pass;
        }
    };
    assert_eq!((pass.reencrypted, pass.failed), (1, 0), "the canary alone is sealed");

    let mut lines = Lines::default();
    let about = About { release: "test".to_owned(), at: start() };
    export(&*store, &about, &mut lines, &mut |_| {}).await.unwrap();
    let other: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let run = Run { id: Uid::from_random([7; 16]), at: start() };
    import(&*other, &lines, Mode::IntoEmpty, &run, &mut |_| {}).await.unwrap();
    let refused = open(other, &[K2]).await.issue_intermediate(&request).await.unwrap_err();
    assert!(matches!(refused, Error::Forgotten { .. }), "{refused:?}");
}
