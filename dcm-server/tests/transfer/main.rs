//! `dcm-server export` and `import`, as an operator runs them.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that fails says where")]
#![cfg(all(feature = "sled", feature = "mongodb"))]

use std::{
    os::unix::fs::PermissionsExt as _,
    path::Path,
    process::{Command, Output},
};

use dcm_server::{Config, start};
use dcm_test_utils::mongodb;

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
    let config = Config::from_options(["--http", "127.0.0.1:0", "--store", store]).unwrap();
    let server = start(config).await.unwrap();
    let url = format!("http://{}/v2/projects", server.http_addr());
    let body = serde_json::json!({ "metadata": { "name": "p" } });
    assert_eq!(reqwest::Client::new().post(url).json(&body).send().await.unwrap().status(), 201);
    server.stop().await;
}

/// All lines but the first, which has the time.
fn lines(file: &str) -> Vec<String> {
    let text = std::fs::read_to_string(file).unwrap();
    // The last one's checksum is over the first too.
    let mut lines: Vec<String> = text.lines().skip(1).map(str::to_owned).collect();
    lines.pop();
    lines
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_goes_from_sled_to_mongodb_and_back_unchanged_and_serves_there() {
    let what = "a_store_goes_from_sled_to_mongodb_and_back";
    let Some(uri) = mongodb::fresh_database(what) else { return };
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name).display().to_string();
    let (one, two) = (sled(folder.path(), "one"), sled(folder.path(), "two"));
    made(&one).await;
    succeeds(&["export", "--store", &one, "--output", &file("1")]);
    succeeds(&["import", "--store", &uri, &file("1")]);
    succeeds(&["export", "--store", &uri, "--output", &file("2")]);
    succeeds(&["import", "--store", &two, &file("2")]);
    succeeds(&["export", "--store", &two, "--output", &file("3")]);
    assert!(lines(&file("1")).len() >= 3);
    assert_eq!(lines(&file("1")), lines(&file("2")));
    assert_eq!(lines(&file("1")), lines(&file("3")));
    assert_eq!(std::fs::metadata(file("1")).unwrap().permissions().mode() & 0o777, 0o600);
    let key = file("one.key");
    for store in [&uri, &two] {
        let options = ["--http", "127.0.0.1:0", "--store", store, "--encryption-key-file", &key];
        let server = start(Config::from_options(options).unwrap()).await.unwrap();
        let url = format!("http://{}/v2/projects/p", server.http_addr());
        assert_eq!(reqwest::get(url).await.unwrap().status(), 200);
        server.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_done_is_said_and_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name).display().to_string();
    let (one, two, missing) = (sled(folder.path(), "one"), sled(folder.path(), "two"), sled(folder.path(), "missing"));
    made(&one).await;
    succeeds(&["export", "--quiet", "--store", &one, "--output", &file("1")]);
    fails(1, &["export", "--store", &one, "--output", &file("1")], "--force");
    succeeds(&["export", "--quiet", "--store", &one, "--output", &file("1"), "--force"]);
    fails(1, &["export", "--store", &one, "--output", &file("no/1")], "cannot be written");
    fails(1, &["export", "--store", &one, "--output", &file("")], "is a directory");
    fails(1, &["export", "--store", &missing], "there is no directory");
    fails(2, &["export", "--store", "memory:"], "keeps nothing");
    fails(1, &["import", "--store", &two, &file("none")], "cannot be read");
    fails(1, &["import", "--store", &two, &file("")], "it is not a file");
    fails(1, &["import", "--store", &one, &file("1")], "--merge");
    fails(2, &["import", "--store", &one, "--overwrite", &file("1")], "--merge");
    succeeds(&["import", "--store", &one, "--merge", &file("1")]);
    // The key that the secrets need is not there.
    let imported = run(&["import", "--store", &two, &file("1")]);
    assert!(String::from_utf8_lossy(&imported.stderr).contains("warning: secrets are sealed with"));
}
