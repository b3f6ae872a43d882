//! What a store promises that can be opened several times at once, by one process or by several.

use std::{collections::BTreeSet, sync::Arc};

use dcm_core::store::{Precondition, Store};
use futures_util::future::join_all;

use crate::linearizability::LinearizabilityRun;

use super::{assert_conflict, get, insert, key, numbered, put, replace, scan};

type AnyStore = Arc<dyn Store>;

/// What was acknowledged through one handle is what every later read through another answers.
pub async fn what_one_handle_wrote_every_other_reads(open: impl AsyncFn() -> AnyStore) {
    let (one, other) = (open().await, open().await);
    let mut revision = insert(&*one, "a/b", numbered(0)).await;
    for n in 1..50 {
        let (writer, reader) = if n % 2 == 0 { (&one, &other) } else { (&other, &one) };
        revision = replace(&**writer, "a/b", numbered(n), &revision).await;
        let read = get(&**reader, "a/b").await.expect("the document");
        assert_eq!((read.body, &read.revision), (numbered(n), &revision));
        assert_eq!(scan(&**reader, "a", None, 10).await[0].revision, revision);
    }
    other.delete(&key("a/b"), &revision).await.expect("delete");
    assert_eq!(get(&*one, "a/b").await, None);
}

/// Of many that write under one precondition, each through a handle of its own, exactly one does.
pub async fn one_winner_among_handles(open: impl AsyncFn() -> AnyStore) {
    let handles = join_all((0..4).map(|_| open())).await;
    let mut precondition = Precondition::Absent;
    for _ in 0..20 {
        let writes = handles.iter().zip(0..).map(|(store, n)| put(&**store, "a/b", numbered(n), precondition.clone()));
        let mut winners = Vec::new();
        for result in join_all(writes).await {
            match result {
                Ok(revision) => winners.push(revision),
                lost => assert_conflict(lost, "a/b"),
            }
        }
        assert_eq!(winners.len(), 1, "{winners:?}");
        precondition = Precondition::AtRevision(winners.remove(0));
    }
}

/// Also where handles take turns no state of a key has the revision of an earlier one.
pub async fn handles_never_use_a_revision_twice(open: impl AsyncFn() -> AnyStore) {
    let handles = join_all((0..3).map(|_| open())).await;
    let mut seen = BTreeSet::new();
    for store in handles.iter().cycle().take(30) {
        let revision = insert(&**store, "a/b", numbered(1)).await;
        assert!(seen.insert(revision.to_string()), "{revision} came twice");
        store.delete(&key("a/b"), &revision).await.expect("delete");
    }
}

/// What clients see who use different handles could have happened one after the other.
pub async fn crud_through_several_handles_is_linearizable(open: impl AsyncFn() -> AnyStore) {
    let handles = join_all((0..4).map(|_| open())).await;
    if let Err(violation) = LinearizabilityRun::default().across(&handles).await {
        panic!("{violation}");
    }
}
