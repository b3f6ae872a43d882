//! What every store promises about one document and its revisions.

use std::{collections::BTreeSet, sync::Arc};

use dcm_core::store::{Precondition, Revision, Store};

use super::{assert_conflict, get, insert, key, names, numbered, put, replace, scan};

type AnyStore = Arc<dyn Store>;

/// What was written is read, with the revision that the write answered.
pub async fn reads_its_own_writes(store: AnyStore) {
    let mut revision = insert(&*store, "a/b", numbered(0)).await;
    for n in 1..50 {
        revision = replace(&*store, "a/b", numbered(n), &revision).await;
        let read = get(&*store, "a/b").await.expect("the document");
        assert_eq!((read.body, read.revision), (numbered(n), revision.clone()));
        assert_eq!(read.key, key("a/b"));
        let scanned = scan(&*store, "a", None, 10).await;
        assert_eq!(scanned[0].revision, revision);
    }
}

/// There is nothing where nothing was written.
pub async fn a_document_that_was_never_written_is_not_there(store: AnyStore) {
    insert(&*store, "a/b", numbered(1)).await;
    for at in ["a", "a/c", "a/b/c", "b", "a/bb"] {
        assert_eq!(get(&*store, at).await, None, "{at}");
    }
    assert_eq!(scan(&*store, "b", None, 10).await, []);
}

/// Only the first of two inserts happens.
pub async fn a_second_insert_is_a_conflict(store: AnyStore) {
    insert(&*store, "a/b", numbered(1)).await;
    let second = put(&*store, "a/b", numbered(2), Precondition::Absent);
    assert_conflict(second.await, "a/b");
}

/// A revision that is no longer the document's is a conflict.
pub async fn a_write_at_an_old_revision_is_a_conflict(store: AnyStore) {
    let first = insert(&*store, "a/b", numbered(1)).await;
    replace(&*store, "a/b", numbered(2), &first).await;
    let late = Precondition::AtRevision(first);
    assert_conflict(put(&*store, "a/b", numbered(3), late).await, "a/b");
}

/// A revision that the store never gave out is a conflict, not an error of another kind.
pub async fn a_write_at_the_revision_of_another_store_is_a_conflict(store: AnyStore) {
    let real = insert(&*store, "a/b", numbered(1)).await;
    for text in ["", "x", "0", "-1", "99999999999999999999999", "é", "null"] {
        let foreign = Revision::new(text);
        assert_ne!(foreign, real);
        let at = Precondition::AtRevision(foreign.clone());
        assert_conflict(put(&*store, "a/b", numbered(2), at.clone()).await, "a/b");
        assert_conflict(put(&*store, "a/c", numbered(2), at).await, "a/c");
        assert_conflict(store.delete(&key("a/b"), &foreign).await, "a/b");
    }
    let padded = Revision::new(format!("0{real}"));
    assert_conflict(store.delete(&key("a/b"), &padded).await, "a/b");
}

/// A conflict leaves the document as it was.
pub async fn a_failed_precondition_changes_nothing(store: AnyStore) {
    let first = insert(&*store, "a/b", numbered(1)).await;
    let second = replace(&*store, "a/b", numbered(2), &first).await;
    let before = get(&*store, "a/b").await;
    let late = Precondition::AtRevision(first.clone());
    assert_conflict(put(&*store, "a/b", numbered(3), Precondition::Absent).await, "a/b");
    assert_conflict(put(&*store, "a/b", numbered(3), late.clone()).await, "a/b");
    assert_conflict(put(&*store, "a/c", numbered(3), late).await, "a/c");
    assert_conflict(store.delete(&key("a/b"), &first).await, "a/b");
    assert_eq!(get(&*store, "a/b").await, before);
    assert_eq!(get(&*store, "a/c").await, None);
    replace(&*store, "a/b", numbered(4), &second).await;
}

/// A deletion at another revision, or of nothing, is a conflict.
pub async fn delete_needs_the_revision(store: AnyStore) {
    let first = insert(&*store, "a/b", numbered(1)).await;
    let second = replace(&*store, "a/b", numbered(2), &first).await;
    assert_conflict(store.delete(&key("a/b"), &first).await, "a/b");
    assert_conflict(store.delete(&key("a/c"), &second).await, "a/c");
    store.delete(&key("a/b"), &second).await.expect("delete");
    assert_conflict(store.delete(&key("a/b"), &second).await, "a/b");
}

/// A deletion removes from reads and scans, and makes room for an insert.
pub async fn what_is_deleted_is_gone_and_can_come_back(store: AnyStore) {
    let revision = insert(&*store, "a/b", numbered(1)).await;
    insert(&*store, "a/b/c", numbered(2)).await;
    store.delete(&key("a/b"), &revision).await.expect("delete");
    assert_eq!(get(&*store, "a/b").await, None);
    assert_eq!(names(&scan(&*store, "a", None, 10).await), ["a/b/c"]);
    insert(&*store, "a/b", numbered(3)).await;
    assert_eq!(names(&scan(&*store, "a", None, 10).await), ["a/b", "a/b/c"]);
}

/// No state of a key ever has the revision of an earlier one.
pub async fn a_revision_is_never_reused_after_delete_and_create(store: AnyStore) {
    let mut seen = BTreeSet::new();
    for round in 0..20 {
        let mut revision = insert(&*store, "a/b", numbered(1)).await;
        for _ in 0..round % 3 {
            assert!(seen.insert(revision.to_string()), "{revision} came twice");
            revision = replace(&*store, "a/b", numbered(2), &revision).await;
        }
        assert!(seen.insert(revision.to_string()), "{revision} came twice");
        store.delete(&key("a/b"), &revision).await.expect("delete");
    }
    insert(&*store, "a/b", numbered(1)).await;
    for text in seen {
        let old = Precondition::AtRevision(Revision::new(text));
        assert_conflict(put(&*store, "a/b", numbered(3), old).await, "a/b");
    }
}

/// Also a write that changes no byte makes a new state.
pub async fn writing_the_same_again_is_a_new_revision(store: AnyStore) {
    let first = insert(&*store, "a/b", numbered(1)).await;
    let second = replace(&*store, "a/b", numbered(1), &first).await;
    assert_ne!(first, second);
    let read = get(&*store, "a/b").await.expect("the document");
    assert_eq!(read.revision, second);
}

/// A write of a document leaves those above, below and beside it as they are.
pub async fn a_write_touches_its_own_document_only(store: AnyStore) {
    let others = ["a", "a/b/c", "a/bc", "a/b-c", "b", "a/b/c/d"];
    for (n, at) in (0..).zip(others) {
        insert(&*store, at, numbered(n)).await;
    }
    let mut before = Vec::new();
    for at in others {
        before.push(get(&*store, at).await.expect("the document"));
    }
    let first = insert(&*store, "a/b", numbered(100)).await;
    let second = replace(&*store, "a/b", numbered(101), &first).await;
    store.delete(&key("a/b"), &second).await.expect("delete");
    for (at, before) in others.into_iter().zip(before) {
        assert_eq!(get(&*store, at).await, Some(before));
    }
}

/// A store that works says so.
pub async fn a_store_that_works_is_ready(store: AnyStore) {
    store.ready().await.expect("ready");
    insert(&*store, "a/b", numbered(1)).await;
    store.ready().await.expect("ready");
}
