//! Watches that last: what ends them, and what does not.

use std::time::Duration;

use dcm_test_utils::patience::until_so;
use serde_json::json;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpSocket, TcpStream},
};

use crate::support::{Dcm, LC};

const PAIRS: &str = "/v2/projects/p/logical-clouds/lc-1/kv-pairs";
const PATIENCE: Duration = Duration::from_secs(60);

impl Dcm {
    /// Makes or replaces a kv-pair of so many bytes.
    async fn with_large_pair(&self, name: &str, bytes: usize) {
        let body = json!({ "metadata": { "name": name }, "spec": { "kv": [{ "v": "x".repeat(bytes) }] } });
        if self.put(&format!("{PAIRS}/{name}"), &body).await.status == 404 {
            self.post(PAIRS, &body).await.expect(201);
        }
    }

    /// A watch whose client reads nothing but that it has begun, and has room for little.
    async fn deaf_watch(&self) -> TcpStream {
        let host = self.url("").replace("http://", "");
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(32 * 1024).unwrap();
        let mut stream = socket.connect(host.parse().unwrap()).await.unwrap();
        let request = format!("GET {PAIRS}?watch=true HTTP/1.1\r\nhost: {host}\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut status = [0; 15];
        stream.read_exact(&mut status).await.unwrap();
        assert_eq!(&status, b"HTTP/1.1 200 OK");
        stream
    }
}

#[tokio::test]
async fn neither_a_time_out_nor_idleness_ends_a_watch() {
    let dcm = Dcm::start("memory", &["--request-timeout", "300ms", "--header-timeout", "300ms"]).await;
    let mut watch = dcm.watch("/v2/projects", None).await;
    watch.expect("synced").await;
    tokio::time::sleep(Duration::from_millis(1500)).await;
    dcm.with_cloud().await;
    assert_eq!(watch.expect("put").await.record_name(), "p");
    dcm.stop().await;
}

#[tokio::test]
async fn more_watches_than_there_may_be_are_turned_away_and_nothing_else_is() {
    let dcm = Dcm::start("memory", &["--max-watches", "2", "--max-concurrent-requests", "2"]).await;
    dcm.with_cloud().await;
    let mut watches = Vec::new();
    for _ in 0..2 {
        let mut watch = dcm.watch(PAIRS, None).await;
        watch.expect("synced").await;
        watches.push(watch);
    }
    let refused = dcm.refused_watch(PAIRS, None).await;
    let problem = refused.expect_problem(503, &[]);
    assert!(problem["detail"].as_str().unwrap().contains("2 watches") && refused.header("retry-after") == "10");
    dcm.get(PAIRS).await.expect(200);
    watches.pop();
    until_so(PATIENCE, "a place free", async || dcm.probe().await).await;
    // What is refused takes no place.
    for _ in 0..5 {
        dcm.refused_watch("/v2/projects/none/logical-clouds", None).await.expect_problem(404, &[]);
    }
    dcm.watch(PAIRS, None).await.expect("synced").await;
    dcm.stop().await;
}

impl Dcm {
    /// Whether there is room for a watch.
    async fn probe(&self) -> bool {
        let request = self.request(reqwest::Method::GET, &format!("{PAIRS}?watch=true"));
        request.send().await.unwrap().status() == 200
    }
}

#[tokio::test]
async fn a_client_that_takes_nothing_is_cut() {
    let options = ["--max-watches", "1", "--request-timeout", "1s", "--header-timeout", "1s"];
    let dcm = Dcm::start("memory", &options).await;
    dcm.with_cloud().await;
    let mut deaf = dcm.deaf_watch().await;
    assert!(!dcm.probe().await);
    // More than the buffers of both sides hold.
    for i in 0..40 {
        dcm.with_large_pair(&format!("n{}", i % 4), 500_000).await;
    }
    until_so(PATIENCE, "the place free again", async || dcm.probe().await).await;
    // The connection is closed, not only forgotten: there is an end to what can be read.
    let mut read = Vec::new();
    let ended = tokio::time::timeout(PATIENCE, deaf.read_to_end(&mut read)).await;
    assert!(ended.is_ok() && read.len() < 40 * 500_000, "{} bytes", read.len());
    dcm.stop().await;
}

#[tokio::test]
async fn a_slow_client_is_not_cut_and_misses_nothing() {
    let dcm = Dcm::start("memory", &["--request-timeout", "2s"]).await;
    dcm.with_cloud().await;
    for i in 0..30 {
        dcm.with_large_pair(&format!("n{i:02}"), 300_000).await;
    }
    let mut watch = dcm.watch(PAIRS, None).await;
    for i in 0..30 {
        tokio::time::sleep(Duration::from_millis(100)).await;
        assert_eq!(watch.expect("put").await.record_name(), format!("n{i:02}"));
    }
    watch.expect("synced").await;
    dcm.stop().await;
}

/// An event may be large, and a line slow: what counts is whether anything of it is taken.
#[tokio::test]
async fn a_client_that_takes_longer_for_an_event_than_it_may_take_nothing_is_not_cut() {
    let dcm = Dcm::start("memory", &["--write-timeout", "2s", "--max-body-size", "16MiB"]).await;
    dcm.with_cloud().await;
    for i in 0..3 {
        dcm.with_large_pair(&format!("n{i}"), 8_000_000).await;
    }
    let mut slow = dcm.deaf_watch().await;
    let (mut read, mut piece) = (0, vec![0; 100_000]);
    // Two megabytes a second: an event takes four seconds.
    while read < 24_000_000 {
        let taken = tokio::time::timeout(PATIENCE, slow.read_exact(&mut piece)).await.unwrap();
        read += taken.unwrap_or_else(|error| panic!("cut after {read} bytes: {error}"));
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    dcm.stop().await;
}

#[tokio::test]
async fn a_server_stops_at_once_whatever_is_watched() {
    for store in ["memory", "sled"] {
        let dcm = Dcm::start(store, &["--stop-timeout", "60s"]).await;
        dcm.with_reference().await;
        let mut watches = Vec::new();
        for path in [PAIRS, "/v2/projects", &format!("{LC}/status")] {
            let mut watch = dcm.watch(path, None).await;
            watch.until_synced().await;
            watches.push(watch);
        }
        let _deaf = dcm.deaf_watch().await;
        for i in 0..40 {
            dcm.with_large_pair(&format!("n{}", i % 4), 500_000).await;
        }
        let took = dcm.stop_timed().await;
        assert!(took < Duration::from_secs(20), "{store}: {took:?}");
        // The one of the kv-pairs has not read what it was told.
        for watch in &mut watches[1..] {
            while watch.next().await.is_some() {}
        }
    }
}
