//! `kill -9` at a random moment, again and again: so often as `DCM_TEST_KILLS` says.

use std::{
    collections::BTreeMap,
    hash::{BuildHasher, RandomState},
    io::{BufRead, BufReader},
    path::Path,
    process::Stdio,
    time::Duration,
};

use dcm_core::store::{Body, Key, Scan, Store};

use super::{child, document, key, open, variable};

pub(crate) const WRITERS: u64 = 16;
/// How many documents each writer has.
pub(crate) const PLACES: usize = 5;
const KILLS: u64 = 5;

/// What a writer does as its n-th: always the same, so that the parent knows it without being told.
pub(crate) struct Deed {
    pub(crate) place: usize,
    pub(crate) key: Key,
    /// Nothing where the document is to be deleted.
    pub(crate) body: Option<Body>,
}

pub(crate) fn deed(round: u64, writer: u64, n: u64) -> Deed {
    let place = n % PLACES as u64;
    let length = if n.is_multiple_of(11) { 40_000 } else { 200 };
    Deed {
        place: place as usize,
        key: key(&format!("kill/{round}/{writer}/{place}")),
        body: (n % 7 != 3).then(|| document(writer, n, length)),
    }
}

#[tokio::test]
async fn every_acknowledged_write_survives_kill_9_and_none_is_half_there() {
    let kills = variable("DCM_TEST_KILLS").map_or(KILLS, |n| n.parse().expect("a number"));
    let place = tempfile::tempdir().expect("a directory");
    let mut before = BTreeMap::new();
    let mut acknowledged = 0;
    for round in 0..kills {
        // In one round at least the writers come so far.
        let done = run_and_kill(round, place.path(), round == 0);
        let store = open(place.path()).await;
        let mut now = everything(&*store, "kill").await;
        for (key, body) in &before {
            let still = now.remove(key);
            assert_eq!(still.as_ref(), Some(body), "{key} of an earlier round");
        }
        for writer in 0..WRITERS {
            let deeds = done.get(&writer).copied();
            check(round, writer, deeds, &mut now);
            acknowledged += deeds.map_or(0, |n| n + 1);
        }
        assert!(now.is_empty(), "nobody wrote {:?}", now.keys());
        before = everything(&*store, "kill").await;
    }
    println!("{acknowledged} acknowledged writes survived {kills} kills");
    assert!(acknowledged > 0, "nothing was acknowledged");
}

/// Starts the writers, kills them at a moment after the start, or after the first acknowledged deed, and answers each one's
/// last.
fn run_and_kill(round: u64, place: &Path, after_a_deed: bool) -> BTreeMap<u64, u64> {
    let mut child =
        child::command(&format!("kill {round}"), place, &[]).stdout(Stdio::piped()).spawn().expect("the child starts");
    let mut lines = BufReader::new(child.stdout.take().expect("its output")).lines();
    let first = lines.find(|line| line.as_ref().is_ok_and(|line| line == "ready"));
    assert!(first.is_some(), "the child did not get ready");
    let (begun, has_begun) = std::sync::mpsc::channel();
    let reader = std::thread::spawn(move || {
        let mut done = BTreeMap::new();
        for line in lines.map_while(Result::ok) {
            let words = line.strip_prefix("done ").and_then(|words| words.split_once(' '));
            // The last line may have been cut off.
            if let Some((Ok(writer), Ok(n))) = words.map(|(w, n)| (w.parse(), n.parse())) {
                done.insert(writer, n);
                // Nobody listens after the first one.
                let _ = begun.send(());
            }
        }
        done
    });
    if after_a_deed {
        has_begun.recv_timeout(Duration::from_secs(60)).expect("the first acknowledged deed");
    }
    drop(has_begun);
    let moment = RandomState::new().hash_one(round) % 400;
    std::thread::sleep(Duration::from_millis(moment));
    child.kill().expect("kill -9");
    child.wait().expect("its end");
    reader.join().expect("its lines")
}

async fn everything(store: &dyn Store, prefix: &str) -> BTreeMap<Key, Body> {
    let scan = Scan::below(key(prefix), usize::MAX);
    let found = store.scan(scan).await.expect("scan");
    found.into_iter().map(|d| (d.key, d.body)).collect()
}

/// What a writer left must be what its acknowledged deeds make, or these and the next one.
fn check(round: u64, writer: u64, done: Option<u64>, now: &mut BTreeMap<Key, Body>) {
    let count = done.map_or(0, |n| n + 1);
    let next = deed(round, writer, count);
    for place in 0..PLACES {
        let last = (0..count).rev().map(|n| deed(round, writer, n));
        let last = last.take(PLACES).find(|deed| deed.place == place);
        let at = key(&format!("kill/{round}/{writer}/{place}"));
        let found = now.remove(&at);
        let acknowledged = last.and_then(|deed| deed.body);
        let expected = found == acknowledged || (next.place == place && found == next.body);
        assert!(expected, "{at} after {count} deeds: {found:?}");
    }
}
