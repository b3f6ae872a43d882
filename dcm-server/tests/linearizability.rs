//! What sixteen clients of the REST API see of a few records at the same time could have happened one after the other,
//! on every store; and over a store that loses a write in a hundred it could not.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test that fails says where, and figures and histories are shown"
)]

use std::{
    collections::HashMap,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Instant,
};

use dcm_core::store::Store;
use dcm_server::{Config, Running};
use dcm_test_utils::{
    broken::{BrokenStore, Fault},
    linearizability::{Answer, Call, Expected, History, Violation},
    mongodb::fresh_database,
};
use fastrand::Rng;
use futures_util::future::join_all;
use reqwest::{Method, RequestBuilder, Response, StatusCode};
use serde_json::{Value, json};

const CLIENTS: usize = 16;

/// How many records are used at a time, half of them kv-pairs and half quotas.
const HOT: usize = 4;

/// How many operations each of them sees, about.
const EACH: usize = 100;

const CLOUD: &str = "/v2/projects/p/logical-clouds/lc-1";

fn config(store: &str, folder: &Path) -> Config {
    dcm_server::install_crypto_provider();
    let key_file = folder.join("key").display().to_string();
    let options = ["--http", "127.0.0.1:0", "--grpc", "127.0.0.1:0", "--synchronizer", "simulated", "--store", store];
    Config::from_options(options.into_iter().chain(["--encryption-key-file", &key_file])).unwrap()
}

/// Lets the clients loose on a server, and judges what they saw.
async fn judge(server: &Running, operations: usize) -> Result<String, Box<Violation>> {
    let history = Arc::new(History::default());
    let done = Arc::new(AtomicUsize::new(0));
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let base = format!("http://{}", server.http_addr());
    let spec =
        json!({ "namespace": "ns-1", "user": { "user-name": "u", "type": "certificate", "user-permissions": [] } });
    let cloud = json!({ "metadata": { "name": "lc-1" }, "spec": spec });
    let made = http.post(format!("{base}/v2/projects/p/logical-clouds")).json(&cloud).send().await.unwrap();
    assert_eq!(made.status(), StatusCode::CREATED, "{}", made.text().await.unwrap());
    let started = Instant::now();
    let clients = (0..CLIENTS).map(|name| {
        let client = Client {
            name,
            base: format!("{base}{CLOUD}"),
            http: http.clone(),
            history: Arc::clone(&history),
            rng: Rng::with_seed(name as u64),
            tags: HashMap::new(),
        };
        tokio::spawn(client.work(Arc::clone(&done), operations))
    });
    for client in join_all(clients).await {
        client.unwrap();
    }
    let running = started.elapsed();
    let (operations, records) = history.size();
    let conflicts = history.count(|answer| *answer == Answer::Conflict);
    let unknown = history.count(|answer| *answer == Answer::Unknown);
    assert!(conflicts > operations / 100, "hardly any contention: {conflicts} conflicts in {operations} operations");
    assert!(unknown < operations / 20, "hardly any answer: {unknown} outcomes of {operations} are unknown");
    history.check()?;
    Ok(format!(
        "{operations} operations on {records} records in {running:.1?}, {conflicts} conflicts, {unknown} outcomes unknown: \
         linearizable"
    ))
}

struct Client {
    name: usize,
    base: String,
    http: reqwest::Client,
    history: Arc<History>,
    rng: Rng,
    /// The tags that it saw last of records.
    tags: HashMap<String, String>,
}

/// A kv-pair or a quota.
struct Record {
    collection: &'static str,
    name: String,
}

impl Record {
    fn number(number: usize, group: usize) -> Self {
        let collection = if number.is_multiple_of(2) { "kv-pairs" } else { "cluster-quotas" };
        Self { collection, name: format!("r{group}-{number}") }
    }

    fn path(&self) -> String {
        format!("{}/{}", self.collection, self.name)
    }

    /// A record that has a value somewhere.
    fn body(&self, value: u64) -> Value {
        let metadata = json!({ "name": self.name, "description": value.to_string() });
        match self.collection {
            "kv-pairs" => json!({ "metadata": metadata, "spec": { "kv": [{ "value": value.to_string() }] } }),
            _ => json!({ "metadata": metadata, "spec": { "pods": "5" } }),
        }
    }
}

impl Client {
    async fn work(mut self, done: Arc<AtomicUsize>, operations: usize) {
        loop {
            let count = done.fetch_add(1, Ordering::SeqCst);
            if count >= operations {
                return;
            }
            let record = Record::number(self.rng.usize(..HOT), count / (EACH * HOT));
            let (call, request) = self.choose(&record, count as u64);
            self.carry_out(&record, call, request).await;
        }
    }

    /// What is asked, and how that is said in HTTP.
    fn choose(&mut self, record: &Record, value: u64) -> (Call, RequestBuilder) {
        let one = format!("{}/{}", self.base, record.path());
        let body = record.body(value);
        let tag = self.tags.get(&record.path()).cloned();
        match (self.rng.u8(..100), tag) {
            (..25, _) => (Call::Read, self.http.get(one)),
            (25..35, Some(tag)) => (Call::Read, self.http.get(one).header("if-none-match", format!("\"{tag}\""))),
            (35..60, Some(tag)) => {
                let request = self.http.put(one).json(&body).header("if-match", format!("\"{tag}\""));
                (Call::Write { value, expected: Expected::At(tag) }, request)
            }
            (60..70, _) => (Call::Write { value, expected: Expected::Present }, self.http.put(one).json(&body)),
            (70..80, Some(tag)) => {
                let request = self.http.delete(one).header("if-match", format!("\"{tag}\""));
                (Call::Delete { expected: Expected::At(tag) }, request)
            }
            (80..85, _) => (Call::Delete { expected: Expected::Present }, self.http.request(Method::DELETE, one)),
            _ => {
                let request = self.http.post(format!("{}/{}", self.base, record.collection)).json(&body);
                (Call::Write { value, expected: Expected::Absent }, request)
            }
        }
    }

    async fn carry_out(&mut self, record: &Record, call: Call, request: RequestBuilder) {
        let history = Arc::clone(&self.history);
        let pending = history.call(self.name, &record.path(), call.clone());
        let gives_up = self.rng.u8(..100) < 2;
        let patience = if gives_up { self.rng.u64(..3) } else { 60_000 };
        let answer = async { answer(&call, request.send().await.ok()?).await };
        let answer = tokio::time::timeout(std::time::Duration::from_millis(patience), answer).await;
        let answer = answer.ok().flatten().unwrap_or(Answer::Unknown);
        match &answer {
            Answer::Found(tag, _) | Answer::Written(tag) => {
                self.tags.insert(record.path(), tag.clone());
            }
            Answer::Missing | Answer::Deleted => {
                self.tags.remove(&record.path());
            }
            _ => {}
        }
        pending.returned(answer);
    }
}

/// What an answer means; `None` where it says that nobody knows.
async fn answer(call: &Call, response: Response) -> Option<Answer> {
    let status = response.status();
    let tag =
        response.headers().get("etag").and_then(|tag| tag.to_str().ok()).map(|tag| tag.trim_matches('"').to_owned());
    let text = response.text().await.ok()?;
    Some(match (call, status.as_u16()) {
        (Call::Read, 200) => {
            let body: Value = serde_json::from_str(&text).unwrap();
            let value = body["metadata"]["description"].as_str().unwrap().parse().unwrap();
            Answer::Found(tag.unwrap(), Some(value))
        }
        (Call::Read, 304) => Answer::Found(tag.unwrap(), None),
        (Call::Write { .. }, 201) => Answer::Written(tag.unwrap()),
        (Call::Delete { .. }, 204) => Answer::Deleted,
        (_, 404) => Answer::Missing,
        (Call::Write { expected: Expected::Absent, .. }, 409) => Answer::Conflict,
        (Call::Write { expected: Expected::At(_), .. } | Call::Delete { expected: Expected::At(_) }, 412) => {
            Answer::Conflict
        }
        // Others were faster many times over: nothing was done.
        (_, 409) => Answer::NotDone,
        (_, 503) => Answer::Unknown,
        _ => panic!("{call} was answered {status}: {text}"),
    })
}

async fn assert_linearizable(store: &str, operations: usize) {
    let folder = tempfile::tempdir().unwrap();
    let server = dcm_server::start(config(store, folder.path())).await.unwrap();
    match judge(&server, operations).await {
        Ok(figures) => {
            println!("HTTP on {}, {CLIENTS} clients: {figures}", store.split(':').next().unwrap_or_default())
        }
        Err(violation) => panic!("{violation}"),
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn records_on_memory_are_linearizable() {
    assert_linearizable("memory:", 3_000).await;
}

#[cfg(feature = "sled")]
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn records_on_sled_are_linearizable() {
    let place = tempfile::tempdir().unwrap();
    assert_linearizable(&format!("sled:{}", place.path().join("data").display()), 3_000).await;
}

#[cfg(feature = "mongodb")]
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn records_on_mongodb_are_linearizable() {
    let Some(uri) = fresh_database("the linearizability of the REST API on MongoDB") else { return };
    assert_linearizable(&uri, 1_000).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_lost_write_in_a_hundred_below_the_api_is_caught() {
    let folder = tempfile::tempdir().unwrap();
    for _ in 0..10 {
        let memory = dcm_store::open("memory:".parse().unwrap()).await.unwrap();
        let store: Arc<dyn Store> = Arc::new(BrokenStore::new(memory, Fault::LosesWrites, 100));
        let server = dcm_server::start_on(store, config("memory:", folder.path())).await.unwrap();
        let judged = judge(&server, 3_000).await;
        server.stop().await;
        if let Err(violation) = judged {
            println!("{violation}");
            return;
        }
    }
    panic!("nothing was noticed in 30,000 operations");
}
