//! What every store promises about watches.

use std::{sync::Arc, time::Duration};

use dcm_core::store::{Change, Changes, Error, Event, Position, Precondition, Revision, Store};
use futures_util::{StreamExt, future::join_all};

use super::{key, number, numbered, put, scan};

type AnyStore = Arc<dyn Store>;

/// How many changes a store remembers at most that is tested for forgetting.
pub const SHORT_HISTORY: usize = 16;

/// How long a change may take to arrive, and how long none is waited for.
const PATIENCE: Duration = Duration::from_secs(20);
const SILENCE: Duration = Duration::from_millis(100);

async fn insert(store: &dyn Store, at: &str, n: u64) -> Revision {
    put(store, at, numbered(n), Precondition::Absent).await.expect("insert")
}

async fn watch(store: &dyn Store, prefix: &str, from: Option<Position>) -> Changes {
    store.watch(Some(&key(prefix)), from).await.expect("watch")
}

async fn next(changes: &mut Changes) -> Event {
    let next = tokio::time::timeout(PATIENCE, changes.next()).await;
    let event = next.expect("a change in time").expect("a change");
    event.expect("a change, not an error")
}

async fn assert_silent(changes: &mut Changes) {
    let next = tokio::time::timeout(SILENCE, changes.next()).await;
    assert!(next.is_err(), "nothing was expected: {next:?}");
}

/// A change as a text: `key=number` or `-key`.
fn told(event: &Event) -> String {
    match &event.change {
        Change::Put(document) => format!("{}={}", document.key, number(&document.body)),
        Change::Deleted(key) => format!("-{key}"),
    }
}

async fn tell(changes: &mut Changes, count: usize) -> Vec<String> {
    let mut all = Vec::new();
    while all.len() < count {
        all.push(told(&next(changes).await));
    }
    all
}

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

/// A watch without a position starts at the call, not at its first poll.
pub async fn a_watch_from_now_on_tells_nothing_old(store: AnyStore) {
    insert(&*store, "a/old", 1).await;
    let mut changes = watch(&*store, "a", None).await;
    insert(&*store, "a/new", 2).await;
    assert_eq!(tell(&mut changes, 1).await, ["a/new=2"]);
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

/// Each event's position leads to exactly the events after it.
pub async fn a_watch_resumes_after_each_of_its_events(store: AnyStore) {
    let start = store.position().await.expect("position");
    for n in 0..10 {
        insert(&*store, &format!("a/{n}"), n).await;
    }
    let mut changes = watch(&*store, "a", Some(start)).await;
    let mut events = Vec::new();
    for _ in 0..10 {
        events.push(next(&mut changes).await);
    }
    let all: Vec<_> = events.iter().map(told).collect();
    for (at, event) in events.iter().enumerate() {
        let mut rest = watch(&*store, "a", Some(event.position.clone())).await;
        assert_eq!(tell(&mut rest, 9 - at).await, all[at + 1..]);
    }
    let position = store.position().await.expect("position");
    let mut none = watch(&*store, "a", Some(position)).await;
    assert_silent(&mut none).await;
}

/// Position, scan, then watch from the position: together they come by everything.
pub async fn no_change_is_missed_between_a_scan_and_a_watch(store: AnyStore) {
    const WRITES: u64 = 200;
    let writers = (0..4).map(|writer| {
        let store = Arc::clone(&store);
        tokio::spawn(async move {
            for n in 0..WRITES / 4 {
                insert(&*store, &format!("a/{writer}-{n}"), n).await;
            }
        })
    });
    let writers: Vec<_> = writers.collect();
    for _ in 0..5 {
        let position = store.position().await.expect("position");
        let mut seen: std::collections::BTreeSet<_> =
            scan(&*store, "a", None, 1000).await.into_iter().map(|document| document.key).collect();
        let mut changes = watch(&*store, "a", Some(position)).await;
        while seen.len() < WRITES as usize {
            match next(&mut changes).await.change {
                Change::Put(document) => seen.insert(document.key),
                Change::Deleted(key) => panic!("{key} was not deleted"),
            };
        }
    }
    for writer in join_all(writers).await {
        writer.expect("a writer");
    }
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

/// A position that the store did not give out is refused as too old: scan, and start again.
pub async fn a_position_of_another_store_is_expired(store: AnyStore) {
    insert(&*store, "a/b", 1).await;
    for text in ["", "x", "0", "0-0", "1", "-1", "0123456789abcdef-1"] {
        let watch = store.watch(Some(&key("a")), Some(Position::new(text))).await;
        assert!(matches!(watch, Err(Error::Expired)), "{text:?}");
    }
}

/// A position whose changes are forgotten is expired; a younger one is not.
pub async fn too_old_a_position_is_expired(store: AnyStore) {
    let old = store.position().await.expect("position");
    for n in 0..=SHORT_HISTORY as u64 {
        insert(&*store, &format!("a/{n}"), n).await;
    }
    let watch_old = store.watch(Some(&key("a")), Some(old)).await;
    assert!(matches!(watch_old, Err(Error::Expired)));
    let young = store.position().await.expect("position");
    insert(&*store, "a/young", 1).await;
    let mut changes = watch(&*store, "a", Some(young)).await;
    assert_eq!(tell(&mut changes, 1).await, ["a/young=1"]);
}

/// A watch that is not read while its changes are forgotten says so, once, and ends: no silent gap.
pub async fn a_watch_that_falls_behind_expires_and_ends(store: AnyStore) {
    let mut changes = watch(&*store, "a", None).await;
    for n in 0..200 {
        insert(&*store, &format!("a/{n}"), n).await;
    }
    let mut expected = 0;
    loop {
        match changes.next().await {
            Some(Ok(event)) => {
                assert_eq!(told(&event), format!("a/{expected}={expected}"));
                expected += 1;
            }
            Some(Err(Error::Expired)) => break,
            other => panic!("{other:?}"),
        }
    }
    assert!(expected < 200, "nothing was forgotten");
    assert!(changes.next().await.is_none());
}
