//! What is told where a request is not served: RFC 9457.

use std::collections::HashSet;

use axum::{
    body::Body,
    response::{IntoResponse, Response},
};
use dcm_core::{
    error::{Error, ErrorKind},
    fault::{Fault, Faults},
    gateway, store,
};
use http::{HeaderName, HeaderValue, Method, StatusCode, Uri, header};
use serde::Serialize;

use super::{dto::NotJson, patch};
use crate::status::{Kind, Meaning};

/// RFC 5789, section 3.1.
const ACCEPT_PATCH: HeaderName = HeaderName::from_static("accept-patch");

/// Why a request was not served. Becomes an answer at the rim, which knows path and request id.
#[derive(Clone, Debug)]
pub(crate) struct Problem(Box<Inner>);

#[derive(Clone, Debug)]
struct Inner {
    kind: Kind,
    detail: String,
    errors: Vec<Named>,
    retry_after: Option<u64>,
    /// What the client needs to do better.
    hint: Option<(HeaderName, HeaderValue)>,
    /// For the log only.
    cause: Option<String>,
}

/// What a client may be told of a problem, whatever he speaks.
#[derive(Debug)]
pub(crate) struct Telling {
    pub(crate) meaning: Meaning,
    pub(crate) detail: String,
    pub(crate) errors: Vec<Named>,
    /// When to try again, in seconds.
    pub(crate) retry_after: Option<u64>,
}

/// One thing that is wrong: a field of the body, or a parameter.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Named {
    #[serde(skip_serializing_if = "Option::is_none")]
    pointer: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parameter: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    header: Option<&'static str>,
    detail: String,
}

impl Named {
    /// Which field, parameter or header field it is.
    pub(crate) fn place(&self) -> &str {
        self.pointer.as_deref().or(self.parameter.as_deref()).or(self.header).unwrap_or_default()
    }

    /// What is wrong, and what is allowed.
    pub(crate) fn detail(&self) -> &str {
        &self.detail
    }
}

/// The body of the answer.
#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Document<'a> {
    #[serde(rename = "type")]
    type_uri: String,
    title: &'static str,
    status: u16,
    detail: &'a str,
    instance: &'a str,
    #[serde(skip_serializing_if = "<[Named]>::is_empty")]
    errors: &'a [Named],
    request_id: &'a str,
}

impl Problem {
    pub(crate) fn new(kind: Kind, detail: impl Into<String>) -> Self {
        let (detail, retry_after) = (detail.into(), kind.meaning().retry_after);
        Self(Box::new(Inner { kind, detail, errors: Vec::new(), retry_after, hint: None, cause: None }))
    }

    /// A parameter of the path or the query is wrong.
    pub(crate) fn parameter(name: &str, detail: impl std::fmt::Display) -> Self {
        let mut problem = Self::new(Kind::Malformed, format!("the parameter {name:?} {detail}"));
        let error = Named { pointer: None, parameter: Some(name.to_owned()), header: None, detail: detail.to_string() };
        problem.0.errors.push(error);
        problem
    }

    /// Several parameters are wrong; `problems` has at least one.
    pub(crate) fn all(problems: impl IntoIterator<Item = Self>) -> Self {
        let mut problems = problems.into_iter();
        let Some(mut first) = problems.next() else { return Self::bug("nothing is wrong, and was refused") };
        for other in problems {
            first.0.errors.extend(other.0.errors);
        }
        if first.0.errors.len() > 1 {
            first.0.detail = format!("{} parameters are not valid; \"errors\" names them", first.0.errors.len());
        }
        first
    }

    /// A header field is wrong.
    pub(crate) fn header(name: &'static str, detail: &str) -> Self {
        let mut problem = Self::new(Kind::Malformed, format!("the header field {name} {detail}"));
        let error = Named { pointer: None, parameter: None, header: Some(name), detail: detail.to_owned() };
        problem.0.errors.push(error);
        problem
    }

    /// A bug of ours.
    pub(crate) fn bug(cause: impl Into<String>) -> Self {
        let mut problem = Self::new(Kind::Bug, String::new());
        problem.0.cause = Some(cause.into());
        problem
    }

    /// With a header field that says how to do better.
    pub(crate) fn hint(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.0.hint = Some((name, value));
        self
    }

    /// What it is called where it is told.
    pub(crate) const fn kind(&self) -> Kind {
        self.0.kind
    }

    pub(crate) fn status(&self) -> StatusCode {
        self.0.kind.meaning().status
    }

    /// Whether somebody else was faster.
    pub(crate) fn is_lost_race(&self) -> bool {
        matches!(self.0.kind, Kind::Core(ErrorKind::Conflict | ErrorKind::PreconditionFailed))
    }

    /// With another time after which to try again, in seconds.
    pub(crate) fn retry_after(mut self, seconds: u64) -> Self {
        self.0.retry_after = Some(seconds);
        self
    }

    /// Writes the answer, and logs what only the operator may see, once.
    pub(crate) fn render(self, method: &Method, uri: &Uri, request_id: &str) -> Response {
        let (status, retry_after, hint) = (self.status(), self.0.retry_after, self.0.hint.clone());
        let body = self.document(method, uri, request_id);
        let mut response = Response::new(Body::from(body));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if status == StatusCode::UNSUPPORTED_MEDIA_TYPE && *method == Method::PATCH {
            headers.insert(ACCEPT_PATCH, HeaderValue::from_static(patch::ACCEPTED));
        }
        if let Some(seconds) = retry_after {
            headers.insert(header::RETRY_AFTER, seconds.into());
        }
        if let Some((name, value)) = hint {
            headers.insert(name, value);
        }
        response
    }

    /// Writes the body of the answer, and logs what only the operator may see, once.
    pub(super) fn document(self, method: &Method, uri: &Uri, request_id: &str) -> Vec<u8> {
        let Telling { meaning, detail, errors, .. } = self.tell(method, uri, request_id);
        let document = Document {
            type_uri: meaning.type_uri(),
            title: meaning.title,
            status: meaning.status.as_u16(),
            detail: &detail,
            instance: uri.path(),
            errors: &errors,
            request_id,
        };
        serde_json::to_vec(&document).unwrap_or_default()
    }

    /// What a client may be told; logs what only the operator may see, once.
    pub(crate) fn tell(self, method: &Method, uri: &Uri, request_id: &str) -> Telling {
        let Inner { kind, mut detail, errors, cause, retry_after, .. } = *self.0;
        let meaning = kind.meaning();
        if kind.is_ours() {
            let cause = cause.as_deref().unwrap_or_default();
            if meaning.status == StatusCode::INTERNAL_SERVER_ERROR {
                detail = format!("the failure is in the server's log under the request id {request_id}");
                tracing::error!(request_id, %method, path = uri.path(), cause, "a request failed inside");
            } else {
                tracing::warn!(request_id, %method, path = uri.path(), cause, "a request could not be served");
            }
        }
        Telling { meaning, detail, errors, retry_after }
    }
}

/// Carries the problem to the rim, where it is rendered.
impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = self.status();
        response.extensions_mut().insert(self);
        response
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        let kind = Kind::Core(error.kind());
        let detail = match &error {
            Error::Invalid(faults) => return Self::from_faults(faults),
            Error::Store(store::Error::OutcomeUnknown { .. }) => {
                "whether it was stored is not known; read it back before you try again".to_owned()
            }
            Error::Store(_) => match error.kind() {
                ErrorKind::TooLarge => "the record is too large to be stored".to_owned(),
                ErrorKind::Expired => "the position is too old, or not one of this list; begin without it".to_owned(),
                ErrorKind::Conflict => "somebody else changed it at the same time; try again".to_owned(),
                _ => "the store cannot serve now; try again later".to_owned(),
            },
            other => other.to_string(),
        };
        let mut problem = Self::new(kind, detail);
        if let Error::NotReady { retry_after, .. } = &error {
            problem.0.retry_after = Some(*retry_after);
        }
        if let Error::Gateway(gateway::Error::Unavailable { retry_after, .. }) = &error {
            // Whole seconds, and never at once.
            let seconds = retry_after.as_secs() + u64::from(retry_after.subsec_nanos() > 0);
            problem.0.retry_after = Some(seconds.max(1));
        }
        if kind.is_ours() {
            problem.0.cause = Some(crate::telemetry::chain(&error).to_string());
        }
        problem
    }
}

impl From<NotJson> for Problem {
    fn from(error: NotJson) -> Self {
        Self::new(Kind::Malformed, format!("the body {error}"))
    }
}

impl Problem {
    fn from_faults(faults: &Faults) -> Self {
        let named = worth_naming(faults.as_slice());
        let detail = match named.as_slice() {
            [one] if one.pointer.is_empty() => format!("the body {}", one.detail),
            [one] => format!("{} {}", one.pointer, one.detail),
            _ if faults.is_full() => {
                format!("more than {0} fields are not valid; \"errors\" names the first {0}", Faults::MOST)
            }
            more => format!("{} fields are not valid; \"errors\" names them", more.len()),
        };
        let mut problem = Self::new(Kind::Core(ErrorKind::Invalid), detail);
        let error = |fault: &&Fault| Named {
            pointer: Some(fault.pointer.clone()),
            parameter: None,
            header: None,
            detail: fault.detail.clone(),
        };
        problem.0.errors = named.iter().map(error).collect();
        problem
    }
}

/// Leaves out that a field is required where it, what should hold it, or something in it is there and wrong.
fn worth_naming(faults: &[Fault]) -> Vec<&Fault> {
    let (mut wrong, mut holding_wrong) = (HashSet::new(), HashSet::new());
    let mut named = Vec::with_capacity(faults.len());
    for fault in faults {
        let pointer = fault.pointer.as_str();
        let is_there =
            || holding_wrong.contains(pointer) || wrong.contains(pointer) || above(pointer).any(|p| wrong.contains(p));
        if !(fault.detail.starts_with("is required") && is_there()) {
            wrong.insert(pointer);
            holding_wrong.extend(above(pointer));
            named.push(fault);
        }
    }
    named
}

/// The pointers to what holds the field, from the inside out.
fn above(pointer: &str) -> impl Iterator<Item = &str> {
    pointer.rmatch_indices('/').map(|(at, _)| &pointer[..at])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_that_is_there_and_wrong_is_not_said_to_be_missing() {
        let mut faults = Faults::new();
        faults.add("/spec", "must be an object, not a text");
        faults.add("/spec/namespace", "is required");
        faults.add("/metadata/name", "is required");
        faults.add("/verbs/0", "must be a text, not a number");
        faults.add("/verbs", "is required");
        let named: Vec<&str> = worth_naming(faults.as_slice()).iter().map(|f| f.pointer.as_str()).collect();
        assert_eq!(named, ["/spec", "/metadata/name", "/verbs/0"]);
    }
}
