//! What a use case can fail with, and the closed list of kinds that every edge maps.

use crate::{credential, fault::Faults, gateway, model::StoreOwner, secret, store, transfer};

/// Why a use case did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The input is wrong; every bad field is named. Nothing was changed.
    #[error("the request is not valid: {0}")]
    Invalid(Faults),
    /// There is no such record.
    #[error("there is no {what} {name:?}")]
    NotFound {
        /// The kind of record.
        what: &'static str,
        /// The name that was asked for.
        name: String,
    },
    /// There is such a record already.
    #[error("there is a {what} {name:?} already")]
    AlreadyExists {
        /// The kind of record.
        what: &'static str,
        /// Its name.
        name: String,
    },
    /// The state of this or another record stands against it; says which, and what to do.
    #[error("{0}")]
    Refused(String),
    /// It will be possible soon.
    #[error("{detail}")]
    NotReady {
        /// What is being waited for.
        detail: String,
        /// When to ask again, in seconds.
        retry_after: u64,
    },
    /// The answer would be larger than the caller takes; says what to ask for instead.
    #[error("{0}")]
    AnswerTooLarge(String),
    /// Somebody else changed the record since it was read.
    #[error("the {what} {name:?} was changed since it was read; read it again")]
    Changed {
        /// The kind of record.
        what: &'static str,
        /// Its name.
        name: String,
        /// Whether the caller had named the state that he expected (`If-Match`).
        expected: bool,
    },
    /// The store failed.
    #[error("the store failed")]
    Store(#[source] store::Error),
    /// The store holds an import that was not finished.
    #[error("the store cannot be used")]
    Unfinished(#[source] transfer::Error),
    /// The store belongs to somebody else.
    #[error("the store is that of {is}, and not of {wanted}")]
    OtherOwner {
        /// Whose it is.
        is: StoreOwner,
        /// Whose it should be.
        wanted: StoreOwner,
    },
    /// Whoever reaches the clusters did not answer.
    #[error(transparent)]
    Gateway(#[from] gateway::Error),
    /// A secret could not be sealed or opened.
    #[error("a stored secret could not be handled")]
    Secret(#[from] secret::Error),
    /// A key or certificate could not be made.
    #[error("a credential could not be made")]
    Credential(#[from] credential::Error),
    /// A name that was checked could not become a key.
    #[error("a record's key could not be made")]
    Key(#[from] store::InvalidKey),
}

/// The kinds of error, closed: a new one breaks the maps of every edge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// The input is wrong.
    Invalid,
    /// There is no such record.
    NotFound,
    /// There is such a record already.
    AlreadyExists,
    /// The state stands against it.
    Refused,
    /// It will be possible soon.
    NotReady,
    /// Somebody else was first.
    Conflict,
    /// The state that the caller expected (`If-Match`) is not the present one.
    PreconditionFailed,
    /// A cursor or watch position that is too old.
    Expired,
    /// The input is too large to be stored.
    TooLarge,
    /// The answer would be too large.
    AnswerTooLarge,
    /// Something that is needed is away; worth trying again.
    Unavailable,
    /// Something that is needed took too long; worth trying again.
    Timeout,
    /// A bug of ours, or damaged data.
    Internal,
}

impl Error {
    /// The kind, for edges to map.
    #[must_use]
    pub const fn kind(&self) -> ErrorKind {
        match self {
            Self::Invalid(_) => ErrorKind::Invalid,
            Self::NotFound { .. } => ErrorKind::NotFound,
            Self::AlreadyExists { .. } => ErrorKind::AlreadyExists,
            Self::Refused(_) | Self::Unfinished(_) | Self::OtherOwner { .. } => ErrorKind::Refused,
            Self::NotReady { .. } => ErrorKind::NotReady,
            Self::AnswerTooLarge(_) => ErrorKind::AnswerTooLarge,
            Self::Changed { expected: true, .. } => ErrorKind::PreconditionFailed,
            Self::Changed { expected: false, .. } => ErrorKind::Conflict,
            Self::Store(store) => match store {
                store::Error::Conflict { .. } => ErrorKind::Conflict,
                store::Error::Expired => ErrorKind::Expired,
                store::Error::TooLarge { .. } => ErrorKind::TooLarge,
                store::Error::OutcomeUnknown { .. } | store::Error::Unavailable(_) => ErrorKind::Unavailable,
                store::Error::Timeout => ErrorKind::Timeout,
                store::Error::Corrupt { .. } => ErrorKind::Internal,
            },
            Self::Gateway(gateway) => match gateway {
                gateway::Error::Unknown { .. } | gateway::Error::Unavailable { .. } | gateway::Error::Denied(_) => {
                    ErrorKind::Unavailable
                }
                gateway::Error::Timeout => ErrorKind::Timeout,
                gateway::Error::Internal(_) => ErrorKind::Internal,
            },
            Self::Secret(_) | Self::Credential(_) | Self::Key(_) => ErrorKind::Internal,
        }
    }

    pub(crate) fn not_found(what: &'static str, name: impl ToString) -> Self {
        Self::NotFound { what, name: name.to_string() }
    }

    pub(crate) fn exists(what: &'static str, name: impl ToString) -> Self {
        Self::AlreadyExists { what, name: name.to_string() }
    }

    pub(crate) fn changed(what: &'static str, name: impl ToString, expected: bool) -> Self {
        Self::Changed { what, name: name.to_string(), expected }
    }
}

impl From<store::Error> for Error {
    fn from(error: store::Error) -> Self {
        Self::Store(error)
    }
}

impl From<Faults> for Error {
    fn from(faults: Faults) -> Self {
        Self::Invalid(faults)
    }
}
