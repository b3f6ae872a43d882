//! Errors as statuses with details, and back: two total maps.

use std::{collections::HashMap, error::Error as _, sync::Arc, time::Duration};

use dcm_core::{
    ca::{Error, Generation, UnusableReason},
    fault::Faults,
    model::Uid,
    name::ClusterIdentity,
};
use tonic::{Code, Status, TimeoutExpired};
use tonic_types::{ErrorDetails, FieldViolation, StatusExt as _};

const DOMAIN: &str = "dcm.ca.v1";

const UNKNOWN_CLOUD: &str = "UNKNOWN_CLOUD";
const NOT_ISSUED: &str = "NOT_ISSUED";
const OTHER_KEY: &str = "OTHER_KEY";
const REVOKED: &str = "REVOKED";
const ROOT_RETIRED: &str = "ROOT_RETIRED";
const FORGOTTEN: &str = "FORGOTTEN";
const OUT_OF_ORDER: &str = "OUT_OF_ORDER";
const UNSUPPORTED: &str = "UNSUPPORTED";

/// Where a request for an intermediate has the uid of its cloud.
pub(super) const OF_CLOUD: &str = "cloud.uid";

/// Where all others have it.
pub(super) const ALONE: &str = "cloud_uid";

/// Fields as the port names them, and as requests do.
const FIELDS: [(&str, &str); 9] = [
    ("/csr", "csr_pem"),
    ("/cluster", "cluster"),
    ("/generation", "generation"),
    ("/step", "step"),
    ("/uid", OF_CLOUD),
    ("/uid", ALONE),
    ("/project", "cloud.project"),
    ("/logical-cloud", "cloud.name"),
    ("/trust-domain", "cloud.trust_domain"),
];

/// What a client is told whose request has its cloud's uid in the field `uid`. Failures of the CA itself keep their cause as the
/// status's source, for whoever serves it to log: it is not sent.
pub(super) fn write(error: Error, uid: &str) -> Status {
    let text = error.to_string();
    match error {
        Error::Invalid(faults) => {
            let violations: Vec<_> =
                faults.as_slice().iter().map(|fault| violation(&fault.pointer, &fault.detail, uid)).collect();
            Status::with_error_details(Code::InvalidArgument, text, ErrorDetails::with_bad_request(violations))
        }
        Error::UnknownCloud { cloud } => told(Code::NotFound, text, UNKNOWN_CLOUD, [("cloud", cloud.to_string())]),
        Error::NotIssued { cluster, generation } => about(Code::NotFound, text, NOT_ISSUED, &cluster, generation),
        Error::OtherKey { cluster, generation } => about(Code::AlreadyExists, text, OTHER_KEY, &cluster, generation),
        Error::Unusable { cluster, generation, reason } => {
            let reason = match reason {
                UnusableReason::Revoked => REVOKED,
                UnusableReason::RootRetired => ROOT_RETIRED,
            };
            about(Code::FailedPrecondition, text, reason, &cluster, generation)
        }
        Error::Forgotten { cloud } => told(Code::FailedPrecondition, text, FORGOTTEN, [("cloud", cloud.to_string())]),
        Error::OutOfOrder(_) => told(Code::FailedPrecondition, text, OUT_OF_ORDER, []),
        Error::Unsupported { what, instead } => {
            told(Code::Unimplemented, text, UNSUPPORTED, [("what", what), ("instead", instead)])
        }
        Error::Denied(reason) => Status::permission_denied(reason),
        Error::Unavailable { retry_after, source } => {
            let mut status = later(Code::Unavailable, text, retry_after);
            status.set_source(Arc::from(source));
            status
        }
        Error::Timeout { retry_after } => later(Code::DeadlineExceeded, text, retry_after),
        Error::Internal(source) => {
            let mut status = Status::internal(text);
            status.set_source(Arc::from(source));
            status
        }
    }
}

fn told<const N: usize>(code: Code, text: String, reason: &str, metadata: [(&str, String); N]) -> Status {
    let metadata: HashMap<String, String> =
        metadata.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    Status::with_error_details(code, text, ErrorDetails::with_error_info(reason, DOMAIN, metadata))
}

fn about(code: Code, text: String, reason: &str, cluster: &ClusterIdentity, generation: Generation) -> Status {
    told(code, text, reason, [("cluster", cluster.to_string()), ("generation", generation.to_string())])
}

fn later(code: Code, text: String, retry_after: Duration) -> Status {
    Status::with_error_details(code, text, ErrorDetails::with_retry_info(Some(retry_after)))
}

fn violation(pointer: &str, detail: &str, uid: &str) -> FieldViolation {
    let is_of = |field: &str| ![OF_CLOUD, ALONE].contains(&field) || field == uid;
    let field = FIELDS.iter().find(|(known, field)| *known == pointer && is_of(field));
    let field = field.map_or(pointer, |(_, field)| field);
    FieldViolation::new(field, detail)
}

/// What a CA's answer means.
pub(super) fn read(status: Status) -> Error {
    let details = status.get_error_details();
    let retry_after = || {
        let told = details.retry_info().and_then(|info| info.retry_delay);
        told.unwrap_or(Error::RETRY_AFTER)
    };
    let reason = details.error_info().filter(|info| info.domain == DOMAIN);
    if let Some(error) = reason.and_then(|info| meaning(&info.reason, &info.metadata, status.message())) {
        return error;
    }
    match status.code() {
        Code::InvalidArgument | Code::OutOfRange => Error::Invalid(faults(&details, status.message())),
        Code::Unauthenticated | Code::PermissionDenied => Error::Denied(status.message().to_owned()),
        Code::DeadlineExceeded => Error::Timeout { retry_after: retry_after() },
        // What tonic says where time is up, on either side.
        Code::Cancelled if status.source().is_none_or(is_timeout) => Error::Timeout { retry_after: retry_after() },
        Code::Unavailable | Code::ResourceExhausted | Code::Aborted | Code::Cancelled => {
            Error::Unavailable { retry_after: retry_after(), source: Box::new(status) }
        }
        // Made on this side: the connection broke, and what was sent may be repeated.
        _ if status.source().is_some() => {
            Error::Unavailable { retry_after: Error::RETRY_AFTER, source: Box::new(status) }
        }
        Code::Unimplemented => Error::Unsupported {
            what: "dcm.ca.v1.CaKeyDistribution".to_owned(),
            instead: "give DCM the address of a CA that serves it".to_owned(),
        },
        _ => Error::Internal(Box::new(status)),
    }
}

fn is_timeout(error: &(dyn std::error::Error + 'static)) -> bool {
    error.is::<TimeoutExpired>() || error.source().is_some_and(is_timeout)
}

fn meaning(reason: &str, metadata: &HashMap<String, String>, text: &str) -> Option<Error> {
    let field = |name: &str| metadata.get(name).map(String::as_str);
    let cluster = || field("cluster")?.parse::<ClusterIdentity>().ok();
    let generation = || Generation::new(field("generation")?.parse().ok()?);
    let unusable = |reason| Some(Error::Unusable { cluster: cluster()?, generation: generation()?, reason });
    match reason {
        UNKNOWN_CLOUD => Some(Error::UnknownCloud { cloud: Uid::parse(field("cloud")?).ok()? }),
        NOT_ISSUED => Some(Error::NotIssued { cluster: cluster()?, generation: generation()? }),
        OTHER_KEY => Some(Error::OtherKey { cluster: cluster()?, generation: generation()? }),
        REVOKED => unusable(UnusableReason::Revoked),
        ROOT_RETIRED => unusable(UnusableReason::RootRetired),
        FORGOTTEN => Some(Error::Forgotten { cloud: Uid::parse(field("cloud")?).ok()? }),
        OUT_OF_ORDER => Some(Error::OutOfOrder(text.to_owned())),
        UNSUPPORTED => {
            let (what, instead) = (field("what")?.to_owned(), field("instead")?.to_owned());
            Some(Error::Unsupported { what, instead })
        }
        _ => None,
    }
}

fn faults(details: &ErrorDetails, text: &str) -> Faults {
    let mut faults = Faults::new();
    for violation in details.bad_request().map_or(&[][..], |request| &request.field_violations) {
        let field = violation.field.as_str();
        let pointer = FIELDS.iter().find(|(_, known)| *known == field).map_or(field, |(pointer, _)| pointer);
        faults.add(pointer, violation.description.clone());
    }
    if faults.is_empty() {
        faults.add("", text);
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What can be told of an error must be the same on both sides.
    fn shown(error: &Error) -> String {
        match error {
            Error::Unavailable { retry_after, .. } => format!("unavailable, {retry_after:?}"),
            Error::Internal(_) => "internal".to_owned(),
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn each_error_means_the_same_on_the_other_side() {
        let cluster = || "c1".parse::<ClusterIdentity>().unwrap();
        let generation = Generation::new(7).unwrap();
        let mut faults = Faults::new();
        for (pointer, _) in FIELDS {
            faults.add(pointer, format!("{pointer} is wrong: \"ä\"\n"));
        }
        let errors: [fn(ClusterIdentity, Generation, Faults) -> Error; 12] = [
            |_, _, faults| Error::Invalid(faults),
            |_, _, _| Error::UnknownCloud { cloud: Uid::from_random([3; 16]) },
            |cluster, generation, _| Error::NotIssued { cluster, generation },
            |cluster, generation, _| Error::OtherKey { cluster, generation },
            |cluster, generation, _| Error::Unusable { cluster, generation, reason: UnusableReason::Revoked },
            |cluster, generation, _| Error::Unusable { cluster, generation, reason: UnusableReason::RootRetired },
            |_, _, _| Error::Forgotten { cloud: Uid::from_random([4; 16]) },
            |_, _, _| Error::OutOfOrder("not now: \"ä\"".to_owned()),
            |_, _, _| Error::Unsupported { what: "rotation".to_owned(), instead: "do it there".to_owned() },
            |_, _, _| Error::Denied("who are you?".to_owned()),
            |_, _, _| Error::Unavailable { retry_after: Duration::from_millis(1500), source: "secret".into() },
            |_, _, _| Error::Timeout { retry_after: Duration::from_secs(3) },
        ];
        for make in errors {
            let same = make(cluster(), generation, faults.clone());
            for uid in [OF_CLOUD, ALONE] {
                let one = make(cluster(), generation, faults.clone());
                assert_eq!(shown(&read(sent(write(one, uid)))), shown(&same));
            }
        }
        let internal = sent(write(Error::Internal("s3cret".into()), ALONE));
        assert!(!format!("{internal:?}").contains("s3cret"), "causes stay at home");
        assert!(matches!(read(internal), Error::Internal(_)));
    }

    /// As it comes out of the wire.
    fn sent(status: Status) -> Status {
        let response = status.into_http::<()>();
        Status::from_header_map(response.headers()).unwrap()
    }

    #[test]
    fn statuses_that_no_ca_sends_have_a_meaning_too() {
        let read = |code| read(Status::new(code, "text"));
        assert!(matches!(read(Code::InvalidArgument), Error::Invalid(faults) if !faults.is_empty()));
        assert!(matches!(read(Code::Unauthenticated), Error::Denied(_)));
        assert!(matches!(read(Code::Unimplemented), Error::Unsupported { .. }));
        assert!(matches!(read(Code::Cancelled), Error::Timeout { .. }));
        for code in [Code::Unavailable, Code::ResourceExhausted, Code::Aborted] {
            assert!(matches!(read(code), Error::Unavailable { .. }), "{code:?}");
        }
        for code in [Code::Unknown, Code::Internal, Code::DataLoss, Code::NotFound, Code::AlreadyExists, Code::Ok] {
            assert!(matches!(read(code), Error::Internal(_)), "{code:?}");
        }
    }
}
