//! Answers that hold JSON.

use std::{
    fmt::Write as _,
    io,
    sync::{Arc, Mutex, PoisonError},
};

use axum::{
    body::Body,
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use dcm_core::store::Revision;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;

use super::{body::JSON, problem::Problem};

/// All `Warning` headers of an answer together have at most so many bytes.
const MOST_WARNINGS: usize = 4096;

/// Of more warnings than this, none has room.
const MOST_TEXTS: usize = 256;

/// What is encoded in a segment of a path: all that RFC 3986 does not leave to everybody (section 2.3).
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// An answer's JSON.
pub(super) fn write(body: &impl Serialize) -> Result<Vec<u8>, Problem> {
    let mut json = Vec::with_capacity(1024);
    match serde_json::to_writer(&mut json, body) {
        Ok(()) => Ok(json),
        Err(error) => Err(Problem::bug(format!("an answer has no JSON form: {error}"))),
    }
}

/// An answer's JSON, where it has at most so many bytes.
pub(super) fn write_at_most(body: &impl Serialize, most: usize) -> Result<Option<Vec<u8>>, Problem> {
    let mut bounded = Bounded { json: Vec::with_capacity(1024), most };
    match serde_json::to_writer(&mut bounded, body) {
        Ok(()) => Ok(Some(bounded.json)),
        Err(error) if error.is_io() => Ok(None),
        Err(error) => Err(Problem::bug(format!("an answer has no JSON form: {error}"))),
    }
}

/// Takes so many bytes and no more.
struct Bounded {
    json: Vec<u8>,
    most: usize,
}

impl io::Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.json.len().saturating_add(bytes.len()) > self.most {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.json.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// An answer in the making.
#[derive(Debug)]
pub(super) struct Reply(Response);

impl Reply {
    pub(super) fn new(status: StatusCode, body: &impl Serialize) -> Self {
        match write(body) {
            Ok(json) => Self::of(status, json.into()),
            Err(problem) => Self(problem.into_response()),
        }
    }

    fn of(status: StatusCode, json: Bytes) -> Self {
        let mut response = Response::new(Body::from(json));
        *response.status_mut() = status;
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(JSON));
        Self(response)
    }

    /// JSON that [`write`] has written before.
    pub(super) fn written(json: Arc<[u8]>) -> Self {
        Self::of(StatusCode::OK, Bytes::from_owner(json))
    }

    /// JSON that was written before.
    pub(super) fn json(json: Vec<u8>) -> Self {
        Self::of(StatusCode::OK, json.into())
    }

    pub(super) fn ok(body: &impl Serialize) -> Self {
        Self::new(StatusCode::OK, body)
    }

    pub(super) fn created(body: &impl Serialize) -> Self {
        Self::new(StatusCode::CREATED, body)
    }

    pub(super) fn accepted(body: &impl Serialize) -> Self {
        Self::new(StatusCode::ACCEPTED, body)
    }

    /// With the state of the stored document.
    pub(super) fn revision(mut self, revision: &Revision) -> Self {
        if let Ok(tag) = HeaderValue::from_str(&format!("\"{revision}\"")) {
            self.0.headers_mut().insert(header::ETAG, tag);
        }
        self
    }

    /// Of a record that was made under this name in the collection that the request went to.
    pub(super) fn made(mut self, name: &str) -> Self {
        self.0.extensions_mut().insert(Made(utf8_percent_encode(name, ENCODED).to_string()));
        self
    }

    /// With warnings for the client.
    pub(super) fn warnings(mut self, warnings: &Warnings) -> Self {
        warnings.add_to(self.0.headers_mut());
        self
    }
}

impl IntoResponse for Reply {
    fn into_response(self) -> Response {
        self.0
    }
}

/// The last segment of the path of a record that was made. The edge, which knows the rest of it, says where it is.
#[derive(Clone, Debug)]
pub(super) struct Made(String);

impl Made {
    /// The record's path, below that of its collection.
    pub(super) fn location(&self, collection: &str) -> Option<HeaderValue> {
        HeaderValue::try_from(format!("{}/{}", collection.trim_end_matches('/'), self.0)).ok()
    }
}

/// Stands for the warnings that there is no room for.
const MORE: &str = "299 - \"there are more warnings\"";

/// What a client should know although it was served.
#[derive(Clone, Debug, Default)]
pub(super) struct Warnings(Vec<String>);

impl Warnings {
    pub(super) fn add(&mut self, text: String) {
        self.0.push(text);
    }

    pub(super) fn extend(&mut self, texts: impl IntoIterator<Item = String>) {
        let room = MOST_TEXTS.saturating_sub(self.0.len());
        self.0.extend(texts.into_iter().take(room));
    }

    /// Writes them into an answer's header, as far as there is room beside those that are there.
    pub(super) fn add_to(&self, headers: &mut HeaderMap) {
        // Header name and separators count too.
        let size = |text: &str| text.len() + 16;
        let there: usize =
            headers.get_all(header::WARNING).iter().map(|value| size(value.to_str().unwrap_or_default())).sum();
        let mut room = MOST_WARNINGS.saturating_sub(there);
        let mut add = |text: &str| {
            if let Ok(value) = HeaderValue::from_str(text) {
                headers.append(header::WARNING, value);
            }
        };
        for (i, warning) in self.0.iter().enumerate() {
            let text = warning_header(warning);
            // Unless it is the last, the note that there are more must fit behind it.
            let behind = if i + 1 < self.0.len() { size(MORE) } else { 0 };
            match room.checked_sub(size(&text)) {
                Some(left) if left >= behind => {
                    add(&text);
                    room = left;
                }
                _ => {
                    if room >= size(MORE) {
                        add(MORE);
                    }
                    return;
                }
            }
        }
    }
}

/// What was found in a request's body, for an answer that is a problem: a handler that fails keeps nothing else of it. Lies in the
/// request's extensions.
#[derive(Clone, Debug, Default)]
pub(super) struct Told(Arc<Mutex<Warnings>>);

impl Told {
    /// Notes the warnings, in place of those from before.
    pub(super) fn note(&self, warnings: &Warnings) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone_from(warnings);
    }

    pub(super) fn add_to(&self, headers: &mut HeaderMap) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).add_to(headers);
    }
}

/// RFC 7234, section 5.5, as Kubernetes uses it.
fn warning_header(text: &str) -> String {
    let mut header = "299 - \"".to_owned();
    for c in text.chars().take(256) {
        match c {
            '"' | '\\' => {
                header.push('\\');
                header.push(c);
            }
            ' '..='~' => header.push(c),
            _ => {
                let _ = write!(header, "?");
            }
        }
    }
    header.push('"');
    header
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn warnings_stay_below_their_bound_and_are_valid_header_fields() {
        let mut warnings = Warnings::default();
        warnings.extend((0..1000).map(|i| format!("unknown field /spec/ä\"\\\n{i}")));
        let response = Reply::ok(&1).warnings(&warnings).into_response();
        let headers: Vec<_> = response.headers().get_all(header::WARNING).iter().collect();
        let bytes: usize = headers.iter().map(|header| header.len()).sum();
        assert!(headers.len() > 50 && bytes <= MOST_WARNINGS, "{} of {bytes} bytes", headers.len());
        assert_eq!(headers[0], r#"299 - "unknown field /spec/?\"\\?0""#);
    }

    #[test]
    fn where_warnings_are_left_out_a_note_says_so() {
        for length in 1..300 {
            let mut warnings = Warnings::default();
            warnings.extend((0..1000).map(|_| "x".repeat(length)));
            let response = Reply::ok(&1).warnings(&warnings).into_response();
            let headers: Vec<_> = response.headers().get_all(header::WARNING).iter().collect();
            let bytes: usize = headers.iter().map(|header| header.len() + 16).sum();
            assert!(headers.last().is_some_and(|last| *last == MORE) && bytes <= MOST_WARNINGS, "{length}: {bytes}");
        }
    }

    #[test]
    fn an_answer_that_would_be_too_large_is_not_written() {
        let list = vec!["x"; 10];
        assert_eq!(write_at_most(&list, 41).ok(), Some(Some(serde_json::to_vec(&list).unwrap())));
        assert_eq!(write_at_most(&list, 40).ok(), Some(None));
    }

    #[test]
    fn a_few_warnings_are_all_told() {
        let mut warnings = Warnings::default();
        warnings.add("one".to_owned());
        warnings.add("two".to_owned());
        let response = Reply::ok(&1).warnings(&warnings).into_response();
        assert_eq!(response.headers().get_all(header::WARNING).iter().count(), 2);
    }
}
