//! Export and import: everything that a store holds as lines of JSON, the backup and the way from one backend to another.
//!
//! ```text
//! {"dcm-export":1,"release":"0.1.0","exported-at":"2026-01-02T03:04:05Z"}     the first line
//! {"key":"project/walmart","body":{"kind":"Project",…}}                       a document, in the order of keys
//! {"changes":true}                                                            only where the store changed meanwhile
//! {"key":"project/walmart","body":{…}}                                        the last one of a key counts
//! {"key":"order/4f6c…","deleted":true}
//! {"end":{"documents":1,"sha256":"…"}}                                        the last line
//! ```
//!
//! The checksum is that of all lines before it, so that a file that was cut off or edited is noticed. Bodies are the stored bytes:
//! nothing is decrypted, and secrets stay sealed with the key that they were sealed with.

mod check;
mod export;
mod import;
mod line;
mod marker;
mod read;
mod undo;
mod version;
mod write;

use async_trait::async_trait;
use futures_core::stream::BoxStream;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub use export::export;
pub use import::import;
pub use marker::Unfinished;
pub(crate) use marker::refuse_unfinished;

use crate::{
    model::Uid,
    store::{self, BoxError, Key},
};

/// The version of the form of exports that this release writes, and the only one that it reads.
pub const FORMAT: u32 = 1;

/// How many bytes a line may have, without its end: a document and its key fit in several times.
pub const LINE_LIMIT: usize = 64 * 1024 * 1024;

/// Where the lines of an export go.
#[async_trait]
pub trait Output: Send {
    /// Takes some whole lines.
    async fn write(&mut self, lines: Vec<u8>) -> Result<(), BoxError>;
}

/// Where the lines of an import come from.
pub trait Input: Sync {
    /// Reads the bytes from the start, in pieces of any size. It is called several times.
    fn open(&self) -> BoxStream<'_, Result<Vec<u8>, BoxError>>;
}

/// What an export says of itself in its first line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct About {
    /// The release that writes it.
    pub release: String,
    /// When it is written.
    pub at: Timestamp,
}

/// One run of an import. An import that was cut off goes on in another one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// Tells it from all others.
    pub id: Uid,
    /// When it begins.
    pub at: Timestamp,
}

/// What is being done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// An export reads and writes documents.
    Exporting,
    /// An export looks for what changed meanwhile.
    Confirming,
    /// An import reads its file, and writes nothing yet.
    Checking,
    /// An import compares its file with what the store holds, and writes nothing yet.
    Comparing,
    /// An import writes. It is told so before the store is marked, and thus before its first document.
    Writing,
    /// An import takes back what it wrote.
    Undoing,
}

/// How far it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// What is being done.
    pub stage: Stage,
    /// How many documents that was done with.
    pub documents: u64,
    /// How many there are, where that is known.
    pub of: Option<u64>,
    /// How many bytes of the export were written or read.
    pub bytes: u64,
}

/// Is told how far it is, every few documents.
pub type Tell<'a> = dyn FnMut(Progress) + Send + 'a;

/// What an export holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exported {
    /// How many documents.
    pub documents: u64,
    /// How many bytes, all lines included.
    pub bytes: u64,
    /// The ids of the encryption keys that its secrets are sealed with.
    pub key_ids: Vec<String>,
}

/// What an import does where the store is not empty.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// It is refused.
    #[default]
    IntoEmpty,
    /// What is missing is added; where documents differ, all is refused.
    Merge,
    /// What is missing is added; where documents differ, the store's stay.
    MergeKeeping,
    /// What is missing is added; where documents differ, the file's replace them.
    MergeOverwriting,
}

impl Mode {
    /// The options that ask for it, as they follow others.
    const fn options(self) -> &'static str {
        match self {
            Self::IntoEmpty => "",
            Self::Merge => " and --merge",
            Self::MergeKeeping => " and --merge --keep-existing",
            Self::MergeOverwriting => " and --merge --overwrite",
        }
    }
}

/// What an import did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Imported {
    /// How many documents the file holds.
    pub documents: u64,
    /// How many bytes it has.
    pub bytes: u64,
    /// How many documents were added.
    pub added: u64,
    /// How many were there already, the same.
    pub same: u64,
    /// How many differed, and the store's stayed.
    pub kept: u64,
    /// How many differed, and were replaced.
    pub overwritten: u64,
    /// The ids of the encryption keys that the file's secrets are sealed with.
    pub key_ids: Vec<String>,
}

/// Why there is no export, or why nothing, or not all, was imported; and what to do about it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The store failed.
    #[error("the store failed")]
    Store(#[from] store::Error),
    /// The export cannot be written.
    #[error("the export cannot be written")]
    Write(#[source] BoxError),
    /// The file cannot be read.
    #[error("the file cannot be read")]
    Read(#[source] BoxError),
    /// The store was changed again and again while it was read.
    #[error(
        "the store is changed all the time, so no state of it could be read as a whole: stop the servers that use it, or export when less happens"
    )]
    Busy,
    /// Something is wrong with a line of the file. Nothing was changed.
    #[error("line {line}: {reason}")]
    Line {
        /// Its number, from 1.
        line: u64,
        /// What is wrong with it, without its content, and what to do.
        reason: String,
    },
    /// The store holds documents already. Nothing was changed.
    #[error(
        "the store is not empty: it holds {} documents; import into a new one, or add to this one with --merge",
        if *.more { format!("more than {at_least}") } else { at_least.to_string() }
    )]
    NotEmpty {
        /// How many were counted.
        at_least: usize,
        /// Whether there are more.
        more: bool,
    },
    /// Documents of the file differ from the store's. Nothing was changed.
    #[error(
        "{count} documents of the store differ from the file's ({}); say which ones count: --keep-existing for the store's, or --overwrite for the file's",
        list(.keys, *.count)
    )]
    Differs {
        /// The first of them.
        keys: Vec<Key>,
        /// How many there are.
        count: u64,
    },
    /// The file is another installation's. Nothing was changed.
    #[error(
        "the file is from the installation {file}, and the store is of the installation {store}: what the two made on clusters is marked with these ids, so they cannot be merged; import into an empty store"
    )]
    OtherInstallation {
        /// The file's.
        file: Uid,
        /// The store's.
        store: Uid,
    },
    /// Somebody wrote to the store during the import.
    #[error(
        "somebody else wrote the document {key} meanwhile: stop the servers that use the store, and run the import again"
    )]
    Raced {
        /// Which document.
        key: Key,
    },
    /// The file is not the one that was checked a moment before.
    #[error("the file was changed while it was imported")]
    FileChanged,
    /// An earlier import was not finished.
    #[error(
        "an import into this store was not finished: run it again with the same file{}, or empty the store",
        .mode.options()
    )]
    Unfinished {
        /// What it did where the store was not empty.
        mode: Mode,
    },
    /// Another import into the store has begun, or has gone on with this one. What this one wrote is left to it.
    #[error(
        "another import into this store goes on, or has just ended, so this one has stopped and left to it what is there: see how that one ends, and run one at a time"
    )]
    TakenOver,
    /// It failed in the middle, and what it had written was taken back.
    #[error("the import failed in the middle, and the store is as it was before")]
    Undone(#[source] Box<Error>),
    /// It failed in the middle, and what it had written is still there.
    #[error(
        "the import failed in the middle, and what it had written is still there: run it again with the same file and options, or empty the store; no server starts on it until then"
    )]
    Left(#[source] Box<Error>),
}

fn list(keys: &[Key], count: u64) -> String {
    let names: Vec<&str> = keys.iter().map(Key::as_str).collect();
    let more = if count > keys.len() as u64 { ", …" } else { "" };
    format!("{}{more}", names.join(", "))
}
