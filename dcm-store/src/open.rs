use std::{fmt, io, path::PathBuf, str::FromStr, sync::Arc};

use dcm_core::store::{BoxError, Store};

use crate::HISTORY;

/// Which store to open, written as `memory:`, `sled:<path>` or `mongodb://…`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Config {
    /// Everything in memory, nothing kept.
    Memory,
    /// sled, embedded in the process, in a directory of its own.
    Sled(SledConfig),
    /// MongoDB.
    #[cfg(feature = "mongodb")]
    MongoDb(Box<crate::MongoConfig>),
}

/// Where sled keeps its files, and how much memory it may use.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SledConfig {
    /// The directory; made where it is missing.
    pub path: PathBuf,
    /// How many bytes of its tree sled keeps in memory (default: 64 MiB). A quarter of it again goes to documents that were
    /// asked for lately.
    pub cache_bytes: u64,
    /// How many changes a watch can resume from (default: [`HISTORY`]).
    pub history: usize,
    /// Whether the store must be there already: nothing is made then where it is missing (default: false).
    pub existing: bool,
}

impl SledConfig {
    /// A directory, and defaults for the rest.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), cache_bytes: 64 * 1024 * 1024, history: HISTORY, existing: false }
    }
}

impl Config {
    /// The same store, which must be there already: where it is missing, [`open`] makes none and fails.
    #[must_use]
    pub fn existing(mut self) -> Self {
        match &mut self {
            Self::Memory => {}
            Self::Sled(config) => config.existing = true,
            #[cfg(feature = "mongodb")]
            Self::MongoDb(config) => config.existing = true,
        }
        self
    }

    /// Whether several processes can have the store open at once.
    #[must_use]
    pub const fn is_shared(&self) -> bool {
        match self {
            Self::Memory | Self::Sled(_) => false,
            #[cfg(feature = "mongodb")]
            Self::MongoDb(_) => true,
        }
    }
}

/// A text that names no store.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidUrl {
    /// There is a directory to be named, and it is not.
    #[error("a sled store needs a directory: write sled:<path>, for example sled:./dcm-data")]
    NoPath,
    /// A connection string that MongoDB's driver does not understand.
    #[error(
        "the MongoDB connection string cannot be read: {reason}; write mongodb://<user>:<password>@<host>:<port>/<database>?<options>, with % codes for special characters in user and password"
    )]
    MongoDb {
        /// What is wrong with it, without user or password.
        reason: String,
    },
    /// An option of a connection string that would break a promise of the store.
    #[error("the MongoDB connection string may not set {option}: {advice}")]
    Option {
        /// The option.
        option: &'static str,
        /// Why not, and what to do.
        advice: &'static str,
    },
    /// An option of a connection string that there is not.
    #[error(
        "the MongoDB connection string has an unknown option {name}{}",
        like.map_or_else(|| ": take it out".to_owned(), |like| format!(": did you mean {like}?"))
    )]
    UnknownOption {
        /// What is written there, in small letters.
        name: String,
        /// The option that was probably meant.
        like: Option<&'static str>,
    },
    /// A name that no database of the store can have.
    #[error(
        "the MongoDB connection string names the database {name:?}: a name has at most 63 bytes, none of / \\ . \" $ * < > : | ? and \
         blanks, and is not admin, local or config"
    )]
    Database {
        /// The name.
        name: String,
    },
    /// This build was made without the backend.
    #[error("this program was built without the {backend} store: build it with the feature {backend}")]
    NotBuilt {
        /// The backend's and the feature's name.
        backend: &'static str,
    },
    /// Something else. The text is not shown: it may hold a password.
    #[error("the store must be memory: (keeps nothing), sled:<path>, or mongodb://<host>/<database>")]
    Unknown,
}

impl FromStr for Config {
    type Err = InvalidUrl;

    fn from_str(text: &str) -> Result<Self, InvalidUrl> {
        match text.split_once(':') {
            Some(("memory", "" | "//")) => Ok(Self::Memory),
            Some(("sled", rest)) => match rest.strip_prefix("//").unwrap_or(rest) {
                "" => Err(InvalidUrl::NoPath),
                path => Ok(Self::Sled(SledConfig::new(path))),
            },
            #[cfg(feature = "mongodb")]
            Some(("mongodb" | "mongodb+srv", _)) => Ok(Self::MongoDb(Box::new(crate::MongoConfig::new(text)?))),
            #[cfg(not(feature = "mongodb"))]
            Some(("mongodb" | "mongodb+srv", _)) => Err(InvalidUrl::NotBuilt { backend: "mongodb" }),
            _ => Err(InvalidUrl::Unknown),
        }
    }
}

/// Why a store could not be opened, and what to do about it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// It must be there already, and is not.
    #[error(
        "there is no store in {}: check the path, and that the volume is mounted that it should be on", path.display()
    )]
    Missing {
        /// The directory.
        path: PathBuf,
    },
    /// Another process has it open.
    #[error(
        "the store in {} is in use by another process: {}; stop that one, or choose another directory",
        path.display(), has_it_open(holder.as_ref())
    )]
    Locked {
        /// The store's directory.
        path: PathBuf,
        /// Who has it open, where the system tells.
        holder: Option<Holder>,
    },
    /// The files are there and may not be used.
    #[error(
        "no permission for the store in {}: its directory and files must belong to the user that runs this process, readable and writable", path.display()
    )]
    Permission {
        /// The store's directory.
        path: PathBuf,
        /// The system's own error.
        source: io::Error,
    },
    /// The files are damaged.
    #[error(
        "the store in {} is damaged: move the directory away, then restore a backup or start with an empty one", path.display()
    )]
    Corrupt {
        /// The store's directory.
        path: PathBuf,
        /// What was found.
        source: BoxError,
    },
    /// The files were written by something that this release does not understand.
    #[error(
        "the store in {} is not one that this release can read: start the release that wrote it and export, or choose another directory", path.display()
    )]
    Unsupported {
        /// The store's directory.
        path: PathBuf,
        /// What was found.
        source: BoxError,
    },
    /// There is no room for the files.
    #[error("the store in {} cannot be opened: the disk is full; make room on it, then start again", path.display())]
    Full {
        /// The store's directory.
        path: PathBuf,
        /// The system's own error.
        source: io::Error,
    },
    /// Reading or writing the files failed.
    #[error("the store in {} cannot be opened: check the disk and the path", path.display())]
    Io {
        /// The store's directory.
        path: PathBuf,
        /// The system's own error.
        source: io::Error,
    },
    /// A MongoDB server cannot be reached or used.
    #[cfg(feature = "mongodb")]
    #[error("{place} cannot be used as the store")]
    MongoDb {
        /// Hosts and database.
        place: String,
        /// Why not, and what to do.
        source: Box<crate::MongoProblem>,
    },
    /// This build was made without the backend.
    #[error("this program was built without the {backend} store: build it with the feature {backend}")]
    NotBuilt {
        /// The backend's and the feature's name.
        backend: &'static str,
    },
}

/// A process that has a store open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// Its id.
    pub process: u32,
    /// Its program's name, as far as the system keeps it.
    pub program: String,
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (process {})", self.program, self.process)
    }
}

fn has_it_open(holder: Option<&Holder>) -> String {
    match holder {
        Some(holder) => format!("{holder} has it open"),
        None => "another dcm-server may have it open".to_owned(),
    }
}

/// Opens the store that a configuration names.
///
/// # Errors
/// [`OpenError`], each saying what to do.
pub async fn open(config: Config) -> Result<Arc<dyn Store>, OpenError> {
    match config {
        #[cfg(feature = "memory")]
        Config::Memory => Ok(Arc::new(crate::memory::MemoryStore::new())),
        #[cfg(not(feature = "memory"))]
        Config::Memory => Err(OpenError::NotBuilt { backend: "memory" }),
        #[cfg(feature = "sled")]
        Config::Sled(config) => Ok(Arc::new(crate::sled::SledStore::open(config).await?)),
        #[cfg(not(feature = "sled"))]
        Config::Sled(_) => Err(OpenError::NotBuilt { backend: "sled" }),
        #[cfg(feature = "mongodb")]
        Config::MongoDb(config) => Ok(Arc::new(crate::mongodb::MongoStore::open(*config).await?)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_is_named_by_a_url() {
        let sled = |path: &str| Ok(Config::Sled(SledConfig::new(path)));
        assert_eq!("memory:".parse(), Ok(Config::Memory));
        assert_eq!("memory://".parse(), Ok(Config::Memory));
        assert_eq!("sled:./dcm-data".parse(), sled("./dcm-data"));
        assert_eq!("sled:/var/lib/dcm".parse(), sled("/var/lib/dcm"));
        assert_eq!("sled:///var/lib/dcm".parse(), sled("/var/lib/dcm"));
    }

    #[test]
    fn an_unusable_url_is_refused_with_what_is_allowed_and_without_quoting_it() {
        let refused = |text: &str| text.parse::<Config>().unwrap_err();
        assert_eq!(refused("sled:"), InvalidUrl::NoPath);
        for text in ["", "memory", "memory:x", "redis://u:secret@h", "/var/lib/dcm"] {
            assert_eq!(refused(text), InvalidUrl::Unknown, "{text:?}");
        }
        let text = InvalidUrl::Unknown.to_string();
        assert!(text.contains("memory:") && text.contains("sled:<path>") && text.contains("mongodb://"), "{text}");
    }
}
