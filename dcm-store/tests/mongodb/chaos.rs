//! Many clients write while the server is frozen, killed and started again.

use std::time::Duration;

use dcm_core::store::{Error, Precondition, Revision, Store};
use dcm_store::mongodb::MongoStore;
use dcm_test_utils::patience::until_so;
use futures_util::future::join_all;
use tokio::{
    sync::watch,
    time::{Instant, sleep},
};

use crate::support::{BOUND, Bed, body, is_of_the_server, key, open, read};

const WHAT: &str = "a server that is frozen, killed and started again";

/// How many documents there are, each with a client of its own.
const CLIENTS: usize = 12;

/// What a client did.
#[derive(Debug, Default)]
struct Told {
    done: u64,
    failed: u64,
    unknown: u64,
}

/// Creates, replaces and deletes one document over and over, and checks each time that what it was told is so.
async fn client(store: MongoStore, n: usize, stop: watch::Receiver<bool>) -> Told {
    let name = key(&format!("document/{n}"));
    let (mut told, mut state, mut number): (Told, Option<(u64, Revision)>, u64) = (Told::default(), None, 0);
    let after = |found: Option<(u64, String)>| found.map(|(n, revision)| (n, Revision::new(revision)));
    // A write of unknown outcome that had not happened when it was looked for: it may yet, as soon as the server goes
    // on, but not any more once another write has found the state that it was to replace.
    let mut outstanding: Option<(u64, bool)> = None;
    let is_outcome = |found: &Option<(u64, Revision)>, (n, deletes): (u64, bool)| match found {
        Some((found, _)) => !deletes && *found == n,
        None => deletes,
    };
    while !*stop.borrow() {
        number += 1;
        let deletes = number % 4 == 0 && state.is_some();
        let started = Instant::now();
        let said = match &state {
            Some((_, at)) if deletes => store.delete(&name, at).await.map(|()| None),
            Some((_, at)) => {
                let at = Precondition::AtRevision(at.clone());
                store.put(&name, body(number), at).await.map(|revision| Some((number, revision)))
            }
            None => {
                let made = store.put(&name, body(number), Precondition::Absent).await;
                made.map(|revision| Some((number, revision)))
            }
        };
        assert!(started.elapsed() < BOUND, "{:?}", started.elapsed());
        match said {
            Ok(new) => {
                told.done += 1;
                state = new;
                outstanding = None;
            }
            Err(Error::OutcomeUnknown { .. }) => {
                told.unknown += 1;
                let new = after(read(&store, &name).await);
                let intended = is_outcome(&new, (number, deletes));
                let late = outstanding.is_some_and(|before| is_outcome(&new, before));
                assert!(
                    new == state || intended || late,
                    "{n}: {new:?} instead of {state:?}, after {number} ({deletes})"
                );
                outstanding = (new == state).then_some((number, deletes));
                state = new;
            }
            Err(Error::Conflict { .. }) if outstanding.is_some() => {
                let new = after(read(&store, &name).await);
                let late = outstanding.take().is_some_and(|before| is_outcome(&new, before));
                assert!(late, "{n}: {new:?} instead of {state:?}, a conflict at {number} ({deletes})");
                told.failed += 1;
                state = new;
            }
            Err(error) => {
                assert!(is_of_the_server(&error), "{n}: {error:?} of {state:?}");
                told.failed += 1;
                let new = after(read(&store, &name).await);
                let late = outstanding.is_some_and(|before| is_outcome(&new, before));
                assert!(new == state || late, "{n}: {new:?} instead of {state:?}, {error:?}");
                state = new;
            }
        }
    }
    let new = after(read(&store, &name).await);
    let late = outstanding.is_some_and(|before| is_outcome(&new, before));
    assert!(new == state || late, "{n}: {new:?} instead of {state:?} at the end");
    told
}

async fn chaos(bed: &mut Bed, faults: impl AsyncFnOnce(&mut Bed, &MongoStore)) {
    let store = open(&bed.server.uri()).await;
    let (stop, stopped) = watch::channel(false);
    let clients = join_all((0..CLIENTS).map(|n| client(store.clone(), n, stopped.clone())));
    let faults = async {
        faults(bed, &store).await;
        stop.send(true).unwrap();
    };
    let (clients, ()) = tokio::join!(clients, faults);
    let mut all = Told::default();
    for told in clients {
        assert!(told.done > 0, "{told:?}");
        all =
            Told { done: all.done + told.done, failed: all.failed + told.failed, unknown: all.unknown + told.unknown };
    }
    println!("{all:?}");
    assert!(all.failed + all.unknown > 0, "nothing failed: {all:?}");
}

async fn serves(store: &MongoStore) {
    until_so(Duration::from_secs(30), "serving", async || store.ready().await.is_ok()).await;
    sleep(Duration::from_millis(300)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_clients_are_told_is_true_while_the_server_is_frozen_now_and_then() {
    let Some(mut bed) = Bed::start(&[], WHAT).await else { return };
    chaos(&mut bed, async |bed, store| {
        for milliseconds in [300, 1_500, 4_500, 700] {
            sleep(Duration::from_millis(300)).await;
            bed.server.pause();
            sleep(Duration::from_millis(milliseconds)).await;
            bed.server.resume();
            serves(store).await;
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_clients_are_told_is_true_while_the_server_is_killed_and_started_again() {
    let Some(mut bed) = Bed::start(&[], WHAT).await else { return };
    chaos(&mut bed, async |bed, store| {
        for away in [0, 2_000, 4_500] {
            sleep(Duration::from_millis(500)).await;
            bed.server.kill();
            sleep(Duration::from_millis(away)).await;
            bed.server.restart().await;
            serves(store).await;
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_frozen_server_takes_up_late_brings_nothing_back() {
    let Some(bed) = Bed::start(&[], WHAT).await else { return };
    let store = open(&bed.server.uri()).await;
    for round in 0..6 {
        let name = key(&format!("document/{round}"));
        let (put, at) = (store.clone(), name.clone());
        bed.server.pause();
        let made = tokio::spawn(async move { put.put(&at, body(1), Precondition::Absent).await });
        sleep(Duration::from_millis(1_300)).await;
        bed.server.resume();
        match made.await.unwrap() {
            Ok(revision) => {
                store.delete(&name, &revision).await.unwrap();
                sleep(Duration::from_millis(300)).await;
                assert_eq!(read(&store, &name).await, None, "round {round}");
            }
            Err(error) => assert!(is_of_the_server(&error), "{error:?}"),
        }
    }
}
