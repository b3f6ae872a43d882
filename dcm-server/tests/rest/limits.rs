//! What is too large, too deep, too slow or too much.

use std::{
    process::Command,
    time::{Duration, Instant},
};

use dcm_test_utils::environment::skip;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::{
    design,
    support::{Dcm, LC, PREFACE, SETTINGS, kubeconfig, until_closed},
};

/// A body of exactly so many bytes.
fn project(name: &str, bytes: usize) -> String {
    let body = json!({ "metadata": { "name": name } }).to_string();
    format!("{body}{}", " ".repeat(bytes - body.len()))
}

fn head(length: &str, more: &str) -> String {
    format!("POST /v2/projects HTTP/1.1\r\nHost: localhost\r\n{length}\r\n{more}\r\n")
}

/// The first answer on a connection, as far as it has come.
async fn answer(stream: &mut TcpStream) -> String {
    let mut answer = vec![0; 4096];
    let read = tokio::time::timeout(Duration::from_secs(20), stream.read(&mut answer)).await;
    String::from_utf8_lossy(&answer[..read.unwrap().unwrap()]).into_owned()
}

#[tokio::test]
async fn a_form_may_be_as_large_as_any_body() {
    let dcm = Dcm::start("memory", &["--max-body-size", "16MiB"]).await;
    let form = reqwest::multipart::Form::new()
        .text("metadata", json!({ "metadata": { "name": "c" } }).to_string())
        .text("file", kubeconfig().to_string())
        .text("more", "x".repeat(3 * 1024 * 1024));
    let clusters = "/v2/cluster-providers/default/clusters";
    dcm.send(dcm.request(Method::POST, clusters).multipart(form)).await.expect(201);
    dcm.stop().await;
}

#[tokio::test]
async fn one_body_may_take_all_the_room_however_it_is_counted() {
    let dcm = Dcm::start("memory", &["--max-body-size", "1048577", "--max-bodies-in-memory", "1048577"]).await;
    dcm.raw(Method::POST, "/v2/projects", "application/json", project("p", 1_048_577)).await.expect(201);
    dcm.stop().await;
}

#[tokio::test]
async fn the_largest_body_is_configured() {
    let dcm = Dcm::start("memory", &["--max-body-size", "16KiB"]).await;
    let post = async |bytes: usize| {
        dcm.raw(Method::POST, "/v2/projects", "application/json", project(&format!("p{bytes}"), bytes)).await
    };
    post(16 * 1024).await.expect(201);
    let problem = post(16 * 1024 + 1).await.expect_problem(413, &[]);
    assert_eq!(problem["detail"], "the body has more than 16384 bytes");
    // A body that does not say how long it is.
    let mut stream = dcm.connection(head("Transfer-Encoding: chunked", "").as_bytes()).await;
    let chunk = format!("1000\r\n{}\r\n", " ".repeat(0x1000));
    for _ in 0..5 {
        stream.write_all(chunk.as_bytes()).await.unwrap();
    }
    let answer = answer(&mut stream).await;
    assert!(answer.starts_with("HTTP/1.1 413 ") && answer.contains("body-too-large"), "{answer}");
    dcm.stop().await;
}

#[tokio::test]
async fn a_body_that_is_announced_too_large_is_refused_before_it_is_sent() {
    let dcm = Dcm::start("memory", &[]).await;
    for more in ["", "Expect: 100-continue\r\n"] {
        let mut stream = dcm.connection(head("Content-Length: 1048577", more).as_bytes()).await;
        let answer = answer(&mut stream).await;
        assert!(answer.starts_with("HTTP/1.1 413 ") && answer.contains("1048576"), "{answer}");
        if !more.is_empty() {
            assert!(until_closed(stream).await.is_empty(), "he was asked for his body");
            continue;
        }
        // Whoever is sending it already can end that, and hears the answer.
        for _ in 0..16 {
            stream.write_all(&[b' '; 65536]).await.unwrap();
        }
    }
    dcm.get("/v2/projects").await.expect(200);
    dcm.stop().await;
}

/// curl gives up an answer that ends before its own request does, or waits for ever.
#[tokio::test]
async fn curl_hears_the_answer_to_a_body_that_nobody_reads_over_http2() {
    let dcm = Dcm::start("memory", &[]).await;
    dcm.with_cloud().await;
    let folder = tempfile::tempdir().unwrap();
    let body = folder.path().join("body");
    std::fs::write(&body, vec![b'0'; 900_000]).unwrap();
    let large = format!("@{}", body.display());
    for (method, path, body, header, status) in [
        ("DELETE", "/v2/projects/none", "x", "Expect: 100-continue", "404"),
        ("POST", "/v2/projects", "x", "Content-Type: text/plain", "415"),
        ("POST", "/v2/projects/p/logical-clouds/lc-1/apply", &*large, "Accept: */*", "409"),
        ("POST", "/v2/projects/p/logical-clouds/lc-1/stop", &*large, "Expect: 100-continue", "409"),
        ("GET", "/v2/projects", &*large, "Accept: */*", "200"),
        ("GET", "/healthz", &*large, "Accept: */*", "200"),
    ] {
        let url = dcm.url(path);
        let arguments =
            ["--silent", "--noproxy", "*", "--max-time", "30", "--http2-prior-knowledge", "--output", "/dev/null"];
        let mut curl = Command::new("curl");
        curl.args(arguments).args([
            "--write-out",
            "%{http_code}",
            "-X",
            method,
            "-H",
            header,
            "--data-binary",
            body,
            &url,
        ]);
        let Ok(ended) = tokio::task::spawn_blocking(move || curl.output()).await.unwrap() else {
            return skip("there is no curl", "bodies that nobody reads over HTTP/2");
        };
        let heard = String::from_utf8_lossy(&ended.stdout).into_owned();
        assert!(ended.status.success() && heard == status, "{method} {path}: {heard}, {}", ended.status);
    }
    dcm.stop().await;
}

#[tokio::test]
async fn whoever_sends_a_large_body_that_nobody_reads_hears_the_answer() {
    let dcm = Dcm::start("memory", &[]).await;
    dcm.with_cloud().await;
    // More than the system keeps for both sides, in pieces as they come.
    let piece = "x".repeat(64 * 1024);
    for (method, path, more, status) in [
        ("POST", format!("{LC}/apply"), "", "409"),
        ("DELETE", format!("{LC}/kv-pairs/none"), "", "404"),
        ("POST", "/v2/nothing".to_owned(), "", "404"),
        ("PUT", format!("{LC}/apply"), "", "405"),
        ("GET", "/v2/projects".to_owned(), "", "200"),
        ("POST", "/v2/projects/a%20b/logical-clouds".to_owned(), "", "400"),
        ("POST", "/v2/projects".to_owned(), "Content-Type: text/plain\r\n", "415"),
        ("POST", "/v2/projects".to_owned(), "Content-Encoding: gzip\r\n", "415"),
        ("POST", "/v2/projects".to_owned(), "Origin: https://example.com\r\n", "403"),
    ] {
        let length = 112 * piece.len();
        let head = format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n{more}\r\n");
        let mut stream = dcm.connection(head.as_bytes()).await;
        for _ in 0..112 {
            stream.write_all(piece.as_bytes()).await.unwrap_or_else(|error| panic!("{method} {path}: {error}"));
        }
        let heard = answer(&mut stream).await;
        assert!(heard.starts_with(&format!("HTTP/1.1 {status} ")), "{method} {path}: {heard}");
        // The connection is as good as new.
        stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
        let next = answer(&mut stream).await;
        assert!(next.contains("alive"), "{method} {path}: {next}");
    }
    dcm.stop().await;
}

#[tokio::test]
async fn the_depth_of_json_is_configured() {
    let dcm = Dcm::start("memory", &["--max-json-depth", "8"]).await;
    dcm.with_cloud().await;
    let kv = |name: &str, depth: usize| {
        let nested = (0..depth).fold(json!(1), |inner, _| json!([inner]));
        json!({ "metadata": { "name": name }, "spec": { "kv": [{ "k": nested }] } })
    };
    // Around it: the body, its spec, the list and its entry.
    dcm.post(&format!("{LC}/kv-pairs"), &kv("a", 4)).await.expect(201);
    let problem = dcm.post(&format!("{LC}/kv-pairs"), &kv("b", 5)).await.expect_problem(400, &[]);
    assert!(problem["detail"].as_str().unwrap().contains("at most 8 levels"), "{problem}");
    dcm.stop().await;
}

#[tokio::test]
async fn the_largest_header_is_configured() {
    let dcm = Dcm::start("memory", &["--max-header-size", "4KiB"]).await;
    let with = |bytes: usize| {
        format!("GET /healthz HTTP/1.1\r\nHost: localhost\r\nX-A: {}\r\nConnection: close\r\n\r\n", "a".repeat(bytes))
    };
    let answer = dcm.bytes(with(4096).as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 431 ") && answer.contains("may have 4096 bytes"), "{answer:.300}");
    assert!(dcm.bytes(with(100_000).as_bytes()).await.starts_with("HTTP/1.1 431 "));
    assert!(dcm.bytes(with(3000).as_bytes()).await.starts_with("HTTP/1.1 200 "));
    dcm.stop().await;
}

#[tokio::test]
async fn bodies_have_only_so_much_memory_together() {
    let options = ["--max-bodies-in-memory", "1MiB", "--body-timeout", "20s"];
    let dcm = Dcm::start("memory", &options).await;
    let whole = project("large", 1024 * 1024);
    let (most, last) = whole.split_at(whole.len() - 1);
    let mut large = dcm.connection(head("Content-Length: 1048576", "").as_bytes()).await;
    large.write_all(most.as_bytes()).await.unwrap();
    let refused = loop {
        // What was sent may not have arrived.
        let reply = dcm.post("/v2/projects", &json!({ "metadata": { "name": "small" } })).await;
        if reply.status != 201 {
            break reply;
        }
        dcm.delete("/v2/projects/small").await.expect(204);
    };
    let problem = refused.expect_problem(503, &[]);
    assert!(problem["type"].as_str().unwrap().ends_with("/overloaded"), "{problem}");
    assert!(refused.header("retry-after").parse::<u64>().is_ok());
    // What needs no body is served.
    dcm.get("/v2/projects").await.expect(200);
    large.write_all(last.as_bytes()).await.unwrap();
    let done = answer(&mut large).await;
    assert!(done.starts_with("HTTP/1.1 201 "), "{done}");
    dcm.post("/v2/projects", &json!({ "metadata": { "name": "small" } })).await.expect(201);
    dcm.stop().await;
}

/// Sends a byte now and then for as long as the server takes them, and gives its answer.
async fn trickle(mut stream: TcpStream, byte: &[u8]) -> String {
    let started = Instant::now();
    let (mut reader, mut writer) = stream.split();
    let mut all = Vec::new();
    let read = reader.read_to_end(&mut all);
    let write = async {
        while writer.write_all(byte).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        std::future::pending().await
    };
    tokio::select! {
        _ = read => {}
        () = write => {}
    }
    assert!(started.elapsed() < Duration::from_secs(20), "{:?}", started.elapsed());
    String::from_utf8_lossy(&all).into_owned()
}

#[tokio::test]
async fn what_trickles_in_without_an_end_is_ended() {
    let dcm = Dcm::start("memory", &["--header-timeout", "1s", "--body-timeout", "1s"]).await;
    for (head, byte) in [
        (head("Content-Length: 1000000", "Connection: close\r\n"), &b" "[..]),
        (head("Transfer-Encoding: chunked", "Connection: close\r\n"), b"1\r\n \r\n"),
    ] {
        let answer = trickle(dcm.connection(head.as_bytes()).await, byte).await;
        assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    }
    let answer = trickle(dcm.connection(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX-A: ").await, b"a").await;
    assert!(!answer.contains("200 OK"), "{answer}");
    let answer = trickle(dcm.connection(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n").await, b"X-A: a\r\n").await;
    assert!(!answer.contains("200 OK"), "{answer}");
    dcm.stop().await;
}

/// A GET over HTTP/2.
fn get(stream: u8, path: &str) -> Vec<u8> {
    let mut fields = vec![0x82, 0x86, 0x04, u8::try_from(path.len()).unwrap()];
    fields.extend(path.as_bytes());
    fields.extend([0x01, 9]);
    fields.extend(b"localhost");
    [&[0, 0, u8::try_from(fields.len()).unwrap(), 1, 5, 0, 0, 0, stream][..], &fields].concat()
}

/// Makes kv-pairs of nearly a mebibyte each.
async fn with_large_answers(dcm: &Dcm, count: usize) {
    dcm.with_cloud().await;
    for n in 0..count {
        let body =
            json!({ "metadata": { "name": format!("kv-{n}") }, "spec": { "kv": [{ "k": "x".repeat(1_000_000) }] } });
        dcm.post(&format!("{LC}/kv-pairs"), &body).await.expect(201);
    }
}

#[tokio::test]
async fn a_client_who_takes_nothing_of_his_answer_is_cut() {
    let options = ["--write-timeout", "1s", "--header-timeout", "60s"];
    let dcm = Dcm::start("memory", &options).await;
    with_large_answers(&dcm, 5).await;
    // What the system keeps for him is more than one page has.
    let request = format!("GET {LC}/kv-pairs HTTP/1.1\r\nHost: localhost\r\n\r\n").repeat(4);
    let stream = dcm.connection(request.as_bytes()).await;
    tokio::time::sleep(Duration::from_secs(4)).await;
    let got = until_closed_somehow(stream).await;
    assert!(got.starts_with(b"HTTP/1.1 200 OK") && got.len() < 16_000_000, "{} bytes", got.len());
    dcm.stop().await;
}

#[tokio::test]
async fn nor_does_an_http2_client_hold_an_answer_by_asking_for_others() {
    let options = ["--write-timeout", "1s", "--header-timeout", "60s"];
    let dcm = Dcm::start("memory", &options).await;
    with_large_answers(&dcm, 1).await;
    // The window of the connection ends the large answer; one of the first stream is enough for the small ones.
    let mut stream = dcm.connection(&[PREFACE, SETTINGS, &get(1, &format!("{LC}/kv-pairs/kv-0"))].concat()).await;
    let started = Instant::now();
    let mut number = 3;
    while stream.write_all(&get(number, "/healthz")).await.is_ok() {
        assert!(started.elapsed() < Duration::from_secs(20), "still open");
        tokio::time::sleep(Duration::from_millis(200)).await;
        number = if number >= 251 { 251 } else { number + 2 };
    }
    assert!(started.elapsed() > Duration::from_millis(900), "{:?}", started.elapsed());
    dcm.get("/healthz").await.expect(200);
    dcm.stop().await;
}

#[tokio::test]
async fn a_client_who_takes_his_answer_slowly_gets_all_of_it() {
    let options = ["--write-timeout", "2s", "--header-timeout", "2s"];
    let dcm = Dcm::start("memory", &options).await;
    with_large_answers(&dcm, 5).await;
    let request = format!("GET {LC}/kv-pairs HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    let mut stream = dcm.connection(request.as_bytes()).await;
    let (started, mut all, mut piece) = (Instant::now(), 0, vec![0; 300_000]);
    loop {
        match stream.read(&mut piece).await.unwrap() {
            0 => break,
            read => all += read,
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    assert!(all > 4_000_000 && started.elapsed() > Duration::from_secs(2), "{all} bytes in {:?}", started.elapsed());
    dcm.stop().await;
}

/// Reads until the connection ends, well or badly.
async fn until_closed_somehow(mut stream: TcpStream) -> Vec<u8> {
    let mut all = Vec::new();
    let read = tokio::time::timeout(Duration::from_secs(20), stream.read_to_end(&mut all)).await;
    assert!(read.is_ok(), "still open after {} bytes", all.len());
    all
}

#[tokio::test]
async fn floods_of_http2_frames_do_no_harm_to_others() {
    let dcm = Dcm::start("memory", &["--header-timeout", "5s"]).await;
    let open = [PREFACE, SETTINGS].concat();
    // Header fields that never end: each frame has one of a few hundred bytes that is not kept for later ones.
    let field = [&[0x00, 1, b'x', 0x7f, 0x80, 0x02][..], &[b'a'; 383]].concat();
    let length = u16::try_from(field.len()).unwrap().to_be_bytes();
    let first = [&[0, length[0], length[1], 1, 0, 0, 0, 0, 1][..], &field].concat();
    let more = [&[0, length[0], length[1], 9, 0, 0, 0, 0, 1][..], &field].concat();
    let resets = (0..20_000_u32).flat_map(|n| {
        let stream = (2 * n + 1).to_be_bytes();
        let mut request = get(1, "/v2/projects");
        request[5..9].copy_from_slice(&stream);
        request.extend([&[0, 0, 4, 3, 0][..], &stream, &[0, 0, 0, 8]].concat());
        request
    });
    // Whether the resets are taken is HTTP/2's affair: each ends its request.
    let floods: [(Vec<u8>, bool); 2] = [([first, more.repeat(20_000)].concat(), true), (resets.collect(), false)];
    for (flood, is_cut) in floods {
        let stream = dcm.connection(&open).await;
        let (mut reader, mut writer) = stream.into_split();
        let reading = tokio::spawn(async move {
            let mut all = Vec::new();
            let _ = reader.read_to_end(&mut all).await;
        });
        let written = tokio::time::timeout(Duration::from_secs(20), writer.write_all(&flood)).await;
        assert!(!is_cut || !matches!(written, Ok(Ok(()))), "all of it was taken");
        reading.abort();
        dcm.get("/healthz").await.expect(200);
    }
    // Half of a header that has no end.
    let started = Instant::now();
    let half = [&open[..], &[0, 0, 1, 1, 0, 0, 0, 0, 1, 0x82]].concat();
    until_closed(dcm.connection(&half).await).await;
    assert!(started.elapsed() < Duration::from_secs(20));
    let made: Value = dcm.post("/v2/projects/p/logical-clouds", &design::logical_cloud()).await.expect(201);
    assert_eq!(made["name"], "lc-1");
    dcm.stop().await;
}
