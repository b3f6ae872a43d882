use std::{fmt, time::Duration};

use super::{Generation, SignerError};
use crate::{error::ErrorKind, fault::Faults, model::Uid, name::ClusterIdentity, secret, store, store::BoxError};

/// Why a CA did not do what it was asked; each variant says what a caller can do about it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The request is wrong; every bad field is named. Mend it: a repeat fails as well.
    #[error("the request is not valid: {0}")]
    Invalid(Faults),
    /// The CA knows no such logical cloud: nothing was issued for it yet. Ask for an intermediate first.
    #[error("no CA was made for the logical cloud {cloud} yet: its first intermediate makes one")]
    UnknownCloud {
        /// Its uid.
        cloud: Uid,
    },
    /// The logical cloud was deleted, and the CA has forgotten it. Nothing is issued for it any more: one that was made again under
    /// its name has another uid.
    #[error("the logical cloud {cloud} was deleted and its CA is forgotten: nothing is issued for it any more")]
    Forgotten {
        /// Its uid.
        cloud: Uid,
    },
    /// No such intermediate was issued.
    #[error("no intermediate of the generation {generation} was issued for the cluster {cluster}")]
    NotIssued {
        /// The cluster.
        cluster: ClusterIdentity,
        /// The generation.
        generation: Generation,
    },
    /// This generation was issued for another key. Ask with that key, or for the next generation.
    #[error(
        "the intermediate of the generation {generation} for the cluster {cluster} was issued for another key: ask with \
         that key, or for a later generation"
    )]
    OtherKey {
        /// The cluster.
        cluster: ClusterIdentity,
        /// The generation.
        generation: Generation,
    },
    /// This generation was issued and must not be used any more. Ask for a later one, with a new key.
    #[error(
        "the intermediate of the generation {generation} for the cluster {cluster} {reason}: ask for a later generation, \
         with a new key"
    )]
    Unusable {
        /// The cluster.
        cluster: ClusterIdentity,
        /// The generation.
        generation: Generation,
        /// Why.
        reason: UnusableReason,
    },
    /// It is not this step's turn in the rotation, or the root cannot sign now; says what stands against it.
    #[error("{0}")]
    OutOfOrder(String),
    /// This provider cannot do that; says what to do instead.
    #[error("this CA does not support {what}: {instead}")]
    Unsupported {
        /// What was asked for.
        what: String,
        /// What to do instead.
        instead: String,
    },
    /// The CA does not take this from the caller. Its operator has to allow it.
    #[error("the CA refuses this caller: {0}")]
    Denied(String),
    /// The CA, or what it stands on, is away. What was asked may have been done, and a repeat is safe.
    #[error("the CA is not available")]
    Unavailable {
        /// When to ask again.
        retry_after: Duration,
        /// What failed.
        source: BoxError,
    },
    /// The CA took too long. What was asked may have been done, and a repeat is safe.
    #[error("the CA did not answer in time")]
    Timeout {
        /// When to ask again.
        retry_after: Duration,
    },
    /// The CA is broken, or its data is.
    #[error("the CA failed")]
    Internal(#[source] BoxError),
}

/// Why a generation must not be used any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnusableReason {
    /// It was revoked.
    Revoked,
    /// The root that signed it is trusted no longer.
    RootRetired,
}

impl fmt::Display for UnusableReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Revoked => "was revoked",
            Self::RootRetired => "was signed by a root that is trusted no longer",
        })
    }
}

impl Error {
    /// How soon to ask again where nothing better is known.
    pub const RETRY_AFTER: Duration = Duration::from_secs(1);

    /// One bad field.
    #[must_use]
    pub fn invalid(pointer: &str, detail: impl Into<String>) -> Self {
        let mut faults = Faults::new();
        faults.add(pointer, detail);
        Self::Invalid(faults)
    }

    /// When to ask the same again; `None` where that would fail as well.
    #[must_use]
    pub const fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Unavailable { retry_after, .. } | Self::Timeout { retry_after } => Some(*retry_after),
            _ => None,
        }
    }

    /// The kind, for edges to map.
    #[must_use]
    pub const fn kind(&self) -> ErrorKind {
        match self {
            Self::Invalid(_) => ErrorKind::Invalid,
            Self::UnknownCloud { .. } | Self::NotIssued { .. } => ErrorKind::NotFound,
            Self::OtherKey { .. }
            | Self::Unusable { .. }
            | Self::Forgotten { .. }
            | Self::OutOfOrder(_)
            | Self::Unsupported { .. }
            | Self::Denied(_) => ErrorKind::Refused,
            Self::Unavailable { .. } => ErrorKind::Unavailable,
            Self::Timeout { .. } => ErrorKind::Timeout,
            Self::Internal(_) => ErrorKind::Internal,
        }
    }
}

impl From<store::Error> for Error {
    fn from(error: store::Error) -> Self {
        match error {
            store::Error::Timeout => Self::Timeout { retry_after: Self::RETRY_AFTER },
            // Lost races, too: whoever wrote first is seen at the next attempt.
            store::Error::Conflict { .. } | store::Error::OutcomeUnknown { .. } | store::Error::Unavailable(_) => {
                Self::Unavailable { retry_after: Self::RETRY_AFTER, source: Box::new(error) }
            }
            store::Error::Expired | store::Error::Corrupt { .. } | store::Error::TooLarge { .. } => {
                Self::Internal(Box::new(error))
            }
        }
    }
}

impl From<store::InvalidKey> for Error {
    fn from(error: store::InvalidKey) -> Self {
        Self::Internal(Box::new(error))
    }
}

impl From<secret::Error> for Error {
    fn from(error: secret::Error) -> Self {
        Self::Internal(Box::new(error))
    }
}

impl From<SignerError> for Error {
    fn from(error: SignerError) -> Self {
        match error {
            SignerError::Request(reason) => Self::invalid("/csr", reason),
            SignerError::Root(_) | SignerError::Crypto(_) => Self::Internal(Box::new(error)),
        }
    }
}
