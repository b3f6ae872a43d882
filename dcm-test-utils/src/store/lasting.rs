//! What a store promises that outlives its process.

use std::sync::Arc;

use dcm_core::store::{Error, Precondition, Store};
use futures_util::{StreamExt, future::join_all};

use super::{assert_conflict, get, key, names, numbered, put, scan, sized};

type AnyStore = Arc<dyn Store>;

/// What was acknowledged is there after the store was closed and opened, several times.
pub async fn acknowledged_writes_survive_reopening(open: impl AsyncFn() -> AnyStore) {
    let mut expected = Vec::new();
    for round in 0..4 {
        let store = open().await;
        let writes = (0..50).map(|n| {
            let store = Arc::clone(&store);
            async move {
                let (at, body) = (key(&format!("a/{round}/{n:02}")), numbered(n));
                store.put(&at, body, Precondition::Absent).await.map(|_| at)
            }
        });
        for at in join_all(writes).await {
            expected.push(at.expect("put"));
        }
        drop(store);
        let store = open().await;
        let found = scan(&*store, "a", None, 1000).await;
        let found: Vec<_> = found.into_iter().map(|d| d.key).collect();
        assert_eq!(found, expected);
    }
}

/// Bodies and revisions are the same after the store was closed and opened, and a write that was refused left no trace.
pub async fn documents_are_what_they_were_after_reopening(open: impl AsyncFn() -> AnyStore) {
    let store = open().await;
    for n in 0..10 {
        let body = sized(2 + (1 << n), 'x');
        let revision = put(&*store, &format!("a/{n}"), body, Precondition::Absent).await.expect("put");
        let again = put(&*store, &format!("a/{n}"), numbered(n), Precondition::Absent).await;
        assert_conflict(again, &format!("a/{n}"));
        if n % 2 == 0 {
            let at = Precondition::AtRevision(revision);
            put(&*store, &format!("a/{n}"), numbered(n), at).await.expect("put");
        }
    }
    let before = scan(&*store, "a", None, 100).await;
    drop(store);
    let store = open().await;
    assert_eq!(scan(&*store, "a", None, 100).await, before);
    for document in before {
        assert_eq!(store.get(&document.key).await.expect("get"), Some(document));
    }
}

/// What was deleted stays away.
pub async fn deletions_survive_reopening(open: impl AsyncFn() -> AnyStore) {
    let store = open().await;
    for n in 0..20 {
        let at = key(&format!("a/{n}"));
        let put = store.put(&at, numbered(n), Precondition::Absent).await;
        if n % 2 == 0 {
            let revision = put.expect("put");
            store.delete(&at, &revision).await.expect("delete");
        }
    }
    drop(store);
    let store = open().await;
    let found = scan(&*store, "a", None, 100).await;
    assert_eq!(found.len(), 10, "{:?}", names(&found));
    assert_eq!(get(&*store, "a/4").await, None);
}

/// Also across restarts no state of a key has the revision of an earlier one.
pub async fn revisions_go_on_after_reopening(open: impl AsyncFn() -> AnyStore) {
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..4 {
        let store = open().await;
        for n in 0..3 {
            let revision = put(&*store, "a/b", numbered(n), Precondition::Absent).await.expect("put");
            assert!(seen.insert(revision.to_string()), "{revision} came twice");
            store.delete(&key("a/b"), &revision).await.expect("delete");
        }
    }
}

/// A revision read before a restart is the precondition of a write after it.
pub async fn a_revision_from_before_is_still_the_precondition(open: impl AsyncFn() -> AnyStore) {
    let store = open().await;
    let revision = put(&*store, "a/b", numbered(1), Precondition::Absent).await.expect("put");
    drop(store);
    let store = open().await;
    let before = Precondition::AtRevision(revision);
    put(&*store, "a/b", numbered(2), before.clone()).await.expect("put");
    let late = put(&*store, "a/b", numbered(3), before).await;
    assert!(matches!(late, Err(Error::Conflict { .. })), "{late:?}");
}

/// A position from before a restart leads on without a gap, or is expired.
pub async fn a_position_from_before_resumes_or_is_expired(open: impl AsyncFn() -> AnyStore) {
    let store = open().await;
    let position = store.position().await.expect("position");
    put(&*store, "a/b", numbered(1), Precondition::Absent).await.expect("put");
    drop(store);
    let store = open().await;
    match store.watch(Some(&key("a")), Some(position)).await {
        Err(Error::Expired) => {}
        Ok(mut changes) => {
            let first = changes.next().await.expect("a change");
            first.expect("a change, not an error");
        }
        Err(other) => panic!("{other:?}"),
    }
}
