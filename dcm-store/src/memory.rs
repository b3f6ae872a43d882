//! A store that keeps everything in memory and nothing beyond the process: for tests, for trying DCM out, and
//! as the reference for what the other stores must do.

use std::{
    collections::BTreeMap,
    hash::{BuildHasher, RandomState},
    sync::{PoisonError, RwLock},
};

use async_trait::async_trait;
use dcm_core::store::{Body, Changes, Document, Error, Key, Position, Precondition, Revision, Scan, Store};

use crate::{
    HISTORY,
    changes::{Journal, Recorded},
    key,
    revision::{self, Expected},
};

/// How many documents a scan reads before it lets others run.
const PAGE: usize = 256;

/// Documents in an ordered map.
///
/// # Guarantees
/// All of [`Store`]'s, except that it keeps nothing when the process ends.
///
/// # Caveats
/// A watch resumes from the last changes only ([`HISTORY`] of them, or 16 MiB of documents).
#[derive(Debug)]
pub struct MemoryStore {
    state: RwLock<State>,
    journal: Journal,
}

#[derive(Debug)]
struct State {
    documents: BTreeMap<Vec<u8>, Kept>,
    counter: u64,
}

#[derive(Debug)]
struct Kept {
    key: Key,
    number: u64,
    body: Body,
}

impl Kept {
    fn document(&self) -> Document {
        Document { key: self.key.clone(), revision: revision::write(self.number), body: self.body.clone() }
    }
}

impl MemoryStore {
    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::with_history(HISTORY)
    }

    /// An empty store whose watches can resume from the last `changes` changes.
    #[must_use]
    pub fn with_history(changes: usize) -> Self {
        // Starts at random, so that a revision from before a restart names nothing in this store.
        let counter = RandomState::new().hash_one(()) >> 1;
        Self {
            state: RwLock::new(State { documents: BTreeMap::new(), counter }),
            journal: Journal::new(counter, changes),
        }
    }

    /// Writes one document or, without a body, deletes it.
    fn write(&self, key: &Key, body: Option<Body>, expected: Expected) -> Result<u64, Error> {
        let encoded = key::encode(key);
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        let current = state.documents.get(&encoded).map(|kept| kept.number);
        if !expected.is_met_by(current) {
            return Err(Error::Conflict { key: key.clone() });
        }
        state.counter += 1;
        let number = state.counter;
        match body.clone() {
            None => {
                state.documents.remove(&encoded);
            }
            Some(body) => {
                let key = key.clone();
                state.documents.insert(encoded, Kept { key, number, body });
            }
        }
        // Under the lock, so that the journal has the counter's order.
        self.journal.append([Recorded::numbered(number, key.clone(), body)]);
        Ok(number)
    }

    /// Reads some documents on, and answers whether there may be more.
    fn page(&self, scan: &Scan, found: &mut Vec<Document>, bytes: &mut usize) -> bool {
        let after = found.last().map(|document| &document.key);
        let Some(range) = key::range(scan.prefix.as_ref(), after.or(scan.after.as_ref())) else {
            return false;
        };
        let wanted = (found.len() + PAGE).min(scan.limit);
        let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
        for (_, kept) in state.documents.range(range) {
            *bytes += kept.body.as_bytes().len();
            found.push(kept.document());
            if *bytes >= scan.bytes {
                return false;
            }
            if found.len() >= wanted {
                return wanted < scan.limit;
            }
        }
        false
    }
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait]
impl Store for MemoryStore {
    async fn get(&self, key: &Key) -> Result<Option<Document>, Error> {
        let encoded = key::encode(key);
        let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
        Ok(state.documents.get(&encoded).map(Kept::document))
    }

    async fn scan(&self, scan: Scan) -> Result<Vec<Document>, Error> {
        let (mut found, mut bytes) = (Vec::new(), 0);
        while self.page(&scan, &mut found, &mut bytes) {
            tokio::task::yield_now().await;
        }
        Ok(found)
    }

    async fn put(&self, key: &Key, body: Body, precondition: Precondition) -> Result<Revision, Error> {
        key::check_size(key, body.as_bytes().len())?;
        let number = self.write(key, Some(body), Expected::from(&precondition))?;
        Ok(revision::write(number))
    }

    async fn delete(&self, key: &Key, revision: &Revision) -> Result<(), Error> {
        self.write(key, None, Expected::at(revision))?;
        Ok(())
    }

    async fn watch(&self, prefix: Option<&Key>, from: Option<Position>) -> Result<Changes, Error> {
        self.journal.watch(prefix, from.as_ref())
    }

    async fn position(&self) -> Result<Position, Error> {
        Ok(self.journal.position())
    }

    async fn ready(&self) -> Result<(), Error> {
        Ok(())
    }
}
