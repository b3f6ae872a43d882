//! What is refused, and the way there and back.

use std::os::unix::fs::PermissionsExt as _;

use dcm_test_utils::mongodb;

use super::*;

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
    fails(1, &["export", "--store", &one, "--log", "a=b=c"], "--log must be a level");
    fails(1, &["import", "--store", &two, &file("none")], "cannot be read");
    fails(1, &["import", "--store", &two, &file("")], "it is not a file");
    fails(1, &["import", "--store", &one, &file("1")], "--merge");
    fails(2, &["import", "--store", &one, "--overwrite", &file("1")], "--merge");
    succeeds(&["import", "--store", &one, "--merge", &file("1")]);
    // The key that the secrets need is not there.
    let imported = run(&["import", "--store", &two, &file("1")]);
    assert!(String::from_utf8_lossy(&imported.stderr).contains("warning: secrets are sealed with"));
}
