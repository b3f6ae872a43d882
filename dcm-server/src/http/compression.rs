//! Answers are compressed where the client takes that: gzip, for text of some size.
//!
//! Streams of events are not: each event would wait for the next. Nor is what must not be kept (`no-store`), which is
//! kubeconfigs: how small a text becomes says something of what is in it, and beside the user's key it has names that
//! others choose (the attack called BREACH). A problem is `no-store` too and holds no secret.
//!
//! Bodies of requests are never inflated: a small one could become a large one. Who sends a compressed one gets 415.

use std::io::Write as _;

use axum::{
    body::{Body, HttpBody as _},
    response::Response,
};
use bytes::Bytes;
use flate2::{Compression, write::GzEncoder};
use http::{HeaderMap, HeaderValue, header};

use super::{condition, quality};

/// A smaller body gains nothing: it fills one packet anyway.
const SMALLEST: u64 = 1024;

/// A larger body is compressed on a thread of its own: it takes more than a millisecond or two.
const LARGE: usize = 128 * 1024;

/// Most of what can be gained, in a third of the time of the usual level.
const LEVEL: Compression = Compression::new(3);

/// Compresses an answer where that is worth it and the client takes it.
pub(super) async fn compress(mut response: Response, wanted: bool) -> Response {
    if !is_worth_it(&response) {
        return response;
    }
    response.headers_mut().append(header::VARY, HeaderValue::from_static("Accept-Encoding"));
    if !wanted {
        return response;
    }
    let (mut parts, body) = response.into_parts();
    let Ok(whole) = axum::body::to_bytes(body, usize::MAX).await else {
        // The body is in memory: it cannot break off.
        return Response::from_parts(parts, Body::empty());
    };
    let Some(small) = gzip(whole.clone()).await else { return Response::from_parts(parts, Body::from(whole)) };
    parts.headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    parts.headers.remove(header::CONTENT_LENGTH);
    if let Some(tag) = parts.headers.get_mut(header::ETAG) {
        condition::compressed(tag);
    }
    Response::from_parts(parts, Body::from(small))
}

fn is_worth_it(response: &Response) -> bool {
    let headers = response.headers();
    let size = response.body().size_hint().exact();
    size.is_some_and(|size| size >= SMALLEST)
        && !headers.contains_key(header::CONTENT_ENCODING)
        && headers.get(header::CONTENT_TYPE).is_some_and(|kind| is_text(kind, headers.get(header::CACHE_CONTROL)))
}

fn is_text(kind: &HeaderValue, cache: Option<&HeaderValue>) -> bool {
    let kind = kind.to_str().unwrap_or_default();
    let essence = kind.split(';').next().unwrap_or_default().trim();
    let is_secret = cache.is_some_and(|cache| cache == "no-store") && essence != "application/problem+json";
    let is_text = matches!(
        essence,
        "application/json"
            | "application/problem+json"
            | "application/yaml"
            | "application/openmetrics-text"
            | "application/javascript"
    );
    !is_secret && (is_text || (essence.starts_with("text/") && essence != "text/event-stream"))
}

async fn gzip(whole: Bytes) -> Option<Vec<u8>> {
    let is_large = whole.len() > LARGE;
    let deflate = move || -> Option<Vec<u8>> {
        let mut encoder = GzEncoder::new(Vec::with_capacity(whole.len() / 4), LEVEL);
        encoder.write_all(&whole).ok()?;
        encoder.finish().ok()
    };
    if is_large { tokio::task::spawn_blocking(deflate).await.ok()? } else { deflate() }
}

/// Whether the client takes gzip, and likes it no less than the body as it is (RFC 9110, section 12.5.3).
pub(super) fn is_wanted(headers: &HeaderMap) -> bool {
    let (mut gzip, mut any, mut identity) = (None, None, None);
    for value in headers.get_all(header::ACCEPT_ENCODING) {
        for range in value.to_str().unwrap_or_default().split(',') {
            let (coding, parameters) = range.split_once(';').unwrap_or((range, ""));
            let weight = Some(quality::weight(parameters));
            match coding.trim().to_ascii_lowercase().as_str() {
                "gzip" | "x-gzip" => gzip = gzip.max(weight),
                "identity" => identity = weight,
                "*" => any = weight,
                _ => {}
            }
        }
    }
    let gzip = gzip.or(any).unwrap_or(0);
    gzip > 0 && gzip >= identity.unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_client_says_whether_it_takes_gzip() {
        let is_wanted = |value: &'static str| {
            is_wanted(&HeaderMap::from_iter([(header::ACCEPT_ENCODING, HeaderValue::from_static(value))]))
        };
        for yes in [
            "gzip",
            "GZip",
            "x-gzip",
            "br, gzip",
            "gzip;q=0.1",
            "*",
            "deflate;q=1, *;q=0.5",
            "identity;q=0.5, gzip",
            "gzip, identity",
        ] {
            assert!(is_wanted(yes), "{yes}");
        }
        for no in [
            "",
            "br",
            "gzip;q=0",
            "gzip; q=0.000",
            "*;q=0",
            "*, gzip;q=0",
            "identity",
            "gzip;q=0.4, identity;q=0.5",
            "gzip;q=2",
        ] {
            assert!(!is_wanted(no), "{no}");
        }
        assert!(!super::is_wanted(&HeaderMap::new()));
    }

    #[test]
    fn only_text_that_is_no_stream_and_no_secret_is_compressed() {
        let is = |kind: &'static str, cache: Option<&'static str>| {
            is_text(&HeaderValue::from_static(kind), cache.map(HeaderValue::from_static).as_ref())
        };
        for kind in
            ["application/json", "text/html; charset=utf-8", "text/css", "text/javascript", "application/problem+json"]
        {
            assert!(is(kind, None), "{kind}");
        }
        assert!(is("application/problem+json", Some("no-store")));
        for (kind, cache) in [
            ("text/event-stream", None),
            ("image/png", None),
            ("application/yaml", Some("no-store")),
            ("application/json", Some("no-store")),
        ] {
            assert!(!is(kind, cache), "{kind}");
        }
    }
}
