//! How a server starts and ends.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::{error::Error as _, os::unix::fs::PermissionsExt as _, time::Duration};

use dcm_server::{Config, StartError, start};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

fn config(options: &[&str]) -> Config {
    dcm_server::install_crypto_provider();
    Config::from_options(options.iter().copied()).unwrap()
}

#[tokio::test]
async fn refuses_to_listen_beyond_loopback_without_being_told() {
    for (option, other) in [("--http", "--grpc"), ("--grpc", "--http")] {
        let beyond = [option, "0.0.0.0:0", other, "127.0.0.1:0", "--store", "memory:"];
        let error = start(config(&beyond)).await.unwrap_err();
        assert!(matches!(error, StartError::BeyondLoopback(named, _) if named == option));
        assert!(error.to_string().contains("--insecure-listen-without-authentication"), "{error}");
        let told = [&beyond[..], &["--insecure-listen-without-authentication"]].concat();
        start(config(&told)).await.unwrap().stop().await;
    }
}

#[tokio::test]
async fn says_that_the_port_or_the_store_is_taken() {
    let directory = tempfile::tempdir().unwrap();
    let store = format!("sled:{}", directory.path().join("data").display());
    let first = start(config(&["--http", "127.0.0.1:0", "--grpc", "127.0.0.1:0", "--store", &store])).await.unwrap();
    let address = first.http_addr().to_string();
    for (option, other) in [("--http", "--grpc"), ("--grpc", "--http")] {
        let taken = [option, &address, other, "127.0.0.1:0", "--store", "memory:"];
        let error = start(config(&taken)).await.unwrap_err();
        let said = error.to_string();
        assert!(
            matches!(error, StartError::Listen { .. }) && said.contains(&address) && said.contains(option),
            "{said}"
        );
    }
    let error =
        start(config(&["--http", "127.0.0.1:0", "--grpc", "127.0.0.1:0", "--store", &store])).await.unwrap_err();
    assert!(error.source().unwrap().to_string().contains("in use by another process"), "{error:?}");
    first.stop().await;
}

#[tokio::test]
async fn what_was_stored_is_there_after_a_restart_and_the_key_is_the_owners_alone() {
    let directory = tempfile::tempdir().unwrap();
    let store = format!("sled:{}/", directory.path().join("data").display());
    let options = ["--http", "127.0.0.1:0", "--grpc", "127.0.0.1:0", "--store", &store, "--synchronizer", "simulated"];
    let first = start(config(&options)).await.unwrap();
    let url = format!("http://{}/v2/projects", first.http_addr());
    let body = serde_json::json!({ "metadata": { "name": "p" } });
    let made = reqwest::Client::new().post(url).json(&body).send().await.unwrap();
    assert_eq!(made.status(), 201);
    let installation = first.dcm().installation().clone();
    first.stop().await;
    let key = directory.path().join("data.key");
    assert_eq!(std::fs::metadata(&key).unwrap().permissions().mode() & 0o777, 0o600);
    let again = start(config(&options)).await.unwrap();
    assert_eq!(*again.dcm().installation(), installation);
    let url = format!("http://{}/v2/projects/p", again.http_addr());
    assert_eq!(reqwest::get(url).await.unwrap().status(), 200);
    again.stop().await;
}

#[tokio::test]
async fn a_stop_ends_what_is_in_flight_and_takes_nothing_new() {
    let server =
        start(config(&["--http", "127.0.0.1:0", "--grpc", "127.0.0.1:0", "--store", "memory:"])).await.unwrap();
    let address = server.http_addr();
    let body = r#"{ "metadata": { "name": "p" } }"#;
    let (first, rest) = body.split_at(5);
    let head = format!("POST /v2/projects HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n", body.len());
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(format!("{head}{first}").as_bytes()).await.unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    let stopped = tokio::spawn(server.stop());
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(TcpStream::connect(address).await.is_err(), "a new connection was taken");
    assert!(!stopped.is_finished());
    stream.write_all(rest.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 201 "), "{answer}");
    tokio::time::timeout(Duration::from_secs(5), stopped).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_stop_waits_no_longer_than_it_is_told_to() {
    let options = ["--http", "127.0.0.1:0", "--grpc", "127.0.0.1:0", "--store", "memory:", "--stop-timeout", "300ms"];
    let server = start(config(&options)).await.unwrap();
    let mut stream = TcpStream::connect(server.http_addr()).await.unwrap();
    let head = b"POST /v2/projects HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n{";
    stream.write_all(head).await.unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    tokio::time::timeout(Duration::from_secs(5), server.stop()).await.unwrap();
}

#[tokio::test]
async fn another_encryption_key_than_the_datas_is_refused_at_the_start() {
    let directory = tempfile::tempdir().unwrap();
    let store = format!("sled:{}", directory.path().join("data").display());
    let options = ["--http", "127.0.0.1:0", "--grpc", "127.0.0.1:0", "--store", &store, "--synchronizer", "simulated"];
    start(config(&options)).await.unwrap().stop().await;
    let (key, aside) = (directory.path().join("data.key"), directory.path().join("aside"));
    std::fs::rename(&key, &aside).unwrap();
    let error = start(config(&options)).await.unwrap_err();
    assert!(matches!(error, StartError::WrongKey(_)), "{error:?}");
    std::fs::rename(&aside, &key).unwrap();
    start(config(&options)).await.unwrap().stop().await;
}
