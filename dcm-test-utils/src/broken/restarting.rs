//! A store that numbers the states of each document from one, as one would at first.

use std::{collections::HashMap, sync::Arc};

use async_trait::async_trait;
use dcm_core::store::{Body, Changes, Document, Error, Key, Position, Precondition, Revision, Scan, Store};
use tokio::sync::Mutex;

/// A store around a store whose revisions start over when a document is deleted and made again.
#[derive(Debug)]
pub struct RestartingRevisions {
    inner: Arc<dyn Store>,
    /// The number of each document's state, and what it is to the store within.
    states: Mutex<HashMap<Key, (u64, Revision)>>,
}

impl RestartingRevisions {
    /// Wraps an empty store.
    #[must_use]
    pub fn new(inner: Arc<dyn Store>) -> Self {
        Self { inner, states: Mutex::default() }
    }
}

fn numbered(states: &HashMap<Key, (u64, Revision)>, document: Document) -> Document {
    let revision = states.get(&document.key).map(|(number, _)| Revision::new(number.to_string()));
    Document { revision: revision.unwrap_or_else(|| document.revision.clone()), ..document }
}

/// What a number is to the store within; one that never holds where it is not the present one.
fn translated(states: &HashMap<Key, (u64, Revision)>, key: &Key, revision: &Revision) -> Revision {
    match states.get(key) {
        Some((number, inner)) if number.to_string() == revision.as_str() => inner.clone(),
        _ => Revision::new("of no state"),
    }
}

#[async_trait]
impl Store for RestartingRevisions {
    async fn get(&self, key: &Key) -> Result<Option<Document>, Error> {
        let states = self.states.lock().await;
        Ok(self.inner.get(key).await?.map(|document| numbered(&states, document)))
    }

    async fn scan(&self, scan: Scan) -> Result<Vec<Document>, Error> {
        let states = self.states.lock().await;
        Ok(self.inner.scan(scan).await?.into_iter().map(|document| numbered(&states, document)).collect())
    }

    async fn put(&self, key: &Key, body: Body, precondition: Precondition) -> Result<Revision, Error> {
        let mut states = self.states.lock().await;
        let precondition = match precondition {
            Precondition::Absent => Precondition::Absent,
            Precondition::AtRevision(revision) => Precondition::AtRevision(translated(&states, key, &revision)),
        };
        let inner = self.inner.put(key, body, precondition).await?;
        let number = states.get(key).map_or(1, |(number, _)| number + 1);
        states.insert(key.clone(), (number, inner));
        Ok(Revision::new(number.to_string()))
    }

    async fn delete(&self, key: &Key, revision: &Revision) -> Result<(), Error> {
        let mut states = self.states.lock().await;
        self.inner.delete(key, &translated(&states, key, revision)).await?;
        states.remove(key);
        Ok(())
    }

    async fn watch(&self, prefix: Option<&Key>, from: Option<Position>) -> Result<Changes, Error> {
        self.inner.watch(prefix, from).await
    }

    async fn position(&self) -> Result<Position, Error> {
        self.inner.position().await
    }

    async fn ready(&self) -> Result<(), Error> {
        self.inner.ready().await
    }
}
