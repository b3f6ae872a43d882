//! `dcm-server export` and `import`, as an operator runs them.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test that fails says where"
)]
#![cfg(all(feature = "sled", feature = "mongodb"))]

mod cut_off;
mod files;
mod serving;
mod space;

use std::{
    path::Path,
    process::{Command, Output},
    sync::Arc,
};

use dcm_core::store::{Body, Key, Precondition, Store, StoreExt as _};
use dcm_server::{Config, start};
use futures_util::{StreamExt as _, stream};

fn run(options: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_dcm-server")).args(options).output().unwrap()
}

#[track_caller]
fn succeeds(options: &[&str]) {
    let output = run(options);
    assert!(output.status.success(), "{options:?}: {}", String::from_utf8_lossy(&output.stderr));
}

#[track_caller]
fn fails(code: i32, options: &[&str], said: &str) {
    let output = run(options);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{options:?}: {errors}");
    assert!(errors.contains(said), "{options:?}: {errors}");
}

fn sled(folder: &Path, name: &str) -> String {
    format!("sled:{}", folder.join(name).display())
}

/// Makes a store with a project in it.
async fn made(store: &str) {
    dcm_server::install_crypto_provider();
    let config = Config::from_options(["--http", "127.0.0.1:0", "--grpc", "127.0.0.1:0", "--store", store]).unwrap();
    let server = start(config).await.unwrap();
    let url = format!("http://{}/v2/projects", server.http_addr());
    let body = serde_json::json!({ "metadata": { "name": "p" } });
    assert_eq!(reqwest::Client::new().post(url).json(&body).send().await.unwrap().status(), 201);
    server.stop().await;
}

/// Opens a store beside the commands.
async fn opened(store: &str) -> Arc<dyn Store> {
    dcm_server::install_crypto_provider();
    dcm_store::open(store.parse().unwrap()).await.unwrap()
}

/// Where a test's own documents lie.
fn key(n: usize) -> Key {
    format!("kv-pair/test/{n:06}").parse().unwrap()
}

/// Writes documents of so many bytes that do not compress, from one number up to another.
async fn fill(store: &dyn Store, numbers: std::ops::Range<usize>, bytes: usize) {
    let put = async |n: usize| {
        let text: String = std::iter::repeat_with(fastrand::alphanumeric).take(bytes).collect();
        let body = Body::from_json(format!("{{\"n\":{n},\"text\":\"{text}\"}}").into_bytes());
        store.put(&key(n), body, Precondition::Absent).await.unwrap();
    };
    stream::iter(numbers).map(put).buffer_unordered(128).for_each(async |()| {}).await;
}

/// All lines but the first, which has the time.
fn lines(file: &str) -> Vec<String> {
    let text = std::fs::read_to_string(file).unwrap();
    // The last one's checksum is over the first too.
    let mut lines: Vec<String> = text.lines().skip(1).map(str::to_owned).collect();
    lines.pop();
    lines
}
