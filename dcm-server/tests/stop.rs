//! A stop under load: whoever was taken in gets his whole answer.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::{
    collections::BTreeSet,
    io::{Read as _, Write as _},
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use dcm_server::{Config, Running, start};
use http_body_util::{BodyExt as _, Full};
use hyper::{
    Request, Response,
    body::{Bytes, Incoming},
    client::conn::{http1, http2},
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::{net::TcpStream, task::JoinSet};

/// What the clients did.
#[derive(Debug, Default)]
struct Record {
    stopping: AtomicBool,
    next: AtomicU64,
    made: Mutex<BTreeSet<u64>>,
    /// Answers that came after the stop had begun.
    late: AtomicU64,
    failures: Mutex<Vec<String>>,
}

impl Record {
    fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::SeqCst)
    }

    /// A failure; `is_allowed` where the connection was made after the stop had begun.
    fn failed(&self, what: &str, error: impl std::fmt::Debug, is_allowed: bool) {
        if !is_allowed {
            self.failures.lock().unwrap().push(format!("{what}: {error:?}"));
        }
    }

    /// A request that makes a project with the next number.
    fn request(&self) -> (u64, Request<Full<Bytes>>) {
        let number = self.next.fetch_add(1, Ordering::SeqCst);
        let body = format!(r#"{{ "metadata": {{ "name": "p{number}" }} }}"#);
        let request = Request::post("http://localhost/v2/projects").header("host", "localhost");
        (number, request.body(Full::from(body)).unwrap())
    }

    /// Takes an answer whole; whether the connection can be used again.
    async fn take(&self, number: u64, response: Response<Incoming>) -> Result<bool, hyper::Error> {
        let is_last = response.headers().get("connection").is_some_and(|value| value == "close");
        let status = response.status();
        let body = response.into_body().collect().await?.to_bytes();
        if status == 201 && serde_json::from_slice::<serde_json::Value>(&body).is_ok() {
            self.made.lock().unwrap().insert(number);
        } else {
            self.failed("answer", (status, body), false);
        }
        self.late.fetch_add(self.is_stopping().into(), Ordering::SeqCst);
        Ok(!is_last)
    }
}

/// A connection, and whether it was made after the stop had begun; `None` once nobody listens.
async fn connect(address: SocketAddr, record: &Record) -> Option<(TcpStream, bool)> {
    match TcpStream::connect(address).await {
        Ok(stream) => Some((stream, record.is_stopping())),
        Err(error) => {
            record.failed("connect", error, record.is_stopping());
            None
        }
    }
}

/// HTTP/1.1: so many requests on each connection.
async fn http1(address: SocketAddr, record: Arc<Record>, requests: usize) {
    while let Some((stream, is_late)) = connect(address, &record).await {
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
        let connection = tokio::spawn(connection);
        let mut was_served = false;
        for _ in 0..requests {
            let (number, request) = record.request();
            let done = async { record.take(number, sender.send_request(request).await?).await };
            match done.await {
                Ok(true) => was_served = true,
                Ok(false) => break,
                Err(error) => {
                    record.failed("http/1.1", error, is_late && !was_served);
                    break;
                }
            }
        }
        drop(sender);
        let _ = connection.await;
    }
}

/// HTTP/2: several requests at once on one connection after the other.
async fn http2(address: SocketAddr, record: Arc<Record>) {
    while let Some((stream, is_late)) = connect(address, &record).await {
        let handshake = http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await;
        let Ok((sender, connection)) = handshake.map_err(|error| record.failed("handshake", error, is_late)) else {
            continue;
        };
        let connection = tokio::spawn(connection);
        let mut all = JoinSet::new();
        for _ in 0..4 {
            let (mut sender, record) = (sender.clone(), Arc::clone(&record));
            all.spawn(async move {
                let mut was_served = false;
                while sender.ready().await.is_ok() {
                    let (number, request) = record.request();
                    let answered = match sender.send_request(request).await {
                        Ok(response) => record.take(number, response).await.map(|_| ()),
                        Err(error) => Err(error),
                    };
                    match answered {
                        Ok(()) => was_served = true,
                        Err(error) if was_not_taken(&error) => return,
                        Err(error) => return record.failed("http/2", error, is_late && !was_served),
                    }
                }
            });
        }
        drop(sender);
        all.join_all().await;
        let _ = connection.await;
    }
}

/// Whether the server had said before that it takes no more, which by HTTP/2 means that it did nothing of the request.
fn was_not_taken(error: &hyper::Error) -> bool {
    error.is_canceled() || format!("{error:?}").contains("NO_ERROR, Remote")
}

async fn serve(store: &str) -> Running {
    dcm_server::install_crypto_provider();
    let options = ["--http", "127.0.0.1:0", "--grpc", "127.0.0.1:0", "--store", store, "--synchronizer", "simulated"];
    start(Config::from_options(options).unwrap()).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_stop_under_load_fails_no_request() {
    let directory = tempfile::tempdir().unwrap();
    let store = format!("sled:{}", directory.path().join("data").display());
    let (server, record) = (serve(&store).await, Arc::new(Record::default()));
    let address = server.http_addr();
    let mut clients = JoinSet::new();
    for _ in 0..3 {
        clients.spawn(http1(address, Arc::clone(&record), 1));
        clients.spawn(http1(address, Arc::clone(&record), usize::MAX));
        clients.spawn(http2(address, Arc::clone(&record)));
    }
    while record.made.lock().unwrap().len() < 300 {
        assert!(!clients.is_empty());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    record.stopping.store(true, Ordering::SeqCst);
    tokio::time::timeout(Duration::from_secs(9), server.stop()).await.expect("the stop waited for its bound");
    tokio::time::timeout(Duration::from_secs(20), clients.join_all()).await.unwrap();
    assert_eq!(*record.failures.lock().unwrap(), Vec::<String>::new());
    assert!(record.late.load(Ordering::SeqCst) > 0, "nothing was in flight");
    // What was answered is there, and nothing that was asked for is there without an answer.
    let server = serve(&store).await;
    let (mut found, mut after) = (BTreeSet::new(), String::new());
    loop {
        let page = reqwest::get(format!("http://{}/v2/projects?limit=1000{after}", server.http_addr())).await.unwrap();
        let is_last = !page.headers().contains_key("link");
        let page: Vec<serde_json::Value> = serde_json::from_slice(&page.bytes().await.unwrap()).unwrap();
        let mut names = page.iter().map(|project| project["metadata"]["name"].as_str().unwrap());
        found.extend(names.clone().map(|name| name[1..].parse::<u64>().unwrap()));
        after = format!("&after={}", names.next_back().unwrap());
        if is_last {
            break;
        }
    }
    server.stop().await;
    let made = record.made.lock().unwrap();
    assert_eq!(made.difference(&found).count(), 0, "an answered write is gone");
    assert_eq!(found.difference(&made).count(), 0, "a write was made that had no answer");
}

#[tokio::test]
async fn a_client_who_was_silent_when_the_stop_began_still_gets_an_answer_and_is_told_that_it_is_the_last() {
    let server = serve("memory:").await;
    let address = server.http_addr();
    let stream = TcpStream::connect(address).await.unwrap();
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let record = Record::default();
    let (number, request) = record.request();
    assert!(record.take(number, sender.send_request(request).await.unwrap()).await.unwrap());
    // Its request is on its way, so to say.
    let silent = TcpStream::connect(address).await.unwrap();
    let stopped = tokio::spawn(server.stop());
    // However long it takes until the stop has begun: silence begins anew with each answer.
    loop {
        let (number, request) = record.request();
        if !record.take(number, sender.send_request(request).await.unwrap()).await.unwrap() {
            break;
        }
    }
    let (mut sender, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(silent)).await.unwrap();
    tokio::spawn(connection);
    let (number, request) = record.request();
    record.take(number, sender.send_request(request).await.unwrap()).await.unwrap();
    tokio::time::timeout(Duration::from_secs(5), stopped).await.unwrap().unwrap();
    let asked = record.next.load(Ordering::SeqCst);
    assert!(asked >= 3 && record.made.lock().unwrap().len() as u64 == asked);
    assert!(record.failures.lock().unwrap().is_empty());
}

#[tokio::test]
async fn connections_that_the_system_took_before_the_stop_are_served() {
    let options = ["--http", "127.0.0.1:0", "--grpc", "127.0.0.1:0", "--store", "memory:", "--max-connections", "4"];
    dcm_server::install_crypto_provider();
    let server = start(Config::from_options(options).unwrap()).await.unwrap();
    // There is one thread, and it does not wait in between: none of them is taken from the system.
    let connect = |_| {
        let mut stream = std::net::TcpStream::connect(server.http_addr()).unwrap();
        stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
        stream
    };
    let streams: Vec<_> = (0..20).map(connect).collect();
    server.stop().await;
    for mut stream in streams {
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200 OK") && answer.ends_with('}'), "{answer:?}");
    }
}
