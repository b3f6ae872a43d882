use std::{cmp::Ordering, fmt, str::FromStr, sync::Arc};

use serde::{Deserialize, Serialize};

/// Where a document lies: a path of one or more segments, written with `/` between them.
///
/// A segment is any text that is not empty and holds neither `/` nor a control character. Keys are ordered
/// segment by segment, each by its bytes, so that `a/x` comes before `a-b/x`. A backend that sorts raw
/// bytes gets this order by replacing `/` with a zero byte.
///
/// ```
/// use dcm_core::store::Key;
/// let cloud = Key::new(["logical-cloud", "walmart"])?.child("lc-1")?;
/// assert_eq!(cloud.to_string(), "logical-cloud/walmart/lc-1");
/// assert!(cloud.is_below(&Key::new(["logical-cloud", "walmart"])?));
/// # Ok::<(), dcm_core::store::InvalidKey>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Key(Arc<str>);

/// A text that cannot be a segment of a [`Key`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a key's segment must not be empty or hold '/' or control characters")]
pub struct InvalidKey;

impl Key {
    /// Makes a key of segments.
    ///
    /// # Errors
    /// [`InvalidKey`] where there is no segment, or one that cannot be.
    pub fn new<'a>(segments: impl IntoIterator<Item = &'a str>) -> Result<Self, InvalidKey> {
        let mut text = String::with_capacity(128);
        for segment in segments {
            if !is_segment(segment) {
                return Err(InvalidKey);
            }
            if !text.is_empty() {
                text.push('/');
            }
            text.push_str(segment);
        }
        if text.is_empty() { Err(InvalidKey) } else { Ok(Self(text.into())) }
    }

    /// The key one segment below.
    ///
    /// # Errors
    /// [`InvalidKey`] where the text cannot be a segment.
    pub fn child(&self, segment: &str) -> Result<Self, InvalidKey> {
        if !is_segment(segment) {
            return Err(InvalidKey);
        }
        Ok(Self(format!("{}/{segment}", self.0).into()))
    }

    /// The whole path, segments with `/` between them.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The segments, in order.
    pub fn segments(&self) -> impl DoubleEndedIterator<Item = &str> {
        self.0.split('/')
    }

    /// The last segment.
    #[must_use]
    pub fn last(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or_default()
    }

    /// All keys that this one is below, the shortest first.
    pub fn prefixes(&self) -> impl Iterator<Item = Self> + '_ {
        self.0.match_indices('/').map(|(at, _)| Self(self.0[..at].into()))
    }

    /// Whether this key starts with all segments of `prefix` and has more.
    #[must_use]
    pub fn is_below(&self, prefix: &Self) -> bool {
        self.0.strip_prefix(&*prefix.0).is_some_and(|rest| rest.starts_with('/'))
    }
}

fn is_segment(text: &str) -> bool {
    if text.is_ascii() {
        // Nearly all are; and a key is made with every read.
        return !text.is_empty() && !text.bytes().any(|b| b == b'/' || b.is_ascii_control());
    }
    !text.is_empty() && !text.chars().any(|c| c == '/' || c.is_control())
}

impl Ord for Key {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.split('/').cmp(other.0.split('/'))
    }
}

impl PartialOrd for Key {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({})", self.0)
    }
}

impl FromStr for Key {
    type Err = InvalidKey;

    fn from_str(text: &str) -> Result<Self, InvalidKey> {
        Self::new(text.split('/'))
    }
}

impl TryFrom<String> for Key {
    type Error = InvalidKey;

    fn try_from(text: String) -> Result<Self, InvalidKey> {
        text.parse()
    }
}

impl From<Key> for String {
    fn from(key: Key) -> Self {
        key.0.as_ref().to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(text: &str) -> Key {
        text.parse().unwrap()
    }

    #[test]
    fn orders_segment_by_segment() {
        let mut keys = [key("a-b/x"), key("a/x"), key("a.b"), key("a"), key("a/b/c")];
        keys.sort();
        assert_eq!(keys.map(String::from), ["a", "a/b/c", "a/x", "a-b/x", "a.b"]);
    }

    #[test]
    fn a_prefix_is_made_of_segments() {
        assert!(key("a/b/c").is_below(&key("a/b")));
        assert!(!key("a/b").is_below(&key("a/b")));
        assert!(!key("a/bc").is_below(&key("a/b")));
    }

    #[test]
    fn a_key_is_below_each_of_its_prefixes() {
        let all: Vec<Key> = key("a/b-c/d").prefixes().collect();
        assert_eq!(all, [key("a"), key("a/b-c")]);
        assert!(all.iter().all(|prefix| key("a/b-c/d").is_below(prefix)));
        assert_eq!(key("a").prefixes().count(), 0);
    }

    #[test]
    fn refuses_what_cannot_be_a_segment() {
        for bad in [&[][..], &[""], &["a", ""], &["a/b"], &["a\0b"], &["a\nb"]] {
            assert_eq!(Key::new(bad.iter().copied()), Err(InvalidKey), "{bad:?}");
        }
    }
}
