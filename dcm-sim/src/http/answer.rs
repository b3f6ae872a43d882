//! Answers.

use std::io;

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderValue, Response, StatusCode};
use http_body::Frame;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use serde::Serialize;
use serde::ser::SerializeMap;
use serde_json::Value;

use super::view::View;
use crate::api::read::List;
use crate::status::Refusal;

/// The body of an answer: whole, or a stream.
pub(crate) type Body = UnsyncBoxBody<Bytes, io::Error>;

pub(super) fn bytes(code: u16, content_type: &'static str, bytes: impl Into<Bytes>) -> Response<Body> {
    let body = Full::new(bytes.into()).map_err(|never| match never {}).boxed_unsync();
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

pub(super) fn object(code: u16, value: &impl Serialize) -> Response<Body> {
    match serde_json::to_vec(value) {
        Ok(body) => bytes(code, "application/json", body),
        Err(error) => refusal(&Refusal::internal(error.to_string())),
    }
}

pub(super) fn refusal(refusal: &Refusal) -> Response<Body> {
    let body = refusal.body().to_string();
    let mut response = bytes(refusal.code, "application/json", body);
    if let Some(seconds) = refusal.retry_after {
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

/// The refusal that a fault stands for.
pub(super) fn fault(code: u16, retry_after: Option<u64>) -> Refusal {
    let (reason, message) = match code {
        401 => ("Unauthorized", "Unauthorized"),
        403 => ("Forbidden", "forbidden by a fault of the simulation"),
        404 => ("NotFound", "the server could not find the requested resource"),
        409 => {
            ("Conflict", "the object has been modified; please apply your changes to the latest version and try again")
        }
        410 => ("Expired", "too old resource version"),
        429 => ("TooManyRequests", "too many requests, please try again later"),
        503 => ("ServiceUnavailable", "the server is currently unable to handle the request"),
        504 => ("Timeout", "the server was unable to return a response in the time allotted"),
        _ => ("InternalError", "an error on the server has prevented the request from succeeding"),
    };
    Refusal { retry_after, ..Refusal::new(code, reason, message) }
}

/// A list, written without copying its objects.
pub(super) fn list(list: &List, view: View) -> Response<Body> {
    object(200, &ListBody { list, view })
}

struct ListBody<'a> {
    list: &'a List,
    view: View,
}

impl Serialize for ListBody<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(4))?;
        let (kind, api_version) = self.view.list_type(&self.list.kind);
        map.serialize_entry("kind", &kind)?;
        map.serialize_entry("apiVersion", api_version)?;
        map.serialize_entry("metadata", &self.list.metadata())?;
        match self.view {
            View::Full => {
                let items: Vec<Untyped<'_>> = self.list.items.iter().map(|item| Untyped(item)).collect();
                map.serialize_entry("items", &items)?;
            }
            View::Metadata => {
                let items: Vec<_> = self.list.items.iter().map(|item| self.view.object(item)).collect();
                map.serialize_entry("items", &items)?;
            }
        }
        map.end()
    }
}

/// An object without its type, which the list has already: so do real servers.
struct Untyped<'a>(&'a Value);

impl Serialize for Untyped<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let entries = self.0.as_object().into_iter().flatten();
        serializer.collect_map(entries.filter(|(key, _)| *key != "kind" && *key != "apiVersion"))
    }
}

/// The first half of an answer that promised to be whole.
pub(super) async fn cut(response: Response<Body>) -> Response<Body> {
    let (mut parts, body) = response.into_parts();
    let whole = match tokio::time::timeout(std::time::Duration::from_millis(100), body.collect()).await {
        Ok(Ok(whole)) => whole.to_bytes(),
        // A watch has no end: its first half is nothing at all.
        _ => Bytes::new(),
    };
    parts.headers.insert(CONTENT_LENGTH, HeaderValue::from(whole.len().max(2)));
    let half = whole.slice(..whole.len() / 2);
    let broken = io::Error::new(io::ErrorKind::ConnectionReset, "cut by a fault of the simulation");
    let frames = futures_util::stream::iter([Ok(Frame::data(half)), Err(broken)]);
    Response::from_parts(parts, StreamBody::new(frames).boxed_unsync())
}
