use std::{
    fmt::Write as _,
    sync::atomic::{AtomicU64, Ordering},
};

use http::{HeaderMap, HeaderName, HeaderValue};

pub(crate) const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The id of a request whose answer goes on after it began.
#[derive(Clone, Debug, Default)]
pub(super) struct RequestId(String);

impl RequestId {
    pub(super) fn new(id: &HeaderValue) -> Self {
        Self(id.to_str().unwrap_or_default().to_owned())
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

/// Makes ids for requests that come without: a part of this process and a counter.
#[derive(Debug)]
pub(crate) struct RequestIds {
    process: u32,
    next: AtomicU64,
}

impl RequestIds {
    pub(crate) const fn new(process: u32) -> Self {
        Self { process, next: AtomicU64::new(1) }
    }

    /// The client's id where it is a sane one, else a new one.
    pub(crate) fn of(&self, headers: &HeaderMap) -> HeaderValue {
        match headers.get(X_REQUEST_ID) {
            Some(given) if is_sane(given.as_bytes()) => given.clone(),
            _ => self.make(),
        }
    }

    fn make(&self) -> HeaderValue {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let mut id = String::with_capacity(24);
        let _ = write!(id, "{:08x}-{number:08x}", self.process);
        HeaderValue::try_from(id).unwrap_or(HeaderValue::from_static("unknown"))
    }
}

fn is_sane(id: &[u8]) -> bool {
    (1..=64).contains(&id.len()) && id.iter().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sane_id_is_kept_and_another_one_replaced() {
        let ids = RequestIds::new(7);
        let of =
            |id: &'static [u8]| ids.of(&HeaderMap::from_iter([(X_REQUEST_ID, HeaderValue::from_bytes(id).unwrap())]));
        assert_eq!(of(b"abc-1_2.3"), "abc-1_2.3");
        for bad in [&b""[..], b"a b", b"a\"b", b"\xff", &[b'a'; 65]] {
            assert!(of(Vec::leak(bad.to_vec())).to_str().unwrap().starts_with("00000007-"));
        }
    }
}
