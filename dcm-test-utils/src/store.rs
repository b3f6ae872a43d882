//! The conformance suite for stores: what [`Store`] promises, one test for each promise.
//!
//! A backend runs it with three lines in one of its `tests/*.rs`; it needs `tokio` with `macros` and
//! `rt-multi-thread` among its dev-dependencies.
//!
//! ```text
//! async fn empty() -> (Arc<dyn Store>, Guard) { … }
//! dcm_test_utils::store_conformance!(empty);
//! ```
//!
//! The factory answers an empty store, and something that is held until the test is over (a temporary
//! directory, or `()`). It is called once for each test. The promises themselves are plain functions in
//! the modules here for whoever wants to run them otherwise.

#![allow(clippy::expect_used, clippy::panic, reason = "a promise that is not kept ends its test")]

pub mod every_change;
pub mod lasting;
pub mod racing;
pub mod scanning;
pub mod shapes;
pub mod sharing;
pub mod watching;
pub mod writing;

use std::{sync::Arc, time::Duration};

use dcm_core::store::{Body, Document, Error, Key, Precondition, Revision, Scan, Store};
use futures_util::future::BoxFuture;

/// Makes a test of every promise that all stores give.
///
/// `store_conformance!(empty)` takes an async function that answers `(Arc<dyn Store>, impl Any)`, or an `Option` of
/// that: `None`, which it should explain, leaves the suite out.
#[macro_export]
macro_rules! store_conformance {
    ($empty:path) => {
        $crate::store_promises!(store_conformance @rooms $empty,);
    };
    (@rooms $empty:path, $($room:ident { $($promise:ident)* })*) => {
        $( $crate::store_conformance!(@tests $empty, $room, $($promise)*); )*
    };
    (@tests $empty:path, $room:ident, $($promise:ident)*) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
            async fn $promise() {
                let Some((store, _guard)) = $crate::store::found($empty().await) else { return };
                $crate::store::in_time($crate::store::$room::$promise(store)).await;
            }
        )*
    };
}

/// Makes a test of every promise of a store whose watches tell every single change, in the order in which it made them.
///
/// `every_change_store_conformance!(empty)` takes what [`store_conformance!`] takes, and is run beside it.
#[macro_export]
macro_rules! every_change_store_conformance {
    ($empty:path) => {
        $crate::every_change_promises!(store_conformance @rooms $empty,);
    };
}

/// Hands the names of the promises of every single change to another macro.
#[doc(hidden)]
#[macro_export]
macro_rules! every_change_promises {
    ($then:ident $($to:tt)*) => {
        $crate::$then! {
            $($to)*
            every_change {
                a_watch_tells_puts_and_deletes_in_order
                a_watch_tells_only_what_is_below_its_prefix
                a_watch_resumes_without_a_gap
                every_watch_gets_every_change
            }
        }
    };
}

/// Hands the names of the promises that all stores give to another macro.
#[doc(hidden)]
#[macro_export]
macro_rules! store_promises {
    ($then:ident $($to:tt)*) => {
        $crate::$then! {
            $($to)*
            writing {
                reads_its_own_writes
                a_document_that_was_never_written_is_not_there
                a_second_insert_is_a_conflict
                a_write_at_an_old_revision_is_a_conflict
                a_write_at_the_revision_of_another_store_is_a_conflict
                a_failed_precondition_changes_nothing
                delete_needs_the_revision
                what_is_deleted_is_gone_and_can_come_back
                a_revision_is_never_reused_after_delete_and_create
                writing_the_same_again_is_a_new_revision
                a_store_that_works_is_ready
                a_write_touches_its_own_document_only
            }
            racing {
                one_winner_per_revision
                one_winner_where_nothing_was
                concurrent_increments_lose_nothing
                readers_never_see_a_document_go_back
                a_large_document_is_replaced_as_a_whole
                a_caller_that_goes_away_breaks_nothing
                writes_of_different_documents_do_not_meet
                crud_is_linearizable
            }
            scanning {
                scan_is_in_byte_order_of_segments
                a_prefix_is_a_path_segment
                scan_after_a_key_that_does_not_exist
                a_scan_answers_no_more_than_its_limit
                a_scan_ends_with_the_document_that_reaches_its_bytes
                pages_cover_everything_once
                pages_bounded_in_bytes_cover_everything_once
                a_scan_answers_whole_documents
                a_scan_without_a_prefix_sees_everything_in_order
                a_scan_sees_what_was_written_and_deleted_before_it
                scans_beside_writes_see_what_is_left_alone_once
                thousands_of_documents_are_paged
            }
            shapes {
                every_json_shape_survives
                every_name_survives
                a_megabyte_survives
                what_is_too_large_is_refused_and_changes_nothing
                compact_json_comes_back_byte_by_byte
            }
            watching {
                a_watch_comes_to_the_last_state_of_each_document
                a_watch_tells_that_a_document_goes_and_comes_back
                a_watch_tells_nothing_from_elsewhere
                a_watch_from_now_on_tells_nothing_old
                a_watch_that_is_resumed_again_and_again_comes_to_the_last_states
                a_watch_resumes_after_each_of_its_events
                no_change_is_missed_between_a_scan_and_a_watch
                every_watch_comes_to_the_last_states
                a_position_of_another_store_is_expired
            }
        }
    };
}

/// A promise that all stores give: its room and name, and what holds a store to it.
pub type Promise = (&'static str, fn(Arc<dyn Store>) -> BoxFuture<'static, ()>);

/// A list of the promises that it is handed.
#[doc(hidden)]
#[macro_export]
macro_rules! list_of_promises {
    ($($room:ident { $($promise:ident)* })*) => {
        vec![$($((
            concat!(stringify!($room), "::", stringify!($promise)),
            |store| Box::pin($crate::store::$room::$promise(store)),
        ),)*)*]
    };
}

/// All promises that all stores give, for whoever wants to run them otherwise than as tests.
#[must_use]
pub fn promises() -> Vec<Promise> {
    crate::store_promises!(list_of_promises)
}

/// All promises of a store whose watches tell every single change.
#[must_use]
pub fn every_change_promises() -> Vec<Promise> {
    crate::every_change_promises!(list_of_promises)
}

/// Makes a test of every promise of a store that forgets old changes and can be told how soon.
///
/// `forgetful_store_conformance!(empty)` takes an async function that answers `(Arc<dyn Store>, impl Any)`, a
/// store that remembers at most [`watching::SHORT_HISTORY`] changes.
#[macro_export]
macro_rules! forgetful_store_conformance {
    ($empty:path) => {
        $crate::store_conformance!(@tests $empty, watching,
            too_old_a_position_is_expired
            a_watch_that_falls_behind_expires_and_ends
        );
    };
}

/// Makes a test of every promise of a store that outlives its process.
///
/// `lasting_store_conformance!(place, open)` takes a function that answers a place for an empty store, and an
/// async function that opens the store in a place (`&P`) as `Arc<dyn Store>`, several times one after the other. The
/// first may answer an `Option`: `None`, which it should explain, leaves the suite out.
#[macro_export]
macro_rules! lasting_store_conformance {
    ($place:path, $open:path) => {
        $crate::lasting_store_conformance!(@tests $place, $open, lasting,
            acknowledged_writes_survive_reopening
            documents_are_what_they_were_after_reopening
            deletions_survive_reopening
            revisions_go_on_after_reopening
            a_revision_from_before_is_still_the_precondition
            a_position_from_before_resumes_or_is_expired
        );
    };
    (@tests $place:path, $open:path, $room:ident, $($promise:ident)*) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
            async fn $promise() {
                let Some(place) = $place().into() else { return };
                let open = async || $open(&place).await;
                $crate::store::in_time($crate::store::$room::$promise(open)).await;
            }
        )*
    };
}

/// Makes a test of every promise of a store that can be opened several times at once.
///
/// `shared_store_conformance!(place, open)` takes what [`lasting_store_conformance!`](crate::lasting_store_conformance)
/// does; the second is called again while what it answered before is in use.
#[macro_export]
macro_rules! shared_store_conformance {
    ($place:path, $open:path) => {
        $crate::lasting_store_conformance!(@tests $place, $open, sharing,
            what_one_handle_wrote_every_other_reads
            one_winner_among_handles
            handles_never_use_a_revision_twice
            crud_through_several_handles_is_linearizable
        );
    };
}

/// What a factory answered, where it could make a store at all.
#[doc(hidden)]
pub fn found<G>(made: impl Into<Option<(Arc<dyn Store>, G)>>) -> Option<(Arc<dyn Store>, G)> {
    made.into()
}

/// Ends a test of a store that does not answer.
#[doc(hidden)]
pub async fn in_time(promise: impl Future<Output = ()>) {
    let kept = tokio::time::timeout(Duration::from_secs(300), promise).await;
    kept.expect("the store answers in time");
}

pub(crate) fn key(text: &str) -> Key {
    text.parse().expect("a key")
}

fn json(value: &serde_json::Value) -> Body {
    Body::from_json(value.to_string().into_bytes())
}

/// A small body that differs from that of every other number.
pub(crate) fn numbered(number: u64) -> Body {
    json(&serde_json::json!({ "number": number }))
}

pub(crate) fn number(body: &Body) -> u64 {
    let value: serde_json::Value = serde_json::from_slice(body.as_bytes()).expect("JSON");
    value["number"].as_u64().expect("a number")
}

async fn put(store: &dyn Store, at: &str, body: Body, precondition: Precondition) -> Result<Revision, Error> {
    store.put(&key(at), body, precondition).await
}

async fn get(store: &dyn Store, at: &str) -> Option<Document> {
    store.get(&key(at)).await.expect("get")
}

async fn scan(store: &dyn Store, prefix: &str, after: Option<&str>, limit: usize) -> Vec<Document> {
    let scan = Scan::below(key(prefix), limit).after(after.map(key));
    store.scan(scan).await.expect("scan")
}

fn names(documents: &[Document]) -> Vec<&str> {
    documents.iter().map(|d| d.key.as_str()).collect()
}

async fn insert(store: &dyn Store, at: &str, body: Body) -> Revision {
    put(store, at, body, Precondition::Absent).await.expect("insert")
}

async fn replace(store: &dyn Store, at: &str, body: Body, revision: &Revision) -> Revision {
    let precondition = Precondition::AtRevision(revision.clone());
    put(store, at, body, precondition).await.expect("replace")
}

fn assert_conflict<T: std::fmt::Debug>(result: Result<T, Error>, at: &str) {
    match result {
        Err(Error::Conflict { key: named }) => assert_eq!(named, key(at)),
        other => panic!("not a conflict: {other:?}"),
    }
}

/// A JSON string of so many bytes.
fn sized(bytes: usize, letter: char) -> Body {
    let text = letter.to_string().repeat(bytes - 2);
    Body::from_json(format!("\"{text}\"").into_bytes())
}
