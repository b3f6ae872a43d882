//! What each kind of failure is called over HTTP and over gRPC: the only map there is.

use dcm_core::error::ErrorKind;
use http::StatusCode;
use tonic::Code;

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

/// How a kind of failure is told to clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Meaning {
    /// The status of the answer over HTTP.
    pub(crate) status: StatusCode,
    /// The code of the status over gRPC.
    pub(crate) code: Code,
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
    core: Invalid NotFound AlreadyExists Refused NotReady Conflict PreconditionFailed Expired TooLarge AnswerTooLarge Unavailable
        Timeout Internal;
    own: Malformed NoSuchPath Method NotAcceptable Slow BodyTooLarge UriTooLong MediaType HeadersTooLarge Foreign Overloaded
        TimedOut Bug;
}

impl Kind {
    /// How it is told.
    pub(crate) const fn meaning(self) -> Meaning {
        use Code as C;
        use ErrorKind as K;
        use StatusCode as S;
        let (status, code, slug, title, retry_after) = match self {
            Self::Core(K::Invalid) => (S::BAD_REQUEST, C::InvalidArgument, "invalid", "The request is not valid", None),
            Self::Core(K::NotFound) => (S::NOT_FOUND, C::NotFound, "not-found", "There is no such record", None),
            Self::Core(K::AlreadyExists) => {
                (S::CONFLICT, C::AlreadyExists, "already-exists", "There is such a record already", None)
            }
            Self::Core(K::Refused) => {
                (S::CONFLICT, C::FailedPrecondition, "refused", "The present state stands against it", None)
            }
            Self::Core(K::NotReady) => {
                (S::CONFLICT, C::FailedPrecondition, "not-ready", "It is not there yet", Some(2))
            }
            Self::Core(K::Conflict) => {
                (S::CONFLICT, C::Aborted, "conflict", "Somebody else changed it at the same time", None)
            }
            Self::Core(K::PreconditionFailed) => {
                let title = "The record is not in the expected state";
                (S::PRECONDITION_FAILED, C::Aborted, "precondition-failed", title, None)
            }
            Self::Core(K::Expired) => (S::GONE, C::OutOfRange, "expired", "The position is too old", None),
            Self::Core(K::TooLarge) => {
                (S::PAYLOAD_TOO_LARGE, C::InvalidArgument, "too-large", "The record is too large", None)
            }
            Self::Core(K::AnswerTooLarge) => {
                let title = "The answer would be too large";
                (S::BAD_REQUEST, C::ResourceExhausted, "answer-too-large", title, None)
            }
            Self::Core(K::Unavailable) => {
                (S::SERVICE_UNAVAILABLE, C::Unavailable, "unavailable", "Something that is needed is away", Some(5))
            }
            Self::Core(K::Timeout) | Self::TimedOut => {
                (S::SERVICE_UNAVAILABLE, C::DeadlineExceeded, "timeout", "It took too long", Some(5))
            }
            Self::Core(K::Internal) | Self::Bug => {
                (S::INTERNAL_SERVER_ERROR, C::Internal, "internal", "Something is broken on the server", None)
            }
            Self::Malformed => (S::BAD_REQUEST, C::InvalidArgument, "malformed", "The request cannot be read", None),
            Self::NoSuchPath => (S::NOT_FOUND, C::Unimplemented, "no-such-path", "There is nothing at this path", None),
            Self::Method => {
                let title = "The method is not possible here";
                (S::METHOD_NOT_ALLOWED, C::Unimplemented, "method-not-allowed", title, None)
            }
            Self::NotAcceptable => {
                (S::NOT_ACCEPTABLE, C::Unimplemented, "not-acceptable", "There is no such form of it", None)
            }
            Self::Slow => {
                (S::REQUEST_TIMEOUT, C::DeadlineExceeded, "request-timeout", "The request came too slowly", None)
            }
            Self::BodyTooLarge => {
                (S::PAYLOAD_TOO_LARGE, C::ResourceExhausted, "body-too-large", "The body is too large", None)
            }
            Self::UriTooLong => (S::URI_TOO_LONG, C::InvalidArgument, "uri-too-long", "The URI is too long", None),
            Self::MediaType => {
                let title = "The body's type is not read here";
                (S::UNSUPPORTED_MEDIA_TYPE, C::Unimplemented, "unsupported-media-type", title, None)
            }
            Self::HeadersTooLarge => {
                let title = "The header fields are too large";
                (S::REQUEST_HEADER_FIELDS_TOO_LARGE, C::ResourceExhausted, "headers-too-large", title, None)
            }
            Self::Foreign => {
                let title = "The request comes from a place that is not trusted";
                (S::FORBIDDEN, C::PermissionDenied, "foreign", title, None)
            }
            Self::Overloaded => (S::SERVICE_UNAVAILABLE, C::Unavailable, "overloaded", "The server is busy", Some(1)),
        };
        Meaning { status, code, slug, title, retry_after }
    }

    /// Whether only a fixed text may be shown, the failure itself belonging into the log.
    pub(crate) const fn is_ours(self) -> bool {
        matches!(self, Self::Bug | Self::Core(ErrorKind::Internal | ErrorKind::Unavailable | ErrorKind::Timeout))
    }
}

/// A code as the specification of gRPC writes it.
pub(crate) const fn name(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
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
            let Meaning { status, code, slug, title, .. } = kind.meaning();
            let row = format!("| `{slug}` | {} | `{}` | {title} |", status.as_u16(), name(code));
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
