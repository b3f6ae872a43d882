//! HTTP over TLS, with clients of other makes.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod authority;
mod files;
mod mutual;
mod peers;
mod reload;
mod support;

use std::time::{Duration, Instant};

use support::{Ca, Client, Place, curl, run};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

const REQUEST: &str = "GET /healthz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";

#[tokio::test(flavor = "multi_thread")]
async fn openssl_is_served_over_tls_1_2_and_1_3_and_over_nothing_older() {
    let (place, ca) = (Place::new(), Ca::new("ca"));
    let trusted = place.put("ca.crt", &ca.pem);
    let server = place.serve(&ca.server(), &[]).await;
    let to = format!("localhost:{}", server.port());
    let ask = |version: &str, more: &[&str]| {
        let options = ["s_client", "-connect", &to, "-CAfile", &trusted, "-verify_return_error", "-ign_eof", version];
        run("openssl", &[&options, more].concat(), REQUEST)
    };
    for (version, name) in [("-tls1_2", "TLSv1.2"), ("-tls1_3", "TLSv1.3")] {
        let (_, said) = ask(version, &["-verify_hostname", "localhost"]);
        assert!(said.contains(&format!("New, {name}")) && said.contains("HTTP/1.1 200 OK"), "{said}");
    }
    // However weak a client lets itself be.
    let (good, said) = ask("-tls1_1", &["-cipher", "ALL:@SECLEVEL=0"]);
    assert!(!good && said.contains("alert") && !said.contains("HTTP/1.1"), "{said}");
    server.0.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn curl_speaks_http_1_and_http_2_and_calls_the_server_by_the_names_of_its_certificate() {
    let (place, ca) = (Place::new(), Ca::new("ca"));
    let trusted = place.put("ca.crt", &ca.pem);
    let server = place.serve(&ca.issue(&["dcm.example.com", "*.dcm.example.com", "localhost"]), &[]).await;
    let ask = |host: &str, more: &[&str]| {
        let (url, to) =
            (format!("https://{host}:{}/v2/projects", server.port()), format!("{host}:{}:127.0.0.1", server.port()));
        let options = ["--cacert", &trusted, "--resolve", &to, "-w", "\n%{http_version} %{http_code}", &url];
        curl(&[&options, more].concat())
    };
    for (option, version) in [("--http1.1", "1.1"), ("--http2", "2")] {
        for host in ["localhost", "dcm.example.com", "a.dcm.example.com"] {
            let (good, said) = ask(host, &[option]);
            assert!(good && said.ends_with(&format!("{version} 200")), "{host}: {said}");
        }
        // A name that is none of ours, by whatever way somebody came here.
        let (good, said) = ask("localhost", &[option, "-H", "host: evil.example.com"]);
        assert!(good && said.ends_with(&format!("{version} 403")), "{said}");
    }
    for (origin, answer) in [("https", "200"), ("http", "403")] {
        let origin = format!("origin: {origin}://dcm.example.com:{}", server.port());
        let (good, said) = ask("dcm.example.com", &["-H", &origin]);
        assert!(good && said.ends_with(answer), "{origin}: {said}");
    }
    let (good, said) = curl(&[&server.url("/healthz")]);
    assert!(!good && said.contains("certificate"), "{said}");
    server.0.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_speaks_plain_http_is_told_to_use_https() {
    let (place, ca) = (Place::new(), Ca::new("ca"));
    let server = place.serve(&ca.server(), &[]).await;
    let url = server.url("/v2/projects").replace("https", "http");
    for more in [&[][..], &["--data", &"x".repeat(30_000)]] {
        let (good, said) = curl(&[&["-i", &url], more].concat());
        assert!(good && said.starts_with("HTTP/1.1 400") && said.contains("use https"), "{said}");
    }
    let mut stream = TcpStream::connect(server.0.http_addr()).await.unwrap();
    stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    // SETTINGS, and GOAWAY with INADEQUATE_SECURITY.
    assert_eq!((answer[3], answer[9 + 3], answer[9 + 9 + 7]), (4, 7, 12), "{answer:?}");
    assert_eq!(usize::from(answer[9 + 2]), answer.len() - 18, "{answer:?}");
    assert!(String::from_utf8_lossy(&answer).contains("use https"), "{answer:?}");
    server.0.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_never_becomes_secure_gives_his_place_back() {
    let (place, ca) = (Place::new(), Ca::new("ca"));
    let server = place.serve(&ca.server(), &["--max-connections=2", "--header-timeout=1s"]).await;
    let mut silent = TcpStream::connect(server.0.http_addr()).await.unwrap();
    let mut slow = TcpStream::connect(server.0.http_addr()).await.unwrap();
    // The beginning of a handshake.
    slow.write_all(&[22, 3, 1, 2, 0, 1]).await.unwrap();
    let begun = Instant::now();
    let answer = Client::new(&ca, None).get(&server, "/healthz").await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(begun.elapsed() >= Duration::from_millis(500), "both had a place: {:?}", begun.elapsed());
    for stream in [&mut silent, &mut slow] {
        // An end without an alert, or a reset.
        let _ = tokio::time::timeout(Duration::from_secs(20), stream.read_to_end(&mut Vec::new())).await.unwrap();
    }
    assert!(server.metric(&Client::new(&ca, None), "dcm_tls_handshakes_failed_total").await >= 2.0);
    server.0.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handshake_holds_no_stop_up() {
    let (place, ca) = (Place::new(), Ca::new("ca"));
    let server = place.serve(&ca.server(), &["--stop-timeout=60s"]).await;
    let mut slow = TcpStream::connect(server.0.http_addr()).await.unwrap();
    slow.write_all(&[22, 3, 1]).await.unwrap();
    let begun = Instant::now();
    server.0.stop().await;
    assert!(begun.elapsed() < Duration::from_secs(8), "{:?}", begun.elapsed());
}
