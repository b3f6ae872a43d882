//! Two runs of one import at once: the later one counts, and the other one touches nothing that is not its own any more.

use std::{
    collections::VecDeque,
    fmt,
    sync::{Mutex, PoisonError},
};

use dcm_core::store::{self, Changes, Document, Position, Revision};
use futures_util::FutureExt as _;

use super::*;

const MARKER: &str = "import/this";

/// More than one batch.
const DOCUMENTS: u32 = 2_000;

/// What becomes of a write of the document that is watched.
#[derive(Clone, Copy, Debug)]
enum Answer {
    /// It is not done: the store is away.
    Away,
    /// It is not done, and that is not known.
    Dropped,
    /// It is done, and that is not known.
    Lost,
    /// It is not done, and never will be.
    Refused,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Call {
    Put,
    Delete,
}

type Meanwhile = Box<dyn FnOnce() + Send>;

/// A store that answers the writes of one document in a chosen way, as long as there are answers.
struct Scripted {
    inner: Arc<MemoryStore>,
    at: Key,
    call: Call,
    answers: Mutex<VecDeque<Answer>>,
    /// What happens just before the first of them.
    meanwhile: Mutex<Option<Meanwhile>>,
}

impl fmt::Debug for Scripted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Scripted")
    }
}

impl Scripted {
    fn new(inner: &Arc<MemoryStore>, at: &str, call: Call, answers: &[Answer]) -> Self {
        let answers = Mutex::new(answers.iter().copied().collect());
        Self { inner: Arc::clone(inner), at: key(at), call, answers, meanwhile: Mutex::default() }
    }

    fn meanwhile(self, happens: impl FnOnce() + Send + 'static) -> Self {
        Self { meanwhile: Mutex::new(Some(Box::new(happens))), ..self }
    }

    async fn answer<T>(
        &self,
        key: &Key,
        call: Call,
        done: impl Future<Output = Result<T, store::Error>>,
    ) -> Result<T, store::Error> {
        if *key != self.at || call != self.call {
            return done.await;
        }
        let happens = self.meanwhile.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(happens) = happens {
            happens();
        }
        let answer = self.answers.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
        let unknown = || store::Error::OutcomeUnknown { key: key.clone(), source: "no answer".into() };
        match answer {
            None => done.await,
            Some(Answer::Away) => Err(store::Error::Unavailable("away".into())),
            Some(Answer::Dropped) => Err(unknown()),
            Some(Answer::Lost) => done.await.and_then(|_| Err(unknown())),
            Some(Answer::Refused) => Err(store::Error::TooLarge { key: key.clone(), size: 2, limit: 1 }),
        }
    }
}

#[async_trait]
impl Store for Scripted {
    async fn get(&self, key: &Key) -> Result<Option<Document>, store::Error> {
        self.inner.get(key).await
    }

    async fn scan(&self, scan: Scan) -> Result<Vec<Document>, store::Error> {
        self.inner.scan(scan).await
    }

    async fn put(&self, key: &Key, body: Body, precondition: Precondition) -> Result<Revision, store::Error> {
        self.answer(key, Call::Put, self.inner.put(key, body, precondition)).await
    }

    async fn delete(&self, key: &Key, revision: &Revision) -> Result<(), store::Error> {
        self.answer(key, Call::Delete, self.inner.delete(key, revision)).await
    }

    async fn watch(&self, prefix: Option<&Key>, from: Option<Position>) -> Result<Changes, store::Error> {
        self.inner.watch(prefix, from).await
    }

    async fn position(&self) -> Result<Position, store::Error> {
        self.inner.position().await
    }

    async fn ready(&self) -> Result<(), store::Error> {
        self.inner.ready().await
    }
}

/// The import again, from beginning to end. The memory store answers at once.
fn again(store: &Arc<MemoryStore>, text: &str) {
    imported(&**store, text, Mode::IntoEmpty).now_or_never().unwrap().unwrap();
}

/// What a server does that starts then: it deletes a document of the first batch and one of the last, and replaces another one.
fn serve(store: &Arc<MemoryStore>) {
    let work = async {
        for at in ["a/000007", "a/001998"] {
            store.remove(&key(at)).await.unwrap();
        }
        store.remove(&key("a/001999")).await.unwrap();
        insert(&**store, "a/001999", "{\"n\":\"mine\"}").await;
    };
    work.now_or_never().unwrap();
}

/// All is there but what the server deleted, and nothing keeps it from going on.
async fn is_as_it_was_served(store: &MemoryStore) {
    assert_eq!(body(store, "a/000007").await, None, "what was deleted came back");
    assert_eq!(body(store, "a/001998").await, None, "what was deleted came back");
    assert_eq!(body(store, "a/001999").await.unwrap(), "{\"n\":\"mine\"}");
    assert_eq!(store.scan(Scan::everything(10_000)).await.unwrap().len() as u32, DOCUMENTS - 2);
}

#[tokio::test]
async fn an_import_that_another_run_has_finished_meanwhile_writes_nothing_more() {
    let text = exported(&numbered(DOCUMENTS).await).await;
    let store = Arc::new(MemoryStore::new());
    let (other, again_from) = (Arc::clone(&store), text.clone());
    let mut begun = false;
    let tell = &mut |progress: Progress| {
        if progress.stage == Stage::Writing && progress.documents > 0 && !std::mem::replace(&mut begun, true) {
            again(&other, &again_from);
            serve(&other);
        }
    };
    let result = import(&*store, &Bytes(text.into_bytes()), Mode::IntoEmpty, &run(), tell).await;
    assert!(begun && matches!(result, Err(Error::TakenOver)), "{result:?}");
    is_as_it_was_served(&store).await;
}

#[tokio::test]
async fn an_import_that_fails_after_another_run_has_finished_takes_nothing_back() {
    let text = exported(&numbered(DOCUMENTS).await).await;
    // Also what is tried again, or what may still be written.
    for (answer, at) in [(Answer::Refused, "a/001999"), (Answer::Away, "a/001998"), (Answer::Dropped, "a/001998")] {
        let store = Arc::new(MemoryStore::new());
        let (other, again_from) = (Arc::clone(&store), text.clone());
        let scripted = Scripted::new(&store, at, Call::Put, &[answer]).meanwhile(move || {
            again(&other, &again_from);
            serve(&other);
        });
        let error = imported(&scripted, &text, Mode::IntoEmpty).await.unwrap_err();
        assert!(matches!(error, Error::TakenOver), "{answer:?}: {error}");
        assert!(error.to_string().contains("another import into this store goes on, or has just ended"), "{error}");
        is_as_it_was_served(&store).await;
    }
}

#[tokio::test]
async fn an_import_that_is_taken_back_stops_when_another_run_goes_on_with_it() {
    let text = exported(&numbered(DOCUMENTS).await).await;
    let store = Arc::new(MemoryStore::new());
    let (other, again_from) = (Arc::clone(&store), text.clone());
    let mut begun = false;
    let tell = &mut |progress: Progress| {
        if progress.stage == Stage::Undoing && !std::mem::replace(&mut begun, true) {
            assert_eq!(body(&*other, "a/000000").now_or_never().unwrap(), None, "nothing is taken back yet");
            again(&other, &again_from);
        }
    };
    let scripted = Scripted::new(&store, "a/001999", Call::Put, &[Answer::Refused]);
    let error = import(&scripted, &Bytes(text.clone().into_bytes()), Mode::IntoEmpty, &run(), tell).await.unwrap_err();
    assert!(begun && matches!(error, Error::TakenOver), "{error}");
    assert_eq!(exported(&*store).await, text);
}

#[tokio::test]
async fn a_merge_that_another_run_goes_on_with_takes_nothing_back() {
    let text = exported(&numbered(DOCUMENTS).await).await;
    let store = Arc::new(numbered(3).await);
    let (other, again_from) = (Arc::clone(&store), text.clone());
    let scripted = Scripted::new(&store, "a/001999", Call::Put, &[Answer::Refused]).meanwhile(move || {
        imported(&*other, &again_from, Mode::Merge).now_or_never().unwrap().unwrap();
    });
    let error = imported(&scripted, &text, Mode::Merge).await.unwrap_err();
    assert!(matches!(error, Error::TakenOver), "{error}");
    assert_eq!(exported(&*store).await, text);
}

#[tokio::test]
async fn two_imports_that_begin_at_once_do_not_both_go_on() {
    let text = exported(&numbered(20).await).await;
    let store = Arc::new(MemoryStore::new());
    let (other, again_from) = (Arc::clone(&store), text.clone());
    // The other one is cut off in the middle.
    let scripted = Scripted::new(&store, MARKER, Call::Put, &[]).meanwhile(move || {
        let away = Scripted::new(&other, "a/000015", Call::Put, &[Answer::Dropped]);
        let error = imported(&away, &again_from, Mode::IntoEmpty).now_or_never().unwrap().unwrap_err();
        assert!(matches!(error, Error::Left(_)), "{error}");
    });
    let error = imported(&scripted, &text, Mode::IntoEmpty).await.unwrap_err();
    assert!(matches!(error, Error::TakenOver), "{error}");
    assert_eq!(body(&*store, "a/000014").await.unwrap(), "{\"n\":14}", "what the other one wrote is gone");
    again(&store, &text);
    assert_eq!(exported(&*store).await, text);
}

#[tokio::test]
async fn a_marker_whose_write_is_not_known_is_looked_for() {
    use Answer::{Away, Dropped, Lost};
    let text = exported(&numbered(20).await).await;
    let cases: [(Call, &[Answer], bool); 8] = [
        (Call::Put, &[Away, Away], true),
        (Call::Put, &[Away, Lost], true),
        (Call::Put, &[Away, Away, Away], false),
        (Call::Put, &[Dropped], false),
        (Call::Delete, &[Away, Away], true),
        (Call::Delete, &[Away, Lost], true),
        (Call::Delete, &[Away, Away, Away], false),
        (Call::Delete, &[Dropped], false),
    ];
    for (call, answers, enough) in cases {
        let store = Arc::new(MemoryStore::new());
        let scripted = Scripted::new(&store, MARKER, call, answers);
        let result = imported(&scripted, &text, Mode::IntoEmpty).await;
        if enough {
            assert!(result.is_ok(), "{call:?} {answers:?}: {result:?}");
            assert_eq!(exported(&*store).await, text, "{call:?} {answers:?}");
            continue;
        }
        let error = result.unwrap_err();
        let is_there = body(&*store, MARKER).await.is_some();
        assert_eq!(is_there, call == Call::Delete, "{call:?} {answers:?}");
        if answers.len() == 3 && call == Call::Put {
            assert!(matches!(error, Error::Store(_)), "nothing was changed: {error}");
        } else {
            assert!(matches!(error, Error::Left(_)), "{call:?} {answers:?}: {error}");
        }
        again(&store, &text);
        assert_eq!(exported(&*store).await, text, "{call:?} {answers:?}");
    }
}
