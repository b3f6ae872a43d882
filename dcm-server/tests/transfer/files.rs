//! What is refused, and the way there and back.

use std::{
    fs,
    os::unix::fs::{FileTypeExt as _, PermissionsExt as _, symlink},
};

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
    assert_eq!(fs::metadata(file("1")).unwrap().permissions().mode() & 0o777, 0o600);
    let key = file("one.key");
    for store in [&uri, &two] {
        let options =
            ["--http", "127.0.0.1:0", "--grpc", "127.0.0.1:0", "--store", store, "--encryption-key-file", &key];
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
    fails(1, &["export", "--store", &missing], "there is no store in");
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

#[tokio::test(flavor = "multi_thread")]
async fn an_export_of_a_store_that_is_not_there_makes_none_and_leaves_the_last_backup() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    // The place of a volume that is not mounted, and a wrong name.
    fs::create_dir(path("unmounted")).unwrap();
    fs::write(path("file"), "the last backup").unwrap();
    for name in ["unmounted", "missing"] {
        let store = sled(folder.path(), name);
        fails(1, &["export", "--store", &store, "--output", &path("file"), "--force"], "the volume is mounted");
    }
    assert_eq!(fs::read_dir(path("unmounted")).unwrap().count(), 0, "something was made");
    assert!(!fs::exists(path("missing")).unwrap());
    let empty = sled(folder.path(), "empty");
    drop(opened(&empty).await);
    fails(1, &["export", "--store", &empty, "--output", &path("file"), "--force"], "the store holds no documents");
    fails(1, &["export", "--store", &empty], "the store holds no documents");
    assert_eq!(fs::read_to_string(path("file")).unwrap(), "the last backup");

    let Some(uri) = mongodb::fresh_database("an export of a database that is not there") else { return };
    fails(1, &["export", "--store", &uri, "--output", &path("file"), "--force"], "there is no store in the database");
    assert_eq!(fs::read_to_string(path("file")).unwrap(), "the last backup");
    dcm_server::install_crypto_provider();
    let client = ::mongodb::Client::with_uri_str(&uri).await.unwrap();
    let made = client.default_database().unwrap().list_collection_names().await.unwrap();
    assert_eq!(made, Vec::<String>::new(), "something was made");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_goes_where_a_link_leads_and_replaces_nothing_but_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let one = sled(folder.path(), "one");
    made(&one).await;
    fs::create_dir(path("elsewhere")).unwrap();
    fs::write(path("elsewhere/file"), "the last backup").unwrap();
    symlink("elsewhere/file", path("link")).unwrap();
    fails(1, &["export", "--store", &one, "--output", &path("link")], "--force");
    succeeds(&["export", "--store", &one, "--output", &path("link"), "--force"]);
    assert!(fs::symlink_metadata(path("link")).unwrap().is_symlink());
    assert!(lines(&path("elsewhere/file")).len() >= 3);
    fs::remove_file(path("elsewhere/file")).unwrap();
    fails(1, &["export", "--store", &one, "--output", &path("link"), "--force"], "leads to no file");
    assert!(fs::symlink_metadata(path("link")).unwrap().is_symlink());

    assert!(Command::new("mkfifo").arg(path("pipe")).status().unwrap().success());
    fails(1, &["export", "--store", &one, "--output", &path("pipe"), "--force"], "redirect standard output");
    assert!(fs::metadata(path("pipe")).unwrap().file_type().is_fifo());
    fails(1, &["export", "--store", &one, "--output", "/dev/null"], "redirect standard output");
}
