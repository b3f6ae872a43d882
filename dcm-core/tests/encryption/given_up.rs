//! Keys that a pass gave up although somebody used them to the last.

use super::*;

/// A document that a server sealed with [`K1`] after that key was given up; it is ended before it notices.
async fn left_behind(f: &Fixture) -> Dcm {
    let old = f.restarted_with(ring(&[K1, K2])).await.unwrap();
    let new = f.restarted_with(ring(&[K2, K1])).await.unwrap();
    finish(&new, 100).await.unwrap();
    old.create_cluster(&provider("default"), cluster_input("c3").into()).await.unwrap();
    new
}

#[tokio::test]
async fn a_key_that_was_given_up_is_in_use_again_at_a_start_that_still_has_it() {
    let store = Arc::new(MemoryStore::new());
    let f = fixture(Arc::clone(&store) as _).await;
    left_behind(&f).await;
    assert_eq!((record(&*store).await.in_use, used(&*store).await), (ids(&[K2]), ids(&[K1, K2])));
    // The operator goes on with the old server.
    let restarted = f.restarted_with(ring(&[K2, K1])).await.unwrap();
    assert_eq!((record(&*store).await.in_use, record(&*store).await.given_up), (ids(&[K1, K2]), Vec::new()));
    let error = f.restarted_with(ring(&[K2])).await.unwrap_err();
    assert!(matches!(error, Error::Secret(SecretError::KeysMissing { .. })), "{error:?}");
    assert_eq!(finish(&restarted, 2).await.unwrap().reencrypted, 1);
    assert_eq!((used(&*store).await, record(&*store).await.in_use), (ids(&[K2]), ids(&[K2])));
    assert_works_with(&f, K2).await;
}

#[tokio::test]
async fn a_start_without_a_key_that_was_given_up_needs_it_no_more_and_does_not_forget_it() {
    let store = Arc::new(MemoryStore::new());
    let f = fixture(Arc::clone(&store) as _).await;
    let dcm = f.restarted_with(ring(&[K2, K1])).await.unwrap();
    finish(&dcm, 100).await.unwrap();
    // A key that is only prepared was never given up.
    let dcm = f.restarted_with(ring(&[K2, K3])).await.unwrap();
    assert_eq!(dcm.reencrypt(100).await.unwrap(), Step::Idle);
    let found = record(&*store).await;
    assert_eq!((found.in_use, found.given_up), (ids(&[K2]), vec![id(K1)]));
    f.restarted_with(ring(&[K2])).await.unwrap();
    // Another one may still have it.
    f.restarted_with(ring(&[K2, K1])).await.unwrap();
    assert_eq!(record(&*store).await.in_use, ids(&[K1, K2]));
}

#[tokio::test]
async fn who_gave_a_key_up_looks_once_more_for_what_was_sealed_with_it_to_the_last() {
    let store = Arc::new(MemoryStore::new());
    let f = fixture(Arc::clone(&store) as _).await;
    let new = left_behind(&f).await;
    assert_eq!(new.reencrypt(100).await.unwrap(), Step::Idle, "who still uses it may not have noticed yet");
    let mut passes = Vec::new();
    for _ in 0..4 {
        f.clock.advance(Duration::from_secs(121));
        passes.extend(finish(&new, 2).await.map(|pass| (pass.reencrypted, pass.settled)));
        assert_eq!(record(&*store).await.in_use, ids(&[K2]));
    }
    // As long as something is found, and no longer.
    assert_eq!(passes, [(1, false), (0, true)]);
    assert_eq!(used(&*store).await, ids(&[K2]));
    assert_works_with(&f, K2).await;
}

#[tokio::test]
async fn what_was_sealed_behind_the_pass_before_a_restart_is_found_before_the_key_goes() {
    let store = Arc::new(MemoryStore::new());
    let f = fixture(Arc::clone(&store) as _).await;
    let new = f.restarted_with(ring(&[K2, K1])).await.unwrap();
    let mut steps = 0;
    let checks_clusters = |step: Step| match step {
        Step::Working(pass) => {
            pass.phase == PassPhase::Checking && pass.position.is_some_and(|at| at.as_str().starts_with("credential"))
        }
        other => panic!("{other:?}"),
    };
    while !checks_clusters(new.reencrypt(1).await.unwrap()) {
        steps += 1;
        assert!(steps < MOST_STEPS, "the clusters are never checked");
    }
    f.dcm.create_cluster(&provider("default"), cluster_input("c3").into()).await.unwrap();
    f.restarted_with(ring(&[K2, K1])).await.unwrap();
    assert_eq!(finish(&new, 2).await.unwrap().reencrypted, 6);
    assert_eq!((used(&*store).await, record(&*store).await.in_use), (ids(&[K2]), ids(&[K2])));
}

#[tokio::test]
async fn a_key_that_was_given_up_too_early_is_in_use_again_where_its_document_is_met_without_it() {
    let store = Arc::new(MemoryStore::new());
    let f = fixture(Arc::clone(&store) as _).await;
    left_behind(&f).await;
    // Nobody has the old line any more when everything is looked at once more.
    let without = f.restarted_with(ring(&[K2])).await.unwrap();
    f.clock.advance(Duration::from_secs(121));
    let mut steps = 0;
    while without.reencrypt(2).await.unwrap() != Step::Missing(vec![id(K1)]) {
        steps += 1;
        assert!(steps < MOST_STEPS, "the document is never met");
    }
    assert_eq!(without.encryption().await.unwrap().in_use, ids(&[K1, K2]).into_iter().collect::<Vec<_>>());
    assert!(f.restarted_with(ring(&[K2])).await.is_err(), "it starts without a key that a document needs");
    let with = f.restarted_with(ring(&[K2, K1])).await.unwrap();
    assert_eq!(finish(&with, 2).await.map(|pass| (pass.reencrypted, pass.failed)), Some((1, 0)));
    assert_works_with(&f, K2).await;
}

#[tokio::test]
async fn who_lacks_a_key_in_use_leaves_the_pass_to_those_who_have_it() {
    let store = Arc::new(MemoryStore::new());
    let f = fixture(Arc::clone(&store) as _).await;
    left_behind(&f).await;
    let without = f.restarted_with(ring(&[K2])).await.unwrap();
    let with = f.restarted_with(ring(&[K2, K1])).await.unwrap();
    for _ in 0..MOST_STEPS {
        assert_eq!(without.reencrypt(2).await.unwrap(), Step::Missing(vec![id(K1)]));
        if let Step::Finished(pass) = with.reencrypt(2).await.unwrap() {
            assert_eq!((pass.reencrypted, pass.failed), (1, 0));
            break;
        }
    }
    assert_eq!((used(&*store).await, record(&*store).await.in_use), (ids(&[K2]), ids(&[K2])));
}

#[tokio::test]
async fn of_keys_that_were_given_up_only_the_last_are_remembered() {
    let store = Arc::new(MemoryStore::new());
    let f = fixture(Arc::clone(&store) as _).await;
    let mut full = record(&*store).await;
    full.given_up = (0..Encryption::MOST_GIVEN_UP).map(|n| n.to_string()).collect();
    let key = "encryption/this".parse().unwrap();
    store.remove(&key).await.unwrap();
    store.insert(&key, &full).await.unwrap();
    let dcm = f.restarted_with(ring(&[K2, K1])).await.unwrap();
    finish(&dcm, 100).await.unwrap();
    let given_up = record(&*store).await.given_up;
    assert_eq!((given_up.len(), &given_up[0]), (Encryption::MOST_GIVEN_UP, &"1".to_owned()));
    assert_eq!(given_up.last(), Some(&id(K1)));
}
