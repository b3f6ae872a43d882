//! Keys of documents, and their encoding for backends that sort bytes.

use std::ops::RangeBounds as _;

use dcm_core::store::Key;
use dcm_store::key::{decode, encode, range};

/// Lines as keys: the encoding is undone by decoding, keeps the order, and ranges hold what they should. And the bytes as
/// an encoded key: what is decoded encodes to the same bytes.
pub fn run(data: &[u8]) {
    if let Some(key) = decode(data) {
        assert_eq!(encode(&key), data);
    }
    let Ok(text) = std::str::from_utf8(data) else { return };
    let keys: Vec<Key> = text.split('\n').take(4).filter_map(one).collect();
    for a in &keys {
        assert_eq!(decode(&encode(a)).as_ref(), Some(a));
        for b in &keys {
            assert_eq!(encode(a).cmp(&encode(b)), a.cmp(b), "{a} and {b}");
            assert_eq!(a.is_below(b), is_below(a, b), "{a} and {b}");
            for after in keys.iter().map(Some).chain([None]) {
                holds(a, Some(b), after);
                holds(a, None, after);
            }
        }
    }
}

fn one(line: &str) -> Option<Key> {
    let is_segment = |segment: &str| !segment.is_empty() && !segment.chars().any(char::is_control);
    let parsed = line.parse::<Key>().ok();
    assert_eq!(parsed.is_some(), line.split('/').all(is_segment), "{line:?}");
    let key = parsed?;
    assert_eq!(key.as_str(), line);
    assert_eq!(Key::new(key.segments()).as_ref(), Ok(&key));
    assert_eq!(serde_json::to_string(&key).ok().and_then(|json| serde_json::from_str(&json).ok()), Some(key.clone()));
    assert!(key.child("x").is_ok_and(|child| child.is_below(&key) && child.last() == "x" && child > key));
    Some(key)
}

fn is_below(key: &Key, prefix: &Key) -> bool {
    let (segments, above): (Vec<&str>, Vec<&str>) = (key.segments().collect(), prefix.segments().collect());
    segments.len() > above.len() && segments.starts_with(&above)
}

fn holds(key: &Key, prefix: Option<&Key>, after: Option<&Key>) {
    let expected = prefix.is_none_or(|prefix| is_below(key, prefix)) && after.is_none_or(|after| key > after);
    let found = range(prefix, after).is_some_and(|range| range.contains(&encode(key)));
    assert_eq!(found, expected, "{key} below {prefix:?} after {after:?}");
}
