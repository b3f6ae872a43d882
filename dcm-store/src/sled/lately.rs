//! The documents that were asked for lately, so that a read of one costs the same however many others there are.
//!
//! sled's own cache holds whole leaves, with what lies beside a document, and a read walks down the tree to its leaf: a
//! thousand documents that are used, among a million that are not, take more room there than they have bytes.
//!
//! The same goes for short lists of all that lies below a prefix, each kept whole.
//!
//! Only what is durable comes in. A document goes out when it was written anew or deleted, and so does every list that it is, was or comes in, before
//! anybody is told; what a reader found before that write and brings in after it is turned away by its [`Ticket`].

use std::{
    collections::{HashMap, hash_map::RandomState},
    fmt,
    hash::BuildHasher as _,
    mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use dcm_core::store::{Document, Key};

/// Readers of different documents seldom meet at one lock.
const SHARDS: usize = 16;

/// What a kept document takes beside its key and body: itself, its revision, and its place in a map.
const EACH: usize = 256;

/// A document larger than this part of a shard's room would drive too many others out.
const PART: usize = 16;

/// Documents by their keys, or lists by their prefixes, up to so many bytes.
pub(super) struct Lately<T> {
    shards: [Mutex<Shard<T>>; SHARDS],
    hasher: RandomState,
    /// How many bytes each of the two halves of a shard may take.
    half: usize,
}

/// Two generations: what is asked for moves to the younger one, and when that is full, the older one is dropped.
struct Shard<T> {
    younger: HashMap<Key, T>,
    older: HashMap<Key, T>,
    /// How many bytes the younger generation takes.
    bytes: usize,
    /// How often documents of this shard were forgotten.
    forgotten: u64,
}

/// Says when a reader began to look for a document.
pub(super) struct Ticket {
    forgotten: u64,
}

/// What can be kept: cheap to clone.
pub(super) trait Kept: Clone {
    /// How many bytes it takes under its key.
    fn size(&self, key: &Key) -> usize;
}

impl Kept for Document {
    fn size(&self, key: &Key) -> usize {
        EACH + key.as_str().len() + self.body.as_bytes().len()
    }
}

impl Kept for Arc<[Document]> {
    fn size(&self, key: &Key) -> usize {
        EACH + key.as_str().len() + self.iter().map(|document| document.size(&document.key)).sum::<usize>()
    }
}

impl<T> Default for Shard<T> {
    fn default() -> Self {
        Self { younger: HashMap::new(), older: HashMap::new(), bytes: 0, forgotten: 0 }
    }
}

impl<T: Kept> Lately<T> {
    pub(super) fn new(bytes: u64) -> Self {
        let half = usize::try_from(bytes).unwrap_or(usize::MAX) / SHARDS / 2;
        Self { shards: std::array::from_fn(|_| Mutex::default()), hasher: RandomState::new(), half }
    }

    /// The document, or what it takes to bring it in once it was found elsewhere.
    pub(super) fn find(&self, key: &Key) -> Result<T, Ticket> {
        let mut shard = self.shard(key);
        if let Some(document) = shard.younger.get(key) {
            return Ok(document.clone());
        }
        let Some((key, document)) = shard.older.remove_entry(key) else {
            return Err(Ticket { forgotten: shard.forgotten });
        };
        let found = document.clone();
        let dropped = shard.put(key, document, self.half);
        drop(shard);
        // Many small pieces of memory, given back while nobody waits for the lock.
        drop(dropped);
        Ok(found)
    }

    /// Keeps a document that was looked for with this ticket, and is durable.
    pub(super) fn keep(&self, ticket: &Ticket, key: &Key, document: &T) {
        if document.size(key) > self.half / PART {
            return;
        }
        let mut shard = self.shard(key);
        if shard.forgotten != ticket.forgotten {
            // It may have been written anew since it was read.
            return;
        }
        let dropped = shard.put(key.clone(), document.clone(), self.half);
        drop(shard);
        drop(dropped);
    }

    /// Forgets a document that sled shows anew, before anybody is told so.
    pub(super) fn forget(&self, key: &Key) {
        let mut shard = self.shard(key);
        shard.forgotten += 1;
        if let Some(document) = shard.younger.remove(key) {
            shard.bytes -= document.size(key);
        }
        shard.older.remove(key);
    }

    fn shard(&self, key: &Key) -> MutexGuard<'_, Shard<T>> {
        // Never cut off: the remainder is smaller than the number of shards.
        let at = usize::try_from(self.hasher.hash_one(key) % SHARDS as u64).unwrap_or(0);
        self.shards[at].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T: Kept> Shard<T> {
    /// Puts a document into the younger generation; answers what has to go for it.
    fn put(&mut self, key: Key, document: T, half: usize) -> HashMap<Key, T> {
        self.bytes += document.size(&key);
        if let Some(before) = self.younger.get(&key) {
            self.bytes -= before.size(&key);
        }
        self.younger.insert(key, document);
        if self.bytes <= half {
            return HashMap::new();
        }
        self.bytes = 0;
        let full = mem::take(&mut self.younger);
        mem::replace(&mut self.older, full)
    }
}

impl<T> fmt::Debug for Lately<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Documents are nobody's business.
        f.debug_struct("Lately").field("half", &self.half).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that fails says where")]

    use dcm_core::store::{Body, Revision};

    use super::*;

    const ROOM: u64 = 1024 * 1024;

    fn document(name: &str, size: usize) -> Document {
        let body = Body::from_json(vec![b' '; size]);
        Document { key: name.parse().unwrap(), revision: Revision::new("1"), body }
    }

    fn keep(lately: &Lately<Document>, document: &Document) {
        if let Err(ticket) = lately.find(&document.key) {
            lately.keep(&ticket, &document.key, document);
        }
    }

    fn has(lately: &Lately<Document>, document: &Document) -> bool {
        lately.find(&document.key).is_ok_and(|found| found == *document)
    }

    #[test]
    fn what_is_kept_is_found_until_it_is_forgotten() {
        let (lately, one, other) = (Lately::new(ROOM), document("a/b", 10), document("a/c", 10));
        keep(&lately, &one);
        keep(&lately, &other);
        assert!(has(&lately, &one) && has(&lately, &other));
        lately.forget(&one.key);
        assert!(!has(&lately, &one) && has(&lately, &other));
    }

    #[test]
    fn what_was_read_before_a_write_does_not_come_in_after_it() {
        let (lately, one) = (Lately::new(ROOM), document("a/b", 10));
        let early = lately.find(&one.key).unwrap_err();
        lately.forget(&one.key);
        lately.keep(&early, &one.key, &one);
        assert!(!has(&lately, &one));
        let late = lately.find(&one.key).unwrap_err();
        lately.keep(&late, &one.key, &one);
        assert!(has(&lately, &one));
    }

    #[test]
    fn what_is_forgotten_is_gone_from_either_generation() {
        let (lately, one) = (Lately::new(ROOM), document("a/b", 10));
        keep(&lately, &one);
        // Fills all shards once, so that the document is in an older generation.
        let mut others = (0..).map(|n| document(&format!("c/{n}"), 1_000));
        while lately.shard(&one.key).younger.contains_key(&one.key) {
            keep(&lately, &others.next().unwrap());
        }
        assert!(lately.shard(&one.key).older.contains_key(&one.key));
        lately.forget(&one.key);
        assert!(!has(&lately, &one));
    }

    #[test]
    fn it_takes_no_more_room_than_it_is_given() {
        let lately = Lately::new(ROOM);
        for n in 0..10_000 {
            keep(&lately, &document(&format!("a/{n}"), n % 2_000));
        }
        let all = lately.shards.iter().map(|shard| {
            let shard = shard.lock().unwrap();
            let younger: usize = shard.younger.values().map(|one| one.size(&one.key)).sum();
            assert_eq!(younger, shard.bytes);
            younger + shard.older.values().map(|one| one.size(&one.key)).sum::<usize>()
        });
        // A generation is full once its last document has gone beyond its half.
        let most = usize::try_from(ROOM).unwrap() + SHARDS * lately.half / PART;
        let taken = all.sum::<usize>();
        assert!((most / 4..=most).contains(&taken), "{taken} of {most}");
    }

    #[test]
    fn what_is_asked_for_stays_while_others_pass_by() {
        let (lately, used) = (Lately::new(ROOM), document("a/b", 100));
        keep(&lately, &used);
        for n in 0..10_000 {
            keep(&lately, &document(&format!("c/{n}"), 1_000));
            assert!(has(&lately, &used), "after {n} others");
        }
    }

    #[test]
    fn a_document_that_would_drive_many_others_out_is_not_kept() {
        let (lately, large) = (Lately::new(ROOM), document("a/b", 100_000));
        keep(&lately, &large);
        assert!(!has(&lately, &large));
    }

    #[test]
    fn without_room_nothing_is_kept() {
        let (lately, one) = (Lately::new(0), document("a/b", 1));
        keep(&lately, &one);
        assert!(!has(&lately, &one));
    }
}
