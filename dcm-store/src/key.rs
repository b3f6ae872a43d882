//! Keys as bytes, for backends that sort bytes.
//!
//! The separator `/` becomes a zero byte, which is smaller than every byte of a segment, so that the order
//! of the bytes is the order of [`Key`]: segment by segment.

use std::ops::Bound;

use dcm_core::store::{Error, Key};

use crate::DOCUMENT_LIMIT;

/// The longest key that the stores of this crate take, in bytes.
///
/// It bounds the size of an inner node of a tree of keys; the longest key of DCM itself is about half of it.
pub const KEY_LIMIT: usize = 1024;

const SEPARATOR: u8 = 0;
const AFTER_SEPARATOR: u8 = 1;
const FIRST: u8 = b' ';

/// A range of encoded keys, as ordered maps take it.
pub type Range = (Bound<Vec<u8>>, Bound<Vec<u8>>);

/// The key as bytes whose order is the key's order.
///
/// ```
/// use dcm_store::key::{decode, encode};
/// let key = "cluster/edge/one".parse()?;
/// assert_eq!(encode(&key), b"cluster\0edge\0one");
/// assert_eq!(decode(b"cluster\0edge\0one"), Some(key));
/// # Ok::<(), dcm_core::store::InvalidKey>(())
/// ```
#[must_use]
pub fn encode(key: &Key) -> Vec<u8> {
    let mut bytes = key.as_str().as_bytes().to_vec();
    for byte in &mut bytes {
        if *byte == b'/' {
            *byte = SEPARATOR;
        }
    }
    bytes
}

/// The key that was encoded, or `None` where the bytes are no key.
#[must_use]
pub fn decode(bytes: &[u8]) -> Option<Key> {
    let text = std::str::from_utf8(bytes).ok()?;
    Key::new(text.split('\0')).ok()
}

/// The encoded keys strictly below a prefix (all of them without one) and strictly after a key, or `None` where
/// there can be none.
#[must_use]
pub fn range(prefix: Option<&Key>, after: Option<&Key>) -> Option<Range> {
    let Some(prefix) = prefix else {
        // No key starts with a control character; what a backend keeps for itself may.
        let first = Bound::Included(vec![FIRST]);
        return Some((after.map_or(first, |after| Bound::Excluded(encode(after))), Bound::Unbounded));
    };
    let mut start = encode(prefix);
    let mut end = start.clone();
    start.push(SEPARATOR);
    end.push(AFTER_SEPARATOR);
    let lower = match after.map(encode) {
        Some(after) if after >= end => return None,
        Some(after) if after >= start => Bound::Excluded(after),
        _ => Bound::Included(start),
    };
    Some((lower, Bound::Excluded(end)))
}

/// Refuses a document that is too large, or whose key is too long.
pub(crate) fn check_size(key: &Key, body: usize) -> Result<(), Error> {
    let (size, limit) =
        if key.as_str().len() > KEY_LIMIT { (key.as_str().len(), KEY_LIMIT) } else { (body, DOCUMENT_LIMIT) };
    if size <= limit {
        return Ok(());
    }
    Err(Error::TooLarge { key: key.clone(), size, limit })
}

#[cfg(test)]
mod tests {
    use std::ops::RangeBounds;

    use proptest::prelude::*;

    use super::*;

    fn key(text: &str) -> Key {
        text.parse().unwrap()
    }

    fn keys() -> impl Strategy<Value = Key> {
        let segment = "[a-c .~é\u{10ffff}-]{1,3}";
        prop::collection::vec(segment, 1..4).prop_map(|segments| Key::new(segments.iter().map(String::as_str)).unwrap())
    }

    proptest! {
        #[test]
        fn bytes_are_ordered_like_keys(a in keys(), b in keys()) {
            prop_assert_eq!(encode(&a).cmp(&encode(&b)), a.cmp(&b));
        }

        #[test]
        fn decoding_undoes_encoding(a in keys()) {
            prop_assert_eq!(decode(&encode(&a)), Some(a));
        }

        #[test]
        fn a_range_holds_what_is_below_the_prefix_and_after_the_position(
            prefix in prop::option::of(keys()), after in prop::option::of(keys()), other in keys()
        ) {
            let holds = range(prefix.as_ref(), after.as_ref())
                .is_some_and(|range| range.contains(&encode(&other)));
            let below = prefix.is_none_or(|prefix| other.is_below(&prefix));
            let expected = below && after.is_none_or(|after| other > after);
            prop_assert_eq!(holds, expected);
        }
    }

    #[test]
    fn bytes_that_are_no_key_are_not_decoded() {
        for bytes in [&b""[..], b"\0a", b"a\0", b"a\0\0b", b"a/b", b"\xff", b"a\x01"] {
            assert_eq!(decode(bytes), None, "{bytes:?}");
        }
    }

    #[test]
    fn a_range_is_empty_where_the_position_lies_behind_the_prefix() {
        assert_eq!(range(Some(&key("a")), Some(&key("b"))), None);
        assert!(range(Some(&key("b")), Some(&key("a"))).is_some());
    }
}
