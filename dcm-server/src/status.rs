//! What each kind of failure is called over HTTP: the only map there is.

use dcm_core::error::ErrorKind;
use http::StatusCode;

/// Why a request was not served: the core's kinds and those that the edge itself has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The core says so.
    Core(ErrorKind),
    /// The request itself is malformed: its path, query, headers or body.
    Malformed,
    /// There is nothing at this path.
    NoSuchPath,
    /// The path knows other methods.
    Method,
    /// None of the forms that the client accepts can be had.
    NotAcceptable,
    /// The body came too slowly.
    Slow,
    /// The body is too large.
    BodyTooLarge,
    /// The URI is too long.
    UriTooLong,
    /// The body is not of a type that is read here.
    MediaType,
    /// The header fields are too large or too many.
    HeadersTooLarge,
    /// The request came from, or for, a place that is not trusted.
    Foreign,
    /// Too much is being done at this moment.
    Overloaded,
    /// It took too long.
    TimedOut,
    /// A bug of ours in the edge.
    Bug,
}

/// How a kind of failure is told to HTTP clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Meaning {
    /// The status of the answer.
    pub(crate) status: StatusCode,
    /// The last segment of the problem's type.
    pub(crate) slug: &'static str,
    /// The problem's title.
    pub(crate) title: &'static str,
    /// When to try again, in seconds, where nothing else is known.
    pub(crate) retry_after: Option<u64>,
}

impl Meaning {
    /// The problem's type.
    pub(crate) fn type_uri(&self) -> String {
        format!("https://dcm.onap.org/problems/{}", self.slug)
    }
}

/// Lists all kinds. One that is missing here does not compile.
macro_rules! kinds {
    (core: $($core:ident)*; own: $($own:ident)*;) => {
        impl Kind {
            /// All of them.
            pub(crate) const ALL: &[Self] = &[$(Self::Core(ErrorKind::$core),)* $(Self::$own,)*];
        }

        const _: fn(Kind) = |kind| match kind {
            $(Kind::Core(ErrorKind::$core) => {})*
            $(Kind::$own => {})*
        };
    };
}

kinds! {
    core: Invalid NotFound AlreadyExists Refused NotReady Conflict PreconditionFailed Expired TooLarge Unavailable Timeout
        Internal;
    own: Malformed NoSuchPath Method NotAcceptable Slow BodyTooLarge UriTooLong MediaType HeadersTooLarge Foreign Overloaded
        TimedOut Bug;
}

impl Kind {
    /// How it is told.
    pub(crate) const fn meaning(self) -> Meaning {
        use ErrorKind as K;
        use StatusCode as S;
        let (status, slug, title, retry_after) = match self {
            Self::Core(K::Invalid) => (S::BAD_REQUEST, "invalid", "The request is not valid", None),
            Self::Core(K::NotFound) => (S::NOT_FOUND, "not-found", "There is no such record", None),
            Self::Core(K::AlreadyExists) => (S::CONFLICT, "already-exists", "There is such a record already", None),
            Self::Core(K::Refused) => (S::CONFLICT, "refused", "The present state stands against it", None),
            Self::Core(K::NotReady) => (S::CONFLICT, "not-ready", "It is not there yet", Some(2)),
            Self::Core(K::Conflict) => (S::CONFLICT, "conflict", "Somebody else changed it at the same time", None),
            Self::Core(K::PreconditionFailed) => {
                (S::PRECONDITION_FAILED, "precondition-failed", "The record is not in the expected state", None)
            }
            Self::Core(K::Expired) => (S::GONE, "expired", "The position is too old", None),
            Self::Core(K::TooLarge) => (S::PAYLOAD_TOO_LARGE, "too-large", "The record is too large", None),
            Self::Core(K::Unavailable) => {
                (S::SERVICE_UNAVAILABLE, "unavailable", "Something that is needed is away", Some(5))
            }
            Self::Core(K::Timeout) => (S::SERVICE_UNAVAILABLE, "timeout", "It took too long", Some(5)),
            Self::Core(K::Internal) | Self::Bug => {
                (S::INTERNAL_SERVER_ERROR, "internal", "Something is broken on the server", None)
            }
            Self::Malformed => (S::BAD_REQUEST, "malformed", "The request cannot be read", None),
            Self::NoSuchPath => (S::NOT_FOUND, "no-such-path", "There is nothing at this path", None),
            Self::Method => (S::METHOD_NOT_ALLOWED, "method-not-allowed", "The method is not possible here", None),
            Self::NotAcceptable => (S::NOT_ACCEPTABLE, "not-acceptable", "There is no such form of it", None),
            Self::Slow => (S::REQUEST_TIMEOUT, "request-timeout", "The request came too slowly", None),
            Self::BodyTooLarge => (S::PAYLOAD_TOO_LARGE, "body-too-large", "The body is too large", None),
            Self::UriTooLong => (S::URI_TOO_LONG, "uri-too-long", "The URI is too long", None),
            Self::MediaType => {
                (S::UNSUPPORTED_MEDIA_TYPE, "unsupported-media-type", "The body's type is not read here", None)
            }
            Self::HeadersTooLarge => {
                (S::REQUEST_HEADER_FIELDS_TOO_LARGE, "headers-too-large", "The header fields are too large", None)
            }
            Self::Foreign => (S::FORBIDDEN, "foreign", "The request comes from a place that is not trusted", None),
            Self::Overloaded => (S::SERVICE_UNAVAILABLE, "overloaded", "The server is busy", Some(1)),
            Self::TimedOut => (S::SERVICE_UNAVAILABLE, "timeout", "It took too long", Some(5)),
        };
        Meaning { status, slug, title, retry_after }
    }

    /// Whether only a fixed text may be shown, the failure itself belonging into the log.
    pub(crate) const fn is_ours(self) -> bool {
        matches!(self, Self::Bug | Self::Core(ErrorKind::Internal | ErrorKind::Unavailable | ErrorKind::Timeout))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_own_bugs_are_internal_errors() {
        for kind in [ErrorKind::Invalid, ErrorKind::NotFound, ErrorKind::TooLarge, ErrorKind::Unavailable] {
            assert_ne!(Kind::Core(kind).meaning().status, StatusCode::INTERNAL_SERVER_ERROR, "{kind:?}");
        }
        assert_eq!(Kind::Core(ErrorKind::Internal).meaning().status, StatusCode::INTERNAL_SERVER_ERROR);
    }

    #[test]
    fn every_type_of_problem_is_in_the_docs() {
        let docs = include_str!("../../docs/status-codes.md");
        for kind in Kind::ALL {
            let Meaning { status, slug, title, .. } = kind.meaning();
            let row = format!("| `{slug}` | {} | {title} |", status.as_u16());
            assert!(docs.contains(&row), "{row}");
        }
    }

    #[test]
    fn a_client_is_told_when_to_come_back() {
        for kind in [
            Kind::Core(ErrorKind::Unavailable),
            Kind::Core(ErrorKind::Timeout),
            Kind::Core(ErrorKind::NotReady),
            Kind::Overloaded,
            Kind::TimedOut,
        ] {
            assert!(kind.meaning().retry_after.is_some(), "{kind:?}");
        }
    }
}
