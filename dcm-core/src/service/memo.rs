//! What was made of documents lately, so that a document that is read often is understood once.
//!
//! The store is asked each time, and says in which state a document is: what was made of that state is the same for ever,
//! since a revision is never used twice for one key. Nothing here has to be forgotten when something is written.

use std::{
    collections::HashMap,
    fmt, mem,
    sync::{Mutex, PoisonError},
};

use crate::store::{Document, Key, Revision};

/// How many values each of the two generations has.
const GENERATION: usize = 512;

/// Values by the documents that they were made of.
pub(super) struct Memo<V>(Mutex<Generations<V>>);

/// What is asked for moves to the younger generation, and when that is full, the older one is dropped.
struct Generations<V> {
    younger: HashMap<Key, (Revision, V)>,
    older: HashMap<Key, (Revision, V)>,
}

impl<V: Clone> Memo<V> {
    /// What was made of this state of the document.
    pub(super) fn find(&self, document: &Document) -> Option<V> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((revision, value)) = all.younger.get(&document.key) {
            return (*revision == document.revision).then(|| value.clone());
        }
        let (key, (revision, value)) = all.older.remove_entry(&document.key)?;
        if revision != document.revision {
            return None;
        }
        let found = value.clone();
        all.put(key, revision, value);
        Some(found)
    }

    /// Keeps what was made of a document.
    pub(super) fn keep(&self, document: &Document, value: V) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.put(document.key.clone(), document.revision.clone(), value);
    }
}

impl<V> Generations<V> {
    fn put(&mut self, key: Key, revision: Revision, value: V) {
        if self.younger.len() >= GENERATION && !self.younger.contains_key(&key) {
            self.older = mem::take(&mut self.younger);
        }
        self.younger.insert(key, (revision, value));
    }
}

impl<V> Default for Memo<V> {
    fn default() -> Self {
        Self(Mutex::new(Generations { younger: HashMap::new(), older: HashMap::new() }))
    }
}

impl<V> fmt::Debug for Memo<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Memo").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Body;

    fn document(key: &str, revision: &str) -> Document {
        Document { key: key.parse().unwrap(), revision: Revision::new(revision), body: Body::from_json(&b"{}"[..]) }
    }

    #[test]
    fn only_what_was_made_of_the_same_state_is_found() {
        let memo = Memo::default();
        memo.keep(&document("a/b", "1"), 1);
        assert_eq!(memo.find(&document("a/b", "1")), Some(1));
        assert_eq!(memo.find(&document("a/b", "2")), None);
        assert_eq!(memo.find(&document("a/c", "1")), None);
        memo.keep(&document("a/b", "2"), 2);
        assert_eq!(memo.find(&document("a/b", "1")), None);
        assert_eq!(memo.find(&document("a/b", "2")), Some(2));
    }

    #[test]
    fn what_is_asked_for_stays_and_the_rest_is_bounded() {
        let memo = Memo::default();
        let used = document("a/used", "1");
        memo.keep(&used, 0);
        for n in 0..5 * GENERATION {
            memo.keep(&document(&format!("b/{n}"), "1"), n);
            assert_eq!(memo.find(&used), Some(0), "after {n} others");
        }
        let all = memo.0.lock().unwrap();
        assert!(all.younger.len() <= GENERATION && all.older.len() <= GENERATION);
    }
}
