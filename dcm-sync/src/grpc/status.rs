//! Errors as statuses with details, and back: two total maps.

use std::{collections::HashMap, error::Error as _, sync::Arc, time::Duration};

use dcm_core::{
    error::Error,
    fault::Faults,
    gateway,
    store::{self, Key},
};
use tonic::{Code, Status, TimeoutExpired};
use tonic_types::{ErrorDetails, FieldViolation, StatusExt as _};

/// Who says so, in `ErrorInfo`.
const DOMAIN: &str = "dcm.sync.v1";

const INVALID: &str = "INVALID";
const NOT_FOUND: &str = "NOT_FOUND";
const ALREADY_EXISTS: &str = "ALREADY_EXISTS";
const REFUSED: &str = "REFUSED";
const NOT_READY: &str = "NOT_READY";
const ANSWER_TOO_LARGE: &str = "ANSWER_TOO_LARGE";
const CHANGED: &str = "CHANGED";
const STORE_CONFLICT: &str = "STORE_CONFLICT";
const STORE_EXPIRED: &str = "STORE_EXPIRED";
const STORE_OUTCOME_UNKNOWN: &str = "STORE_OUTCOME_UNKNOWN";
const STORE_UNAVAILABLE: &str = "STORE_UNAVAILABLE";
const STORE_TIMEOUT: &str = "STORE_TIMEOUT";
const STORE_TOO_LARGE: &str = "STORE_TOO_LARGE";
const GATEWAY_UNKNOWN: &str = "GATEWAY_UNKNOWN";

/// The kinds of records as errors name them.
const RECORDS: [&str; 12] = [
    "applied state",
    "cluster",
    "cluster label",
    "cluster provider",
    "cluster reference",
    "controller",
    "kv-pair",
    "logical cloud",
    "project",
    "quota",
    "user permission",
    "record",
];

/// What a caller is told. Failures of this side's own keep their cause as the status's source, for whoever serves it to log: it is not
/// sent.
pub(super) fn write(error: Error) -> Status {
    let text = error.to_string();
    match error {
        Error::Invalid(faults) => {
            let of = |fault: &dcm_core::fault::Fault| FieldViolation::new(&fault.pointer, &fault.detail);
            let mut details = info(INVALID, []);
            details.set_bad_request(faults.as_slice().iter().map(of).collect::<Vec<_>>());
            Status::with_error_details(Code::InvalidArgument, text, details)
        }
        Error::NotFound { what, name } => {
            told(Code::NotFound, text, NOT_FOUND, [("what", what.to_owned()), ("name", name)])
        }
        Error::AlreadyExists { what, name } => {
            told(Code::AlreadyExists, text, ALREADY_EXISTS, [("what", what.to_owned()), ("name", name)])
        }
        // The last two are met where a store is opened only.
        Error::Refused(_) | Error::Unfinished(_) | Error::OtherOwner { .. } => {
            told(Code::FailedPrecondition, text, REFUSED, [])
        }
        Error::AnswerTooLarge(_) => told(Code::ResourceExhausted, text, ANSWER_TOO_LARGE, []),
        Error::NotReady { retry_after, .. } => {
            let mut details = info(NOT_READY, []);
            details.set_retry_info(Some(Duration::from_secs(retry_after)));
            Status::with_error_details(Code::FailedPrecondition, text, details)
        }
        Error::Changed { what, name, expected } => {
            let of = [("what", what.to_owned()), ("name", name), ("expected", expected.to_string())];
            told(Code::Aborted, text, CHANGED, of)
        }
        Error::Store(error) => write_store(error),
        Error::Gateway(error) => write_gateway(error),
        error @ (Error::Secret(_) | Error::Credential(_) | Error::Key(_)) => internal(error),
    }
}

fn write_store(error: store::Error) -> Status {
    let text = error.to_string();
    match error {
        store::Error::Conflict { key } => told(Code::Aborted, text, STORE_CONFLICT, [("key", key.to_string())]),
        store::Error::Expired => told(Code::OutOfRange, text, STORE_EXPIRED, []),
        store::Error::OutcomeUnknown { key, source } => {
            let details = info(STORE_OUTCOME_UNKNOWN, [("key", key.to_string())]);
            later(Code::Unavailable, text, details, gateway::Error::RETRY_AFTER, Some(source))
        }
        store::Error::Unavailable(source) => {
            let details = info(STORE_UNAVAILABLE, []);
            later(Code::Unavailable, text, details, gateway::Error::RETRY_AFTER, Some(source))
        }
        store::Error::Timeout => {
            later(Code::DeadlineExceeded, text, info(STORE_TIMEOUT, []), gateway::Error::RETRY_AFTER, None)
        }
        store::Error::TooLarge { key, size, limit } => {
            let of = [("key", key.to_string()), ("size", size.to_string()), ("limit", limit.to_string())];
            told(Code::InvalidArgument, text, STORE_TOO_LARGE, of)
        }
        error @ store::Error::Corrupt { .. } => internal(error),
    }
}

fn write_gateway(error: gateway::Error) -> Status {
    let text = error.to_string();
    match error {
        gateway::Error::Unknown { fix } => told(Code::Unavailable, text, GATEWAY_UNKNOWN, [("fix", fix)]),
        gateway::Error::Unavailable { retry_after, source } => {
            later(Code::Unavailable, text, ErrorDetails::new(), retry_after, Some(source))
        }
        gateway::Error::Timeout => {
            later(Code::DeadlineExceeded, text, ErrorDetails::new(), gateway::Error::RETRY_AFTER, None)
        }
        gateway::Error::Denied(reason) => Status::permission_denied(reason.to_string()),
        gateway::Error::Internal(source) => internal(source),
    }
}

fn internal(source: impl Into<gateway::BoxError>) -> Status {
    let mut status = Status::internal("the cause is in the synchronizer's log");
    status.set_source(Arc::from(source.into()));
    status
}

fn info<const N: usize>(reason: &str, metadata: [(&str, String); N]) -> ErrorDetails {
    let metadata: HashMap<String, String> =
        metadata.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    ErrorDetails::with_error_info(reason, DOMAIN, metadata)
}

fn told<const N: usize>(code: Code, text: String, reason: &str, metadata: [(&str, String); N]) -> Status {
    Status::with_error_details(code, text, info(reason, metadata))
}

fn later(
    code: Code,
    text: String,
    mut details: ErrorDetails,
    retry_after: Duration,
    source: Option<gateway::BoxError>,
) -> Status {
    details.set_retry_info(Some(retry_after));
    let mut status = Status::with_error_details(code, text, details);
    if let Some(source) = source {
        status.set_source(Arc::from(source));
    }
    status
}

/// What an answer means that is none.
pub(super) fn read(status: Status) -> Error {
    let details = status.get_error_details();
    let retry_after = details.retry_info().and_then(|info| info.retry_delay);
    if let Some(info) = details.error_info().filter(|info| info.domain == DOMAIN) {
        let known = Known { reason: &info.reason, metadata: &info.metadata, text: status.message(), retry_after };
        if let Some(error) = known.meaning(&details) {
            return error;
        }
    }
    let away = |source: Status| {
        let retry_after = retry_after.unwrap_or(gateway::Error::RETRY_AFTER);
        gateway::Error::Unavailable { retry_after, source: Box::new(source) }.into()
    };
    match status.code() {
        Code::DeadlineExceeded => gateway::Error::Timeout.into(),
        // What tonic says where time is up, on either side.
        Code::Cancelled if status.source().is_none_or(is_timeout) => gateway::Error::Timeout.into(),
        // What tonic says on this side of an answer beyond the bound.
        Code::OutOfRange => Error::Refused("the answer is too large; ask for fewer clusters at once".to_owned()),
        // Made on this side: there is no connection, or it broke.
        _ if status.source().is_some() => away(status),
        Code::Unauthenticated | Code::PermissionDenied => gateway::Error::Denied(status.message().into()).into(),
        // A synchronizer of an earlier release serves no gateway.
        Code::Unavailable | Code::ResourceExhausted | Code::Aborted | Code::Cancelled | Code::Unimplemented => {
            away(status)
        }
        _ => gateway::Error::Internal(Box::new(status)).into(),
    }
}

/// Whether a call failed on this side for want of a connection.
pub(super) fn is_connection_lost(status: &Status) -> bool {
    status.code() != Code::OutOfRange && status.source().is_some_and(|source| !is_timeout(source))
}

fn is_timeout(error: &(dyn std::error::Error + 'static)) -> bool {
    error.is::<TimeoutExpired>() || error.source().is_some_and(is_timeout)
}

/// What the other side says of an error of the core.
struct Known<'a> {
    reason: &'a str,
    metadata: &'a HashMap<String, String>,
    text: &'a str,
    retry_after: Option<Duration>,
}

impl Known<'_> {
    /// `None` where something is missing or wrong.
    fn meaning(&self, details: &ErrorDetails) -> Option<Error> {
        let text = || self.text.to_owned();
        // What failed stays at home.
        let source = || Box::from("the synchronizer's log has the cause");
        Some(match self.reason {
            INVALID => Error::Invalid(faults(details, self.text)),
            NOT_FOUND => Error::NotFound { what: self.what(), name: self.field("name")?.to_owned() },
            ALREADY_EXISTS => Error::AlreadyExists { what: self.what(), name: self.field("name")?.to_owned() },
            REFUSED => Error::Refused(text()),
            ANSWER_TOO_LARGE => Error::AnswerTooLarge(text()),
            NOT_READY => Error::NotReady { detail: text(), retry_after: self.retry_after?.as_secs() },
            CHANGED => Error::Changed {
                what: self.what(),
                name: self.field("name")?.to_owned(),
                expected: self.field("expected")?.parse().ok()?,
            },
            STORE_CONFLICT => store::Error::Conflict { key: self.key()? }.into(),
            STORE_EXPIRED => store::Error::Expired.into(),
            STORE_OUTCOME_UNKNOWN => store::Error::OutcomeUnknown { key: self.key()?, source: source() }.into(),
            STORE_UNAVAILABLE => store::Error::Unavailable(source()).into(),
            STORE_TIMEOUT => store::Error::Timeout.into(),
            STORE_TOO_LARGE => {
                let number = |name| self.field(name)?.parse().ok();
                store::Error::TooLarge { key: self.key()?, size: number("size")?, limit: number("limit")? }.into()
            }
            GATEWAY_UNKNOWN => gateway::Error::Unknown { fix: self.field("fix")?.to_owned() }.into(),
            _ => return None,
        })
    }

    fn field(&self, name: &str) -> Option<&str> {
        self.metadata.get(name).map(String::as_str)
    }

    fn key(&self) -> Option<Key> {
        self.field("key")?.parse().ok()
    }

    /// A kind of record that only a later release knows is a record, too.
    fn what(&self) -> &'static str {
        let what = self.field("what").unwrap_or_default();
        RECORDS.into_iter().find(|known| *known == what).unwrap_or("record")
    }
}

fn faults(details: &ErrorDetails, text: &str) -> Faults {
    let mut faults = Faults::new();
    for violation in details.bad_request().map_or(&[][..], |request| &request.field_violations) {
        faults.add(violation.field.as_str(), violation.description.as_str());
    }
    if faults.is_empty() {
        faults.add("", text);
    }
    faults
}

#[cfg(test)]
mod tests {
    use dcm_core::secret;

    use super::*;

    /// As it comes out of the wire.
    fn sent(status: Status) -> Status {
        let response = status.into_http::<()>();
        Status::from_header_map(response.headers()).unwrap()
    }

    fn key() -> Key {
        Key::new(["status", "uid", "c1"]).unwrap()
    }

    /// All but the causes, which stay at home.
    fn shown(error: &Error) -> String {
        match error {
            Error::Store(store::Error::Unavailable(_)) => "unavailable".to_owned(),
            Error::Store(store::Error::OutcomeUnknown { key, .. }) => format!("unknown: {key}"),
            Error::Gateway(gateway::Error::Unavailable { retry_after, .. }) => format!("away: {retry_after:?}"),
            Error::Gateway(gateway::Error::Internal(_)) => "internal".to_owned(),
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn each_error_means_the_same_on_the_other_side() {
        let errors: [fn() -> Error; 20] = [
            || {
                let mut faults = Faults::new();
                faults.add("/project", "must be \"ä\"\n");
                faults.add("/cluster-reference", "is required");
                Error::Invalid(faults)
            },
            || Error::NotFound { what: "logical cloud", name: "lc-1 \"ä\"\n".to_owned() },
            || Error::NotFound { what: "applied state", name: "lc-1".to_owned() },
            || Error::AlreadyExists { what: "quota", name: "q".to_owned() },
            || Error::Refused("not now: \"ä\"".to_owned()),
            || Error::AnswerTooLarge("ask for fewer".to_owned()),
            || Error::NotReady { detail: "soon".to_owned(), retry_after: 7 },
            || Error::Changed { what: "logical cloud", name: "lc-1".to_owned(), expected: true },
            || Error::Changed { what: "logical cloud", name: "lc-1".to_owned(), expected: false },
            || store::Error::Conflict { key: key() }.into(),
            || store::Error::Expired.into(),
            || store::Error::OutcomeUnknown { key: key(), source: "s3cret".into() }.into(),
            || store::Error::Unavailable("s3cret".into()).into(),
            || store::Error::Timeout.into(),
            || store::Error::TooLarge { key: key(), size: 17, limit: 16 }.into(),
            || gateway::Error::Unknown { fix: "name one".to_owned() }.into(),
            || gateway::Error::Unavailable { retry_after: Duration::from_secs(3), source: "s3cret".into() }.into(),
            || gateway::Error::Timeout.into(),
            || gateway::Error::Denied("who are you?".into()).into(),
            || gateway::Error::Internal("s3cret".into()).into(),
        ];
        for make in errors {
            let status = sent(write(make()));
            assert!(!format!("{status:?}").contains("s3cret"), "causes stay at home: {status:?}");
            let read = read(status);
            assert_eq!(shown(&read), shown(&make()));
            assert_eq!(read.kind(), make().kind());
        }
    }

    #[test]
    fn what_is_broken_there_is_told_without_what_it_is() {
        let errors: [fn() -> Error; 2] = [
            || secret::Error::UnknownKey { key_id: "s3cret".to_owned() }.into(),
            || store::Error::Corrupt { key: key(), reason: "s3cret".to_owned() }.into(),
        ];
        for make in errors {
            let status = sent(write(make()));
            assert!(!format!("{status:?}").contains("s3cret"), "{status:?}");
            assert_eq!(read(status).kind(), make().kind());
        }
    }

    #[test]
    fn statuses_of_others_have_a_meaning_too() {
        let read = |code| read(Status::new(code, "text"));
        for code in [Code::Unavailable, Code::ResourceExhausted, Code::Aborted, Code::Unimplemented] {
            assert!(matches!(read(code), Error::Gateway(gateway::Error::Unavailable { .. })), "{code:?}");
        }
        for code in [Code::Unauthenticated, Code::PermissionDenied] {
            assert!(matches!(read(code), Error::Gateway(gateway::Error::Denied(_))), "{code:?}");
        }
        for code in [Code::DeadlineExceeded, Code::Cancelled] {
            assert!(matches!(read(code), Error::Gateway(gateway::Error::Timeout)), "{code:?}");
        }
        assert!(matches!(read(Code::OutOfRange), Error::Refused(_)));
        for code in [Code::Unknown, Code::Internal, Code::DataLoss, Code::NotFound, Code::InvalidArgument, Code::Ok] {
            assert!(matches!(read(code), Error::Gateway(gateway::Error::Internal(_))), "{code:?}");
        }
    }

    #[test]
    fn every_kind_of_record_that_the_core_names_is_known() {
        let known = |what: &'static str| shown(&read(sent(write(Error::NotFound { what, name: "n".to_owned() }))));
        for what in RECORDS {
            assert!(known(what).contains(what), "{what}");
        }
        assert!(known("something new").contains("record"));
    }
}
