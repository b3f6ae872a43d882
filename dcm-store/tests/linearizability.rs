//! What sixteen clients and more see of each store could have happened one after the other; and the judge of that, like
//! the conformance suite, notices stores that are broken.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test that fails says where, and figures and histories are shown"
)]
#![cfg(feature = "memory")]

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use dcm_core::store::Store;
use dcm_store::memory::MemoryStore;
use dcm_test_utils::{
    broken::{BrokenStore, Fault, RestartingRevisions},
    linearizability::{LinearizabilityRun, Violation},
    store::{every_change_promises, promises},
};
use futures_util::future::join_all;

async fn assert_linearizable(name: &str, run: LinearizabilityRun, handles: &[Arc<dyn Store>]) {
    match run.across(handles).await {
        Ok(figures) => {
            assert!(figures.conflicts > figures.operations / 100, "hardly any contention: {figures}");
            println!("{name}, {} clients: {figures}", run.clients);
        }
        Err(violation) => panic!("{name}: {violation}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn memory_is_linearizable() {
    let run = LinearizabilityRun { clients: 32, hot: 8, operations: 30_000, ..LinearizabilityRun::default() };
    assert_linearizable("memory", run, &[Arc::new(MemoryStore::new())]).await;
}

#[cfg(feature = "sled")]
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn sled_is_linearizable() {
    let place = tempfile::tempdir().unwrap();
    let config = dcm_store::SledConfig::new(place.path());
    let store = dcm_store::open(dcm_store::Config::Sled(config)).await.unwrap();
    let run = LinearizabilityRun { clients: 32, hot: 8, operations: 20_000, ..LinearizabilityRun::default() };
    assert_linearizable("sled", run, &[store]).await;
}

#[cfg(feature = "mongodb")]
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn mongodb_is_linearizable() {
    let what = "the linearizability of the MongoDB store";
    let Some(uri) = dcm_test_utils::mongodb::fresh_database(what) else { return };
    let open = async || dcm_store::open(uri.parse().unwrap()).await.unwrap();
    let run = LinearizabilityRun { operations: 3_000, ..LinearizabilityRun::default() };
    assert_linearizable("MongoDB, two handles", run, &[open().await, open().await]).await;
}

/// Runs until the judge says that the store is broken.
async fn caught(store: impl Fn() -> Arc<dyn Store>) -> Box<Violation> {
    // One in a thousand may happen where nobody looks, and on a busy machine few deletions succeed at all; not for long.
    for seed in 0..40 {
        let run = LinearizabilityRun { operations: 25_000, seed, ..LinearizabilityRun::default() };
        if let Err(violation) = run.on(store()).await {
            return violation;
        }
    }
    panic!("nothing was noticed in a million operations");
}

async fn assert_caught(fault: Fault) {
    let violation = caught(|| Arc::new(BrokenStore::new(Arc::new(MemoryStore::new()), fault, 1_000))).await;
    println!("{fault:?}, one in a thousand: {violation}");
    assert!(violation.document.starts_with("hot/"));
    // A client that was held up overlaps with many operations of others.
    assert!((1..200).contains(&violation.window.len()), "the shown part is for people to read");
    assert!(violation.window.contains(&violation.culprit));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_lost_write_in_a_thousand_is_caught() {
    assert_caught(Fault::LosesWrites).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_write_in_a_thousand_that_comes_late_is_caught() {
    assert_caught(Fault::AppliesLate).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_stale_read_in_a_thousand_is_caught() {
    assert_caught(Fault::AnswersStale).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_second_winner_in_a_thousand_is_caught() {
    assert_caught(Fault::TwoWinners).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_conflict_in_a_thousand_that_writes_all_the_same_is_caught() {
    assert_caught(Fault::WritesOnConflict).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_deletion_in_a_thousand_that_does_not_happen_is_caught() {
    assert_caught(Fault::KeepsDeleted).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn revisions_that_start_over_are_caught() {
    let violation = caught(|| Arc::new(RestartingRevisions::new(Arc::new(MemoryStore::new())))).await;
    println!("revisions that start over: {violation}");
    assert!(violation.verdict.starts_with("a revision names two states"), "{violation}");
}

/// For each promise of the conformance suite something that breaks it: one such fault in so many occasions.
const BREAKS: &[(&str, Fault, u64)] = &[
    ("writing::reads_its_own_writes", Fault::AnswersStale, 1),
    ("writing::reads_its_own_writes", Fault::AppliesLate, 1),
    ("writing::reads_its_own_writes", Fault::LosesWrites, 1),
    ("writing::a_document_that_was_never_written_is_not_there", Fault::FindsWhatIsBelow, 1),
    ("writing::a_second_insert_is_a_conflict", Fault::TwoWinners, 1),
    ("writing::a_write_at_an_old_revision_is_a_conflict", Fault::TwoWinners, 1),
    ("writing::a_write_at_the_revision_of_another_store_is_a_conflict", Fault::TwoWinners, 1),
    ("writing::a_failed_precondition_changes_nothing", Fault::WritesOnConflict, 1),
    ("writing::delete_needs_the_revision", Fault::KeepsDeleted, 1),
    ("writing::what_is_deleted_is_gone_and_can_come_back", Fault::KeepsDeleted, 1),
    ("writing::writing_the_same_again_is_a_new_revision", Fault::SkipsTheSame, 1),
    ("writing::a_write_touches_its_own_document_only", Fault::DeletesBelow, 1),
    ("writing::a_store_that_works_is_ready", Fault::NeverReady, 1),
    ("racing::one_winner_per_revision", Fault::TwoWinners, 1),
    ("racing::one_winner_where_nothing_was", Fault::TwoWinners, 1),
    ("racing::concurrent_increments_lose_nothing", Fault::LosesWrites, 10),
    ("racing::readers_never_see_a_document_go_back", Fault::AnswersStale, 1),
    ("racing::a_large_document_is_replaced_as_a_whole", Fault::MixesStates, 1),
    ("racing::a_caller_that_goes_away_breaks_nothing", Fault::WritesOneAtATime, 1),
    ("racing::writes_of_different_documents_do_not_meet", Fault::WritesOneAtATime, 1),
    ("racing::crud_is_linearizable", Fault::LosesWrites, 50),
    ("scanning::scan_is_in_byte_order_of_segments", Fault::SortsTexts, 1),
    ("scanning::a_prefix_is_a_path_segment", Fault::TakesPrefixesForTexts, 1),
    ("scanning::scan_after_a_key_that_does_not_exist", Fault::SkipsInScans, 1),
    ("scanning::a_scan_answers_no_more_than_its_limit", Fault::ExceedsLimits, 1),
    ("scanning::pages_cover_everything_once", Fault::SkipsInScans, 3),
    ("scanning::a_scan_ends_with_the_document_that_reaches_its_bytes", Fault::ExceedsBytes, 1),
    ("scanning::pages_bounded_in_bytes_cover_everything_once", Fault::ExceedsBytes, 3),
    ("scanning::pages_bounded_in_bytes_cover_everything_once", Fault::SkipsInScans, 3),
    ("scanning::a_scan_answers_whole_documents", Fault::AnswersStale, 1),
    ("scanning::a_scan_without_a_prefix_sees_everything_in_order", Fault::SortsTexts, 1),
    ("scanning::a_scan_sees_what_was_written_and_deleted_before_it", Fault::KeepsDeleted, 1),
    ("scanning::scans_beside_writes_see_what_is_left_alone_once", Fault::SkipsInScans, 1),
    ("scanning::thousands_of_documents_are_paged", Fault::SkipsInScans, 2),
    ("shapes::every_json_shape_survives", Fault::RoundsNumbers, 1),
    ("shapes::every_name_survives", Fault::TakesPrefixesForTexts, 1),
    ("shapes::a_megabyte_survives", Fault::LosesWrites, 1),
    ("shapes::what_is_too_large_is_refused_and_changes_nothing", Fault::HidesWhatIsTooLarge, 1),
    ("shapes::compact_json_comes_back_byte_by_byte", Fault::RoundsNumbers, 1),
    ("watching::a_watch_comes_to_the_last_state_of_each_document", Fault::SkipsChanges, 1),
    ("watching::a_watch_tells_that_a_document_goes_and_comes_back", Fault::SkipsChanges, 1),
    ("watching::a_watch_tells_nothing_from_elsewhere", Fault::TellsTooMuch, 1),
    ("watching::a_watch_from_now_on_tells_nothing_old", Fault::TellsTheOld, 1),
    ("watching::a_watch_that_is_resumed_again_and_again_comes_to_the_last_states", Fault::SkipsChanges, 1),
    ("watching::a_watch_resumes_after_each_of_its_events", Fault::ForgetsPositions, 1),
    ("watching::no_change_is_missed_between_a_scan_and_a_watch", Fault::SkipsInScans, 1),
    ("watching::every_watch_comes_to_the_last_states", Fault::SkipsChanges, 1),
    ("watching::a_position_of_another_store_is_expired", Fault::TakesAnyPosition, 1),
    ("every_change::a_watch_tells_puts_and_deletes_in_order", Fault::SkipsChanges, 2),
    ("every_change::a_watch_tells_only_what_is_below_its_prefix", Fault::TellsTooMuch, 1),
    ("every_change::a_watch_resumes_without_a_gap", Fault::SkipsChanges, 20),
    ("every_change::every_watch_gets_every_change", Fault::SkipsChanges, 10),
];

/// Makes a store that is broken.
type Make = Box<dyn Fn() -> Arc<dyn Store>>;

/// How often a promise may be held against a broken store until it notices.
const TRIALS: u32 = 5;

const NEVER_REUSED: &str = "writing::a_revision_is_never_reused_after_delete_and_create";

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn each_promise_is_broken_by_a_fault_that_it_is_about() {
    let memory = || Arc::new(MemoryStore::new());
    let restarting: Make = Box::new(move || Arc::new(RestartingRevisions::new(memory())));
    let mut broken = vec![(NEVER_REUSED, "RestartingRevisions".to_owned(), restarting)];
    for &(promise, fault, one_in) in BREAKS {
        let make: Make = Box::new(move || Arc::new(BrokenStore::new(memory(), fault, one_in)));
        broken.push((promise, format!("{fault:?}"), make));
    }
    let promises: BTreeMap<_, _> = promises().into_iter().chain(every_change_promises()).collect();
    for name in promises.keys() {
        assert!(broken.iter().any(|(promise, ..)| promise == name), "nothing here breaks {name}");
    }
    // Some of them wait for a change that never comes, so that all go at once.
    let trials = broken.into_iter().map(|(name, fault, make)| {
        let promise = promises[name];
        async move {
            // What is a matter of who meets whom may take more than one trial on a busy machine.
            for _ in 0..TRIALS {
                // A task, so that a promise that is not kept ends itself only.
                let trial = tokio::time::timeout(Duration::from_secs(100), tokio::spawn(promise(make())));
                if trial.await.is_ok_and(|kept| kept.is_err_and(|error| error.is_panic())) {
                    return (name, fault, true);
                }
            }
            (name, fault, false)
        }
    });
    for (name, fault, noticed) in join_all(trials).await {
        assert!(noticed, "{name} does not notice {fault}");
        println!("{fault}: {name} says so");
    }
}
