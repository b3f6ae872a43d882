//! Export and import: one state of the store, all or nothing, and every bad file refused before anything is written.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails loudly")]

mod merge;
mod pages;
mod taken_over;

use std::sync::Arc;

use async_trait::async_trait;
use dcm_core::{
    clock::Entropy as _,
    error,
    model::Uid,
    store::{Body, BoxError, Key, Precondition, Scan, Store, StoreExt as _},
    transfer::{self, About, Error, Imported, Input, Mode, Output, Progress, Run, Stage, export, import},
};
use dcm_store::memory::MemoryStore;
use dcm_test_utils::{
    builders::Fixture,
    faulty::FaultyStore,
    ports::{CountingEntropy, start},
};
use futures_util::{
    StreamExt as _,
    stream::{self, BoxStream},
};
use sha2::{Digest as _, Sha256};

#[derive(Default)]
struct Text(Vec<u8>);

#[async_trait]
impl Output for Text {
    async fn write(&mut self, lines: Vec<u8>) -> Result<(), BoxError> {
        self.0.extend(lines);
        Ok(())
    }
}

struct Bytes(Vec<u8>);

impl Input for Bytes {
    fn open(&self) -> BoxStream<'_, Result<Vec<u8>, BoxError>> {
        // Pieces that end in the middle of lines.
        stream::iter(self.0.chunks(7).map(|piece| Ok(piece.to_vec()))).boxed()
    }
}

fn about() -> About {
    About { release: "test".to_owned(), at: start() }
}

/// A run like no other.
fn run() -> Run {
    static ENTROPY: CountingEntropy = CountingEntropy::starting_at(0);
    Run { id: Uid::from_random(ENTROPY.bytes()), at: start() }
}

async fn exported(store: &dyn Store) -> String {
    let mut text = Text::default();
    export(store, &about(), &mut text, &mut |_| {}).await.unwrap();
    String::from_utf8(text.0).unwrap()
}

async fn imported(store: &dyn Store, text: &str, mode: Mode) -> Result<Imported, Error> {
    import(store, &Bytes(text.as_bytes().to_vec()), mode, &run(), &mut |_| {}).await
}

fn key(text: &str) -> Key {
    text.parse().unwrap()
}

async fn insert(store: &dyn Store, at: &str, body: &str) {
    store.put(&key(at), Body::from_json(body.as_bytes()), Precondition::Absent).await.unwrap();
}

async fn body(store: &dyn Store, at: &str) -> Option<String> {
    let found = store.get(&key(at)).await.unwrap();
    found.map(|found| String::from_utf8(found.body.as_bytes().to_vec()).unwrap())
}

/// A store with documents `a/0`, `a/1`, … that hold their number.
async fn numbered(count: u32) -> MemoryStore {
    let store = MemoryStore::new();
    for n in 0..count {
        insert(&store, &format!("a/{n:06}"), &format!("{{\"n\":{n}}}")).await;
    }
    store
}

/// A file with these lines between its first and its last, each document among them once.
fn file(lines: &[&str]) -> String {
    counted(lines, lines.iter().filter(|line| line.contains("\"body\"")).count())
}

fn counted(lines: &[&str], documents: usize) -> String {
    let mut text = format!("{{\"dcm-export\":1,\"release\":\"t\",\"exported-at\":\"{}\"}}\n", start());
    for line in lines {
        text += line;
        text.push('\n');
    }
    let sha256 = data_encoding::HEXLOWER.encode(&Sha256::digest(&text));
    text + &format!("{{\"end\":{{\"documents\":{documents},\"sha256\":\"{sha256}\"}}}}\n")
}

#[tokio::test]
async fn what_was_exported_and_imported_is_exported_the_same() {
    let store = numbered(2_500).await;
    insert(&store, "b/x y", r#"{"a.b":{"$c":[1.5,null,18446744073709551615,"ü\u0000"]},"":{}}"#).await;
    insert(&store, "a", "{ \"spread\":\n [ ] }").await;
    let first = exported(&store).await;
    assert!(first.contains(r#"{"key":"b/x y","body":{"a.b":{"$c":[1.5,null,18446744073709551615,"ü\u0000"]},"":{}}}"#));
    let other = MemoryStore::new();
    let done = imported(&other, &first, Mode::IntoEmpty).await.unwrap();
    assert_eq!((done.documents, done.added), (2_502, 2_502));
    assert_eq!(exported(&other).await, first);
}

#[tokio::test]
async fn an_empty_store_can_be_exported_and_imported() {
    let text = exported(&MemoryStore::new()).await;
    assert_eq!(imported(&MemoryStore::new(), &text, Mode::IntoEmpty).await.unwrap().documents, 0);
}

/// Adds to a pair of documents, the second of which points to the first, as a frozen state and its cloud: made first, deleted last.
async fn move_on(store: &dyn Store, n: u32) {
    insert(store, &format!("applied/{n}"), "{}").await;
    let cloud = key("cloud/1");
    let current = store.get(&cloud).await.unwrap();
    let precondition = current.map_or(Precondition::Absent, |c| Precondition::AtRevision(c.revision));
    store.put(&cloud, Body::from_json(format!("{{\"to\":{n}}}").into_bytes()), precondition).await.unwrap();
    if n > 0 {
        store.remove(&key(&format!("applied/{}", n - 1))).await.unwrap();
    }
}

/// Writes whenever a page was read, so many times.
struct Meddling {
    store: Arc<MemoryStore>,
    left: u32,
    n: u32,
    text: Vec<u8>,
}

#[async_trait]
impl Output for Meddling {
    async fn write(&mut self, lines: Vec<u8>) -> Result<(), BoxError> {
        self.text.extend(lines);
        if self.left > 0 {
            self.left -= 1;
            self.n += 1;
            move_on(&*self.store, self.n).await;
        }
        Ok(())
    }
}

#[tokio::test]
async fn an_export_is_one_state_although_others_write_meanwhile() {
    let mut changed = 0;
    for left in [1, 2, 3, 7] {
        // Some pages, with what moves on in the last one.
        let store = Arc::new(numbered(200).await);
        move_on(&*store, 0).await;
        let mut output = Meddling { store: Arc::clone(&store), left, n: 0, text: Vec::new() };
        let done = export(&*store, &about(), &mut output, &mut |_| {}).await.unwrap();
        let text = String::from_utf8(output.text).unwrap();
        changed += u32::from(text.contains("{\"changes\":true}") && text.contains("\"deleted\":true"));
        let other = MemoryStore::new();
        let read = imported(&other, &text, Mode::IntoEmpty).await.unwrap();
        assert_eq!((read.documents, read.added), (done.documents, 202));
        let cloud = body(&other, "cloud/1").await.unwrap();
        let to = cloud.trim_start_matches("{\"to\":").trim_end_matches('}');
        assert!(body(&other, &format!("applied/{to}")).await.is_some(), "torn: {cloud}");
        assert_eq!(exported(&other).await, exported(&*store).await);
    }
    assert!(changed > 1, "hardly anything changed: {changed}");
}

#[tokio::test]
async fn a_store_that_never_rests_is_not_exported() {
    let store = Arc::new(numbered(3_000).await);
    move_on(&*store, 0).await;
    let mut output = Meddling { store: Arc::clone(&store), left: u32::MAX, n: 0, text: Vec::new() };
    let error = export(&*store, &about(), &mut output, &mut |_| {}).await.unwrap_err();
    assert!(matches!(error, Error::Busy) && error.to_string().contains("stop the servers"), "{error}");
    assert!(!String::from_utf8_lossy(&output.text).contains("\"end\""));
}

#[tokio::test]
async fn every_bad_file_is_refused_by_line_without_quoting_it_and_nothing_is_written() {
    let one = r#"{"key":"a/1","body":{"s":"s3cret"}}"#;
    let good = file(&[one, r#"{"key":"a/2","body":{}}"#]);
    let cut = |at: usize| good[..at].to_owned();
    let lines: Vec<&str> = good.lines().collect();
    let cases = [
        (String::new(), "line 1: the file is empty"),
        ("hello\n".to_owned(), "line 1: this is no export of DCM"),
        (good.replace("\"dcm-export\":1", "\"dcm-export\":2"), "line 1: the export has the form 2"),
        (cut(good.len() - 1), "line 4: it has no end: the file is cut off"),
        (format!("{}\n", lines[..3].join("\n")), "line 3: the end is missing after it"),
        (cut(lines[0].len() + 20), "line 2: it has no end"),
        (good.replace("s3cret", "s3cr3t"), "line 4: the checksum does not match"),
        (good.replace("\"documents\":2", "\"documents\":3"), "line 4: the checksum does not match"),
        (format!("{good}{one}\n"), "line 5: there is something after the end"),
        (file(&[one, one]), "line 3: its key stands there twice"),
        (file(&[r#"{"key":"a//1","body":{"s":"s3cret"}}"#]), "line 2: its key is none"),
        (file(&[r#"{"key":"a/1","body":{"s":"s3cret"}"#]), "line 2: it is not JSON"),
        (file(&[r#"{"key":"a/1","s3cret":{}}"#]), "line 2: it is none of"),
        (file(&[r#"{"key":"a/1"}"#]), "line 2: it is none of"),
        (file(&[r#"{"key":"a/1","deleted":true}"#]), "line 2: a deletion can only stand after"),
        (file(&[r#"{"changes":true}"#, r#"{"changes":true}"#]), "line 3: {\"changes\":true} stands there twice"),
        (file(&[r#"{"key":"import/this","body":{}}"#]), "line 2: no export holds"),
        (file(&[r#"{"key":"installation/this","body":{"s":"s3cret"}}"#]), "line 2: the stored document"),
    ];
    for (text, wanted) in cases {
        let store = MemoryStore::new();
        let error = imported(&store, &text, Mode::IntoEmpty).await.unwrap_err().to_string();
        assert!(error.starts_with(wanted), "{error:?}, not {wanted:?}");
        assert!(!error.contains("s3cret"), "{error}");
        assert!(store.scan(Scan::everything(1)).await.unwrap().is_empty(), "{wanted}");
    }
    let changed = [one, r#"{"changes":true}"#, r#"{"key":"a/1","deleted":true}"#, r#"{"key":"a/3","body":{}}"#];
    for documents in [0, 2] {
        let error = imported(&MemoryStore::new(), &counted(&changed, documents), Mode::IntoEmpty).await.unwrap_err();
        assert!(error.to_string().starts_with("line 6: the number of documents does not match"), "{error}");
    }
    assert_eq!(imported(&MemoryStore::new(), &counted(&changed, 1), Mode::IntoEmpty).await.unwrap().added, 1);
    let mut bytes = good.into_bytes();
    let at = bytes.iter().position(|byte| *byte == b'3').unwrap();
    bytes[at] = 0xff;
    let store = MemoryStore::new();
    let error = import(&store, &Bytes(bytes), Mode::IntoEmpty, &run(), &mut |_| {}).await.unwrap_err();
    assert!(error.to_string().contains("it is not UTF-8"), "{error}");
}

#[tokio::test]
async fn a_store_that_is_not_empty_is_refused_and_stays() {
    let store = numbered(3).await;
    let text = exported(&numbered(5).await).await;
    let error = imported(&store, &text, Mode::IntoEmpty).await.unwrap_err();
    assert!(matches!(error, Error::NotEmpty { at_least: 3, more: false }), "{error}");
    assert!(error.to_string().contains("--merge"), "{error}");
    assert_eq!(store.scan(Scan::everything(10)).await.unwrap().len(), 3);
}

async fn fixture() -> (Arc<MemoryStore>, Fixture) {
    let store = Arc::new(MemoryStore::new());
    let fixture = Fixture::new(Arc::clone(&store) as Arc<dyn Store>).await.unwrap();
    (store, fixture)
}

#[tokio::test]
async fn an_import_that_fails_anywhere_is_taken_back_or_keeps_dcm_out_until_it_is_run_again() {
    let (one, f) = fixture().await;
    f.register(&["c1"]).await.unwrap();
    for n in 0..40 {
        insert(&*one, &format!("z/{n}"), &format!("{{\"n\":{n}}}")).await;
    }
    let text = exported(&*one).await;
    let (mut undone, mut left) = (0, 0);
    for calls in 0.. {
        let inner = Arc::new(MemoryStore::new());
        let faulty = FaultyStore::new(Arc::clone(&inner) as Arc<dyn Store>);
        faulty.fail_after(calls);
        let result = imported(&faulty, &text, Mode::IntoEmpty).await;
        if result.is_ok() {
            break;
        }
        let opened = Fixture::new(Arc::clone(&inner) as Arc<dyn Store>).await;
        if let Some(marker) = inner.get(&key("import/this")).await.unwrap() {
            left += 1;
            let error = opened.expect_err("half an import was opened");
            assert!(matches!(error, error::Error::Unfinished(_)), "{error:?}");
            assert!(!marker.body.as_bytes().is_empty());
            let other = exported(&numbered(1).await).await;
            let refused = imported(&*inner, &other, Mode::IntoEmpty).await.unwrap_err();
            assert!(matches!(refused, Error::Unfinished { mode: Mode::IntoEmpty }), "{refused}");
            assert!(matches!(export_error(&*inner).await, Error::Unfinished { .. }));
            imported(&*inner, &text, Mode::IntoEmpty).await.unwrap();
            assert_eq!(exported(&*inner).await, text);
        } else {
            undone += 1;
        }
    }
    assert!(left > 20 && undone > 0, "{left} left, {undone} undone");
}

async fn export_error(store: &dyn Store) -> Error {
    export(store, &about(), &mut Text::default(), &mut |_| {}).await.unwrap_err()
}

#[tokio::test]
async fn what_somebody_else_wrote_meanwhile_is_told_and_ours_is_taken_back() {
    let text = exported(&numbered(2_000).await).await;
    let store = Arc::new(MemoryStore::new());
    let mut meddled = false;
    let other = Arc::clone(&store);
    let tell = &mut |progress: Progress| {
        if progress.stage == Stage::Writing && progress.documents > 0 && !std::mem::replace(&mut meddled, true) {
            let other = Arc::clone(&other);
            // The memory store answers at once.
            futures_util::FutureExt::now_or_never(async move { insert(&*other, "a/001999", "{\"n\":\"mine\"}").await })
                .unwrap();
        }
    };
    let error = import(&*store, &Bytes(text.into_bytes()), Mode::IntoEmpty, &run(), tell).await.unwrap_err();
    let Error::Left(source) = &error else { panic!("{error}") };
    assert!(matches!(&**source, Error::Raced { .. }), "{source}");
    // Only what is not ours is left, and the marker that says so.
    assert_eq!(store.scan(Scan::everything(10)).await.unwrap().len(), 2);
    assert!(body(&*store, "import/this").await.is_some());
}

#[tokio::test]
async fn the_ids_of_the_keys_that_secrets_need_are_told() {
    let (one, f) = fixture().await;
    f.register(&["c1"]).await.unwrap();
    let mut text = Text::default();
    let done = transfer::export(&*one, &about(), &mut text, &mut |_| {}).await.unwrap();
    assert_eq!(done.key_ids, ["transparent"]);
    let text = String::from_utf8(text.0).unwrap();
    assert_eq!(imported(&MemoryStore::new(), &text, Mode::IntoEmpty).await.unwrap().key_ids, ["transparent"]);
    // What stands behind counts.
    let sealed = |id: &str| format!(r#"{{"key":"a/1","body":{{"key-id":"{id}","nonce":"AAAA","ciphertext":"AAAA"}}}}"#);
    let changed = counted(&[&sealed("old"), r#"{"changes":true}"#, &sealed("new")], 1);
    assert_eq!(imported(&MemoryStore::new(), &changed, Mode::IntoEmpty).await.unwrap().key_ids, ["new"]);
}

#[tokio::test]
async fn a_document_of_every_kind_that_is_two_versions_ahead_is_refused_by_line_and_one_ahead_is_not() {
    let mut kinds = 0;
    for golden in std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/documents")).unwrap() {
        let text = std::fs::read(golden.unwrap().path()).unwrap();
        let mut golden: serde_json::Value = serde_json::from_slice(&text).unwrap();
        let version = golden["version"].as_u64().unwrap();
        for (ahead, refused) in [(1, false), (2, true), (1 << 40, true)] {
            golden["version"] = (version + ahead).into();
            let text = file(&[r#"{"key":"a/1","body":{}}"#, &format!(r#"{{"key":"a/2","body":{golden}}}"#)]);
            let store = MemoryStore::new();
            let result = imported(&store, &text, Mode::IntoEmpty).await;
            let what = format!("{} {ahead}: {result:?}", golden["kind"]);
            assert_eq!(result.is_err(), refused, "{what}");
            if let Err(error) = result {
                let said = error.to_string();
                assert!(said.starts_with("line 3: a newer release wrote this"), "{what}");
                assert!(said.contains("import it with a newer release"), "{what}");
                assert!(store.scan(Scan::everything(1)).await.unwrap().is_empty(), "{what}");
            }
        }
        kinds += 1;
    }
    assert!(kinds > 20, "{kinds}");
}
