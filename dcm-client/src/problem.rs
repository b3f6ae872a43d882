use std::{fmt, time::Duration};

use tonic::{Code, Status};
use tonic_types::StatusExt as _;

/// Who says so, in `google.rpc.ErrorInfo`.
const DOMAIN: &str = "dcm.onap.org";

/// Declares the kinds with the last parts of their types.
macro_rules! kinds {
    ($($(#[$doc:meta])* $kind:ident = $slug:literal,)*) => {
        /// Why DCM refused a call. The same list as REST's types of problems.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Kind {
            $($(#[$doc])* $kind,)*
            /// Something that only a newer server knows: go by the code.
            Unknown,
        }

        impl Kind {
            /// The last part of the problem's type in REST, as `not-found`; empty where it is not known here.
            pub const fn slug(self) -> &'static str {
                match self {
                    $(Self::$kind => $slug,)*
                    Self::Unknown => "",
                }
            }

            fn of_slug(slug: &str) -> Self {
                match slug {
                    $($slug => Self::$kind,)*
                    _ => Self::Unknown,
                }
            }
        }
    };
}

kinds! {
    /// The message is not valid: each bad field is named.
    Invalid = "invalid",
    /// The message cannot be read.
    Malformed = "malformed",
    /// The answer would be larger than clients take: the detail says what to ask for instead.
    AnswerTooLarge = "answer-too-large",
    /// The host, origin or client certificate is not one that the server listens to.
    Foreign = "foreign",
    /// The server has no such method.
    NoSuchPath = "no-such-path",
    /// There is no such record, or its parent is not there.
    NotFound = "not-found",
    /// The method is not possible there.
    MethodNotAllowed = "method-not-allowed",
    /// There is no such form of the answer.
    NotAcceptable = "not-acceptable",
    /// The request came too slowly.
    RequestTimeout = "request-timeout",
    /// There is such a record already.
    AlreadyExists = "already-exists",
    /// Somebody else changed it at the same time: nothing was done.
    Conflict = "conflict",
    /// It is not there yet: a kubeconfig that is not issued.
    NotReady = "not-ready",
    /// The present state stands against it.
    Refused = "refused",
    /// A position is too old, or of another list: begin anew.
    Expired = "expired",
    /// The record is not in the state that `if_match` or `if_none_match` asks for.
    PreconditionFailed = "precondition-failed",
    /// The message is too large for this server.
    BodyTooLarge = "body-too-large",
    /// The record is too large for the store.
    TooLarge = "too-large",
    /// The URI is too long.
    UriTooLong = "uri-too-long",
    /// The message is of a type that is not read there.
    UnsupportedMediaType = "unsupported-media-type",
    /// The metadata is too large.
    HeadersTooLarge = "headers-too-large",
    /// A bug of the server: the request id finds it in the log.
    Internal = "internal",
    /// The server is busy, or stops: nothing was done.
    Overloaded = "overloaded",
    /// It took the server too long.
    Timeout = "timeout",
    /// Something that the server needs is away.
    Unavailable = "unavailable",
}

/// One bad field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// A JSON pointer in REST's spelling (`/spec/namespace`), or the name of a field of the request itself (`page_size`).
    pub place: String,
    /// What is wrong with it, and what would be right.
    pub detail: String,
}

/// What DCM said where it refused a call: the same as a problem over REST.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Problem {
    /// Why, for programs.
    pub kind: Kind,
    /// The code over gRPC.
    pub code: Code,
    /// The problem's type: a URI.
    pub type_uri: String,
    /// What all problems of this kind have in common, for people.
    pub title: String,
    /// The status that the same has over REST; 0 where the server did not say.
    pub status: u16,
    /// What happened, for people.
    pub detail: String,
    /// What was called.
    pub instance: String,
    /// Every bad field.
    pub faults: Vec<Fault>,
    /// When it is worth trying again.
    pub retry_after: Option<Duration>,
    /// The id under which the call is in the server's log.
    pub request_id: String,
}

impl Problem {
    /// What a status says; `None` where it is not DCM's.
    pub(crate) fn of(status: &Status) -> Option<Self> {
        let details = status.get_error_details();
        let info = details.error_info().filter(|info| info.domain == DOMAIN)?;
        let said = |key: &str| info.metadata.get(key).cloned().unwrap_or_default();
        let violations = details.bad_request().map(|bad| bad.field_violations.as_slice()).unwrap_or_default();
        let fault =
            |said: &tonic_types::FieldViolation| Fault { place: said.field.clone(), detail: said.description.clone() };
        Some(Self {
            kind: Kind::of_slug(&info.reason.to_ascii_lowercase().replace('_', "-")),
            code: status.code(),
            type_uri: said("type"),
            title: said("title"),
            status: said("status").parse().unwrap_or_default(),
            detail: status.message().to_owned(),
            instance: said("instance"),
            faults: violations.iter().map(fault).collect(),
            retry_after: details.retry_info().and_then(|info| info.retry_delay),
            request_id: details.request_info().map(|info| info.request_id.clone()).unwrap_or_default(),
        })
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.detail.is_empty() { &self.title } else { &self.detail })?;
        for (at, Fault { place, detail }) in self.faults.iter().enumerate() {
            write!(f, "{} {place} {detail}", if at == 0 { ":" } else { ";" })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The table of the docs is held against what servers say; the kinds here are held against it.
    #[test]
    fn every_type_of_problem_is_known() {
        let docs = include_str!("../../docs/status-codes.md");
        let (_, table) = docs.split_once("## Problem types").unwrap();
        let slugs: Vec<&str> =
            table.lines().filter_map(|line| line.strip_prefix("| `")?.split_once('`')).map(|(slug, _)| slug).collect();
        assert!(slugs.len() > 20, "{slugs:?}");
        for slug in slugs {
            assert_eq!(Kind::of_slug(slug).slug(), slug);
        }
    }
}
