//! Every command that the store sends is served by an index, and asks for the durability and the bounds that it must.

use std::sync::{Arc, Mutex};

use dcm_core::store::{Body, Key, Precondition, Scan, Store};
use dcm_store::{MongoConfig, WatchMode, mongodb::MongoStore};
use futures_util::StreamExt;
use mongodb::{
    Client, Database,
    bson::{Bson, Document, doc},
    event::{EventHandler, command::CommandEvent},
    options::ClientOptions,
};

/// The index that scans go along: no entry of it moves while its document is replaced.
const SCANS: &str = "path_1";

/// The index that polls read.
const POLLS: &str = "path_1_revision_1";

fn key(text: &str) -> Key {
    text.parse().unwrap()
}

/// What a store sent, one kind of call after the other.
struct Observed {
    store: MongoStore,
    sent: Arc<Mutex<Vec<Document>>>,
    database: Database,
    /// The stand-in server, whose explain shows less than MongoDB's.
    stand_in: bool,
    /// Whether there may be another primary: a replica set or a sharded cluster.
    replicated: bool,
}

impl Observed {
    async fn start() -> Option<Self> {
        let uri = dcm_test_utils::mongodb::fresh_database("the plans of the MongoDB store's commands")?;
        let options = ClientOptions::parse(&uri).await.unwrap();
        let name = options.default_database.clone().unwrap();
        let database = Client::with_options(options).unwrap().database(&name);
        let hello = database.run_command(doc! { "hello": 1 }).await.unwrap();
        let stand_in = hello.get_str("setName").is_ok_and(|name| name == "secantus");
        let replicated = hello.contains_key("setName") || hello.get_str("msg").is_ok_and(|msg| msg == "isdbgrid");
        let sent = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&sent);
        let observer = EventHandler::callback(move |event| {
            if let CommandEvent::Started(started) = event
                && started.command.get_str(&started.command_name).is_ok_and(|collection| collection == "documents")
            {
                seen.lock().unwrap().push(started.command);
            }
        });
        let mut config = MongoConfig::new(&uri).unwrap();
        config.watch = WatchMode::Polling;
        let store = MongoStore::open_observed(config, observer).await.unwrap();
        let observed = Self { store, sent, database, stand_in, replicated };
        for n in 0..20 {
            observed.insert(&format!("a/{n:02}")).await;
        }
        observed.take();
        Some(observed)
    }

    async fn insert(&self, at: &str) -> dcm_core::store::Revision {
        self.store.put(&key(at), Body::from_json(*b"{}"), Precondition::Absent).await.unwrap()
    }

    /// What was sent since the last time.
    fn take(&self) -> Vec<Document> {
        std::mem::take(&mut *self.sent.lock().unwrap())
    }

    /// The plan for a find, as the names of its stages and indexes.
    async fn plan(&self, find: &Document) -> Vec<String> {
        let mut command = doc! {};
        for field in ["find", "filter", "projection", "sort", "hint", "limit", "singleBatch"] {
            if let Some(value) = find.get(field) {
                command.insert(field, value.clone());
            }
        }
        let explained =
            self.database.run_command(doc! { "explain": command, "verbosity": "queryPlanner" }).await.unwrap();
        let planner = explained.get_document("queryPlanner").unwrap();
        let mut names = Vec::new();
        collect(planner.get("winningPlan").unwrap(), &mut names);
        assert!(!names.is_empty(), "{explained}");
        names
    }

    async fn assert_by_id(&self, find: &Document) {
        let names = self.plan(find).await;
        let by_id = ["IDHACK", "EXPRESS_IXSCAN", "EXPRESS_CLUSTERED_IXSCAN", "_id_"];
        assert!(names.iter().any(|name| by_id.contains(&name.as_str())), "{find}: {names:?}");
        assert_no_search(&names, find);
    }

    async fn assert_along(&self, index: &str, find: &Document) -> Vec<String> {
        let names = self.plan(find).await;
        assert!(names.iter().any(|name| name == index), "{find}: {names:?}");
        assert_no_search(&names, find);
        names
    }

    /// A write names one document by its id and its revision.
    async fn assert_writes_by_id(&self, filter: &Document) {
        assert!(matches!(filter.get("_id"), Some(Bson::String(_))), "{filter}");
        if self.stand_in {
            println!("NOT SHOWN (the stand-in's explain knows no index for an id beside another field): {filter}");
        } else {
            self.assert_by_id(&doc! { "find": "documents", "filter": filter.clone() }).await;
        }
    }

    async fn end(self) {
        self.database.drop().await.unwrap();
        self.store.close().await;
    }
}

/// The names of stages and indexes, however a server nests them.
fn collect(plan: &Bson, names: &mut Vec<String>) {
    match plan {
        Bson::Document(fields) => {
            for (name, value) in fields {
                match value {
                    Bson::String(text) if name == "stage" || name == "indexName" => names.push(text.clone()),
                    other => collect(other, names),
                }
            }
        }
        Bson::Array(plans) => plans.iter().for_each(|plan| collect(plan, names)),
        _ => {}
    }
}

fn assert_no_search(names: &[String], command: &Document) {
    assert!(!names.iter().any(|name| name == "COLLSCAN" || name == "SORT"), "{command}: {names:?}");
}

/// A read sees what a majority has, and has a bound.
fn assert_bounded_read(command: &Document, level: &str) {
    let concern = command.get_document("readConcern").unwrap();
    assert_eq!(concern.get_str("level").unwrap(), level, "{command}");
    let bound = command.get("maxTimeMS").and_then(|bound| bound.as_i64().or(bound.as_i32().map(i64::from)));
    assert!(bound.is_some_and(|bound| bound > 0), "{command}");
}

/// A write is acknowledged by a majority's journals, and has a bound.
fn assert_durable_write(command: &Document) {
    let concern = command.get_document("writeConcern").unwrap();
    assert_eq!(concern.get_str("w").unwrap(), "majority", "{command}");
    assert!(concern.get_bool("j").unwrap(), "{command}");
    assert!(concern.contains_key("wtimeout"), "{command}");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_document_is_read_by_its_id_and_linearizably() {
    let Some(observed) = Observed::start().await else { return };
    observed.store.get(&key("a/03")).await.unwrap();
    let sent = observed.take();
    assert_eq!(sent.len(), 1, "{sent:?}");
    assert_bounded_read(&sent[0], "linearizable");
    observed.assert_by_id(&sent[0]).await;
    observed.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn scans_go_along_the_index_and_are_not_sorted() {
    let Some(observed) = Observed::start().await else { return };
    let below = || Scan::below(key("a"), 5);
    let everything = || Scan::everything(5);
    for scan in [below(), below().after(Some(key("a/07"))), everything(), everything().after(Some(key("a/07")))] {
        let found = observed.store.scan(scan.clone()).await.unwrap();
        assert_eq!(found.len(), 5);
        let sent = observed.take();
        assert_eq!(sent.len(), 1, "{scan:?}: {sent:?}");
        assert_bounded_read(&sent[0], "majority");
        assert_eq!(sent[0].get_i64("limit").unwrap(), 5);
        observed.assert_along(SCANS, &sent[0]).await;
    }
    observed.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scan_waits_for_the_newest_write_that_was_acknowledged() {
    let Some(observed) = Observed::start().await else { return };
    let mut last = None;
    for n in 0..3 {
        let written = observed.insert(&format!("b/{n}")).await;
        observed.take();
        observed.store.scan(Scan::everything(5)).await.unwrap();
        let sent = observed.take();
        let after = sent[0].get_document("readConcern").unwrap().get_timestamp("afterClusterTime").ok();
        assert_eq!(after.is_some(), observed.replicated, "{sent:?}");
        assert!(!observed.replicated || after > last, "{after:?} after {last:?}, {written}");
        last = after;
    }
    observed.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn readiness_is_told_by_one_entry_of_the_index() {
    let Some(observed) = Observed::start().await else { return };
    observed.store.ready().await.unwrap();
    let sent = observed.take();
    assert_eq!(sent.len(), 1, "{sent:?}");
    assert_bounded_read(&sent[0], "majority");
    assert_eq!(sent[0].get_i64("limit").unwrap(), 1);
    observed.assert_along(SCANS, &sent[0]).await;
    observed.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn writes_name_one_document_and_are_durable() {
    let Some(observed) = Observed::start().await else { return };
    let first = observed.insert("b/1").await;
    let at = Precondition::AtRevision(first);
    let second = observed.store.put(&key("b/1"), Body::from_json(*b"[]"), at).await.unwrap();
    observed.store.delete(&key("b/1"), &second).await.unwrap();
    let sent = observed.take();
    let names: Vec<_> = sent.iter().map(|command| command.keys().next().unwrap().as_str()).collect();
    assert_eq!(names, ["insert", "update", "delete"]);
    sent.iter().for_each(assert_durable_write);
    for (command, list) in [(&sent[1], "updates"), (&sent[2], "deletes")] {
        let one = command.get_array(list).unwrap();
        assert_eq!(one.len(), 1, "{command}");
        observed.assert_writes_by_id(one[0].as_document().unwrap().get_document("q").unwrap()).await;
    }
    observed.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_poll_reads_the_index_and_then_what_changed() {
    let Some(observed) = Observed::start().await else { return };
    let start = observed.store.position().await.unwrap();
    observed.insert("b/1").await;
    observed.take();
    let mut changes = observed.store.watch(None, Some(start)).await.unwrap();
    changes.next().await.unwrap().unwrap();
    let sent = observed.take();
    let [list, read, ..] = &sent[..] else { panic!("{sent:?}") };
    assert_bounded_read(list, "majority");
    let names = observed.assert_along(POLLS, list).await;
    let covered = !names.iter().any(|name| name == "FETCH");
    if observed.stand_in && !covered {
        println!("NOT SHOWN (the stand-in's explain knows no covered query): {list}");
        assert_eq!(*list.get_document("projection").unwrap(), doc! { "_id": 0, "path": 1, "revision": 1 });
    } else {
        assert!(covered, "{list}: {names:?}");
    }
    assert_bounded_read(read, "majority");
    observed.assert_by_id(read).await;
    observed.end().await;
}
