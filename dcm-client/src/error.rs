use std::{error::Error as StdError, time::Duration};

use tonic::{Code, ConnectError, Status, TimeoutExpired};

use crate::{Fault, Kind, Problem};

/// Why a call came to nothing.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// DCM refused it, and says why.
    #[error("{0}")]
    Refused(Box<Problem>),
    /// The server's address is none.
    #[error("not an address of a server")]
    Address(#[source] tonic::transport::Error),
    /// There is no connection to the server: nothing was sent.
    #[error("no connection to the server")]
    NotConnected(#[source] Box<dyn StdError + Send + Sync>),
    /// The connection broke before the answer was there: whether a write was carried out is not known.
    #[error("the connection broke before the answer was there")]
    Broken(#[source] Box<dyn StdError + Send + Sync>),
    /// No answer came in time: whether a write was carried out is not known.
    #[error("no answer within {0:?}")]
    TimedOut(Duration),
    /// Something that is not DCM answered: a proxy, or another server.
    #[error("an answer that is not DCM's")]
    Foreign(#[source] Box<Status>),
}

impl Error {
    /// What became of a call.
    pub(crate) fn of(status: Status) -> Self {
        if let Some(problem) = Problem::of(&status) {
            return Self::Refused(Box::new(problem));
        }
        // Only what happened on this side has a source.
        if status.source().is_none() {
            return Self::Foreign(Box::new(status));
        }
        if any_of(&status, |error| error.is::<ConnectError>() || was_never_sent(error)) {
            return Self::NotConnected(Box::new(status));
        }
        Self::Broken(Box::new(status))
    }

    /// Whether tonic gave up the call, because its deadline has passed.
    pub(crate) fn is_deadline(status: &Status) -> bool {
        any_of(status, |error| error.is::<TimeoutExpired>())
    }

    /// What DCM said, where it was DCM.
    pub fn problem(&self) -> Option<&Problem> {
        match self {
            Self::Refused(problem) => Some(problem),
            _ => None,
        }
    }

    /// Why DCM refused, where it was DCM.
    pub fn kind(&self) -> Option<Kind> {
        self.problem().map(|problem| problem.kind)
    }

    /// Every bad field that the server names.
    pub fn faults(&self) -> &[Fault] {
        self.problem().map(|problem| problem.faults.as_slice()).unwrap_or_default()
    }

    /// When the server says that it is worth trying again.
    pub fn retry_after(&self) -> Option<Duration> {
        self.problem()?.retry_after
    }

    /// Whether it is certain that nothing was done, and the same may be asked again.
    pub fn nothing_was_done(&self) -> bool {
        match self {
            Self::NotConnected(_) => true,
            Self::Refused(problem) => matches!(problem.kind, Kind::Overloaded | Kind::Conflict),
            _ => false,
        }
    }

    /// Whether the server, or something that it needs, is away: what changes nothing may be asked again.
    pub fn is_unavailable(&self) -> bool {
        match self {
            Self::NotConnected(_) | Self::Broken(_) => true,
            Self::Refused(problem) => problem.code == Code::Unavailable,
            Self::Foreign(status) => status.code() == Code::Unavailable,
            Self::Address(_) | Self::TimedOut(_) => false,
        }
    }

    /// Whether a watch that ended with it may go on: the server is away, or something on the way gave up.
    pub(crate) fn is_passing(&self) -> bool {
        match self {
            Self::Refused(problem) if problem.kind == Kind::Timeout => true,
            Self::Foreign(status) => {
                matches!(status.code(), Code::Unavailable | Code::Cancelled | Code::DeadlineExceeded | Code::Unknown)
            }
            Self::TimedOut(_) => true,
            _ => self.is_unavailable(),
        }
    }
}

/// A request that still waited for its turn when the connection closed.
fn was_never_sent(error: &(dyn StdError + 'static)) -> bool {
    error.downcast_ref::<hyper::Error>().is_some_and(hyper::Error::is_canceled)
}

fn any_of(status: &Status, holds: impl Fn(&(dyn StdError + 'static)) -> bool) -> bool {
    let mut source = status.source();
    while let Some(error) = source {
        if holds(error) {
            return true;
        }
        source = error.source();
    }
    false
}
