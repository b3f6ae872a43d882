//! Watches on MongoDB where something is unusual: an old position, many watches, hands at work, a server that goes away.

use std::time::{Duration, Instant};

use dcm_core::store::{Body, Change, Changes, Error, Event, Key, Precondition, Revision, Scan, Store};
use dcm_store::{MongoConfig, WatchMode, mongodb::MongoStore};
use dcm_test_utils::mongodb::{Server, fresh_database, with_database};
use futures_util::{StreamExt, future::join_all};
use mongodb::{
    Client, Database,
    bson::{Document, doc},
    options::ClientOptions,
};

/// How long a change may take to arrive.
const PATIENCE: Duration = Duration::from_secs(30);

fn key(text: &str) -> Key {
    text.parse().unwrap()
}

async fn insert(store: &MongoStore, at: &str) -> Revision {
    store.put(&key(at), Body::from_json(*b"{}"), Precondition::Absent).await.unwrap()
}

async fn next(changes: &mut Changes) -> Option<Result<Event, Error>> {
    tokio::time::timeout(PATIENCE, changes.next()).await.unwrap()
}

async fn told(changes: &mut Changes) -> Change {
    next(changes).await.unwrap().unwrap().change
}

/// The database behind the store's back.
async fn database(uri: &str) -> Database {
    let options = ClientOptions::parse(uri).await.unwrap();
    let name = options.default_database.clone().unwrap();
    Client::with_options(options).unwrap().database(&name)
}

async fn open(uri: &str) -> MongoStore {
    MongoStore::open(MongoConfig::new(uri).unwrap()).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_the_server_has_forgotten_is_expired() {
    let folder = tempfile::tempdir().unwrap();
    let started = Server::start(&folder.path().join("data"), &["--oplog-max-entries", "16"], "old resume tokens").await;
    let Some(server) = started else { return };
    let uri = with_database(&server.uri(), "dcm");
    let store = open(&uri).await;
    let old = store.position().await.unwrap();
    insert(&store, "a/old").await;
    // The stand-in forgets once in a thousand writes.
    let others = database(&uri).await.collection::<Document>("others");
    for _ in 0..3 {
        others.insert_many((0..1000).map(|_| doc! {})).await.unwrap();
    }
    let watch = store.watch(Some(&key("a")), Some(old)).await;
    assert!(matches!(watch, Err(Error::Expired)), "{:?}", watch.err());
    let young = store.position().await.unwrap();
    insert(&store, "a/young").await;
    let mut changes = store.watch(Some(&key("a")), Some(young)).await.unwrap();
    assert!(matches!(told(&mut changes).await, Change::Put(document) if document.key == key("a/young")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_position_of_another_database_is_expired() {
    let what = "positions of other databases";
    let (Some(one), Some(other)) = (fresh_database(what), fresh_database(what)) else { return };
    let (one, other) = (open(&one).await, open(&other).await);
    let position = one.position().await.unwrap();
    assert!(matches!(other.watch(None, Some(position.clone())).await, Err(Error::Expired)));
    assert!(one.watch(None, Some(position)).await.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn more_watches_than_connections_leave_calls_their_own() {
    let Some(uri) = fresh_database("many watches") else { return };
    let store = open(&format!("{uri}?maxPoolSize=4")).await;
    let mut watches = Vec::new();
    for _ in 0..12 {
        watches.push(store.watch(Some(&key("a")), None).await.unwrap());
    }
    for n in 0..20 {
        insert(&store, &format!("a/{n}")).await;
    }
    let heard = watches.iter_mut().map(async |changes| {
        for n in 0..20 {
            assert!(matches!(told(changes).await, Change::Put(document) if document.key == key(&format!("a/{n}"))));
        }
    });
    join_all(heard).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_opens_a_watch_does_not_queue_behind_those_that_listen() {
    let Some(uri) = fresh_database("very many watches") else { return };
    let store = open(&format!("{uri}?maxPoolSize=4")).await;
    insert(&store, "a/b").await;
    // Idle ones hold the connections for watches half a second each: in turn, all these take longer than a call may.
    let mut watches = Vec::new();
    for _ in 0..60 {
        watches.push(store.watch(None, None).await.unwrap());
        assert!(store.get(&key("a/b")).await.unwrap().is_some());
    }
    let many = (0..60).map(|_| store.watch(None, None));
    let calls = async {
        for _ in 0..20 {
            assert!(store.get(&key("a/b")).await.unwrap().is_some());
        }
    };
    let (more, position, ()) = tokio::join!(join_all(many), store.position(), calls);
    position.unwrap();
    assert!(more.iter().all(Result::is_ok));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_document_that_cannot_be_read_ends_a_watch_as_expired_and_not_for_good() {
    let Some(uri) = fresh_database("a document that cannot be read") else { return };
    let store = open(&uri).await;
    let position = store.position().await.unwrap();
    let documents = database(&uri).await.collection::<Document>("documents");
    documents.insert_one(doc! { "_id": "a/b", "path": "a\tb", "revision": "by-hand" }).await.unwrap();
    let mut changes = store.watch(Some(&key("a")), Some(position)).await.unwrap();
    assert!(matches!(next(&mut changes).await, Some(Err(Error::Expired))));
    assert!(next(&mut changes).await.is_none());
    // Who starts over is told what is wrong, and goes on once it is repaired.
    let position = store.position().await.unwrap();
    let all = || Scan::everything(10);
    assert!(matches!(store.scan(all()).await, Err(Error::Corrupt { .. })));
    documents.update_one(doc! { "_id": "a/b" }, doc! { "$set": { "body": {} } }).await.unwrap();
    let mut changes = store.watch(Some(&key("a")), Some(position)).await.unwrap();
    assert!(matches!(told(&mut changes).await, Change::Put(document) if document.key == key("a/b")));
    assert_eq!(store.scan(all()).await.unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_update_by_hand_is_told_and_a_drop_ends_the_watch() {
    let Some(uri) = fresh_database("changes by hand") else { return };
    let store = open(&uri).await;
    insert(&store, "a/b").await;
    let mut changes = store.watch(Some(&key("a")), None).await.unwrap();
    let documents = database(&uri).await.collection::<Document>("documents");
    let by_hand = doc! { "$set": { "revision": "by-hand", "body": { "changed": true } } };
    documents.update_one(doc! { "_id": "a/b" }, by_hand).await.unwrap();
    match told(&mut changes).await {
        Change::Put(document) => {
            assert_eq!(document.revision.as_str(), "by-hand");
            assert_eq!(document.body.as_bytes(), br#"{"changed":true}"#);
        }
        other => panic!("{other:?}"),
    }
    documents.drop().await.unwrap();
    assert!(matches!(next(&mut changes).await, Some(Err(Error::Expired))));
    assert!(next(&mut changes).await.is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_ends_in_time_when_its_server_is_silent_or_gone() {
    for (mode, frozen) in [(WatchMode::Auto, true), (WatchMode::Auto, false), (WatchMode::Polling, false)] {
        let folder = tempfile::tempdir().unwrap();
        let Some(mut server) = Server::start(&folder.path().join("data"), &[], "a server that goes away").await else {
            return;
        };
        let mut config = MongoConfig::new(&with_database(&server.uri(), "dcm")).unwrap();
        (config.watch, config.attempt, config.deadline) = (mode, Duration::from_secs(1), Duration::from_secs(3));
        let store = MongoStore::open(config).await.unwrap();
        let mut changes = store.watch(None, None).await.unwrap();
        insert(&store, "a/b").await;
        told(&mut changes).await;
        if frozen {
            server.pause();
        } else {
            server.kill();
        }
        let started = Instant::now();
        let end = next(&mut changes).await;
        assert!(matches!(end, Some(Err(Error::Unavailable(_)))), "{mode:?}, frozen: {frozen}: {end:?}");
        assert!(started.elapsed() < PATIENCE);
        assert!(next(&mut changes).await.is_none());
    }
}
