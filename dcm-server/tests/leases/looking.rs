//! Workers on a store that tells nobody of changes: they look for orders. A stand-alone MongoDB server is one, where it can be started.

use std::{path::Path, sync::Arc, time::Duration};

use async_trait::async_trait;
use dcm_core::store::{Body, Changes, Document, Error, Key, Position, Precondition, Revision, Scan, Store};
use dcm_server::{Config, Running};
use dcm_store::memory::MemoryStore;
use dcm_test_utils::patience::until_so;
use tokio::time::Instant;

use crate::bed::{Api, clusters};

/// An order is looked for every half second, and left to its giver for half a second; beside that there is the work itself, on a busy machine. The
/// look for whatever was missed comes every 30 seconds.
const BOUND: Duration = Duration::from_secs(12);

/// A store in memory that would rather be looked at than watched.
#[derive(Debug, Default)]
struct LookedAt(MemoryStore);

#[async_trait]
impl Store for LookedAt {
    async fn get(&self, key: &Key) -> Result<Option<Document>, Error> {
        self.0.get(key).await
    }
    async fn scan(&self, scan: Scan) -> Result<Vec<Document>, Error> {
        self.0.scan(scan).await
    }
    async fn put(&self, key: &Key, body: Body, precondition: Precondition) -> Result<Revision, Error> {
        self.0.put(key, body, precondition).await
    }
    async fn delete(&self, key: &Key, revision: &Revision) -> Result<(), Error> {
        self.0.delete(key, revision).await
    }
    async fn watch(&self, prefix: Option<&Key>, from: Option<Position>) -> Result<Changes, Error> {
        let of_orders = prefix.is_some_and(|prefix| prefix.as_str() == "order");
        assert!(!of_orders, "it should be looked at");
        self.0.watch(prefix, from).await
    }
    fn watches_by_looking(&self) -> bool {
        true
    }
    async fn position(&self) -> Result<Position, Error> {
        self.0.position().await
    }
    async fn ready(&self) -> Result<(), Error> {
        self.0.ready().await
    }
}

/// A server in a role on a store, or on the one that the connection string names.
async fn server(store: Option<&Arc<LookedAt>>, uri: &str, key: &Path, role: &str) -> (Running, Api) {
    let options = ["--http", "127.0.0.1:0", "--grpc", "127.0.0.1:0", "--resync-period", "0s", "--lease", "15s"];
    let options = options.into_iter().chain(["--store", uri, "--role", role, "--encryption-key-file"]);
    let options = options.map(Into::into).chain([key.as_os_str().to_owned()]);
    let config = Config::from_options::<std::ffi::OsString>(options).unwrap();
    let running = match store {
        Some(store) => dcm_server::start_on(Arc::clone(store) as Arc<dyn Store>, config).await.unwrap(),
        None => dcm_server::start(config).await.unwrap(),
    };
    assert!(running.dcm().watches_by_looking(), "this store is watched");
    let api = Api::of(format!("http://{}", running.http_addr()));
    (running, api)
}

/// Orders that a main server takes, and another process finds.
async fn orders_of_another_process_are_found(store: Option<Arc<LookedAt>>, uri: &str) {
    let folder = tempfile::tempdir().unwrap();
    let key = folder.path().join("key");
    let clusters = clusters(2, Duration::from_millis(5)).await;
    let (main, api) = server(store.as_ref(), uri, &key, "dcm").await;
    let (worker, other) = server(store.as_ref(), uri, &key, "all").await;
    until_so(BOUND, "a member", async || other.counted("members").await == 1).await;
    api.register(&clusters).await;
    let cloud = api.create("lc-1", &clusters).await;
    let mut longest = Duration::ZERO;
    for round in 0..3 {
        let given = Instant::now();
        api.apply(&cloud).await;
        api.wait_for(&cloud, "Created").await;
        longest = longest.max(given.elapsed());
        let given = Instant::now();
        api.terminate(&cloud).await;
        api.wait_for(&cloud, "Deleted").await;
        longest = longest.max(given.elapsed());
        assert!(longest < BOUND, "round {round}: {longest:?}");
    }
    println!("orders were carried out {longest:?} after they were given, at most");
    // One that comes while the worker waits for a cluster with the one before in hand.
    clusters[0].faults().set_down(true).await;
    let before = other.counted("claims_total").await;
    api.apply(&cloud).await;
    until_so(BOUND * 2, "tried", async || other.counted("claims_total").await >= before + 4).await;
    clusters[0].faults().set_down(false).await;
    let given = Instant::now();
    api.terminate(&cloud).await;
    api.wait_for(&cloud, "Deleted").await;
    assert!(given.elapsed() < BOUND, "{:?}", given.elapsed());
    for cluster in &clusters {
        assert!(cluster.objects().get("namespaces", "", "lc-1").is_none(), "{}", cluster.name());
    }
    main.stop().await;
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_that_a_main_server_takes_is_found_by_a_worker_that_looks() {
    orders_of_another_process_are_found(Some(Arc::default()), "memory:").await;
}

#[cfg(feature = "mongodb")]
#[tokio::test(flavor = "multi_thread")]
async fn an_order_that_a_main_server_takes_is_found_on_a_stand_alone_mongodb() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let what = "workers on a stand-alone MongoDB";
    let Some(alone) = dcm_test_utils::mongodb::Server::start(&data, &["--standalone"], what).await else { return };
    orders_of_another_process_are_found(None, &format!("{}dcm", alone.uri())).await;
}
