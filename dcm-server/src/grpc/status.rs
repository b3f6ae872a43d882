//! What is told where a call is not served: a status with `google.rpc` details, which say the same as a problem does over REST.

use std::{collections::HashMap, error::Error, fmt, sync::Arc, time::Duration};

use http::Method;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

use super::call::Call;
use crate::{
    http::Problem,
    status::{Kind, Meaning, name},
};

/// Who says so, in `ErrorInfo`.
const DOMAIN: &str = "dcm.onap.org";

/// All violations of one status together have at most so many bytes: many clients take no more than 8 KiB of header fields, and
/// details are written half as long again.
const MOST: usize = 3 * 1024;

/// A message has at most so many bytes as it is written, each that is not plain as three, for the same reason.
const LONGEST: usize = 1024;

/// The place of a violation that is cut has at most so many bytes.
const LONGEST_PLACE: usize = 512;

/// Stands where something was cut.
const CUT: &str = "...";

/// Carries a problem through tonic to the rim, which knows the method and the request's id.
#[derive(Debug)]
struct Carried(Problem);

impl fmt::Display for Carried {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a problem on its way to the rim")
    }
}

impl Error for Carried {}

/// A status that is not complete yet.
pub(super) fn carry(problem: Problem) -> Status {
    let mut status = Status::new(problem.kind().meaning().code, "");
    status.set_source(Arc::new(Carried(problem)));
    status
}

/// The status as its client gets it.
pub(super) fn complete(status: Status, call: &Call) -> Status {
    let carried = status.source().and_then(|source| source.downcast_ref::<Carried>());
    match carried.map(|carried| carried.0.clone()).or_else(|| of_tonic(&status)) {
        Some(problem) => render(problem, call),
        None => {
            log_cause(&status, call);
            status
        }
    }
}

/// What made a service fail is told to the operator only.
fn log_cause(status: &Status, call: &Call) {
    let Some(source) = status.source() else { return };
    let (request_id, path, code) = (call.id.as_str(), call.uri.path(), name(status.code()));
    let cause = crate::telemetry::chain(source);
    if matches!(status.code(), Code::Internal | Code::Unknown | Code::DataLoss) {
        tracing::error!(request_id, path, code, %cause, "a call failed inside");
    } else {
        tracing::warn!(request_id, path, code, %cause, "a call could not be served");
    }
}

/// What went wrong before a handler was called: with the message. What services of others say is `None`: theirs have details, or
/// a cause, which tonic's own have not.
fn of_tonic(status: &Status) -> Option<Problem> {
    if !status.details().is_empty() || status.source().is_some() {
        return None;
    }
    let (kind, detail) = match status.code() {
        Code::Unimplemented => (Kind::MediaType, format!("this is not served: {}", status.message())),
        Code::OutOfRange => (Kind::BodyTooLarge, "the message is too large".to_owned()),
        Code::Internal | Code::Unknown => {
            (Kind::Malformed, format!("the message cannot be read: {}", status.message()))
        }
        _ => return None,
    };
    Some(Problem::new(kind, detail))
}

/// Writes the status, and logs what only the operator may see, once.
pub(super) fn render(problem: Problem, call: &Call) -> Status {
    let told = problem.tell(&Method::POST, &call.uri, &call.id);
    let Meaning { status, code, slug, title, .. } = told.meaning;
    let mut details = ErrorDetails::new();
    let metadata = HashMap::from([
        ("type".to_owned(), told.meaning.type_uri()),
        ("title".to_owned(), title.to_owned()),
        ("status".to_owned(), status.as_u16().to_string()),
        ("instance".to_owned(), call.uri.path().to_owned()),
    ]);
    details.set_error_info(slug.replace('-', "_").to_ascii_uppercase(), DOMAIN, metadata);
    let mut room = MOST;
    for (told_already, error) in told.errors.iter().enumerate() {
        let Some(left) = room.checked_sub(error.place().len() + error.detail().len() + 8) else {
            if told_already == 0 {
                let place = cut(error.place(), LONGEST_PLACE, char::len_utf8);
                details.add_bad_request_violation(place, cut(error.detail(), MOST - LONGEST_PLACE, char::len_utf8));
                room = 0;
                continue;
            }
            details.add_bad_request_violation("", format!("has more faults than these {told_already}"));
            break;
        };
        room = left;
        details.add_bad_request_violation(error.place(), error.detail());
    }
    if let Some(seconds) = told.retry_after {
        details.set_retry_info(Some(Duration::from_secs(seconds)));
    }
    details.set_request_info(call.id.as_str(), "");
    Status::with_error_details(code, cut(&told.detail, LONGEST, written), details)
}

/// How many bytes a character of a message has in a header field.
const fn written(c: char) -> usize {
    match c {
        '"' | '#' | '%' | '<' | '>' | '`' | '?' | '{' | '}' => 3,
        '!'..='~' => 1,
        _ => 3 * c.len_utf8(),
    }
}

/// The text, or as much of it as has `most` bytes.
fn cut(text: &str, most: usize, size: impl Fn(char) -> usize) -> String {
    if text.chars().map(&size).sum::<usize>() <= most {
        return text.to_owned();
    }
    let mut room = most.saturating_sub(CUT.chars().map(&size).sum());
    let fitting = text.chars().map_while(|c| {
        room = room.checked_sub(size(c))?;
        Some(c)
    });
    fitting.chain(CUT.chars()).collect()
}

#[cfg(test)]
mod tests {
    use dcm_core::{error::Error, fault::Faults};

    use super::*;

    fn call() -> Call {
        Call { id: "r-1".to_owned(), uri: "/dcm.v1.LogicalClouds/Apply".parse().unwrap(), deadline: None }
    }

    #[test]
    fn a_problem_comes_out_as_it_went_in() {
        let problem = Problem::from(Error::NotReady { detail: "not yet".to_owned(), retry_after: 7 });
        let status = complete(carry(problem), &call());
        assert_eq!((status.code(), status.message()), (Code::FailedPrecondition, "not yet"));
        let details = status.get_error_details();
        let info = details.error_info().unwrap();
        assert_eq!((info.reason.as_str(), info.domain.as_str()), ("NOT_READY", DOMAIN));
        assert_eq!(info.metadata["status"], "409");
        assert_eq!(info.metadata["instance"], "/dcm.v1.LogicalClouds/Apply");
        assert_eq!(details.retry_info().unwrap().retry_delay, Some(Duration::from_secs(7)));
        assert_eq!(details.request_info().unwrap().request_id, "r-1");
    }

    #[test]
    fn a_status_fits_into_the_header_fields_of_every_client() {
        let mut faults = Faults::new();
        for i in 0..1000 {
            faults.add(format!("/spec/labels/{i}"), "must be something else than this, as everybody knows");
        }
        let status = render(Error::Invalid(faults).into(), &call());
        assert!(size(&status) < 8 * 1024, "{}", size(&status));
        let details = status.get_error_details();
        let named = &details.bad_request().unwrap().field_violations;
        assert_eq!(named[0].field, "/spec/labels/0");
        let last = named.last().unwrap();
        assert_eq!(last.description, format!("has more faults than these {}", named.len() - 1));
    }

    /// As a client counts header fields.
    fn size(status: &Status) -> usize {
        let response = status.clone().into_http::<()>();
        response.headers().iter().map(|(name, value)| name.as_str().len() + value.len() + 32).sum()
    }

    #[test]
    fn one_fault_that_is_too_long_is_cut_and_told() {
        for long in ["\u{1F512}", "a", "%", " "] {
            let mut faults = Faults::new();
            faults.add(format!("/{}", long.repeat(20_000)), long.repeat(20_000));
            faults.add("/spec", "is required");
            let status = render(Error::Invalid(faults).into(), &call());
            assert!(size(&status) < 8 * 1024, "{long}: {}", size(&status));
            let details = status.get_error_details();
            let named = &details.bad_request().unwrap().field_violations[0];
            assert!(named.field.starts_with('/') && named.description.contains(long), "{named:?}");
            assert!(named.field.len() <= LONGEST_PLACE && named.description.ends_with(CUT), "{named:?}");
            let status = render(Problem::new(Kind::Malformed, long.repeat(20_000)), &call());
            assert!(size(&status) < 4 * 1024 && status.message().ends_with(CUT), "{long}: {}", size(&status));
        }
    }

    #[test]
    fn nothing_is_told_of_a_bug() {
        let status = render(Problem::bug("s3cret"), &call());
        assert_eq!(status.code(), Code::Internal);
        assert_eq!(status.message(), "the failure is in the server's log under the request id r-1");
    }

    #[test]
    fn a_failure_of_a_service_stays_a_failure_and_its_cause_at_home() {
        let mut failed = Status::internal("the CA failed");
        failed.set_source(Arc::new(std::io::Error::other("s3cret")));
        let status = complete(failed, &call());
        assert_eq!((status.code(), status.message()), (Code::Internal, "the CA failed"));
        assert!(status.details().is_empty(), "it is not the request that is wrong");
        let response = status.into_http::<()>();
        assert!(!format!("{:?}", response.headers()).contains("s3cret"));
    }

    #[test]
    fn what_tonic_refuses_has_details_too() {
        for (code, reason) in [
            (Code::Unimplemented, "UNSUPPORTED_MEDIA_TYPE"),
            (Code::OutOfRange, "BODY_TOO_LARGE"),
            (Code::Internal, "MALFORMED"),
        ] {
            let status = complete(Status::new(code, "x"), &call());
            assert_eq!(status.get_error_details().error_info().unwrap().reason, reason);
        }
    }
}
