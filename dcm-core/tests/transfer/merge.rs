//! Merges: what is added, which side wins, and what becomes of the record of encryption keys.

use std::sync::atomic::{AtomicU32, Ordering};

use dcm_core::{
    model::Encryption,
    secret,
    store::{self, Changes, Document, Position, Revision},
};

use super::*;

#[tokio::test]
async fn a_merge_adds_what_is_missing_and_says_which_side_wins() {
    let text = exported(&numbered(50).await).await;
    let store = numbered(20).await;
    let done = imported(&store, &text, Mode::Merge).await.unwrap();
    assert_eq!((done.added, done.same), (30, 20));
    for n in 0..12 {
        let at = key(&format!("a/{n:06}"));
        let found = store.get(&at).await.unwrap().unwrap();
        store.put(&at, Body::from_json(*b"{\"n\":\"other\"}"), Precondition::AtRevision(found.revision)).await.unwrap();
    }
    store.remove(&key("a/000049")).await.unwrap();
    let before = exported(&store).await;
    let error = imported(&store, &text, Mode::Merge).await.unwrap_err();
    assert!(matches!(&error, Error::Differs { keys, count: 12 } if keys.len() == 10), "{error}");
    let said = error.to_string();
    assert!(said.contains("--keep-existing") && said.contains("a/000009, …"), "{said}");
    assert_eq!(exported(&store).await, before, "something was written");
    let done = imported(&store, &text, Mode::MergeKeeping).await.unwrap();
    assert_eq!((done.added, done.same, done.kept), (1, 37, 12));
    assert_eq!(body(&store, "a/000003").await.unwrap(), "{\"n\":\"other\"}");
    let done = imported(&store, &text, Mode::MergeOverwriting).await.unwrap();
    assert_eq!((done.same, done.overwritten), (38, 12));
    assert_eq!(exported(&store).await, text);
}

#[tokio::test]
async fn another_installations_data_are_not_merged() {
    let (one, _) = fixture().await;
    let text = exported(&*one).await;
    let other = text.replace("00000000", "11111111");
    let body = other.lines().find(|line| line.contains("installation/this")).unwrap();
    let error = imported(&*one, &file(&[body]), Mode::MergeOverwriting).await.unwrap_err();
    assert!(matches!(error, Error::OtherInstallation { .. }), "{error}");
}

const RECORD: &str = "encryption/this";

/// A record of other keys than the fixture's.
const OTHER: &str = r#"{"kind":"Encryption","version":1,"document":{"in-use":["another"]}}"#;

/// A document with a secret that is sealed with another key.
fn sealed_with(id: &str) -> String {
    format!(r#"{{"more":true,"secret":{{"key-id":"{id}","nonce":"AAAA","ciphertext":"AAAA"}}}}"#)
}

/// A store, and an export of the same installation with one document more, sealed with another key, one that differs, and
/// another record of keys.
async fn apart() -> (Arc<MemoryStore>, String) {
    let (store, f) = fixture().await;
    f.register(&["c1"]).await.unwrap();
    insert(&*store, "z/1", "{}").await;
    let mut lines: Vec<String> = exported(&*store).await.lines().map(str::to_owned).collect();
    let last = lines.len() - 1;
    lines[last] = format!(r#"{{"key":"z/2","body":{}}}"#, sealed_with("another"));
    for line in &mut lines {
        if line.contains(RECORD) {
            *line = format!("{{\"key\":\"{RECORD}\",\"body\":{OTHER}}}");
        }
    }
    let lines: Vec<&str> = lines.iter().skip(1).map(String::as_str).collect();
    (store, file(&lines))
}

async fn record(store: &dyn Store) -> Encryption {
    store.load::<Encryption>(&key(RECORD)).await.unwrap().unwrap().value
}

fn in_use(ids: &[&str]) -> Encryption {
    Encryption { in_use: ids.iter().map(|id| (*id).to_owned()).collect(), given_up: Vec::new(), pass: None }
}

#[tokio::test]
async fn the_record_of_encryption_keys_is_no_difference_and_names_the_keys_of_both_after_a_merge() {
    for mode in [Mode::Merge, Mode::MergeKeeping, Mode::MergeOverwriting] {
        let (store, text) = apart().await;
        let done = imported(&*store, &text, mode).await.unwrap();
        assert_eq!((done.added, done.kept, done.overwritten), (1, 0, 0));
        assert_eq!(record(&*store).await, in_use(&["another", "transparent"]), "{mode:?}");
        // The next server has not the file's.
        let error = Fixture::new(Arc::clone(&store) as Arc<dyn Store>).await.unwrap_err();
        let error::Error::Secret(secret::Error::KeysMissing { key_ids }) = &error else { panic!("{error:?}") };
        assert_eq!(*key_ids, ["another"]);
    }
}

#[tokio::test]
async fn keys_of_documents_that_a_merge_does_not_take_over_are_not_in_use() {
    let (store, text) = apart().await;
    insert(&*store, "z/2", &sealed_with("transparent")).await;
    let before = record(&*store).await;
    let done = imported(&*store, &text, Mode::MergeKeeping).await.unwrap();
    assert_eq!((done.added, done.kept), (0, 1));
    assert_eq!(record(&*store).await.in_use, before.in_use);
    Fixture::new(Arc::clone(&store) as Arc<dyn Store>).await.unwrap();
    // Where the file's counts, its key does.
    imported(&*store, &text, Mode::MergeOverwriting).await.unwrap();
    assert_eq!(record(&*store).await, in_use(&["another", "transparent"]));
}

#[tokio::test]
async fn a_merge_in_the_middle_of_a_rotation_forgets_no_key_and_lets_the_pass_begin_anew() {
    let (store, text) = apart().await;
    let before = r#"{"kind":"Encryption","version":1,"document":{"in-use":["older","transparent"],"given-up":["oldest","another"],
        "pass":{"target":"transparent","phase":"checking","clean":true,"looked-at":1,"reencrypted":1,"failed":0,
        "started-at":"2026-01-02T03:04:05Z","touched-at":"2026-01-02T03:04:05Z"}}}"#;
    replace(&*store, RECORD, before).await;
    imported(&*store, &text, Mode::Merge).await.unwrap();
    let given_up = vec!["oldest".to_owned()];
    assert_eq!(record(&*store).await, Encryption { given_up, ..in_use(&["another", "older", "transparent"]) });
}

#[tokio::test]
async fn a_store_without_a_record_of_encryption_keys_has_one_after_a_merge() {
    let (store, text) = apart().await;
    replace(&*store, "credential/u/c1", &sealed_with("own")).await;
    store.remove(&key(RECORD)).await.unwrap();
    imported(&*store, &text, Mode::Merge).await.unwrap();
    assert_eq!(record(&*store).await, in_use(&["another", "own", "transparent"]));
}

#[tokio::test]
async fn the_record_of_encryption_keys_goes_into_an_empty_store_as_it_is() {
    for mode in [Mode::IntoEmpty, Mode::Merge] {
        let (_, text) = apart().await;
        let store = MemoryStore::new();
        imported(&store, &text, mode).await.unwrap();
        assert_eq!(body(&store, RECORD).await.unwrap(), OTHER, "{mode:?}");
    }
}

#[tokio::test]
async fn a_merge_that_is_cut_off_anywhere_goes_on_with_the_same_options_only() {
    let modes = [Mode::Merge, Mode::MergeKeeping, Mode::MergeOverwriting];
    for mode in modes {
        let differing = if mode == Mode::Merge { "{}" } else { r#"{"differs":true}"# };
        let (whole, text) = apart().await;
        replace(&*whole, "z/1", differing).await;
        imported(&*whole, &text, mode).await.unwrap();
        let (mut left, mut before, mut after) = (0, 0, 0);
        for calls in 0.. {
            let (store, text) = apart().await;
            replace(&*store, "z/1", differing).await;
            let untouched = exported(&*store).await;
            let faulty = FaultyStore::new(Arc::clone(&store) as Arc<dyn Store>);
            faulty.fail_after(calls);
            if imported(&faulty, &text, mode).await.is_ok() {
                break;
            }
            if body(&*store, "import/this").await.is_none() {
                assert_eq!(exported(&*store).await, untouched, "{mode:?} {calls}");
                continue;
            }
            left += 1;
            if !record(&*store).await.in_use.contains("another") {
                before += 1;
                assert_eq!(
                    body(&*store, "z/2").await,
                    None,
                    "{mode:?} {calls}: added beside a record that does not hold for it"
                );
                assert_eq!(body(&*store, "z/1").await.unwrap(), differing, "{mode:?} {calls}");
            } else {
                after += 1;
            }
            let opened = Fixture::new(Arc::clone(&store) as Arc<dyn Store>).await;
            assert!(matches!(opened, Err(error::Error::Unfinished(_))), "{mode:?} {calls}");
            for other in modes.into_iter().chain([Mode::IntoEmpty]).filter(|other| *other != mode) {
                let refused = imported(&*store, &text, other).await.unwrap_err();
                let said = match mode {
                    Mode::MergeKeeping => "and --merge --keep-existing,",
                    Mode::MergeOverwriting => "and --merge --overwrite,",
                    _ => "and --merge,",
                };
                assert!(refused.to_string().contains(said), "{mode:?} {other:?}: {refused}");
            }
            imported(&*store, &text, mode).await.unwrap();
            assert_eq!(exported(&*store).await, exported(&*whole).await, "{mode:?} {calls}");
        }
        assert!(left > 3 && before > 0 && after > 2, "{mode:?}: {left} {before} {after}");
    }
}

async fn replace(store: &dyn Store, at: &str, body: &str) {
    store.remove(&key(at)).await.unwrap();
    insert(store, at, body).await;
}

#[tokio::test]
async fn a_merge_that_fails_is_taken_back_with_the_record_of_encryption_keys() {
    for mode in [Mode::Merge, Mode::MergeOverwriting] {
        let store = Arc::new(numbered(1_000).await);
        if mode == Mode::MergeOverwriting {
            replace(&*store, "a/000100", "{}").await;
        }
        insert(&*store, RECORD, OTHER).await;
        let before = exported(&*store).await;
        let from = numbered(3_000).await;
        insert(&from, "b", &sealed_with("third")).await;
        let text = exported(&from).await;
        let meddle = Arc::clone(&store);
        let input = Bytes(text.into_bytes());
        let mut broken = None;
        let faulty = Refusing { inner: Arc::clone(&store), refused: key("a/002999"), fault: Fault::TooLarge };
        let tell = &mut |progress: Progress| {
            if progress.stage == Stage::Writing && progress.documents > 0 && broken.is_none() {
                broken = futures_util::FutureExt::now_or_never(record(&*meddle));
            }
        };
        let error = import(&faulty, &input, mode, &run(), tell).await.unwrap_err();
        assert!(matches!(error, Error::Undone(_)), "{error}");
        assert_eq!(broken, Some(in_use(&["another", "third"])), "the record did not hold for what was added");
        assert_eq!(exported(&*store).await, before, "{mode:?}");
    }
}

#[tokio::test]
async fn a_merge_that_has_replaced_more_than_can_be_kept_in_memory_is_not_taken_back() {
    let large = Body::from_json(format!("\"{}\"", "a".repeat(15 << 20)).into_bytes());
    for (count, undone) in [(17, true), (18, false)] {
        let store = Arc::new(MemoryStore::new());
        let from = MemoryStore::new();
        for n in 0..count {
            // All share their bytes.
            store.put(&key(&format!("a/{n:02}")), large.clone(), Precondition::Absent).await.unwrap();
            insert(&from, &format!("a/{n:02}"), "{}").await;
        }
        insert(&from, "b", "{}").await;
        let text = exported(&from).await;
        let faulty = Refusing { inner: Arc::clone(&store), refused: key("b"), fault: Fault::TooLarge };
        let error = imported(&faulty, &text, Mode::MergeOverwriting).await.unwrap_err();
        assert_eq!(matches!(error, Error::Undone(_)), undone, "{count}: {error}");
        assert_eq!(matches!(error, Error::Left(_)), !undone, "{count}: {error}");
        let first = store.get(&key("a/00")).await.unwrap().unwrap().body;
        assert_eq!(first == large, undone, "{count}");
        if !undone {
            imported(&*store, &text, Mode::MergeOverwriting).await.unwrap();
            assert_eq!(exported(&*store).await, text);
        }
    }
}

#[tokio::test]
async fn a_merge_of_which_a_write_may_still_happen_is_not_called_taken_back() {
    let store = Arc::new(numbered(10).await);
    let text = exported(&numbered(20).await).await;
    let unsure = Refusing { inner: Arc::clone(&store), refused: key("a/000015"), fault: Fault::Unsure };
    let error = imported(&unsure, &text, Mode::Merge).await.unwrap_err();
    assert!(matches!(error, Error::Left(_)), "{error}");
    assert!(matches!(export_error(&*store).await, Error::Unfinished { mode: Mode::Merge }));
    imported(&*store, &text, Mode::Merge).await.unwrap();
    assert_eq!(exported(&*store).await, text);
}

#[tokio::test]
async fn a_store_that_is_busy_for_a_moment_is_asked_again() {
    let text = exported(&numbered(20).await).await;
    for (times, enough) in [(2, true), (3, false)] {
        let inner = Arc::new(MemoryStore::new());
        let fault = Fault::Busy(AtomicU32::new(times));
        let busy = Refusing { inner: Arc::clone(&inner), refused: key("a/000015"), fault };
        let result = imported(&busy, &text, Mode::IntoEmpty).await;
        if enough {
            result.unwrap();
            assert_eq!(exported(&*inner).await, text);
        } else {
            assert!(matches!(result, Err(Error::Undone(_))), "{result:?}");
            assert!(inner.scan(Scan::everything(1)).await.unwrap().is_empty());
        }
    }
}

/// A store that does not write one document, or does not say whether it did.
#[derive(Debug)]
struct Refusing {
    inner: Arc<MemoryStore>,
    refused: Key,
    fault: Fault,
}

#[derive(Debug)]
enum Fault {
    TooLarge,
    Unsure,
    /// So many times.
    Busy(AtomicU32),
}

#[async_trait]
impl Store for Refusing {
    async fn get(&self, key: &Key) -> Result<Option<Document>, store::Error> {
        self.inner.get(key).await
    }

    async fn scan(&self, scan: Scan) -> Result<Vec<Document>, store::Error> {
        self.inner.scan(scan).await
    }

    async fn put(&self, key: &Key, body: Body, precondition: Precondition) -> Result<Revision, store::Error> {
        if *key != self.refused {
            return self.inner.put(key, body, precondition).await;
        }
        match &self.fault {
            Fault::TooLarge => Err(store::Error::TooLarge { key: key.clone(), size: 2, limit: 1 }),
            Fault::Unsure => Err(store::Error::OutcomeUnknown { key: key.clone(), source: "no answer".into() }),
            Fault::Busy(left) => {
                match left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)) {
                    Ok(_) => Err(store::Error::Unavailable("busy".into())),
                    Err(_) => self.inner.put(key, body, precondition).await,
                }
            }
        }
    }

    async fn delete(&self, key: &Key, revision: &Revision) -> Result<(), store::Error> {
        self.inner.delete(key, revision).await
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
