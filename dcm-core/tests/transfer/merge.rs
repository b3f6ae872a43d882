//! Merges: what is added, which side wins, and what becomes of the record of encryption keys.

use std::sync::atomic::{AtomicU32, Ordering};

use dcm_core::store::{self, Changes, Document, Position, Revision};

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

/// A store, and an export of the same installation with one document more, one that differs, and another record of keys.
async fn apart() -> (Arc<MemoryStore>, String) {
    let (store, f) = fixture().await;
    f.register(&["c1"]).await.unwrap();
    insert(&*store, "z/1", "{}").await;
    let mut lines: Vec<String> = exported(&*store).await.lines().map(str::to_owned).collect();
    let last = lines.len() - 1;
    lines[last] = r#"{"key":"z/2","body":{"more":true}}"#.to_owned();
    for line in &mut lines {
        if line.contains(RECORD) {
            *line = format!("{{\"key\":\"{RECORD}\",\"body\":{OTHER}}}");
        }
    }
    let lines: Vec<&str> = lines.iter().skip(1).map(String::as_str).collect();
    (store, file(&lines))
}

#[tokio::test]
async fn the_record_of_encryption_keys_is_no_difference_and_is_forgotten_by_a_merge() {
    let (store, text) = apart().await;
    assert!(body(&*store, RECORD).await.is_some(), "nothing to forget");
    let done = imported(&*store, &text, Mode::Merge).await.unwrap();
    assert_eq!((done.added, done.kept, done.overwritten), (1, 0, 0));
    assert_eq!(body(&*store, RECORD).await, None);
    // Every key that there is counts as in use at the next start.
    Fixture::new(Arc::clone(&store) as Arc<dyn Store>).await.unwrap();
    assert!(body(&*store, RECORD).await.unwrap().contains("transparent"));
    for mode in [Mode::MergeKeeping, Mode::MergeOverwriting] {
        let (store, text) = apart().await;
        imported(&*store, &text, mode).await.unwrap();
        assert_eq!(body(&*store, RECORD).await, None, "{mode:?}");
    }
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
        let (mut left, mut before_deletion, mut after_deletion) = (0, 0, 0);
        for calls in 0.. {
            let (store, text) = apart().await;
            replace(&*store, "z/1", differing).await;
            let before = exported(&*store).await;
            let faulty = FaultyStore::new(Arc::clone(&store) as Arc<dyn Store>);
            faulty.fail_after(calls);
            if imported(&faulty, &text, mode).await.is_ok() {
                break;
            }
            if body(&*store, "import/this").await.is_none() {
                assert_eq!(exported(&*store).await, before, "{mode:?} {calls}");
                continue;
            }
            left += 1;
            if body(&*store, RECORD).await.is_some() {
                before_deletion += 1;
                assert_eq!(
                    body(&*store, "z/2").await,
                    None,
                    "{mode:?} {calls}: added beside a record that may not hold for it"
                );
                assert_eq!(body(&*store, "z/1").await.unwrap(), differing, "{mode:?} {calls}");
            } else {
                after_deletion += 1;
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
        assert!(
            left > 3 && before_deletion > 0 && after_deletion > 2,
            "{mode:?}: {left} {before_deletion} {after_deletion}"
        );
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
        let text = exported(&numbered(3_000).await).await;
        let meddle = Arc::clone(&store);
        let input = Bytes(text.into_bytes());
        let mut broken = None;
        let faulty = Refusing { inner: Arc::clone(&store), refused: key("a/002999"), fault: Fault::TooLarge };
        let tell = &mut |progress: Progress| {
            if progress.stage == Stage::Writing && progress.documents > 0 && broken.is_none() {
                broken = futures_util::FutureExt::now_or_never(body(&*meddle, RECORD));
            }
        };
        let error = import(&faulty, &input, mode, start(), tell).await.unwrap_err();
        assert!(matches!(error, Error::Undone(_)), "{error}");
        assert_eq!(broken, Some(None), "the record stood beside what was added");
        assert_eq!(exported(&*store).await, before, "{mode:?}");
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
