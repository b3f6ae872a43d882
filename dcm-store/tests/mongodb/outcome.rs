//! What is said of a write is true, whatever became of its answer.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use dcm_core::store::{Error, Precondition, Revision, Store};
use dcm_store::mongodb::MongoStore;
use dcm_test_utils::{
    cutter::{Cut, Cutter},
    mongodb::fresh_database,
};
use mongodb::{
    bson::doc,
    event::{EventHandler, command::CommandEvent},
};
use tokio::{task::JoinSet, time::Instant};

use crate::support::{BOUND, Bed, body, is_of_the_server, key, open, quick, read};

const WHAT: &str = "writes whose answer is lost";

/// The names of commands as they stand in requests.
const INSERT: &[u8] = b"\x02insert\0";
const UPDATE: &[u8] = b"\x02update\0";
const DELETE: &[u8] = b"\x02delete\0";

/// A store that goes on for as long as it takes: after each failure, the driver looks at its server before it sends again.
async fn patient(uri: &str, attempt: Duration) -> MongoStore {
    let mut config = quick(uri);
    config.attempt = attempt;
    config.deadline = Duration::from_secs(60);
    MongoStore::open(config).await.unwrap()
}

async fn create(store: &MongoStore, name: &str, n: u64) -> Result<Revision, Error> {
    store.put(&key(name), body(n), Precondition::Absent).await
}

async fn replace(store: &MongoStore, name: &str, n: u64, at: &Revision) -> Result<Revision, Error> {
    store.put(&key(name), body(n), Precondition::AtRevision(at.clone())).await
}

#[tokio::test]
async fn a_write_whose_answer_was_cut_off_is_known_to_have_happened() {
    let Some(bed) = Bed::start(&[], WHAT).await else { return };
    let cutter = Cutter::before(bed.server.port()).await;
    let store = patient(&bed.through(cutter.port()), Duration::from_secs(10)).await;
    // The driver itself repeats a write once.
    for times in 1..=4 {
        let name = format!("a/{times}");
        cutter.cut(Cut::Answer, INSERT, times);
        let first = create(&store, &name, 1).await.unwrap();
        assert_eq!((cutter.done(), read(&store, &key(&name)).await), (times, Some((1, first.as_str().to_owned()))));
        cutter.cut(Cut::Answer, UPDATE, times);
        let second = replace(&store, &name, 2, &first).await.unwrap();
        assert_eq!((cutter.done(), read(&store, &key(&name)).await), (times, Some((2, second.as_str().to_owned()))));
        assert!(matches!(replace(&store, &name, 3, &first).await, Err(Error::Conflict { .. })));
        assert!(matches!(create(&store, &name, 3).await, Err(Error::Conflict { .. })));
    }
}

#[tokio::test]
async fn a_deletion_whose_answer_was_cut_off_is_known_to_have_happened() {
    let Some(bed) = Bed::start(&[], WHAT).await else { return };
    let cutter = Cutter::before(bed.server.port()).await;
    let store = patient(&bed.through(cutter.port()), Duration::from_secs(10)).await;
    for times in 1..=3 {
        let name = format!("a/{times}");
        let revision = create(&store, &name, 1).await.unwrap();
        cutter.cut(Cut::Answer, DELETE, times);
        // The server answers each repetition as it answered the first time.
        store.delete(&key(&name), &revision).await.unwrap();
        assert_eq!(cutter.done(), times);
        assert_eq!(read(&store, &key(&name)).await, None);
    }
}

#[tokio::test]
async fn a_write_that_was_cut_off_before_the_server_saw_it_is_sent_again() {
    let Some(bed) = Bed::start(&[], WHAT).await else { return };
    let cutter = Cutter::before(bed.server.port()).await;
    let store = patient(&bed.through(cutter.port()), Duration::from_secs(10)).await;
    for times in 1..=3 {
        let name = format!("a/{times}");
        cutter.cut(Cut::Request, INSERT, times);
        let first = create(&store, &name, 1).await.unwrap();
        cutter.cut(Cut::Request, UPDATE, times);
        let second = replace(&store, &name, 2, &first).await.unwrap();
        cutter.cut(Cut::Request, DELETE, times);
        store.delete(&key(&name), &second).await.unwrap();
        assert_eq!((cutter.done(), read(&store, &key(&name)).await), (times, None));
    }
}

#[tokio::test]
async fn a_server_that_is_alone_is_sent_an_insert_once_only() {
    let Some(bed) = Bed::start(&["--standalone"], WHAT).await else { return };
    let cutter = Cutter::before(bed.server.port()).await;
    let store = open(&bed.through(cutter.port())).await;
    cutter.cut(Cut::Answer, INSERT, 9);
    let first = create(&store, "a/there", 1).await.unwrap();
    assert_eq!(cutter.done(), 1);
    cutter.cut(Cut::Request, INSERT, 9);
    assert!(matches!(create(&store, "a/missing", 1).await, Err(Error::OutcomeUnknown { .. })));
    assert_eq!((cutter.done(), read(&store, &key("a/missing")).await), (1, None));
    // What names a state that never comes back may be sent as often as it takes.
    cutter.cut(Cut::Answer, UPDATE, 2);
    let second = replace(&store, "a/there", 2, &first).await.unwrap();
    cutter.cut(Cut::Request, DELETE, 2);
    store.delete(&key("a/there"), &second).await.unwrap();
    assert_eq!(read(&store, &key("a/there")).await, None);
}

/// What a server is made to answer, and whether it does the write before.
fn faults() -> Vec<(&'static str, mongodb::bson::Document)> {
    let code = |code: i32| doc! { "errorCode": code };
    let concern = |code: i32| doc! { "writeConcernError": { "code": code, "errmsg": "made up" } };
    vec![
        ("not the primary", code(10_107)),
        ("stepped down", code(189)),
        ("shutting down", code(91)),
        ("interrupted by the shutdown", code(11_600)),
        ("out of time", code(50)),
        ("exceeded its time", code(262)),
        ("may not", code(13)),
        ("host not reached", code(6)),
        ("the majority took too long", concern(64)),
        ("no such majority", concern(100)),
        ("shutting down after the write", concern(91)),
        ("connection closed", doc! { "closeConnection": true }),
        ("too slow", doc! { "blockConnection": true, "blockTimeMS": 1_500 }),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_server_answers_while_it_fails_leads_to_the_truth_within_the_bound() {
    let Some(bed) = Bed::start(&["--enable-test-commands"], WHAT).await else { return };
    let store = open(&bed.server.uri()).await;
    for (n, (fault, how)) in faults().into_iter().enumerate() {
        let old = format!("old/{n}");
        let made = create(&store, &old, 1).await.unwrap();
        let gone = format!("gone/{n}");
        let going = create(&store, &gone, 1).await.unwrap();
        bed.fail(&["insert", "update", "delete"], "alwaysOn", how.clone()).await;
        let started = Instant::now();
        let fresh = format!("new/{n}");
        let gone_key = key(&gone);
        let (inserted, replaced, deleted) =
            tokio::join!(create(&store, &fresh, 1), replace(&store, &old, 2, &made), store.delete(&gone_key, &going));
        let took = started.elapsed();
        bed.heal().await;
        println!("{fault}: {inserted:?}, {replaced:?}, {deleted:?} after {took:?}");
        assert!(took < BOUND, "{fault}: {took:?}");
        let now = read(&store, &key(&fresh)).await;
        match &inserted {
            Ok(revision) => assert_eq!(now, Some((1, revision.as_str().to_owned())), "{fault}"),
            Err(Error::OutcomeUnknown { .. }) => {}
            Err(error) => assert!(is_of_the_server(error) && now.is_none(), "{fault}: {error:?}, {now:?}"),
        }
        let now = read(&store, &key(&old)).await.unwrap();
        match &replaced {
            Ok(revision) => assert_eq!(now, (2, revision.as_str().to_owned()), "{fault}"),
            Err(Error::OutcomeUnknown { .. }) => {}
            Err(error) => assert!(is_of_the_server(error) && now.1 == made.as_str(), "{fault}: {error:?}, {now:?}"),
        }
        let now = read(&store, &key(&gone)).await;
        match &deleted {
            Ok(()) => assert_eq!(now, None, "{fault}"),
            Err(Error::OutcomeUnknown { .. }) => {}
            Err(error) => assert!(is_of_the_server(error) && now.is_some(), "{fault}: {error:?}, {now:?}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fault_that_passes_is_not_seen_by_who_writes() {
    let Some(bed) = Bed::start(&["--enable-test-commands"], WHAT).await else { return };
    let store = patient(&bed.server.uri(), Duration::from_secs(1)).await;
    // That the user may not is told at once.
    let passing = faults().into_iter().filter(|(fault, _)| *fault != "may not");
    for (n, (fault, how)) in passing.enumerate() {
        for commands in ["insert", "update"] {
            let name = format!("{commands}/{n}");
            let made = if commands == "update" { Some(create(&store, &name, 1).await.unwrap()) } else { None };
            bed.fail(&[commands], doc! { "times": 1 }, how.clone()).await;
            let said = match &made {
                None => create(&store, &name, 2).await,
                Some(made) => replace(&store, &name, 2, made).await,
            };
            bed.heal().await;
            let revision = said.unwrap_or_else(|error| panic!("{fault}, {commands}: {error:?}"));
            assert_eq!(read(&store, &key(&name)).await, Some((2, revision.as_str().to_owned())), "{fault}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn reads_of_a_failing_server_end_within_the_bound() {
    let Some(bed) = Bed::start(&["--enable-test-commands"], WHAT).await else { return };
    let store = open(&bed.server.uri()).await;
    create(&store, "a/b", 1).await.unwrap();
    for (fault, how) in faults().into_iter().filter(|(_, how)| !how.contains_key("writeConcernError")) {
        bed.fail(&["find", "ping"], "alwaysOn", how).await;
        let started = Instant::now();
        let error = store.get(&key("a/b")).await.unwrap_err();
        assert!(matches!(error, Error::Unavailable(_) | Error::Timeout), "{fault}: {error:?}");
        assert!(started.elapsed() < BOUND, "{fault}: {:?}", started.elapsed());
        if fault != "too slow" {
            assert!(store.ready().await.is_err(), "{fault}");
        }
        bed.heal().await;
        assert_eq!(read(&store, &key("a/b")).await.map(|(n, _)| n), Some(1), "{fault}");
        assert!(store.ready().await.is_ok(), "{fault}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_that_breaks_off_in_the_process_has_an_unknown_outcome() {
    let Some(uri) = fresh_database(WHAT) else { return };
    let armed = Arc::new(AtomicBool::new(false));
    let breaks = Arc::clone(&armed);
    let observer = EventHandler::callback(move |event| {
        if let CommandEvent::Succeeded(done) = event
            && done.command_name == "insert"
        {
            assert!(!breaks.swap(false, Ordering::SeqCst), "this test breaks a call off");
        }
    });
    let store = MongoStore::open_observed(quick(&uri), observer).await.unwrap();
    armed.store(true, Ordering::SeqCst);
    let said = create(&store, "a/b", 1).await;
    assert!(!armed.load(Ordering::SeqCst));
    assert!(matches!(said, Err(Error::OutcomeUnknown { .. })), "{said:?}");
    assert_eq!(read(&store, &key("a/b")).await.map(|(n, _)| n), Some(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_finds_all_connections_busy_is_told_within_the_wait() {
    let Some(bed) = Bed::start(&[], WHAT).await else { return };
    let mut config = quick(&format!("{}?maxPoolSize=3", bed.server.uri()));
    // Whoever has a connection keeps it until the server goes on.
    config.attempt = Duration::from_secs(60);
    config.deadline = Duration::from_secs(60);
    let store = MongoStore::open(config).await.unwrap();
    let made = create(&store, "a/b", 1).await.unwrap();
    bed.server.pause();
    let started = Instant::now();
    let mut calls = JoinSet::new();
    for _ in 0..12 {
        let store = store.clone();
        calls.spawn(async move { store.get(&key("a/b")).await });
    }
    // Of three connections one is kept for watches, and one to open them on.
    for _ in 0..11 {
        let said = calls.join_next().await.unwrap().unwrap();
        assert!(format!("{said:?}").contains("connections to MongoDB are busy"), "{said:?}");
    }
    assert!(started.elapsed() < BOUND, "{:?}", started.elapsed());
    bed.server.resume();
    for found in calls.join_all().await {
        assert_eq!(found.unwrap().unwrap().revision, made);
    }
}
