//! A DCM on fakes behind the REST edge, all in memory and in one thread.

use std::{cell::RefCell, sync::Arc};

use dcm_core::{
    model::Policy,
    service::Settings,
    store::{Body, Key, Scan, Store},
};
use dcm_server::{Config, fuzzing::Edge};
use dcm_store::memory::MemoryStore;
use dcm_test_utils::builders::Fixture;
use http::{Method, Request, Response, StatusCode};
use serde_json::{Value, json};
use tokio::runtime::{Builder, Runtime};

/// A project with a logical cloud that is applied, one that is not, and some of everything else.
pub(crate) struct World {
    runtime: Runtime,
    fixture: Fixture,
    edge: Edge,
    store: Arc<MemoryStore>,
    served: usize,
}

/// So many requests are served before everything is made anew: counters and histories grow.
const MOST: usize = 20_000;

thread_local! {
    static WORLD: RefCell<Option<World>> = const { RefCell::new(None) };
}

/// Lends the world out. Where a run fails or leaves something behind, the next one gets a new one.
pub(crate) fn with(look: impl FnOnce(&mut World)) {
    let world = WORLD.with(RefCell::take).filter(|world| world.served < MOST);
    let mut world = world.unwrap_or_else(World::new);
    look(&mut world);
    WORLD.with(|place| place.replace(Some(world)));
}

impl World {
    fn new() -> Self {
        let runtime = Builder::new_current_thread().enable_time().build().unwrap();
        let store = Arc::new(MemoryStore::with_history(64));
        let policy = Policy { admin_clouds: true, ..Policy::default() };
        let settings = Settings { policy, ..Settings::default() };
        let fixture = runtime.block_on(async {
            let fixture = Fixture::with_settings(Arc::clone(&store) as Arc<dyn Store>, settings).await.unwrap();
            fixture.register(&["c1", "c2"]).await.unwrap();
            fixture.create_applied("lc-1", "ns-1", &["c1", "c2"]).await.unwrap();
            fixture.create_cloud("lc-2", "ns-2", &["c1"]).await.unwrap();
            fixture
        });
        let config = Config::from_options(["--store", "memory:"]).unwrap();
        let edge = runtime.block_on(async { Edge::new(fixture.dcm.clone(), &config) });
        let mut world = Self { runtime, fixture, edge, store, served: 0 };
        for i in 0..5 {
            world.post_good("/v2/projects", &json!({ "metadata": { "name": format!("p-{i}") } }));
            world.post_good(
                "/v2/controllers",
                &json!({ "metadata": { "name": format!("c.{i}") }, "spec": { "host": "h", "port": 1 } }),
            );
            let label = json!({ "label-name": format!("example.com/l-{i}"), "value": "v" });
            world.post_good("/v2/cluster-providers/default/clusters/c1/labels", &label);
        }
        world
    }

    fn post_good(&mut self, path: &str, body: &Value) {
        let answer = self.call(Method::POST, path, body.to_string().into_bytes());
        assert_eq!(answer.status(), StatusCode::CREATED, "{path}: {}", String::from_utf8_lossy(answer.body()));
    }

    /// Sends a request, and checks what holds of every answer: it is no failure of ours, and a refusal says what is wrong.
    pub(crate) fn serve(&mut self, request: Request<Vec<u8>>) -> Response<Vec<u8>> {
        self.served += 1;
        let shown = format!("{} {}", request.method(), request.uri());
        let is_head = request.method() == Method::HEAD;
        let answer = self.runtime.block_on(self.edge.serve(request));
        drop(self.fixture.wake.take());
        let status = answer.status();
        assert!(!status.is_server_error(), "{shown}: {status} {}", String::from_utf8_lossy(answer.body()));
        let is_packed = answer.headers().contains_key("content-encoding");
        if status.is_client_error() && !is_head && !is_packed {
            check_problem(&shown, &answer);
        }
        answer
    }

    pub(crate) fn call(&mut self, method: Method, path: &str, body: Vec<u8>) -> Response<Vec<u8>> {
        let media_type = if method == Method::PATCH { "application/merge-patch+json" } else { "application/json" };
        let request = Request::builder().method(method).uri(path).header("host", "localhost");
        self.serve(request.header("content-type", media_type).body(body).unwrap())
    }

    pub(crate) fn get(&mut self, path: &str) -> Value {
        let answer = self.call(Method::GET, path, Vec::new());
        assert_eq!(answer.status(), StatusCode::OK, "{path}");
        json_of(&answer)
    }

    /// Everything that is stored.
    pub(crate) fn all(&self) -> Vec<(Key, Body)> {
        let found = self.runtime.block_on(self.store.scan(Scan::everything(100_000))).unwrap();
        found.into_iter().map(|document| (document.key, document.body)).collect()
    }

    /// Something was changed that the next run must not meet.
    pub(crate) fn spoil(&mut self) {
        self.served = MOST;
    }
}

pub(crate) fn json_of(answer: &Response<Vec<u8>>) -> Value {
    serde_json::from_slice(answer.body())
        .unwrap_or_else(|error| panic!("an answer is not JSON ({error}): {:?}", String::from_utf8_lossy(answer.body())))
}

/// RFC 9457, and each thing that is wrong with where it is.
fn check_problem(shown: &str, answer: &Response<Vec<u8>>) {
    let problem = json_of(answer);
    assert_eq!(answer.headers()["content-type"], "application/problem+json", "{shown}");
    assert_eq!(problem["status"], answer.status().as_u16(), "{shown}: {problem}");
    assert!(problem["detail"].as_str().is_some_and(|detail| !detail.is_empty()), "{shown}: {problem}");
    let Some(errors) = problem.get("errors") else { return };
    let errors = errors.as_array().expect("errors are a list");
    // Of very many the first are named, and then that there are more.
    assert!((1..=257).contains(&errors.len()), "{shown}: {problem}");
    for error in errors {
        assert!(error["detail"].as_str().is_some_and(|detail| !detail.is_empty()), "{shown}: {problem}");
        let is_pointer = |text: &str| {
            let escapes = text.split('~').skip(1);
            (text.is_empty() || text.starts_with('/')) && escapes.into_iter().all(|rest| rest.starts_with(['0', '1']))
        };
        let has = |field: &str| error[field].as_str().is_some();
        let is_named = error["pointer"].as_str().is_some_and(is_pointer) || has("parameter") || has("header");
        assert!(is_named, "{shown}: {error}");
    }
}
