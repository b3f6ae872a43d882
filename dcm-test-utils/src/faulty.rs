//! A store that fails when it is told to: a crash at any call of the store can be played.

use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};

use async_trait::async_trait;
use dcm_core::store::{Body, Changes, Document, Error, Key, Position, Precondition, Revision, Scan, Store};

/// A store around a store, which stops serving after so many calls.
#[derive(Debug)]
pub struct FaultyStore {
    inner: Arc<dyn Store>,
    left: AtomicI64,
}

impl FaultyStore {
    /// Wraps a store; it serves until told otherwise.
    #[must_use]
    pub fn new(inner: Arc<dyn Store>) -> Self {
        Self { inner, left: AtomicI64::new(i64::MAX) }
    }

    /// Serves so many calls more, and none after them.
    pub fn fail_after(&self, calls: u32) {
        self.left.store(i64::from(calls), Ordering::SeqCst);
    }

    /// Serves again.
    pub fn mend(&self) {
        self.left.store(i64::MAX, Ordering::SeqCst);
    }

    /// Whether it has refused a call since it was told to.
    pub fn has_failed(&self) -> bool {
        self.left.load(Ordering::SeqCst) < 0
    }

    fn serve(&self) -> Result<(), Error> {
        if self.left.fetch_sub(1, Ordering::SeqCst) > 0 {
            return Ok(());
        }
        self.left.store(-1, Ordering::SeqCst);
        Err(Error::Unavailable("the store was told to fail".into()))
    }
}

#[async_trait]
impl Store for FaultyStore {
    async fn get(&self, key: &Key) -> Result<Option<Document>, Error> {
        self.serve()?;
        self.inner.get(key).await
    }

    async fn scan(&self, scan: Scan) -> Result<Vec<Document>, Error> {
        self.serve()?;
        self.inner.scan(scan).await
    }

    async fn put(&self, key: &Key, body: Body, precondition: Precondition) -> Result<Revision, Error> {
        self.serve()?;
        self.inner.put(key, body, precondition).await
    }

    async fn delete(&self, key: &Key, revision: &Revision) -> Result<(), Error> {
        self.serve()?;
        self.inner.delete(key, revision).await
    }

    async fn watch(&self, prefix: Option<&Key>, from: Option<Position>) -> Result<Changes, Error> {
        self.serve()?;
        self.inner.watch(prefix, from).await
    }

    async fn position(&self) -> Result<Position, Error> {
        self.serve()?;
        self.inner.position().await
    }

    async fn ready(&self) -> Result<(), Error> {
        self.serve()?;
        self.inner.ready().await
    }
}
