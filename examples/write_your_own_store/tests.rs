//! Every promise that a store gives, and that this one's last line may be cut short.

use std::{io::Write as _, sync::Arc};

use dcm_core::store::{Body, Key, Precondition, Store};
use tempfile::TempDir;

use super::store::LogStore;

fn place() -> TempDir {
    tempfile::tempdir().unwrap()
}

async fn open(place: &TempDir) -> Arc<dyn Store> {
    // What the store before still writes holds the file for a moment.
    let open = async || LogStore::open(&place.path().join("log"));
    let store = dcm_test_utils::patience::until(std::time::Duration::from_secs(20), "open", open).await;
    Arc::new(store)
}

async fn empty() -> (Arc<dyn Store>, TempDir) {
    let place = place();
    (open(&place).await, place)
}

dcm_test_utils::store_conformance!(empty);
dcm_test_utils::lasting_store_conformance!(place, open);

#[tokio::test]
async fn a_line_that_was_cut_short_is_no_write() {
    let place = place();
    let key: Key = "a/b".parse().unwrap();
    let store = open(&place).await;
    let revision = store.put(&key, Body::from_json(*b"{\n}"), Precondition::Absent).await.unwrap();
    drop(store);
    let mut file = std::fs::OpenOptions::new().append(true).open(place.path().join("log")).unwrap();
    file.write_all(br#"{"key":"a/b","bo"#).unwrap();
    drop(file);
    let store = open(&place).await;
    let found = store.get(&key).await.unwrap().unwrap();
    assert_eq!((found.revision.clone(), found.body), (revision, Body::from_json(*b"{ }")));
    store.delete(&key, &found.revision).await.unwrap();
    drop(store);
    assert_eq!(open(&place).await.get(&key).await.unwrap(), None);
}

#[tokio::test]
async fn a_file_is_opened_once_at_a_time() {
    let place = place();
    let store = open(&place).await;
    assert!(LogStore::open(&place.path().join("log")).is_err());
    drop(store);
}
