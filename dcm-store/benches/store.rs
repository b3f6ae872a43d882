//! What the stores cost beside what they stand on: `cargo bench -p dcm-store`.
//!
//! Durable writes stand beside a loop that appends the same bytes to a file and shares one `fdatasync` among
//! its waiters; reads stand beside sled's own `get`. Both sides of a row run in turn, several times; the
//! table shows medians. The files lie below the target directory, which must be on a real disk.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a benchmark prints what it finds, and has nothing to say when it fails"
)]

use std::{
    fs::File,
    io::Write,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use dcm_core::store::{Body, Key, Precondition, Store};
use dcm_store::{Config, SledConfig, memory::MemoryStore};
use tokio::{
    runtime::Runtime,
    sync::{mpsc, oneshot},
};

const ROUNDS: usize = 5;
const ROUND: Duration = Duration::from_millis(1500);
const KEYS: u64 = 64;
const READS: u64 = 100_000;
const IDLE: &str = "--idle";

fn main() {
    let runtime = Runtime::new().unwrap();
    if let Some(path) = std::env::args().skip_while(|arg| arg != IDLE).nth(1) {
        return idle(&runtime, &path);
    }
    let place = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let config = SledConfig::new(place.path().join("store"));
    let store = runtime.block_on(dcm_store::open(Config::Sled(config.clone()))).unwrap();

    println!("\ndurable writes of 512 bytes, per second (median of {ROUNDS} rounds in turn)");
    println!("writers     Store  append + shared fdatasync   ratio");
    for (writers, target) in [(1, 0.5), (32, 0.4), (128, 0.2)] {
        let (mut ours, mut bare) = (Vec::new(), Vec::new());
        for round in 0..ROUNDS {
            ours.push(runtime.block_on(store_writes(&store, writers, round)));
            bare.push(if writers == 1 {
                append_alone(place.path())
            } else {
                runtime.block_on(append_shared(place.path(), writers))
            });
        }
        let (ours, bare) = (median(ours), median(bare));
        println!("{writers:>7} {ours:>9.0} {bare:>26.0} {:>7.2}   {}", ours / bare, verdict(ours / bare, target));
    }

    println!("\nreads of one of 10,000 documents, ns each (median of {ROUNDS} rounds in turn)");
    reads(&runtime, place.path(), &store);
    reads_beside_writes(&runtime, &store);

    drop(store);
    println!("\nmemory of a process that opened this store and does nothing");
    let me = std::env::current_exe().unwrap();
    let mut child = std::process::Command::new(me);
    assert!(child.arg(IDLE).arg(config.path).status().unwrap().success());
}

async fn store_writes(store: &Arc<dyn Store>, writers: u64, round: usize) -> f64 {
    let start = Instant::now();
    let writers = (0..writers).map(|writer| {
        let store = Arc::clone(store);
        tokio::spawn(async move {
            let mut at = vec![Precondition::Absent; KEYS as usize];
            let mut writes = 0;
            while start.elapsed() < ROUND {
                let n = writes % KEYS;
                let key = Key::new(["bench", &format!("{round}-{writer}-{writers}"), &n.to_string()]);
                let precondition = at[n as usize].clone();
                let key = key.unwrap();
                let put = store.put(&key, document(writer, writes), precondition);
                at[n as usize] = Precondition::AtRevision(put.await.unwrap());
                writes += 1;
            }
            writes
        })
    });
    rate(writers.collect(), start).await
}

async fn rate(tasks: Vec<tokio::task::JoinHandle<u64>>, start: Instant) -> f64 {
    let mut writes = 0;
    for task in tasks {
        writes += task.await.unwrap();
    }
    writes as f64 / start.elapsed().as_secs_f64()
}

/// The yardstick for many writers: one thread that takes what waits, writes it, and syncs once.
async fn append_shared(place: &Path, writers: u64) -> f64 {
    let mut file = File::create(place.join("appended")).unwrap();
    let (sender, mut receiver) = mpsc::channel::<(Vec<u8>, oneshot::Sender<()>)>(1024);
    let thread = std::thread::spawn(move || {
        while let Some(first) = receiver.blocking_recv() {
            let (mut bytes, first) = first;
            let mut waiters = vec![first];
            while let Ok((more, waiter)) = receiver.try_recv() {
                bytes.extend_from_slice(&more);
                waiters.push(waiter);
            }
            file.write_all(&bytes).unwrap();
            file.sync_data().unwrap();
            for waiter in waiters {
                waiter.send(()).unwrap();
            }
        }
    });
    let start = Instant::now();
    let tasks = (0..writers).map(|writer| {
        let sender = sender.clone();
        tokio::spawn(async move {
            let mut writes = 0;
            while start.elapsed() < ROUND {
                let (done, wait) = oneshot::channel();
                let bytes = document(writer, writes).as_bytes().to_vec();
                sender.send((bytes, done)).await.unwrap();
                wait.await.unwrap();
                writes += 1;
            }
            writes
        })
    });
    let rate = rate(tasks.collect(), start).await;
    drop(sender);
    thread.join().unwrap();
    rate
}

/// The yardstick for one writer: append, `fdatasync`, again.
fn append_alone(place: &Path) -> f64 {
    let mut file = File::create(place.join("appended")).unwrap();
    let start = Instant::now();
    let mut writes = 0;
    while start.elapsed() < ROUND {
        file.write_all(document(0, writes).as_bytes()).unwrap();
        file.sync_data().unwrap();
        writes += 1;
    }
    writes as f64 / start.elapsed().as_secs_f64()
}

fn reads(runtime: &Runtime, place: &Path, store: &Arc<dyn Store>) {
    let keys: Vec<Key> = (0..10_000).map(|n| Key::new(["read", "some-project", &n.to_string()]).unwrap()).collect();
    let in_memory: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let bare = ::sled::Config::new().path(place.join("bare")).open().unwrap();
    runtime.block_on(async {
        for (n, key) in (0..).zip(&keys) {
            let body = document(0, n);
            bare.insert(key.as_str(), body.as_bytes()).unwrap();
            in_memory.put(key, body, Precondition::Absent).await.unwrap();
        }
        let writes = keys.iter().zip(0..).map(|(key, n)| store.put(key, document(0, n), Precondition::Absent));
        for written in futures_util::future::join_all(writes).await {
            written.unwrap();
        }
    });
    bare.flush().unwrap();
    // Spread over all of them, in no order.
    let each = |n: u64| &keys[(n.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32) as usize % keys.len()];
    let (mut ours, mut bare_times, mut memory_times) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let start = Instant::now();
        for n in 0..READS {
            assert!(bare.get(each(n).as_str()).unwrap().is_some());
        }
        bare_times.push(per_read(start));
        for (store, times) in [(store, &mut ours), (&in_memory, &mut memory_times)] {
            let start = Instant::now();
            runtime.block_on(async {
                for n in 0..READS {
                    assert!(store.get(each(n)).await.unwrap().is_some());
                }
            });
            times.push(per_read(start));
        }
    }
    let (ours, bare, memory) = (median(ours), median(bare_times), median(memory_times));
    println!(
        "bare sled {bare:.0}, Store on sled {ours:.0} (ratio {:.2}; {}), Store on memory {memory:.0}",
        bare / ours,
        verdict(bare / ours, 0.6)
    );
}

/// Whether a ratio is as large as it is to be.
fn verdict(ratio: f64, target: f64) -> String {
    format!("target {target}: {}", if ratio >= target { "PASS" } else { "BELOW" })
}

/// How long a read takes while 32 writers write: of a document that rests, and of one that is being written.
fn reads_beside_writes(runtime: &Runtime, store: &Arc<dyn Store>) {
    println!("\nreads while 32 writers write, µs each");
    let hot = Key::new(["bench", "hot"]).unwrap();
    let cold = Key::new(["read", "some-project", "77"]).unwrap();
    for (round, (what, key)) in
        (ROUNDS..).zip([("a document at rest", cold), ("one that is being written", hot.clone())])
    {
        let (store, hot) = (Arc::clone(store), hot.clone());
        let mut times = runtime.block_on(async move {
            let writers = tokio::spawn({
                let store = Arc::clone(&store);
                async move { store_writes(&store, 31, round).await }
            });
            let writer = tokio::spawn({
                let store = Arc::clone(&store);
                async move {
                    let start = Instant::now();
                    let mut n = 0;
                    while start.elapsed() < ROUND {
                        let at = match store.get(&hot).await.unwrap() {
                            Some(document) => Precondition::AtRevision(document.revision),
                            None => Precondition::Absent,
                        };
                        store.put(&hot, document(99, n), at).await.unwrap();
                        n += 1;
                    }
                }
            });
            let mut times = Vec::new();
            while !writers.is_finished() {
                let start = Instant::now();
                store.get(&key).await.unwrap();
                times.push(start.elapsed().as_nanos() as f64 / 1000.0);
                // Paced, or the quick reads would outnumber those that wait.
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            writers.await.unwrap();
            writer.await.unwrap();
            times
        });
        times.sort_by(f64::total_cmp);
        let at = |part: f64| times[(times.len() as f64 * part) as usize];
        println!("{what}: median {:.1}, p99 {:.0}", at(0.5), at(0.99));
    }
}

fn idle(runtime: &Runtime, path: &str) {
    let before = memory();
    let start = Instant::now();
    let config = Config::Sled(SledConfig::new(path));
    let store = runtime.block_on(dcm_store::open(config)).unwrap();
    let took = start.elapsed();
    println!("before: {before} KiB; after: {} KiB; opened in {took:.0?}", memory());
    drop(store);
}

fn per_read(start: Instant) -> f64 {
    start.elapsed().as_nanos() as f64 / READS as f64
}

/// 512 bytes of JSON that no other write has: sled silently skips a write that changes nothing.
fn document(writer: u64, n: u64) -> Body {
    let mut text = format!("{{\"writer\":{writer},\"n\":{n},\"text\":\"");
    while text.len() < 510 {
        text.push('x');
    }
    text.push_str("\"}");
    Body::from_json(text.into_bytes())
}

fn median(mut all: Vec<f64>) -> f64 {
    all.sort_by(f64::total_cmp);
    all[all.len() / 2]
}

/// The resident memory of this process in KiB, or 0 where the system does not say.
fn memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(0)
}
