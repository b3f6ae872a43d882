//! A new encryption key: old ones still open, every document is encrypted anew, and no key is given up before.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails loudly")]

mod given_up;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use dcm_core::{
    error::Error,
    model::{Encryption, Pass, PassPhase},
    secret::{Error as SecretError, Sealer},
    service::{Dcm, ReencryptionStep as Step, Settings},
    store::{Body, Document, Key, Precondition, Scan, Store, StoreExt as _},
};
use dcm_store::{
    encryption::{AeadSealer, Keyring},
    memory::MemoryStore,
};
use dcm_test_utils::{
    builders::{Fixture, cloud_id, cluster_input, provider},
    faulty::FaultyStore,
};
use serde_json::Value;

#[path = "../regressions/support.rs"]
#[allow(dead_code, reason = "shared with the regressions")]
mod support;

use support::HookStore;

const K1: &str = "dcm-key-v1:AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=";
const K2: &str = "dcm-key-v1:AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI=";
const K3: &str = "dcm-key-v1:AwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwM=";

/// More steps than any pass here takes.
const MOST_STEPS: usize = 200;

fn ring(lines: &[&str]) -> Arc<dyn Sealer> {
    Arc::new(AeadSealer::new(lines.join("\n").parse::<Keyring>().unwrap()).unwrap())
}

fn id(line: &str) -> String {
    ring(&[line]).current_key().to_owned()
}

fn ids(lines: &[&str]) -> BTreeSet<String> {
    lines.iter().map(|line| id(line)).collect()
}

/// A DCM with [`K1`], two clusters and a logical cloud that is applied on both.
async fn fixture(store: Arc<dyn Store>) -> Fixture {
    let f = Fixture::sealing(store, ring(&[K1]), Settings::default()).await.unwrap();
    f.register(&["c1", "c2"]).await.unwrap();
    f.create_applied("lc-1", "ns-1", &["c1", "c2"]).await.unwrap();
    f
}

/// Works until nothing is left to do; the last state of the pass.
async fn finish(dcm: &Dcm, limit: usize) -> Option<Pass> {
    let mut last = None;
    for _ in 0..MOST_STEPS {
        match dcm.reencrypt(limit).await.unwrap() {
            Step::Working(_) => {}
            Step::Finished(pass) => last = Some(pass),
            Step::Idle => return last,
            Step::Elsewhere(target) => panic!("{target} is encrypted with elsewhere"),
            Step::Missing(ids) => panic!("{ids:?} are missing"),
        }
    }
    panic!("the pass does not end");
}

async fn record(store: &dyn Store) -> Encryption {
    store.load::<Encryption>(&"encryption/this".parse().unwrap()).await.unwrap().unwrap().value
}

async fn documents(store: &dyn Store) -> Vec<Document> {
    store.scan(Scan::everything(10_000)).await.unwrap()
}

/// With which key each document is sealed.
async fn sealed_with(store: &dyn Store) -> BTreeMap<String, BTreeSet<String>> {
    fn walk(value: &Value, found: &mut BTreeSet<String>) {
        match value {
            Value::Object(fields) => {
                if let (Some(Value::String(id)), Some(_)) = (fields.get("key-id"), fields.get("ciphertext")) {
                    found.insert(id.clone());
                }
                fields.values().for_each(|field| walk(field, found));
            }
            Value::Array(items) => items.iter().for_each(|item| walk(item, found)),
            _ => {}
        }
    }
    let mut all = BTreeMap::new();
    for document in documents(store).await {
        let mut found = BTreeSet::new();
        walk(&serde_json::from_slice(document.body.as_bytes()).unwrap(), &mut found);
        if !found.is_empty() {
            all.insert(document.key.to_string(), found);
        }
    }
    all
}

/// All keys that documents are sealed with.
async fn used(store: &dyn Store) -> BTreeSet<String> {
    sealed_with(store).await.into_values().flatten().collect()
}

/// Everything can be read with one key alone: clusters, credentials, and what applies anew need.
async fn assert_works_with(f: &Fixture, line: &str) {
    let dcm = f.restarted_with(ring(&[line])).await.unwrap();
    dcm.merged_kubeconfig(&cloud_id("lc-1")).await.unwrap();
    dcm.apply(&cloud_id("lc-1"), dcm_core::lifecycle::Event::Apply, false).await.unwrap();
    dcm_test_utils::builders::carry_out(&dcm).await.unwrap();
}

/// Changes the JSON of a document whose key begins so.
async fn tamper(store: &dyn Store, prefix: &str, change: impl Fn(&mut Value)) -> Key {
    let found = documents(store).await.into_iter().find(|one| one.key.as_str().starts_with(prefix)).unwrap();
    let mut json = serde_json::from_slice(found.body.as_bytes()).unwrap();
    change(&mut json);
    let body = Body::from_json(json.to_string().into_bytes());
    store.put(&found.key, body, Precondition::AtRevision(found.revision)).await.unwrap();
    found.key
}

#[tokio::test]
async fn a_fresh_installation_needs_its_one_key_and_has_nothing_to_do() {
    let store = Arc::new(MemoryStore::new());
    let f = fixture(Arc::clone(&store) as _).await;
    assert_eq!(record(&*store).await, Encryption { in_use: ids(&[K1]), given_up: Vec::new(), pass: None });
    assert_eq!(f.dcm.reencrypt(10).await.unwrap(), Step::Idle);
    let before = documents(&*store).await;
    f.restarted_with(ring(&[K1])).await.unwrap();
    assert_eq!(documents(&*store).await, before, "a start that changes nothing writes nothing");
}

#[tokio::test]
async fn every_document_is_encrypted_with_the_new_key_and_the_old_one_can_go() {
    for limit in [1, 2, 3, 100] {
        let store = Arc::new(MemoryStore::new());
        let f = fixture(Arc::clone(&store) as _).await;
        let held = sealed_with(&*store).await;
        assert_eq!(held.len(), 5, "the canary, two clusters, two credentials: {held:?}");
        let dcm = f.restarted_with(ring(&[K2, K1])).await.unwrap();
        assert_eq!(record(&*store).await.in_use, ids(&[K1, K2]), "a key is in use before it seals anything");
        let pass = finish(&dcm, limit).await.unwrap();
        assert_eq!((pass.total, pass.reencrypted, pass.failed), (Some(5), 5, 0), "{pass:?}");
        assert_eq!(pass.percent(), Some(100));
        assert_eq!(used(&*store).await, ids(&[K2]));
        assert_eq!(record(&*store).await.in_use, ids(&[K2]));
        let view = dcm.encryption().await.unwrap();
        assert_eq!((view.current.clone(), view.unused()), (id(K2), vec![id(K1).as_str()]));
        assert_works_with(&f, K2).await;
    }
}

#[tokio::test]
async fn a_key_that_documents_may_need_must_be_there_at_the_start() {
    let store = Arc::new(MemoryStore::new());
    let f = fixture(Arc::clone(&store) as _).await;
    let dcm = f.restarted_with(ring(&[K2, K1])).await.unwrap();
    let refused = async |lines: &[&str]| f.restarted_with(ring(lines)).await.unwrap_err();
    loop {
        let error = refused(&[K2]).await;
        let Error::Secret(SecretError::KeysMissing { key_ids }) = &error else { panic!("{error:?}") };
        assert_eq!(*key_ids, [id(K1)]);
        assert!(matches!(refused(&[K3]).await, Error::Secret(SecretError::UnknownKey { .. })));
        if let Step::Finished(_) = dcm.reencrypt(2).await.unwrap() {
            break;
        }
    }
    assert!(matches!(refused(&[K1]).await, Error::Secret(SecretError::UnknownKey { .. })));
    assert_works_with(&f, K2).await;
}

#[tokio::test]
async fn a_pass_that_was_cut_off_anywhere_goes_on_and_gives_no_key_up_too_early() {
    for call in 0.. {
        assert!(call < 400);
        let store = Arc::new(FaultyStore::new(Arc::new(MemoryStore::new())));
        let f = fixture(Arc::clone(&store) as _).await;
        store.fail_after(call);
        let mut whole = false;
        if let Ok(dcm) = f.restarted_with(ring(&[K2, K1])).await {
            while let Ok(step) = dcm.reencrypt(2).await {
                if step == Step::Idle {
                    whole = true;
                    break;
                }
            }
        }
        whole &= !store.has_failed();
        store.mend();
        let (used_then, in_use) = (used(&*store).await, record(&*store).await.in_use);
        assert!(used_then.is_subset(&in_use), "call {call}: {used_then:?} are used, recorded are {in_use:?}");
        let dcm = f.restarted_with(ring(&[K2, K1])).await.unwrap();
        finish(&dcm, 2).await;
        assert_eq!(used(&*store).await, ids(&[K2]), "call {call}");
        assert_eq!(record(&*store).await.in_use, ids(&[K2]), "call {call}");
        assert_works_with(&f, K2).await;
        if whole {
            return;
        }
    }
}

#[tokio::test]
async fn a_second_new_key_before_the_first_is_everywhere_takes_over() {
    let store = Arc::new(MemoryStore::new());
    let f = fixture(Arc::clone(&store) as _).await;
    let dcm = f.restarted_with(ring(&[K2, K1])).await.unwrap();
    while used(&*store).await == ids(&[K1]) {
        dcm.reencrypt(1).await.unwrap();
    }
    assert_eq!(used(&*store).await, ids(&[K1, K2]));
    let dcm = f.restarted_with(ring(&[K3, K2, K1])).await.unwrap();
    assert_eq!(record(&*store).await.in_use, ids(&[K1, K2, K3]));
    let pass = finish(&dcm, 2).await.unwrap();
    assert_eq!((pass.target, pass.reencrypted), (id(K3), 5));
    assert_eq!(record(&*store).await.in_use, ids(&[K3]));
    assert_works_with(&f, K3).await;
}

#[tokio::test]
async fn a_document_that_cannot_be_read_is_listed_stops_nothing_and_keeps_the_old_key() {
    let store = Arc::new(MemoryStore::new());
    let f = fixture(Arc::clone(&store) as _).await;
    let damaged = tamper(&*store, "cluster/", |json| json["document"]["kubeconfig"]["nonce"] = "AAAA".into()).await;
    let foreign = tamper(&*store, "credential/", |json| json["document"]["key"]["key-id"] = "ffff".into()).await;
    let dcm = f.restarted_with(ring(&[K2, K1])).await.unwrap();
    let pass = finish(&dcm, 2).await.unwrap();
    assert_eq!((pass.phase, pass.reencrypted, pass.failed), (PassPhase::Finished, 3, 2));
    let listed: Vec<&Key> = pass.failures.iter().map(|failure| &failure.document).collect();
    assert_eq!(listed, [&damaged, &foreign]);
    assert!(pass.failures[0].reason.contains("damaged"), "{pass:?}");
    assert!(pass.failures[1].reason.contains("ffff"), "{pass:?}");
    assert_eq!(record(&*store).await.in_use, ids(&[K1, K2]));
    assert_eq!(dcm.reencrypt(2).await.unwrap(), Step::Idle, "it is tried again at the next start, not for ever");

    // Registered anew, and issued anew.
    let name = damaged.last().parse().unwrap();
    dcm.update_cluster(&provider("default"), &name, cluster_input(damaged.last()).into(), None).await.unwrap();
    store.remove(&foreign).await.unwrap();
    let dcm = f.restarted_with(ring(&[K2, K1])).await.unwrap();
    assert_eq!(finish(&dcm, 2).await.unwrap().failed, 0);
    assert_eq!(record(&*store).await.in_use, ids(&[K2]));
}

#[tokio::test]
async fn what_a_newer_release_wrote_is_left_to_it_and_what_it_added_stays() {
    let store = Arc::new(MemoryStore::new());
    let f = fixture(Arc::clone(&store) as _).await;
    let added = tamper(&*store, "cluster/", |json| json["document"]["weight"] = 9_007_199_254_740_993_u64.into()).await;
    let newer = tamper(&*store, "credential/", |json| json["version"] = 2.into()).await;
    let dcm = f.restarted_with(ring(&[K2, K1])).await.unwrap();
    let pass = finish(&dcm, 100).await.unwrap();
    assert_eq!((pass.reencrypted, pass.failed), (4, 1));
    assert_eq!(pass.failures[0].document, newer);
    let sealed = sealed_with(&*store).await;
    assert_eq!((&sealed[added.as_str()], &sealed[newer.as_str()]), (&ids(&[K2]), &ids(&[K1])));
    let document = store.get(&added).await.unwrap().unwrap();
    let json: Value = serde_json::from_slice(document.body.as_bytes()).unwrap();
    assert_eq!(json["document"]["weight"], 9_007_199_254_740_993_u64);
}

#[tokio::test]
async fn a_document_that_is_written_at_the_same_time_is_looked_at_again() {
    let store = HookStore::new();
    let f = fixture(Arc::clone(&store) as _).await;
    let old = f.restarted().await.unwrap();
    let dcm = f.restarted_with(ring(&[K2, K1])).await.unwrap();
    // A server that was not restarted yet registers a cluster anew, with the old key, just then.
    store.before("cluster/", true, move || async move {
        old.update_cluster(&provider("default"), &"c1".parse().unwrap(), cluster_input("c1").into(), None)
            .await
            .unwrap();
    });
    let pass = finish(&dcm, 2).await.unwrap();
    assert_eq!((pass.reencrypted, pass.failed), (5, 0));
    assert_eq!(used(&*store).await, ids(&[K2]));
}

#[tokio::test]
async fn what_is_written_with_the_old_key_behind_the_pass_is_found_before_the_key_goes() {
    let store = Arc::new(MemoryStore::new());
    let f = fixture(Arc::clone(&store) as _).await;
    let dcm = f.restarted_with(ring(&[K2, K1])).await.unwrap();
    let mut steps = 0;
    while !matches!(dcm.reencrypt(100).await.unwrap(), Step::Working(pass) if pass.phase == PassPhase::Checking) {
        steps += 1;
        assert!(steps < MOST_STEPS, "nothing is ever checked");
    }
    // All is encrypted with the new key, and about to be checked.
    assert_eq!(used(&*store).await, ids(&[K2]));
    f.dcm.create_cluster(&provider("default"), cluster_input("c3").into()).await.unwrap();
    while used(&*store).await != ids(&[K2]) {
        steps += 1;
        assert!(steps < MOST_STEPS, "it is not found");
        dcm.reencrypt(1).await.unwrap();
    }
    // And once more, behind the check: what has met another key is no proof.
    f.dcm.create_cluster(&provider("default"), cluster_input("c0").into()).await.unwrap();
    let pass = finish(&dcm, 100).await.unwrap();
    assert_eq!((pass.total, pass.reencrypted), (Some(7), 7));
    assert_eq!(used(&*store).await, ids(&[K2]));
    assert_eq!(record(&*store).await.in_use, ids(&[K2]));
}

#[tokio::test]
async fn a_server_that_still_seals_with_a_key_that_was_given_up_puts_it_back() {
    let store = Arc::new(MemoryStore::new());
    let f = fixture(Arc::clone(&store) as _).await;
    let old = f.restarted_with(ring(&[K1, K2])).await.unwrap();
    let new = f.restarted_with(ring(&[K2, K1])).await.unwrap();
    finish(&new, 100).await.unwrap();
    old.create_cluster(&provider("default"), cluster_input("c3").into()).await.unwrap();
    assert_eq!(old.reencrypt(100).await.unwrap(), Step::Idle);
    assert_eq!(record(&*store).await.in_use, ids(&[K1, K2]));
    // It does not begin to turn everything back, and the new one makes up for it.
    assert_eq!(old.reencrypt(100).await.unwrap(), Step::Elsewhere(id(K2)));
    let pass = finish(&new, 100).await.unwrap();
    assert_eq!((pass.target, pass.reencrypted), (id(K2), 1));
    assert_eq!(used(&*store).await, ids(&[K2]));
}

#[tokio::test]
async fn servers_with_different_current_keys_do_not_fight() {
    let store = Arc::new(MemoryStore::new());
    let f = fixture(Arc::clone(&store) as _).await;
    let new = f.restarted_with(ring(&[K2, K1])).await.unwrap();
    new.reencrypt(1).await.unwrap();
    let old = f.restarted_with(ring(&[K1, K2])).await.unwrap();
    assert_eq!(old.reencrypt(1).await.unwrap(), Step::Elsewhere(id(K2)));
    // Two with the same key may both work; what they do is not done twice.
    let second = f.restarted_with(ring(&[K2, K1])).await.unwrap();
    for _ in 0..MOST_STEPS {
        new.reencrypt(2).await.unwrap();
        second.reencrypt(3).await.unwrap();
    }
    let pass = record(&*store).await.pass.unwrap();
    assert_eq!((pass.phase, pass.reencrypted), (PassPhase::Finished, 5));
    assert_eq!(record(&*store).await.in_use, ids(&[K2]));
}

#[tokio::test]
async fn the_old_key_can_be_made_the_current_one_again() {
    let store = Arc::new(MemoryStore::new());
    let f = fixture(Arc::clone(&store) as _).await;
    let new = f.restarted_with(ring(&[K2, K1])).await.unwrap();
    while used(&*store).await == ids(&[K1]) {
        new.reencrypt(1).await.unwrap();
    }
    // Half way, by a server that has ended: after some silence.
    let back = f.restarted_with(ring(&[K1, K2])).await.unwrap();
    assert_eq!(back.reencrypt(1).await.unwrap(), Step::Elsewhere(id(K2)));
    f.clock.advance(Duration::from_secs(301));
    finish(&back, 2).await.unwrap();
    assert_eq!(used(&*store).await, ids(&[K1]));
    assert_works_with(&f, K1).await;
    // After the end: at once.
    let new = f.restarted_with(ring(&[K2, K1])).await.unwrap();
    finish(&new, 2).await.unwrap();
    let back = f.restarted_with(ring(&[K1, K2])).await.unwrap();
    finish(&back, 2).await.unwrap();
    assert_works_with(&f, K1).await;
}

#[tokio::test]
async fn data_of_a_release_that_recorded_no_keys_counts_as_encrypted_with_any() {
    let store = Arc::new(MemoryStore::new());
    let f = fixture(Arc::clone(&store) as _).await;
    // The key was replaced by hand, and part of the documents was written since.
    let dcm = f.restarted_with(ring(&[K2, K1])).await.unwrap();
    dcm.create_cluster(&provider("default"), cluster_input("c3").into()).await.unwrap();
    store.remove(&"encryption/this".parse().unwrap()).await.unwrap();
    let error = f.restarted_with(ring(&[K2])).await.unwrap_err();
    assert!(matches!(error, Error::Secret(SecretError::KeysMissing { .. })), "{error:?}");
    let dcm = f.restarted_with(ring(&[K2, K1])).await.unwrap();
    assert_eq!(record(&*store).await.in_use, ids(&[K1, K2]));
    assert_eq!(finish(&dcm, 2).await.unwrap().reencrypted, 5);
    // And so does the record where somebody deletes it under a server at work.
    store.remove(&"encryption/this".parse().unwrap()).await.unwrap();
    assert!(dcm.encryption().await.unwrap().unused().is_empty());
    finish(&dcm, 2).await;
    assert_eq!(record(&*store).await.in_use, ids(&[K1, K2]));
    finish(&dcm, 2).await.unwrap();
    assert_works_with(&f, K2).await;
}

#[tokio::test]
async fn what_a_merge_brought_with_another_key_is_encrypted_anew_at_the_next_start() {
    let store = Arc::new(MemoryStore::new());
    let f = fixture(Arc::clone(&store) as _).await;
    let other = f.restarted_with(ring(&[K2, K1])).await.unwrap();
    other.create_cluster(&provider("default"), cluster_input("c3").into()).await.unwrap();
    // As a merge leaves it.
    let key = "encryption/this".parse().unwrap();
    store.remove(&key).await.unwrap();
    let merged = Encryption { in_use: ids(&[K1, K2]), given_up: Vec::new(), pass: None };
    store.insert(&key, &merged).await.unwrap();
    let error = f.restarted_with(ring(&[K1])).await.unwrap_err();
    assert!(matches!(error, Error::Secret(SecretError::KeysMissing { .. })), "{error:?}");
    let dcm = f.restarted_with(ring(&[K1, K2])).await.unwrap();
    assert_eq!(finish(&dcm, 2).await.unwrap().reencrypted, 1);
    assert_eq!((used(&*store).await, record(&*store).await.in_use), (ids(&[K1]), ids(&[K1])));
}

#[tokio::test]
async fn a_key_that_is_only_prepared_is_not_in_use() {
    let store = Arc::new(MemoryStore::new());
    let f = fixture(Arc::clone(&store) as _).await;
    let dcm = f.restarted_with(ring(&[K1, K2])).await.unwrap();
    assert_eq!(record(&*store).await.in_use, ids(&[K1]));
    assert_eq!(dcm.reencrypt(10).await.unwrap(), Step::Idle);
    assert_eq!(dcm.encryption().await.unwrap().unused(), [id(K2).as_str()]);
}
