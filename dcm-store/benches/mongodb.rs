//! What the store on MongoDB costs beside the bare driver: `cargo bench -p dcm-store --bench mongodb`, with
//! `DCM_TEST_MONGODB_URI` set.
//!
//! Both sides send the same requests for the same documents: one conditional replacement of one document that a
//! majority has in its journal, and one linearizable read by `_id`. They run in turn, several times; the table shows
//! medians.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a benchmark prints what it finds, and has nothing to say when it fails"
)]

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use dcm_core::store::{Body, Key, Precondition, Store};
use mongodb::{
    Client, Collection,
    bson::{Document, doc},
    options::{Acknowledgment, CollectionOptions, ReadConcern, SelectionCriteria, WriteConcern},
};

const ROUNDS: u64 = 7;
const ROUND: Duration = Duration::from_millis(1500);
const TARGET: f64 = 0.9;

/// How many documents each caller has.
const EACH: u64 = 16;

/// As long as the store gives a request.
const ATTEMPT: Duration = Duration::from_secs(5);

#[derive(Clone, Copy)]
enum Call {
    Write,
    Read,
}

#[derive(Clone)]
enum Side {
    Store(Arc<dyn Store>),
    Bare(Collection<Document>),
}

#[tokio::main]
async fn main() {
    let what = "the store on MongoDB beside the bare driver";
    let Some(uri) = dcm_test_utils::mongodb::fresh_database(what) else { return };
    let store = dcm_store::open(uri.parse().unwrap()).await.unwrap();
    let sides = [Side::Store(store), Side::Bare(documents(&uri).await)];
    println!("calls per second (median of {ROUNDS} rounds in turn)");
    println!("{:<8} {:>8} {:>10} {:>12} {:>7}", "", "callers", "Store", "bare driver", "ratio");
    for (call, name) in [(Call::Write, "writes"), (Call::Read, "reads")] {
        for callers in [1, 32] {
            let mut rates = [Vec::new(), Vec::new()];
            // The first round warms up.
            for round in 0..=ROUNDS {
                for (rates, side) in rates.iter_mut().zip(&sides) {
                    let rate = calls(side, call, callers, round).await;
                    if round > 0 {
                        rates.push(rate);
                    }
                }
            }
            let [ours, bare] = rates.map(median);
            let verdict = if ours >= TARGET * bare { "PASS" } else { "BELOW" };
            println!(
                "{name:<8} {callers:>8} {ours:>10.0} {bare:>12.0} {:>7.2}   target {TARGET}: {verdict}",
                ours / bare
            );
        }
    }
}

/// The store's own collection, with its own concerns.
async fn documents(uri: &str) -> Collection<Document> {
    let client = Client::with_uri_str(uri).await.unwrap();
    let durable = WriteConcern::builder().w(Acknowledgment::Majority).journal(true).w_timeout(ATTEMPT).build();
    let settings = CollectionOptions::builder()
        .read_concern(ReadConcern::majority())
        .write_concern(durable)
        .selection_criteria(SelectionCriteria::ReadPreference(mongodb::options::ReadPreference::Primary))
        .build();
    client.default_database().unwrap().collection_with_options("documents", settings)
}

/// How many calls so many callers make in a second.
async fn calls(side: &Side, call: Call, callers: u64, round: u64) -> f64 {
    // The documents are there before the clock starts.
    let callers = (0..callers).map(|caller| Caller::new(side.clone(), caller, callers));
    let callers = futures_util::future::join_all(callers).await;
    let start = Instant::now();
    let tasks: Vec<_> = callers
        .into_iter()
        .map(|mut caller| {
            tokio::spawn(async move {
                let mut made = 0;
                while start.elapsed() < ROUND {
                    match call {
                        Call::Write => caller.write(made, round).await,
                        Call::Read => caller.read(made).await,
                    }
                    made += 1;
                }
                made
            })
        })
        .collect();
    let mut made = 0;
    for task in tasks {
        made += task.await.unwrap();
    }
    made as f64 / start.elapsed().as_secs_f64()
}

/// One who makes one call after the other, on documents of his own.
struct Caller {
    side: Side,
    caller: u64,
    keys: Vec<Key>,
    /// The states of his documents.
    revisions: Vec<String>,
    /// One of them as it is stored.
    record: Document,
}

impl Caller {
    async fn new(side: Side, caller: u64, callers: u64) -> Self {
        let group = match &side {
            Side::Store(_) => format!("store-{callers}-{caller}"),
            Side::Bare(_) => format!("bare-{callers}-{caller}"),
        };
        let keys: Vec<Key> = (0..EACH).map(|n| Key::new(["bench", &group, &n.to_string()]).unwrap()).collect();
        let (mut revisions, mut record) = (Vec::new(), Document::new());
        for key in &keys {
            match &side {
                Side::Store(store) => {
                    let there = store.get(key).await.unwrap();
                    let at = there.map_or(Precondition::Absent, |found| Precondition::AtRevision(found.revision));
                    revisions.push(store.put(key, document(caller, 0, 0), at).await.unwrap().as_str().to_owned());
                }
                Side::Bare(documents) => {
                    record = bare_record(documents, key).await;
                    revisions.push(record.get_str("revision").unwrap().to_owned());
                }
            }
        }
        Self { side, caller, keys, revisions, record }
    }

    async fn write(&mut self, n: u64, round: u64) {
        let at = (n % EACH) as usize;
        let key = &self.keys[at];
        match &self.side {
            Side::Store(store) => {
                let expected = Precondition::AtRevision(dcm_core::store::Revision::new(self.revisions[at].as_str()));
                let written = store.put(key, document(self.caller, n, round), expected).await.unwrap();
                self.revisions[at] = written.as_str().to_owned();
            }
            Side::Bare(documents) => {
                let mut record = self.record.clone();
                let revision = format!("{:032x}", (u128::from(round) << 96) | u128::from(n) << 32 | 1);
                record.insert("_id", key.as_str());
                record.insert("path", key.as_str().replace('/', "\t"));
                record.insert("replaces", self.revisions[at].as_str());
                record.insert("revision", revision.as_str());
                let expected = doc! { "_id": key.as_str(), "revision": self.revisions[at].as_str() };
                assert_eq!(documents.replace_one(expected, record).await.unwrap().matched_count, 1);
                self.revisions[at] = revision;
            }
        }
    }

    async fn read(&self, n: u64) {
        let key = &self.keys[(n % EACH) as usize];
        let found = match &self.side {
            Side::Store(store) => store.get(key).await.unwrap().is_some(),
            Side::Bare(documents) => {
                let find = documents.find_one(doc! { "_id": key.as_str() });
                find.read_concern(ReadConcern::linearizable()).max_time(ATTEMPT).await.unwrap().is_some()
            }
        };
        assert!(found);
    }
}

/// A document as the store keeps it, under another key: copied from one that the store wrote, which comes first.
async fn bare_record(documents: &Collection<Document>, key: &Key) -> Document {
    if let Some(there) = documents.find_one(doc! { "_id": key.as_str() }).await.unwrap() {
        return there;
    }
    let written = documents.find_one(doc! { "_id": "bench/store-1-0/0" }).await.unwrap();
    let mut record = written.unwrap();
    record.insert("_id", key.as_str());
    record.insert("path", key.as_str().replace('/', "\t"));
    documents.insert_one(&record).await.unwrap();
    record
}

/// 512 bytes of JSON as a record of DCM's has them.
fn document(caller: u64, n: u64, round: u64) -> Body {
    let mut text =
        format!("{{\"kind\":\"Bench\",\"version\":1,\"document\":{{\"caller\":{caller},\"n\":{n},\"round\":{round}");
    let mut field = 0;
    while text.len() < 480 {
        text.push_str(&format!(",\"field-{field}\":\"{:016x}\"", n.wrapping_mul(0x9E37_79B9_7F4A_7C15)));
        field += 1;
    }
    text.push_str("}}");
    Body::from_json(text.into_bytes())
}

fn median(mut all: Vec<f64>) -> f64 {
    all.sort_by(f64::total_cmp);
    all[all.len() / 2]
}
