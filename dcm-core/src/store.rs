//! The port to whatever keeps DCM's documents.
//!
//! The contract is small and sharp: read one document, scan an ordered range, put and delete *one*
//! document under a precondition, and watch. No use case needs a transaction over several documents,
//! so an embedded store, a stand-alone server, a replica set and a sharded cluster all serve.
//!
//! [`Store`] is what a backend implements; [`StoreExt`] is the typed comfort that every backend gets
//! for free.

mod body;
mod ext;
mod key;

use std::{error::Error as StdError, fmt, sync::Arc};

use async_trait::async_trait;
use futures_core::stream::BoxStream;
use serde::{Deserialize, Serialize};

pub use body::{Body, Stored};
pub use ext::{Entry, StoreExt};
pub use key::{InvalidKey, Key};

/// Names one state of one document.
///
/// # Guarantees
/// Opaque: only equality means something. A backend never uses a revision twice for one key, not even
/// after the document was deleted and created again, nor after a restart.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Revision(Arc<str>);

impl Revision {
    /// Wraps a backend's own text for a revision.
    #[must_use]
    pub fn new(text: impl Into<Arc<str>>) -> Self {
        Self(text.into())
    }

    /// The backend's text, as it goes into an `ETag`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One stored document: where it lies, in which state, and its JSON.
#[derive(Clone, Debug, PartialEq)]
pub struct Document {
    /// Where it lies.
    pub key: Key,
    /// The state that was read.
    pub revision: Revision,
    /// Its JSON.
    pub body: Body,
}

/// What must hold for a put to happen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Precondition {
    /// There is no document under the key.
    Absent,
    /// There is a document, and it is in this state.
    AtRevision(Revision),
}

/// An ordered range: the documents strictly below a prefix, from a position on, as far as two bounds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scan {
    /// Documents whose key starts with these path segments and has at least one more; all documents where there is none.
    pub prefix: Option<Key>,
    /// Only keys strictly greater than this one. It need not exist.
    pub after: Option<Key>,
    /// At most this many documents; must not be 0.
    pub limit: usize,
    /// The scan ends after the document with which all bodies together, as JSON, have this many bytes: so it answers one
    /// document at least, where there is one.
    pub bytes: usize,
}

impl Scan {
    /// How many bytes a page of documents should have: it can be held in memory many times over, and is worth a request.
    pub const PAGE_BYTES: usize = 4 * 1024 * 1024;

    /// The first documents below a prefix, however large.
    #[must_use]
    pub const fn below(prefix: Key, limit: usize) -> Self {
        Self { prefix: Some(prefix), after: None, limit, bytes: usize::MAX }
    }

    /// The first of all documents, however large.
    #[must_use]
    pub const fn everything(limit: usize) -> Self {
        Self { prefix: None, after: None, limit, bytes: usize::MAX }
    }

    /// The same, but it ends with the document that makes this many bytes.
    #[must_use]
    pub fn bytes(self, bytes: usize) -> Self {
        Self { bytes, ..self }
    }

    /// The same, but only what comes after a key.
    #[must_use]
    pub fn after(self, after: Option<Key>) -> Self {
        Self { after, ..self }
    }

    /// Whether what this scan answered ends at one of its bounds, so that more may follow. Where it does not, nothing did.
    #[must_use]
    pub fn is_full(&self, found: &[Document]) -> bool {
        let bytes = || found.iter().map(|document| document.body.as_bytes().len()).sum::<usize>();
        !found.is_empty() && (found.len() >= self.limit || (self.bytes < usize::MAX && bytes() >= self.bytes))
    }

    /// The same scan of what follows on what this one answered; `None` where nothing does.
    ///
    /// ```
    /// # use dcm_core::store::{Document, Error, Scan, Store};
    /// async fn all(store: &dyn Store) -> Result<usize, Error> {
    ///     let (mut count, mut rest) = (0, Some(Scan::everything(1_000).bytes(4 * 1024 * 1024)));
    ///     while let Some(scan) = rest {
    ///         let page = store.scan(scan.clone()).await?;
    ///         count += page.len();
    ///         rest = scan.rest(&page);
    ///     }
    ///     Ok(count)
    /// }
    /// ```
    #[must_use]
    pub fn rest(self, found: &[Document]) -> Option<Self> {
        let last = found.last().filter(|_| self.is_full(found))?;
        Some(self.after(Some(last.key.clone())))
    }
}

/// A position in the stream of changes, from which a watch goes on.
///
/// Opaque, and only meaningful to the store that gave it out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Position(Arc<str>);

impl Position {
    /// Wraps a backend's own text for a position.
    #[must_use]
    pub fn new(text: impl Into<Arc<str>>) -> Self {
        Self(text.into())
    }

    /// The backend's text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What a watch tells.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// Resuming from here delivers what came after this event.
    pub position: Position,
    /// What happened.
    pub change: Change,
}

/// A change of one document.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// It was created or replaced; this is its new state.
    Put(Document),
    /// It is gone.
    Deleted(Key),
}

impl Change {
    /// Which document changed.
    #[must_use]
    pub const fn key(&self) -> &Key {
        match self {
            Self::Put(document) => &document.key,
            Self::Deleted(key) => key,
        }
    }
}

/// A stream of changes; [`Store::watch`] says what it promises. An error ends it.
pub type Changes = BoxStream<'static, Result<Event, Error>>;

/// A backend that keeps documents.
///
/// # Contract
/// - **Reads its own writes**: what was acknowledged is seen by every later read of any handle.
/// - **One winner**: of several concurrent writes under the same precondition exactly one succeeds, the
///   others get [`Error::Conflict`].
/// - **Durable**: an acknowledged write survives a crash of the process and of the machine, unless the
///   backend's documentation says that it keeps nothing (the memory store).
/// - **Byte order**: a scan is ordered by [`Key`]'s order, segment by segment.
/// - **Bounds**: a scan ends after [`Scan::limit`] documents, or with the one that reaches [`Scan::bytes`], and nowhere before
///   that unless nothing follows: [`Scan::is_full`] tells which.
/// - **Segments**: the prefix `a/b` covers `a/b/c` but neither `a/b` itself nor `a/bc`.
/// - **Every JSON shape survives**: dots and `$` in names, unicode, 64-bit integers, empty maps and lists,
///   `null`.
///
/// `dcm-test-utils` holds a conformance suite with a named test per promise.
#[async_trait]
pub trait Store: Send + Sync + fmt::Debug {
    /// Reads one document.
    async fn get(&self, key: &Key) -> Result<Option<Document>, Error>;

    /// Reads an ordered range.
    async fn scan(&self, scan: Scan) -> Result<Vec<Document>, Error>;

    /// Creates or replaces one document if the precondition holds.
    ///
    /// # Errors
    /// [`Error::Conflict`] where it does not hold; then nothing has changed.
    async fn put(&self, key: &Key, body: Body, precondition: Precondition) -> Result<Revision, Error>;

    /// Deletes one document if it is at that revision.
    ///
    /// # Errors
    /// [`Error::Conflict`] where it is not, or where there is none; then nothing has changed.
    async fn delete(&self, key: &Key, revision: &Revision) -> Result<(), Error>;

    /// Streams the changes below a prefix (of all documents without one): those after a position, or those from now on.
    ///
    /// # Guarantees
    /// - **The last state arrives**: of each document that changes, at least the state that it is left in is told; a document
    ///   that is left deleted is told as deleted, if an earlier state of it was told or lay before the position.
    /// - **In order**: what is told of one document is told in the order in which it happened, each state once.
    /// - **Without a gap**: that holds across a resumption from any event's position too; where it cannot, the watch is
    ///   [`Error::Expired`].
    ///
    /// # Caveats
    /// States that are replaced shortly after may be left out: two writes are told as one, a deletion and a creation as one
    /// put, and changes of different documents come in any order. A store may promise every change, in the order in which
    /// it made them; its documentation says so then, and `every_change_store_conformance!` of `dcm-test-utils` holds it to that.
    ///
    /// # Errors
    /// [`Error::Expired`] where the position is too old (or another store's): scan again, then watch.
    async fn watch(&self, prefix: Option<&Key>, from: Option<Position>) -> Result<Changes, Error>;

    /// Whether watches look at everything again and again for as long as somebody watches: then whoever wants to know of a few
    /// documents only does better to scan for them now and then.
    fn watches_by_looking(&self) -> bool {
        false
    }

    /// A position such that everything acknowledged before this call lies at or before it.
    ///
    /// Take it, scan, then watch from it: no change is missed.
    async fn position(&self) -> Result<Position, Error>;

    /// Checks that the store can serve, cheaply enough for a readiness probe.
    async fn ready(&self) -> Result<(), Error>;
}

/// Why a store did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The precondition does not hold: somebody else was first. Nothing was changed.
    #[error("the document {key} is not in the expected state")]
    Conflict {
        /// Which document.
        key: Key,
    },
    /// A watch position that the store no longer has.
    #[error("the watch position is too old")]
    Expired,
    /// The write may or may not have happened, and the store could not find out.
    #[error("the outcome of the write of {key} is unknown")]
    OutcomeUnknown {
        /// Which document.
        key: Key,
        /// The backend's own failure.
        source: BoxError,
    },
    /// The store cannot serve now; nothing was changed. Worth trying again.
    #[error("the store is not available")]
    Unavailable(#[source] BoxError),
    /// The store took too long; nothing was changed. Worth trying again.
    #[error("the store did not answer in time")]
    Timeout,
    /// A stored document cannot be understood.
    #[error("the stored document {key} cannot be read: {reason}")]
    Corrupt {
        /// Which document.
        key: Key,
        /// What is wrong with it, without its content.
        reason: String,
    },
    /// The document is too large for the backend.
    #[error("the document {key} has {size} bytes; at most {limit} are possible")]
    TooLarge {
        /// Which document.
        key: Key,
        /// Its size in bytes.
        size: usize,
        /// The largest possible size in bytes.
        limit: usize,
    },
}

/// A backend's own failure, kept as the source of an error.
pub type BoxError = Box<dyn StdError + Send + Sync + 'static>;
