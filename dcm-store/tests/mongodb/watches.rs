//! Watches on MongoDB where something is unusual: an old position, many watches, hands at work, a server that goes away.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use dcm_core::store::{Body, Change, Changes, Error, Event, Key, Precondition, Revision, Scan, Store};
use dcm_store::{MongoConfig, WatchMode, mongodb::MongoStore};
use dcm_test_utils::mongodb::{Server, fresh_database, with_database};
use futures_util::{StreamExt, future::join_all};
use mongodb::{
    Client, Database,
    bson::{Document, doc},
    event::{EventHandler, command::CommandEvent},
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
    // Another process has read nothing of it yet.
    let store = open(&uri).await;
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

/// A store that keeps few changes, and how many streams it reads.
async fn observed(uri: &str, history: usize) -> (MongoStore, Arc<Streams>) {
    let streams = Arc::new(Streams::default());
    let seen = Arc::clone(&streams);
    let observer = EventHandler::callback(move |event| {
        if let CommandEvent::Started(started) = event
            && let Ok(cursor) = started.command.get_i64("getMore")
        {
            seen.0.lock().unwrap().insert(cursor);
        }
    });
    let mut config = MongoConfig::new(uri).unwrap();
    config.history = history;
    (MongoStore::open_observed(config, observer).await.unwrap(), streams)
}

/// The cursors that were read from.
#[derive(Default)]
struct Streams(Mutex<HashSet<i64>>);

impl Streams {
    /// How many are read from in two seconds: whoever reads one asks twice a second at least.
    async fn count(&self) -> usize {
        self.0.lock().unwrap().clear();
        tokio::time::sleep(Duration::from_secs(2)).await;
        self.0.lock().unwrap().len()
    }

    async fn become_so_many(&self, expected: usize) {
        let look = async || match self.count().await {
            count if count == expected => Ok(()),
            count => Err(format!("{count} streams")),
        };
        dcm_test_utils::patience::until(PATIENCE, "as many streams as there should be", look).await;
    }
}

/// The names of documents below `a`, in the order in which a watch tells of them.
async fn names(changes: &mut Changes, count: usize) -> Vec<String> {
    let mut names = Vec::new();
    for _ in 0..count {
        match told(changes).await {
            Change::Put(document) => names.push(document.key.last().to_owned()),
            other => panic!("{other:?}"),
        }
    }
    names
}

fn numbers(range: std::ops::Range<usize>) -> Vec<String> {
    range.map(|n| n.to_string()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn all_watches_read_one_stream_and_hear_of_a_change_at_once() {
    let Some(uri) = fresh_database("one stream for all watches") else { return };
    let (store, streams) = observed(&uri, 1_000).await;
    let mut watches = Vec::new();
    for n in 0..50 {
        // As a list does: the position first, and what happens before the watch is told by it.
        let position = store.position().await.unwrap();
        insert(&store, &format!("a/{n}")).await;
        watches.push(store.watch(Some(&key("a")), Some(position)).await.unwrap());
    }
    for (n, watch) in watches.iter_mut().enumerate() {
        assert_eq!(names(watch, 50 - n).await, numbers(n..50));
    }
    streams.become_so_many(1).await;
    let written = Instant::now();
    insert(&store, "a/50").await;
    let heard = join_all(watches.iter_mut().map(|watch| names(watch, 1))).await;
    // In turn they would take half a second each.
    assert!(written.elapsed() < Duration::from_secs(5), "{:?}", written.elapsed());
    assert!(heard.iter().all(|names| *names == ["50"]), "{heard:?}");
    drop(watches);
    streams.become_so_many(0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_from_long_ago_is_told_everything_once_and_then_joins_the_others() {
    let Some(uri) = fresh_database("an old position") else { return };
    let (store, streams) = observed(&uri, 4).await;
    let old = store.position().await.unwrap();
    let mut first = store.watch(Some(&key("a")), None).await.unwrap();
    for n in 0..40 {
        insert(&store, &format!("a/{n}")).await;
        insert(&store, &format!("b/{n}")).await;
        assert_eq!(names(&mut first, 1).await, [n.to_string()]);
    }
    let mut quiet = store.watch(Some(&key("c")), Some(old.clone())).await.unwrap();
    let mut watch = store.watch(Some(&key("a")), Some(old)).await.unwrap();
    assert_eq!(names(&mut watch, 40).await, numbers(0..40));
    // Only who asks goes on.
    tokio::select! {
        event = quiet.next() => panic!("{event:?}"),
        () = streams.become_so_many(1) => {}
    }
    for n in 40..60 {
        insert(&store, &format!("a/{n}")).await;
    }
    assert_eq!(names(&mut watch, 20).await, numbers(40..60));
    assert_eq!(names(&mut first, 20).await, numbers(40..60));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_watch_is_told_everything_all_the_same() {
    let Some(uri) = fresh_database("a slow watch") else { return };
    let (store, _) = observed(&uri, 4).await;
    let mut fast = store.watch(Some(&key("a")), None).await.unwrap();
    let mut slow = store.watch(Some(&key("a")), None).await.unwrap();
    for n in 0..200 {
        insert(&store, &format!("a/{n}")).await;
        assert_eq!(names(&mut fast, 1).await, [n.to_string()]);
        // Now and then it takes something, and falls behind again.
        if n == 100 {
            assert_eq!(names(&mut slow, 10).await, numbers(0..10));
        }
    }
    assert_eq!(names(&mut slow, 190).await, numbers(10..200));
    insert(&store, "a/200").await;
    assert_eq!(names(&mut slow, 1).await, ["200"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_that_begins_amid_writes_is_told_each_of_them_once() {
    let Some(uri) = fresh_database("watches amid writes") else { return };
    let (store, _) = observed(&uri, 16).await;
    let (store, other) = (Arc::new(store), Arc::new(open(&uri).await));
    let mut tasks = Vec::new();
    for writer in 0..4 {
        let store = if writer % 2 == 0 { Arc::clone(&store) } else { Arc::clone(&other) };
        tasks.push(tokio::spawn(async move {
            for n in 0..60 {
                insert(&store, &format!("a/{writer}-{n}")).await;
            }
        }));
    }
    let mut watches = Vec::new();
    for _ in 0..20 {
        let position = store.position().await.unwrap();
        let present = store.scan(Scan::below(key("a"), 1_000)).await.unwrap();
        let present: HashSet<String> = present.iter().map(|document| document.key.last().to_owned()).collect();
        watches.push((present, store.watch(Some(&key("a")), Some(position)).await.unwrap()));
    }
    for task in tasks {
        task.await.unwrap();
    }
    insert(&store, "a/last").await;
    for (present, mut changes) in watches {
        let mut later = HashSet::new();
        loop {
            let name = names(&mut changes, 1).await.remove(0);
            if name == "last" {
                break;
            }
            assert!(later.insert(name.clone()), "{name} was told twice");
        }
        assert_eq!(present.union(&later).count(), 240, "{} were there, {} were told", present.len(), later.len());
    }
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
