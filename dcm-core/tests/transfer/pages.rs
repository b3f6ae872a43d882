//! How much of the store an export holds at once.

use std::sync::{
    Mutex,
    atomic::{AtomicUsize, Ordering},
};

use dcm_core::store::{self, Changes, Document, Position, Revision};

use super::*;

/// A store that reads no more than so many documents in time, and notes how many it was asked for, and how many bytes it
/// answered, at once.
#[derive(Debug)]
struct Slow {
    inner: MemoryStore,
    most: usize,
    asked: Mutex<Vec<usize>>,
    largest: AtomicUsize,
}

impl Slow {
    fn new(inner: MemoryStore, most: usize) -> Self {
        Self { inner, most, asked: Mutex::default(), largest: AtomicUsize::default() }
    }

    fn asked(&self) -> Vec<usize> {
        self.asked.lock().unwrap().clone()
    }
}

#[async_trait]
impl Store for Slow {
    async fn get(&self, key: &Key) -> Result<Option<Document>, store::Error> {
        self.inner.get(key).await
    }

    async fn scan(&self, scan: Scan) -> Result<Vec<Document>, store::Error> {
        self.asked.lock().unwrap().push(scan.limit);
        if scan.limit > self.most {
            return Err(store::Error::Timeout);
        }
        let found = self.inner.scan(scan).await?;
        let bytes = found.iter().map(|document| document.body.as_bytes().len()).sum();
        self.largest.fetch_max(bytes, Ordering::Relaxed);
        Ok(found)
    }

    async fn put(&self, key: &Key, body: Body, precondition: Precondition) -> Result<Revision, store::Error> {
        self.inner.put(key, body, precondition).await
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

#[tokio::test]
async fn an_export_asks_for_less_until_the_store_answers_in_time_and_not_for_more_again() {
    for most in [1, 30] {
        let store = Slow::new(numbered(1_500).await, most);
        assert_eq!(exported(&store).await, exported(&store.inner).await);
        let late = store.asked().into_iter().filter(|asked| *asked > most).count();
        // Those of one way down for each of the two readings.
        assert!(late <= 2 * 10, "{most}: {late} pages took too long");
    }
    let error = export_error(&Slow::new(numbered(1_500).await, 0)).await;
    assert!(matches!(error, Error::Store(store::Error::Timeout)), "{error}");
}

/// Notes how many bytes it gets at once.
#[derive(Default)]
struct Largest(AtomicUsize);

#[async_trait]
impl Output for Largest {
    async fn write(&mut self, lines: Vec<u8>) -> Result<(), BoxError> {
        self.0.fetch_max(lines.len(), Ordering::Relaxed);
        Ok(())
    }
}

#[tokio::test]
async fn an_export_never_has_more_at_once_than_some_documents_and_the_lines_of_a_few() {
    const MIB: usize = 1024 * 1024;
    let store = numbered(5_000).await;
    let body = format!("\"{}\"", "x".repeat(MIB));
    for n in 0..60 {
        insert(&store, &format!("b/{n:02}"), &body).await;
    }
    let store = Slow::new(store, usize::MAX);
    let mut output = Largest::default();
    export(&store, &about(), &mut output, &mut |_| {}).await.unwrap();
    let (lines, documents) = (output.0.into_inner(), store.asked().into_iter().max());
    assert!(documents <= Some(1_000), "{documents:?} documents at once");
    let bytes = store.largest.into_inner();
    assert!(bytes <= 5 * MIB + 2, "{bytes} bytes of documents at once");
    assert!(lines <= 3 * MIB, "{lines} bytes of lines at once");
}
