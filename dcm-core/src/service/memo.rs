//! What was made of documents lately, so that a document that is read often is understood once.
//!
//! The store is asked each time, and says in which state a document is: what was made of that state is the same for ever,
//! since a revision is never used twice for one key. Nothing here has to be forgotten when something is written; where a value was
//! made of other documents too, whoever finds it has to see whether it will do.

use std::{
    collections::HashMap,
    fmt, mem,
    sync::{Mutex, MutexGuard, PoisonError},
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

impl<V> Memo<V> {
    /// What was made of this state of the document.
    pub(super) fn find(&self, document: &Document) -> Option<V>
    where
        V: Clone,
    {
        self.all().find(&document.key, &document.revision).cloned()
    }

    /// Keeps what was made of a document.
    pub(super) fn keep(&self, document: &Document, value: V) {
        self.all().put(document.key.clone(), document.revision.clone(), value);
    }

    /// Uses what was made of this state of a document, where it is of use; otherwise keeps what is made now, and nobody else makes
    /// it meanwhile.
    pub(super) fn find_or_keep<R>(
        &self,
        (key, revision): (&Key, &Revision),
        usable: impl FnOnce(&V) -> Option<R>,
        make: impl FnOnce() -> (V, R),
    ) -> R {
        let mut all = self.all();
        if let Some(found) = all.find(key, revision).and_then(usable) {
            return found;
        }
        let (value, made) = make();
        all.put(key.clone(), revision.clone(), value);
        made
    }

    fn all(&self) -> MutexGuard<'_, Generations<V>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<V> Generations<V> {
    fn find(&mut self, key: &Key, revision: &Revision) -> Option<&V> {
        if !self.younger.contains_key(key) {
            let (key, (known, value)) = self.older.remove_entry(key)?;
            self.put(key, known, value);
        }
        self.younger.get(key).filter(|(known, _)| known == revision).map(|(_, value)| value)
    }

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
