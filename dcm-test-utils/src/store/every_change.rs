//! What a store promises whose watches tell every single change.

use std::sync::Arc;

use dcm_core::store::{Change, Precondition, Store};
use futures_util::future::join_all;

use super::{
    key, numbered, put,
    watching::{assert_silent, insert, next, tell, told, watch},
};

type AnyStore = Arc<dyn Store>;

/// Puts, replacements and deletions arrive in the order in which they were made.
pub async fn a_watch_tells_puts_and_deletes_in_order(store: AnyStore) {
    let mut changes = watch(&*store, "a", None).await;
    let first = insert(&*store, "a/b", 1).await;
    let at = Precondition::AtRevision(first.clone());
    let second = put(&*store, "a/b", numbered(2), at).await.expect("put");
    insert(&*store, "a/c", 3).await;
    store.delete(&key("a/b"), &second).await.expect("delete");
    insert(&*store, "a/b", 4).await;
    match next(&mut changes).await.change {
        Change::Put(document) => assert_eq!(document.revision, first),
        other => panic!("{other:?}"),
    }
    assert_eq!(tell(&mut changes, 4).await, ["a/b=2", "a/c=3", "-a/b", "a/b=4"]);
    assert_silent(&mut changes).await;
}

/// What lies elsewhere, or is the prefix itself, is not told; nor is a write that did not happen.
pub async fn a_watch_tells_only_what_is_below_its_prefix(store: AnyStore) {
    let mut changes = watch(&*store, "a/b", None).await;
    for (n, at) in (0..).zip(["a", "a/b", "a/b/c", "a/bc", "b/c", "a/b-c/d", "a/b/c/d"]) {
        insert(&*store, at, n).await;
    }
    let again = put(&*store, "a/b/c", numbered(9), Precondition::Absent);
    again.await.expect_err("a conflict");
    assert_eq!(tell(&mut changes, 2).await, ["a/b/c=2", "a/b/c/d=6"]);
    assert_silent(&mut changes).await;
}

/// A watch from the position of an event goes on with the next one, in the middle of writes.
pub async fn a_watch_resumes_without_a_gap(store: AnyStore) {
    const WRITES: u64 = 300;
    let mut position = store.position().await.expect("position");
    let writer = tokio::spawn({
        let store = Arc::clone(&store);
        async move {
            for n in 0..WRITES {
                insert(&*store, &format!("a/{n}"), n).await;
                insert(&*store, &format!("b/{n}"), n).await;
            }
        }
    });
    let mut all = Vec::new();
    while all.len() < WRITES as usize {
        let mut changes = watch(&*store, "a", Some(position.clone())).await;
        let most = (WRITES as usize - all.len()).min(7);
        for _ in 0..most {
            let event = next(&mut changes).await;
            all.push(told(&event));
            position = event.position;
        }
    }
    writer.await.expect("the writer");
    let expected: Vec<_> = (0..WRITES).map(|n| format!("a/{n}={n}")).collect();
    assert_eq!(all, expected);
}

/// Several watches do not take changes from each other, and agree on the order.
pub async fn every_watch_gets_every_change(store: AnyStore) {
    const WRITES: usize = 100;
    let mut watches = Vec::new();
    for _ in 0..4 {
        let mut changes = watch(&*store, "a", None).await;
        watches.push(tokio::spawn(async move { tell(&mut changes, WRITES).await }));
    }
    let writes = (0..WRITES as u64).map(|n| {
        let store = Arc::clone(&store);
        tokio::spawn(async move { insert(&*store, &format!("a/{n}"), n).await })
    });
    for write in join_all(writes).await {
        write.expect("a write");
    }
    let all: Vec<_> = join_all(watches).await;
    let all: Vec<_> = all.into_iter().map(|told| told.expect("a watch")).collect();
    assert!(all.iter().all(|told| *told == all[0]), "the watches disagree");
    let mut sorted = all[0].clone();
    sorted.sort();
    sorted.dedup();
    assert_eq!(sorted.len(), WRITES);
}
