//! Scans while documents are replaced, and after somebody dropped what they go along.

use std::{collections::BTreeSet, time::Duration};

use dcm_core::store::{Error, Precondition, Scan, Store};
use dcm_store::{MongoConfig, WatchMode, mongodb::MongoStore};
use dcm_test_utils::{mongodb::fresh_database, patience::until_so};
use futures_util::{StreamExt, future::join_all};
use mongodb::{
    Client, Collection,
    bson::{Document, doc},
};
use tokio::sync::watch;

use crate::support::{body, key};

async fn open(uri: &str, watch: WatchMode) -> MongoStore {
    let mut config = MongoConfig::new(uri).unwrap();
    config.watch = watch;
    MongoStore::open(config).await.unwrap()
}

/// The collection behind the store's back.
async fn documents(uri: &str) -> Collection<Document> {
    Client::with_uri_str(uri).await.unwrap().default_database().unwrap().collection("documents")
}

/// How many documents there are: several times as many as MongoDB answers at once. The stand-in answers all at once, so that it
/// cannot show what this is about; which index is used, `plans` shows of both.
const MANY: usize = 400;

#[tokio::test(flavor = "multi_thread")]
async fn a_scan_meets_each_document_once_while_all_are_replaced() {
    let Some(uri) = fresh_database("scans of what is replaced") else { return };
    let store = open(&uri, WatchMode::Auto).await;
    let made = (0..MANY).map(async |n| {
        let name = key(&format!("a/{n:04}"));
        let revision = store.put(&name, body(0), Precondition::Absent).await.unwrap();
        (name, revision)
    });
    let made: Vec<_> = futures_util::stream::iter(made).buffer_unordered(16).collect().await;
    let (stop, stopped) = watch::channel(false);
    let writers = made.chunks(MANY / 4).map(async |mine| {
        let mut mine = mine.to_vec();
        while !*stopped.borrow() {
            for (name, revision) in &mut mine {
                *revision = store.put(name, body(1), Precondition::AtRevision(revision.clone())).await.unwrap();
            }
        }
    });
    let scans = async {
        for _ in 0..20 {
            let found = store.scan(Scan::below(key("a"), MANY)).await.unwrap();
            let names: BTreeSet<_> = found.iter().map(|document| &document.key).collect();
            assert_eq!((found.len(), names.len()), (MANY, MANY));
        }
        stop.send(true).unwrap();
    };
    tokio::join!(join_all(writers), scans);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_somebody_dropped_is_made_again_under_a_running_store() {
    for watch in [WatchMode::Auto, WatchMode::Polling] {
        let Some(uri) = fresh_database("dropped collections and indexes") else { return };
        let store = open(&uri, watch).await;
        let documents = documents(&uri).await;
        let names = async || documents.list_index_names().await.unwrap();
        for (n, collection) in [false, true].into_iter().enumerate() {
            if collection {
                documents.drop().await.unwrap();
            } else {
                documents.drop_indexes().await.unwrap();
            }
            store.put(&key(&format!("a/{n}")), body(1), Precondition::Absent).await.unwrap();
            assert_eq!(names().await.len(), 1);
            let found = store.scan(Scan::below(key("a"), 10)).await.unwrap();
            assert_eq!(found.len(), 1, "{watch:?}, {collection}");
            store.ready().await.unwrap();
            // Where changes are polled, that needs an index too.
            store.position().await.unwrap();
            assert_eq!(names().await.len(), 3);
            if !collection {
                store.delete(&key("a/0"), &found[0].revision).await.unwrap();
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_is_not_ready_without_the_index_that_scans_need() {
    let Some(uri) = fresh_database("readiness without an index") else { return };
    let store = open(&uri, WatchMode::Auto).await;
    store.put(&key("a/b"), body(1), Precondition::Absent).await.unwrap();
    let documents = documents(&uri).await;
    documents.drop_index("path_1").await.unwrap();
    // Ours cannot be made beside another one with the same fields.
    let options = mongodb::options::IndexOptions::builder().name("other".to_owned()).build();
    let other = mongodb::IndexModel::builder().keys(doc! { "path": 1 }).options(options).build();
    documents.create_index(other).await.unwrap();
    assert!(matches!(store.ready().await, Err(Error::Unavailable(_))));
    assert!(matches!(store.scan(Scan::everything(10)).await, Err(Error::Unavailable(_))));
    documents.drop_index("other").await.unwrap();
    until_so(Duration::from_secs(30), "ready", async || store.ready().await.is_ok()).await;
    assert_eq!(store.scan(Scan::everything(10)).await.unwrap().len(), 1);
}
