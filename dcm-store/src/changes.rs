//! What happened lately, for the watches of stores that have no log of their own.
//!
//! A store appends what it has acknowledged (or is about to) in the order of its counter. The last changes
//! are kept in a ring of bounded size; a watch reads the ring from its own place and then waits for more. A
//! place is a number of the counter, so there is no seam between what is old and what is new.

mod ring;
mod stream;

use std::{
    collections::VecDeque,
    fmt,
    hash::{BuildHasher, RandomState},
    sync::{Arc, Mutex, PoisonError},
};

use dcm_core::store::{Body, Changes, Error, Key, Position, Revision};
use futures_util::StreamExt;
use tokio::sync::watch;

pub(crate) use ring::Ring;
pub(crate) use stream::Cursor;

/// How many bytes of documents the ring keeps at most; the last change is kept however large it is.
const BYTES: usize = 16 * 1024 * 1024;

/// One change: its number, the document's key, and its new body (`None` where it was deleted). The number is the revision
/// and the position, unless another text is.
#[derive(Clone, Debug)]
pub(crate) struct Recorded {
    pub(crate) number: u64,
    pub(crate) key: Key,
    pub(crate) revision: Option<Revision>,
    pub(crate) position: Option<Position>,
    pub(crate) body: Option<Body>,
}

/// The last changes of a store, and how far it has come.
pub(crate) struct Journal {
    tag: Arc<str>,
    ring: Arc<Mutex<Ring>>,
    tip: watch::Sender<Tip>,
}

#[derive(Clone, Debug)]
struct Tip {
    last: u64,
    ended: Option<End>,
}

/// Why no change will follow.
#[derive(Clone, Debug)]
pub(crate) enum End {
    /// The store fails, as it says.
    Unavailable(Arc<str>),
    /// What follows cannot be told without a gap.
    #[cfg(feature = "mongodb")]
    Expired,
}

impl From<&str> for End {
    fn from(reason: &str) -> Self {
        Self::Unavailable(reason.into())
    }
}

impl From<&End> for Error {
    fn from(end: &End) -> Self {
        match end {
            End::Unavailable(reason) => unavailable(reason),
            #[cfg(feature = "mongodb")]
            End::Expired => Self::Expired,
        }
    }
}

impl Journal {
    /// Starts after the given number, with room for so many changes.
    pub(crate) fn new(last: u64, history: usize) -> Self {
        // Tells this store from all others and from itself before a restart; nobody has to guess it.
        let tag = format!("{:016x}", RandomState::new().hash_one(last));
        Self {
            tag: tag.into(),
            ring: Arc::new(Mutex::new(Ring::new(last, history.max(1), BYTES))),
            tip: watch::Sender::new(Tip { last, ended: None }),
        }
    }

    /// Appends changes, in the order of their numbers, and wakes who waits for them.
    pub(crate) fn append(&self, changes: impl IntoIterator<Item = Recorded>) {
        let last = {
            let mut ring = self.ring.lock().unwrap_or_else(PoisonError::into_inner);
            for change in changes {
                ring.push(change);
            }
            ring.last()
        };
        self.tip.send_if_modified(|tip| {
            let risen = last > tip.last;
            tip.last = tip.last.max(last);
            risen
        });
    }

    /// The place after the last change.
    pub(crate) fn position(&self) -> Position {
        position(&self.tag, self.tip.borrow().last)
    }

    /// Streams the changes below a prefix, after a place or from now on.
    pub(crate) fn watch(&self, prefix: Option<&Key>, from: Option<&Position>) -> Result<Changes, Error> {
        let (floor, last) = {
            let ring = self.ring.lock().unwrap_or_else(PoisonError::into_inner);
            (ring.floor(), ring.last())
        };
        let at = match from {
            None => last,
            Some(position) => self.number(position).ok_or(Error::Expired)?,
        };
        if at < floor || at > last {
            return Err(Error::Expired);
        }
        Ok(stream::changes(self.cursor(prefix, at)).boxed())
    }

    /// Reads on after the change with this number. Where that is gone, and others after it, the cursor says so.
    pub(crate) fn cursor(&self, prefix: Option<&Key>, at: u64) -> Cursor {
        Cursor {
            ring: Arc::clone(&self.ring),
            tip: self.tip.subscribe(),
            tag: Arc::clone(&self.tag),
            prefix: prefix.cloned(),
            at,
            passed: None,
            taken: VecDeque::new(),
            over: false,
        }
    }

    fn number(&self, position: &Position) -> Option<u64> {
        let (tag, number) = position.as_str().split_once('-')?;
        if tag == &*self.tag { number.parse().ok() } else { None }
    }
}

/// For stores that can fail.
#[cfg(any(feature = "sled", feature = "mongodb"))]
impl Journal {
    /// No change will follow, for this reason. The first reason stays.
    pub(crate) fn end(&self, reason: impl Into<End>) {
        self.tip.send_if_modified(|tip| {
            let first = tip.ended.is_none();
            tip.ended.get_or_insert_with(|| reason.into());
            first
        });
    }

    /// Fails where no change will follow any more.
    pub(crate) fn check(&self) -> Result<(), Error> {
        match &self.tip.borrow().ended {
            Some(end) => Err(end.into()),
            None => Ok(()),
        }
    }
}

/// For stores whose positions are not numbers.
#[cfg(feature = "mongodb")]
impl Journal {
    /// Looks at the last changes. Writers wait meanwhile.
    pub(crate) fn look<T>(&self, look: impl FnOnce(&Ring) -> T) -> T {
        look(&self.ring.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// For stores that show what is not durable yet.
#[cfg(feature = "sled")]
impl Journal {
    /// Returns once the change with this number has been appended.
    pub(crate) async fn reached(&self, number: u64) -> Result<(), Error> {
        if self.tip.borrow().last >= number {
            return Ok(());
        }
        let mut tip = self.tip.subscribe();
        let tip =
            tip.wait_for(|tip| tip.last >= number || tip.ended.is_some()).await.map_err(|_| unavailable(CLOSED))?;
        match &tip.ended {
            Some(end) if tip.last < number => Err(end.into()),
            _ => Ok(()),
        }
    }
}

impl fmt::Debug for Journal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Journal").field("tag", &self.tag).field("tip", &*self.tip.borrow()).finish_non_exhaustive()
    }
}

const CLOSED: &str = "the store was closed";

fn position(tag: &str, number: u64) -> Position {
    Position::new(format!("{tag}-{number}"))
}

pub(crate) fn unavailable(reason: &str) -> Error {
    Error::Unavailable(reason.into())
}
