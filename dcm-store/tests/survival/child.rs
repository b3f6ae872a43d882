//! The side that is killed, traced or starved.

use std::{io::Write, path::Path, process::Command, sync::Arc};

use dcm_core::store::{Error, Precondition, Store};

use super::{damage, document, full, key, kill, locked, open, power, variable};

const JOB: &str = "DCM_STORE_TEST_JOB";
const PLACE: &str = "DCM_STORE_TEST_PLACE";

/// How this program is started again, to do a job in a place.
pub(crate) fn command(job: &str, place: &Path, through: &[&str]) -> Command {
    let program = std::env::current_exe().expect("this program's path");
    let mut words = through.iter().map(Into::into).collect::<Vec<_>>();
    words.push(program.into_os_string());
    let mut command = Command::new(&words[0]);
    command
        .args(&words[1..])
        .args(["--exact", "child::work", "--ignored", "--nocapture"])
        .env(JOB, job)
        .env(PLACE, place);
    command
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "it is what the other tests start in a process of its own"]
async fn work() {
    let place = variable(PLACE).expect("a place");
    let place = Path::new(&place);
    let job = variable(JOB).expect("a job");
    if job == "try" {
        return say(&locked::attempt(place).await);
    }
    if job == "damage" {
        return damage::look(place).await;
    }
    let store = open(place).await;
    say("ready");
    match job.split_once(' ') {
        Some(("kill", round)) => {
            let round = round.parse().expect("a round");
            let writers = (0..kill::WRITERS).map(|writer| write(Arc::clone(&store), round, writer));
            futures_util::future::join_all(writers.map(tokio::spawn)).await;
            panic!("the writers came to an end");
        }
        None if job == "power" => sizes(&*store).await,
        None if job == "full" => fill(&*store).await,
        None if job == "hold" => std::future::pending().await,
        _ => panic!("no such job: {job}"),
    }
}

/// One whole line in one system call, so that it is either there or not.
pub(crate) fn say(line: &str) {
    let line = format!("\n{line}\n");
    std::io::stdout().lock().write_all(line.as_bytes()).expect("somebody listens");
}

/// Carries out a writer's deeds, one after the other, without end.
async fn write(store: Arc<dyn Store>, round: u64, writer: u64) {
    let mut revisions = vec![None; kill::PLACES];
    for n in 0.. {
        let deed = kill::deed(round, writer, n);
        let at = &mut revisions[deed.place];
        match (deed.body, at.take()) {
            (Some(body), before) => {
                let precondition = before.map_or(Precondition::Absent, Precondition::AtRevision);
                let put = store.put(&deed.key, body, precondition).await;
                *at = Some(put.expect("put"));
            }
            (None, Some(revision)) => store.delete(&deed.key, &revision).await.expect("delete"),
            (None, None) => {}
        }
        say(&format!("done {writer} {n}"));
    }
}

async fn sizes(store: &dyn Store) {
    for (n, size) in (0..).zip(power::SIZES) {
        let at = key(&format!("power/{n}"));
        let body = document(0, n, size);
        store.put(&at, body, Precondition::Absent).await.expect("put");
        say(&format!("done {n}"));
    }
}

/// Writes until it fails, then looks at what the store says.
async fn fill(store: &dyn Store) {
    let mut n = 0;
    let error = loop {
        let at = key(&format!("full/{n}"));
        let put = store.put(&at, document(0, n, full::SIZE), Precondition::Absent);
        match put.await {
            Ok(_) => say(&format!("done {n}")),
            Err(error) => break error,
        }
        n += 1;
    };
    assert!(matches!(error, Error::OutcomeUnknown { .. }), "{error:?}");
    let unavailable = |error| matches!(error, Error::Unavailable(_));
    let at = key("full/next");
    let next = store.put(&at, document(0, 0, 1), Precondition::Absent);
    assert!(next.await.is_err_and(unavailable), "a write after the failure");
    assert!(store.ready().await.is_err_and(unavailable));
    let failed = store.get(&key(&format!("full/{n}"))).await;
    let claimed = failed.is_ok_and(|read| read.is_some());
    assert!(!claimed, "a read answered what may not be there");
    // Reads go on, but for some that would put sled's files in order.
    let mut failed = 0;
    for n in 0..n {
        match store.get(&key(&format!("full/{n}"))).await {
            Ok(read) => assert_eq!(read.map(|d| d.body), Some(document(0, n, full::SIZE))),
            Err(error) => {
                assert!(unavailable(error), "a read of document {n}");
                failed += 1;
            }
        }
    }
    assert!(failed * 2 < n, "{failed} of {n} reads failed");
    say(&format!("full {n}"));
}
