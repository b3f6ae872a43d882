//! What every store promises about watches.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use dcm_core::store::{Change, Changes, Error, Event, Position, Precondition, Revision, Store};
use futures_util::{StreamExt, future::join_all};

use super::{key, number, numbered, put, replace, scan};

type AnyStore = Arc<dyn Store>;

/// How many changes a store remembers at most that is tested for forgetting.
pub const SHORT_HISTORY: usize = 16;

/// How long a change may take to arrive, and how long none is waited for.
const PATIENCE: Duration = Duration::from_secs(20);
const SILENCE: Duration = Duration::from_millis(100);

pub(super) async fn insert(store: &dyn Store, at: &str, n: u64) -> Revision {
    put(store, at, numbered(n), Precondition::Absent).await.expect("insert")
}

pub(super) async fn watch(store: &dyn Store, prefix: &str, from: Option<Position>) -> Changes {
    store.watch(Some(&key(prefix)), from).await.expect("watch")
}

pub(super) async fn next(changes: &mut Changes) -> Event {
    let next = tokio::time::timeout(PATIENCE, changes.next()).await;
    let event = next.expect("a change in time").expect("a change");
    event.expect("a change, not an error")
}

pub(super) async fn assert_silent(changes: &mut Changes) {
    let next = tokio::time::timeout(SILENCE, changes.next()).await;
    assert!(next.is_err(), "nothing was expected: {next:?}");
}

/// A change as a text: `key=number` or `-key`.
pub(super) fn told(event: &Event) -> String {
    match &event.change {
        Change::Put(document) => format!("{}={}", document.key, number(&document.body)),
        Change::Deleted(key) => format!("-{key}"),
    }
}

pub(super) async fn tell(changes: &mut Changes, count: usize) -> Vec<String> {
    let mut all = Vec::new();
    while all.len() < count {
        all.push(told(&next(changes).await));
    }
    all
}

/// How the documents of [`Busy`] are left: their numbers, or `None` where they are deleted.
type Last = BTreeMap<String, Option<u64>>;

/// Documents that are written side by side, each numbered upwards, until every other one is deleted.
struct Busy {
    writers: Vec<tokio::task::JoinHandle<(String, Option<u64>)>>,
}

impl Busy {
    const DOCUMENTS: u64 = 8;
    const WRITES: u64 = 20;

    /// Makes the documents, so that a watch from now on has to tell their deletion.
    async fn prepare(store: &dyn Store) -> Vec<Revision> {
        let mut revisions = Vec::new();
        for document in 0..Self::DOCUMENTS {
            revisions.push(insert(store, &format!("a/{document}"), 0).await);
        }
        revisions
    }

    fn start(store: &AnyStore, revisions: Vec<Revision>) -> Self {
        let writers = (0..).zip(revisions).map(|(document, mut revision): (u64, _)| {
            let store = Arc::clone(store);
            tokio::spawn(async move {
                let at = format!("a/{document}");
                for n in 1..=Self::WRITES {
                    revision = replace(&*store, &at, numbered(n), &revision).await;
                }
                if document % 2 == 0 {
                    return (at, Some(Self::WRITES));
                }
                store.delete(&key(&at), &revision).await.expect("delete");
                (at, None)
            })
        });
        Self { writers: writers.collect() }
    }

    async fn left(self) -> Last {
        join_all(self.writers).await.into_iter().map(|left| left.expect("a writer")).collect()
    }
}

/// What one reader was told of each document: its states in order, each once.
#[derive(Default)]
struct Told(Last);

impl Told {
    fn hear(&mut self, event: &Event) {
        match &event.change {
            Change::Put(document) => {
                let new = number(&document.body);
                match self.0.insert(document.key.to_string(), Some(new)) {
                    Some(Some(old)) => assert!(old < new, "{} went from {old} to {new}", document.key),
                    Some(None) => panic!("{} came back", document.key),
                    None => assert!(new > 0, "{} is told as it was before", document.key),
                }
            }
            Change::Deleted(key) => {
                let before = self.0.insert(key.to_string(), None);
                assert_ne!(before, Some(None), "{key} was deleted twice");
            }
        }
    }

    /// Listens until it knows how the documents were left.
    async fn reach(&mut self, changes: &mut Changes, last: &Last) {
        while self.0 != *last {
            self.hear(&next(changes).await);
        }
    }
}

/// However writes are merged: the last state of each document arrives, deletions included, and nothing older after it.
pub async fn a_watch_comes_to_the_last_state_of_each_document(store: AnyStore) {
    let revisions = Busy::prepare(&*store).await;
    let mut changes = watch(&*store, "a", None).await;
    let busy = Busy::start(&store, revisions);
    let mut told = Told::default();
    // Some of it while it happens.
    for _ in 0..Busy::DOCUMENTS {
        told.hear(&next(&mut changes).await);
    }
    told.reach(&mut changes, &busy.left().await).await;
    assert_silent(&mut changes).await;
}

/// Each step that is waited for is told, with the revision that the write answered.
pub async fn a_watch_tells_that_a_document_goes_and_comes_back(store: AnyStore) {
    let mut changes = watch(&*store, "a", None).await;
    for n in 0..5 {
        let revision = insert(&*store, "a/b", n).await;
        match next(&mut changes).await.change {
            Change::Put(document) => assert_eq!((document.revision, number(&document.body)), (revision.clone(), n)),
            other => panic!("{other:?}"),
        }
        store.delete(&key("a/b"), &revision).await.expect("delete");
        assert_eq!(tell(&mut changes, 1).await, ["-a/b"]);
    }
    assert_silent(&mut changes).await;
}

/// What lies elsewhere, or is the prefix itself, is not told; nor is a write that did not happen.
pub async fn a_watch_tells_nothing_from_elsewhere(store: AnyStore) {
    let mut changes = watch(&*store, "a/b", None).await;
    for (n, at) in (0..).zip(["a", "a/b", "a/b/c", "a/bc", "b/c", "a/b-c/d", "a/b/c/d"]) {
        insert(&*store, at, n).await;
    }
    let again = put(&*store, "a/b/c", numbered(9), Precondition::Absent);
    again.await.expect_err("a conflict");
    let mut both = tell(&mut changes, 2).await;
    both.sort();
    assert_eq!(both, ["a/b/c/d=6", "a/b/c=2"]);
    assert_silent(&mut changes).await;
}

/// A watch that is left and resumed from its last event, in the middle of writes, misses no last state and repeats none.
pub async fn a_watch_that_is_resumed_again_and_again_comes_to_the_last_states(store: AnyStore) {
    let revisions = Busy::prepare(&*store).await;
    let mut position = store.position().await.expect("position");
    let busy = Busy::start(&store, revisions);
    let mut told = Told::default();
    // Some of it while it happens.
    for _ in 0..Busy::DOCUMENTS {
        position = resume(&store, position, &mut told).await;
    }
    let last = busy.left().await;
    while told.0 != last {
        position = resume(&store, position, &mut told).await;
    }
    let mut changes = watch(&*store, "a", Some(position)).await;
    assert_silent(&mut changes).await;
}

/// Hears one more event of a new watch; answers its position.
async fn resume(store: &AnyStore, position: Position, told: &mut Told) -> Position {
    let mut changes = watch(&**store, "a", Some(position)).await;
    let event = next(&mut changes).await;
    told.hear(&event);
    event.position
}

/// Several watches do not take changes from each other.
pub async fn every_watch_comes_to_the_last_states(store: AnyStore) {
    let revisions = Busy::prepare(&*store).await;
    let mut watches = Vec::new();
    for _ in 0..4 {
        watches.push(watch(&*store, "a", None).await);
    }
    let last = Busy::start(&store, revisions).left().await;
    for changes in &mut watches {
        Told::default().reach(changes, &last).await;
    }
}

/// A watch without a position starts at the call, not at its first poll.
pub async fn a_watch_from_now_on_tells_nothing_old(store: AnyStore) {
    insert(&*store, "a/old", 1).await;
    let mut changes = watch(&*store, "a", None).await;
    insert(&*store, "a/new", 2).await;
    assert_eq!(tell(&mut changes, 1).await, ["a/new=2"]);
    assert_silent(&mut changes).await;
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
