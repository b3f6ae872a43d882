//! Stored documents of every kind, as a damaged store could hold them, and the lines of exports.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use aws_lc_rs::digest::{SHA256, digest};
use data_encoding::HEXLOWER;
use dcm_core::{
    model::{
        Applied, Cluster, ClusterHealth, ClusterProvider, ClusterReference, ClusterStatus, ClusterUse, Controller,
        Credential, Encryption, Installation, KvPair, LogicalCloud, Order, Project, Quota, ReferencePage, Renewal,
        Reservation, Uid,
    },
    store::{Body, BoxError, Error, Key, Scan, Store as _, Stored},
    tenancy::Tenancy,
    transfer::{self, About, Input, Mode, Output, Run, Unfinished},
};
use dcm_store::memory::MemoryStore;
use dcm_test_utils::ports::start;
use futures_util::{
    FutureExt as _, StreamExt as _,
    stream::{self, BoxStream},
};

/// With `{"key"` at the beginning, the lines between an export's first line and its end; with `{"dcm-export"`, a whole
/// export; else a stored document.
///
/// A document that can be read is of its kind and of a version that this release may read, and reads back the same once it
/// is written. An import writes all or nothing; what was imported is exported and imported again as the same.
pub fn run(data: &[u8]) {
    if data.starts_with(b"{\"key\"") || data.starts_with(b"{\"changes\"") {
        lines(data);
    } else if data.starts_with(b"{\"dcm-export\"") {
        import(data.to_vec());
    } else {
        document(data);
    }
}

fn document(data: &[u8]) {
    read::<Applied>(data, |applied| {
        let installation = Uid::from_random([1; 16]);
        let objects = Tenancy { applied: &applied, installation: &installation }.objects();
        assert_eq!(objects.is_empty(), applied.tenant().is_none());
    });
    read::<Cluster>(data, drop);
    read::<ClusterHealth>(data, drop);
    read::<ClusterProvider>(data, drop);
    read::<ClusterReference>(data, drop);
    read::<ClusterStatus>(data, |status| assert_eq!(status.reason(), status.failure.map(|failure| failure.reason)));
    read::<ClusterUse>(data, drop);
    read::<Controller>(data, drop);
    read::<Credential>(data, drop);
    read::<Encryption>(data, drop);
    read::<Installation>(data, drop);
    read::<KvPair>(data, drop);
    read::<LogicalCloud>(data, drop);
    read::<Order>(data, drop);
    read::<Project>(data, drop);
    read::<Quota>(data, |quota| assert!(quota.limits().all(|(_, value)| !value.trim().is_empty())));
    read::<ReferencePage>(data, drop);
    read::<Renewal>(data, drop);
    read::<Reservation>(data, drop);
    read::<Unfinished>(data, drop);
}

fn read<T: Stored>(data: &[u8], look: impl FnOnce(T)) {
    let key: Key = "fuzz/document".parse().unwrap();
    let read: T = match Body::from_json(data).read(&key) {
        Ok(read) => read,
        Err(Error::Corrupt { .. }) => return,
        Err(other) => panic!("{other:?}"),
    };
    // Where it cannot be read so, something that nobody looks at is no text.
    if let Ok(value) = serde_json::from_slice::<serde_json::Value>(data) {
        assert_eq!(value["kind"], T::KIND);
        assert!(value["version"].as_u64().is_some_and(|version| version <= u64::from(T::VERSION) + 1), "{value}");
    }
    let written = Body::write(&key, &read).unwrap();
    let again: T = written.read(&key).expect("what was written is read");
    assert!(Body::write(&key, &again).unwrap() == written, "{} changed", T::KIND);
    look(read);
}

/// Puts a first line before, and the end that belongs to them after.
fn lines(data: &[u8]) {
    let mut file = b"{\"dcm-export\":1,\"release\":\"0.1.0\",\"exported-at\":\"2026-01-02T03:04:05Z\"}\n".to_vec();
    file.extend_from_slice(data.trim_ascii_end());
    file.push(b'\n');
    let sha256 = HEXLOWER.encode(digest(&SHA256, &file).as_ref());
    // Changes make it anybody's guess how many count: up to as many as there are lines.
    let lines = data.trim_ascii_end().split(|byte| *byte == b'\n').count();
    let has_changes = file.windows(9).any(|part| part == b"\"changes\"");
    for documents in if has_changes { 0..=lines } else { lines..=lines } {
        let end = format!("{{\"end\":{{\"documents\":{documents},\"sha256\":\"{sha256}\"}}}}\n");
        import([file.as_slice(), end.as_bytes()].concat());
        if lines > 16 {
            break;
        }
    }
}

struct File(Vec<u8>);

impl Input for File {
    fn open(&self) -> BoxStream<'_, Result<Vec<u8>, BoxError>> {
        stream::iter(self.0.chunks(4096).map(|piece| Ok(piece.to_vec()))).boxed()
    }
}

#[derive(Clone, Default)]
struct Text(Arc<Mutex<Vec<u8>>>);

#[async_trait]
impl Output for Text {
    async fn write(&mut self, lines: Vec<u8>) -> Result<(), BoxError> {
        self.0.lock().unwrap().extend(lines);
        Ok(())
    }
}

fn import(file: Vec<u8>) {
    let Some(first) = imported(file) else { return };
    let mut text = Text::default();
    let about = About { release: "0.1.0".to_owned(), at: start() };
    let exported = transfer::export(&first, &about, &mut text, &mut |_| {}).now_or_never();
    match exported.expect("memory answers at once") {
        Ok(_) => {}
        // An import keeps what it is given; an export needs JSON.
        Err(error) => panic!("what was imported cannot be exported: {error:?}"),
    }
    let file = std::mem::take(&mut *text.0.lock().unwrap());
    let second = imported(file).expect("what was exported can be imported");
    let (first, second) = (all(&first), all(&second));
    assert_eq!(first.len(), second.len());
    for (one, other) in first.iter().zip(&second) {
        assert_eq!(one.0, other.0);
        let value = |body: &Body| serde_json::from_slice::<serde_json::Value>(body.as_bytes()).ok();
        assert!(one.1 == other.1 || value(&one.1) == value(&other.1), "{} changed", one.0);
    }
}

/// The store that the file was imported into; none where it was refused, and so nothing is there.
fn imported(file: Vec<u8>) -> Option<MemoryStore> {
    let store = MemoryStore::with_history(16);
    let run = Run { id: Uid::from_random([2; 16]), at: start() };
    let file = File(file);
    let result = transfer::import(&store, &file, Mode::IntoEmpty, &run, &mut |_| {}).now_or_never();
    match result.expect("memory answers at once") {
        Ok(imported) => {
            assert_eq!(all(&store).len() as u64, imported.documents);
            Some(store)
        }
        Err(transfer::Error::Line { .. }) => {
            assert!(all(&store).is_empty());
            None
        }
        Err(other) => panic!("{other:?}"),
    }
}

fn all(store: &MemoryStore) -> Vec<(Key, Body)> {
    let found = store.scan(Scan::everything(100_000)).now_or_never().expect("memory answers at once").unwrap();
    found.into_iter().map(|document| (document.key, document.body)).collect()
}
