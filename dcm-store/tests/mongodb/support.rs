use std::time::Duration;

use dcm_core::store::{Body, Error, Key, Store};
use dcm_store::{MongoConfig, MongoProblem, OpenError, mongodb::MongoStore};
use dcm_test_utils::mongodb::Server;
use mongodb::{
    Client,
    bson::{Document, doc},
};
use tempfile::TempDir;
use tokio::time::Instant;

/// A server of a test's own, and where its data are.
pub(crate) struct Bed {
    pub(crate) server: Server,
    pub(crate) folder: TempDir,
}

impl Bed {
    pub(crate) async fn start(options: &[&str], what: &str) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let server = Server::start(&folder.path().join("data"), options, what).await?;
        Some(Self { server, folder })
    }

    /// Past the server's own idea of where it is, so that a relay stays between.
    pub(crate) fn through(&self, port: u16) -> String {
        format!("mongodb://127.0.0.1:{port}/dcm?directConnection=true")
    }

    pub(crate) async fn command(&self, command: Document) {
        let client = Client::with_uri_str(self.server.uri()).await.unwrap();
        client.database("admin").run_command(command).await.unwrap();
        client.shutdown().await;
    }

    /// Has the server fail these commands of the store's.
    pub(crate) async fn fail(&self, commands: &[&str], mode: impl Into<mongodb::bson::Bson>, how: Document) {
        let mut data = doc! { "failCommands": commands.to_vec(), "appName": "dcm" };
        data.extend(how);
        self.command(doc! { "configureFailPoint": "failCommand", "mode": mode.into(), "data": data }).await;
    }

    pub(crate) async fn heal(&self) {
        self.command(doc! { "configureFailPoint": "failCommand", "mode": "off" }).await;
    }
}

/// Bounds that a test can wait for.
pub(crate) fn quick(uri: &str) -> MongoConfig {
    let mut config = MongoConfig::new(uri).unwrap();
    config.attempt = Duration::from_millis(1_000);
    config.deadline = Duration::from_millis(3_000);
    config.wait = Duration::from_millis(500);
    config
}

/// How long a call of such a store may take at most, on a machine that is busy: without a bound it would be for ever.
pub(crate) const BOUND: Duration = Duration::from_millis(3_000 + 500 + 10_000);

pub(crate) async fn open(uri: &str) -> MongoStore {
    MongoStore::open(quick(uri)).await.unwrap()
}

/// Why a store could not be opened; that is known within ten seconds.
pub(crate) async fn problem(uri: &str) -> MongoProblem {
    let started = Instant::now();
    let error = MongoStore::open(MongoConfig::new(uri).unwrap()).await.unwrap_err();
    let took = started.elapsed();
    assert!(took < Duration::from_secs(20), "it took {took:?} to say {error}");
    let OpenError::MongoDb { source, place } = error else { panic!("{error}") };
    println!("{place}: {source}");
    assert!(!place.contains('@') && !source.to_string().contains("s3cret"), "{place}: {source}");
    *source
}

pub(crate) fn key(text: &str) -> Key {
    text.parse().unwrap()
}

pub(crate) fn body(n: u64) -> Body {
    Body::from_json(format!("{{\"n\":{n}}}").into_bytes())
}

/// The number in a document, once the store answers.
pub(crate) async fn read(store: &MongoStore, key: &Key) -> Option<(u64, String)> {
    let read = async || store.get(key).await;
    let found = dcm_test_utils::patience::until(Duration::from_secs(60), "read", read).await?;
    let text = String::from_utf8(found.body.as_bytes().to_vec()).unwrap();
    let n = text.trim_start_matches("{\"n\":").trim_end_matches('}').parse().unwrap();
    Some((n, found.revision.as_str().to_owned()))
}

/// The errors that a store may answer when its server fails.
pub(crate) fn is_of_the_server(error: &Error) -> bool {
    matches!(error, Error::Unavailable(_) | Error::Timeout | Error::OutcomeUnknown { .. })
}
