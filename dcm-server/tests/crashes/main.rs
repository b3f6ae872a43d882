//! The real server is killed at random moments while clients write, again and again: what was acknowledged is there
//! exactly, what was not answered is there whole or not at all, and no revision comes back.
//!
//! `DCM_TEST_KILLS` sets how often each test kills, `DCM_TEST_SEED` the moments and the load, and `DCM_TEST_SERVER` names
//! another build of the server. A long run:
//!
//! ```sh
//! cargo build --release --bin dcm-server
//! eval "$(testbed/mongodb start)"
//! DCM_TEST_SERVER=$PWD/target/release/dcm-server DCM_TEST_KILLS=1000 \
//!     cargo test -p dcm-server --test crashes what_was_acknowledged -- --nocapture --test-threads 1
//! ```

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout, reason = "a test fails loudly")]
#![cfg(all(feature = "sled", unix))]

mod client;
#[cfg(target_os = "linux")]
mod full;
mod http;
mod ledger;
#[path = "../common/process.rs"]
#[allow(dead_code, reason = "shared with other suites")]
mod process;
#[cfg(target_os = "linux")]
mod synced;

use std::{
    hash::{BuildHasher, RandomState},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use client::{CLUSTERS, Client, Tally, chance};
use dcm_test_utils::{mongodb, patience::until};
use futures_util::future::join_all;
use http::Http;
use process::{Process, kills};
use serde_json::json;

const CLIENTS: u64 = 16;

/// How often a test kills where nothing else is said.
const KILLS: u32 = 8;

/// After how many rounds it is said how far the test is.
const PROGRESS: u64 = 50;

/// For how many milliseconds clients write at most before something is killed: a database takes longer for each write.
const LOAD: u64 = 200;
const DATABASE_LOAD: u64 = 600;

/// What is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Victim {
    Server,
    /// The server, and once more while it starts.
    StartingServer,
    Database,
    Both,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_acknowledged_on_sled_is_there_whenever_the_server_was_killed() {
    let folder = tempfile::tempdir().unwrap();
    run(Process::on_sled(folder.path()), None).await;
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_acknowledged_on_mongodb_is_there_whenever_the_server_or_the_database_was_killed() {
    let folder = tempfile::tempdir().unwrap();
    let what = "what was acknowledged on MongoDB is there after kills";
    let data = folder.path().join("database");
    let Some(database) = mongodb::Server::start(&data, &["--sync-on-commit"], what).await else { return };
    let uri = mongodb::with_database(&database.uri(), "dcm");
    run(Process::on_store(&uri, folder.path()), Some(database)).await;
}

async fn run(mut server: Process, mut database: Option<mongodb::Server>) {
    let seed = seed();
    println!("DCM_TEST_SEED={seed}");
    let began = Instant::now();
    server.start().await;
    let mut http = Http::new(server.base(), database.is_some());
    register_clusters(&http).await;
    let mut clients: Vec<_> = (0..CLIENTS).map(|id| Client::new(id, seed)).collect();
    let load = if database.is_some() { DATABASE_LOAD } else { LOAD };
    let (mut killed, mut round) = (0, 0_u64);
    while killed < kills(KILLS) {
        round += 1;
        let stop = Arc::new(AtomicBool::new(false));
        let work = clients.into_iter().map(|client| tokio::spawn(client.work(http.clone(), Arc::clone(&stop))));
        let work: Vec<_> = work.collect();
        tokio::time::sleep(Duration::from_millis(chance((seed, round, "load")) % load)).await;
        let victim = victim(seed, round, database.is_some());
        killed += if matches!(victim, Victim::StartingServer | Victim::Both) { 2 } else { 1 };
        if let (Victim::Database | Victim::Both, Some(database)) = (victim, &mut database) {
            database.kill();
        }
        if victim != Victim::Database {
            server.kill();
            if victim == Victim::StartingServer {
                server.spawn();
                tokio::time::sleep(Duration::from_millis(chance((seed, round, "start")) % 60)).await;
                server.kill();
            }
        }
        stop.store(true, Ordering::SeqCst);
        if let (Victim::Database | Victim::Both, Some(database)) = (victim, &mut database) {
            database.restart().await;
        }
        let worked = join_all(work).await;
        if let (Victim::Server | Victim::StartingServer, Some(database)) = (victim, &database) {
            drained(database.port()).await;
        }
        if victim == Victim::Database {
            server.ready().await;
        } else {
            server.start().await;
            http = Http::new(server.base(), database.is_some());
        }
        clients = join_all(worked.into_iter().map(|client| client.unwrap().verify(http.clone()))).await;
        if round.is_multiple_of(PROGRESS) {
            println!("{}", summary(&clients, killed, began));
        }
    }
    server.kill();
    let log = server.log();
    assert!(!log.contains("panicked"), "{log}");
    println!("{}", summary(&clients, killed, began));
    let shown = clients.iter().any(|client| client.tally.acknowledged > 0 && client.tally.compared > 0);
    assert!(shown, "nothing was acknowledged in time");
}

fn summary(clients: &[Client], kills: u32, began: Instant) -> String {
    let mut tally = Tally::default();
    clients.iter().for_each(|client| tally.add(client.tally));
    format!("{kills} kills in {:.1} s: {tally:?}", began.elapsed().as_secs_f64())
}

/// Waits until a database has done what a killed server asked it for: until then, what was in flight may happen yet.
async fn drained(port: u16) {
    const CONNECTED: [&str; 2] = ["01", "08"];
    let local = format!(":{port:04X}");
    until(Duration::from_secs(30), "all connections closed", async || {
        let sockets = std::fs::read_to_string("/proc/net/tcp").unwrap();
        let open = sockets.lines().filter(|line| {
            let words: Vec<_> = line.split_whitespace().collect();
            words.get(1).is_some_and(|at| at.ends_with(&local)) && words.get(3).is_some_and(|at| CONNECTED.contains(at))
        });
        let open = open.count();
        if open == 0 { Ok(()) } else { Err(open) }
    })
    .await;
}

fn victim(seed: u64, round: u64, has_database: bool) -> Victim {
    match (chance((seed, round, "victim")) % 8, has_database) {
        (0, _) => Victim::StartingServer,
        (1 | 2, true) => Victim::Database,
        (3 | 4, true) => Victim::Both,
        _ => Victim::Server,
    }
}

async fn register_clusters(http: &Http) {
    for name in CLUSTERS {
        let kubeconfig = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "c",
            "clusters": [{ "name": "k", "cluster": { "server": "https://127.0.0.1:1" } }],
            "users": [{ "name": "u", "user": { "token": "t" } }],
            "contexts": [{ "name": "c", "context": { "cluster": "k", "user": "u" } }],
        });
        let body = json!({ "metadata": { "name": name }, "spec": { "kubeconfig": kubeconfig } });
        let path = "/v2/cluster-providers/default/clusters";
        let made = http.send(reqwest::Method::POST, path, Some(&body), None).await.unwrap();
        assert_eq!(made.status, 201, "{made:?}");
    }
    for project in 0..4 {
        let body = json!({ "metadata": { "name": format!("p{project}") } });
        let made = http.send(reqwest::Method::POST, "/v2/projects", Some(&body), None).await.unwrap();
        assert_eq!(made.status, 201, "{made:?}");
    }
}

#[expect(clippy::disallowed_methods, reason = "a test's own knob")]
fn seed() -> u64 {
    let given = std::env::var("DCM_TEST_SEED").ok();
    given.map_or_else(|| RandomState::new().hash_one(0), |text| text.parse().expect("DCM_TEST_SEED is a number"))
}
