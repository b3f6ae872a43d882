use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
};

use dcm_core::store::{Change, Document, Error, Event, Key, Position};
use futures_core::Stream;
use futures_util::stream;
use tokio::sync::watch;

use super::{CLOSED, Recorded, Tip, position, ring::Ring, unavailable};
use crate::revision;

/// How many changes a cursor looks at while it holds the lock, and how many it takes along, until they have so many bytes
/// together: a watch must not hold writers up, nor keep alive many documents that the ring has let go.
const LOOK: usize = 1024;
const TAKE: usize = 64;
const TAKE_BYTES: usize = 256 * 1024;

/// One watch: its place in the ring, and what it has taken from there.
pub(crate) struct Cursor {
    pub(super) ring: Arc<Mutex<Ring>>,
    pub(super) tip: watch::Receiver<Tip>,
    pub(super) tag: Arc<str>,
    pub(super) prefix: Option<Key>,
    pub(super) at: u64,
    /// The position of the last change that was looked at, where it is no number.
    pub(super) passed: Option<Position>,
    pub(super) taken: VecDeque<Recorded>,
    pub(super) over: bool,
}

impl Cursor {
    /// The next change. An error is the last item.
    pub(crate) async fn next(&mut self) -> Option<Result<Event, Error>> {
        loop {
            if let Some(change) = self.taken.pop_front() {
                return Some(Ok(change.into_event(&self.tag)));
            }
            if self.over {
                return None;
            }
            if let Err(error) = self.advance().await {
                self.over = true;
                return Some(Err(error));
            }
        }
    }

    /// Takes what the ring has, or waits until there may be more.
    async fn advance(&mut self) -> Result<(), Error> {
        // Marked as seen before the ring is read: what is appended after that wakes the wait below.
        let ended = self.tip.borrow_and_update().ended.clone();
        let more = self.read()?;
        if more || !self.taken.is_empty() {
            return Ok(());
        }
        if let Some(end) = ended {
            return Err((&end).into());
        }
        self.tip.changed().await.map_err(|_| unavailable(CLOSED))
    }

    /// Reads on in the ring; answers whether it may hold more.
    fn read(&mut self) -> Result<bool, Error> {
        let ring = self.ring.lock().unwrap_or_else(PoisonError::into_inner);
        if self.at < ring.floor() {
            return Err(Error::Expired);
        }
        let (mut bytes, mut last) = (0, None);
        let mut is_more = false;
        for (looked, change) in ring.after(self.at).enumerate() {
            is_more = looked == LOOK || self.taken.len() == TAKE || bytes >= TAKE_BYTES;
            if is_more {
                break;
            }
            last = Some(change);
            if self.prefix.as_ref().is_none_or(|prefix| change.key.is_below(prefix)) {
                bytes += change.size();
                self.taken.push_back(change.clone());
            }
        }
        if let Some(last) = last {
            self.at = last.number;
            self.passed.clone_from(&last.position);
        }
        Ok(is_more)
    }

    /// From here on, only what lies below a prefix. What was taken before may lie elsewhere.
    #[cfg(feature = "mongodb")]
    pub(crate) fn below(&mut self, prefix: Option<&Key>) {
        self.prefix = prefix.cloned();
    }

    /// The position of the last change that was looked at, where it is no number.
    #[cfg(feature = "mongodb")]
    pub(crate) fn passed(&self) -> Option<&Position> {
        self.passed.as_ref()
    }
}

pub(super) fn changes(cursor: Cursor) -> impl Stream<Item = Result<Event, Error>> + Send {
    stream::unfold(cursor, |mut cursor| async move {
        let item = cursor.next().await?;
        Some((item, cursor))
    })
}

impl Recorded {
    /// As a watch tells it, of the store with this tag.
    pub(crate) fn into_event(self, tag: &str) -> Event {
        let position = self.position.unwrap_or_else(|| position(tag, self.number));
        let change = match self.body {
            None => Change::Deleted(self.key),
            Some(body) => {
                let revision = self.revision.unwrap_or_else(|| revision::write(self.number));
                Change::Put(Document { key: self.key, revision, body })
            }
        };
        Event { position, change }
    }
}
