use std::{fmt, sync::Arc};

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::value::RawValue;

use super::{Error, Key};

/// A document's JSON, cheap to clone.
///
/// Debug output shows its size only: documents hold what must not reach a log.
#[derive(Clone, PartialEq, Eq)]
pub struct Body(Arc<[u8]>);

impl Body {
    /// Wraps JSON text that a backend has read back.
    #[must_use]
    pub fn from_json(bytes: impl Into<Arc<[u8]>>) -> Self {
        Self(bytes.into())
    }

    /// The JSON text.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Body({} bytes)", self.0.len())
    }
}

/// A type that is stored as a document of its own.
///
/// A document carries its kind and version: `{"kind": …, "version": …, "document": {…}}`. Release N writes
/// what release N−1 can read, so a reader takes its own version, every older one (through
/// [`Stored::upgrade`]) and the next one; what is two ahead is refused.
pub trait Stored: Serialize + DeserializeOwned {
    /// The kind that is written into the document.
    const KIND: &'static str;
    /// The version that this release writes.
    const VERSION: u32;

    /// Brings an older version's JSON to this version's.
    ///
    /// # Errors
    /// A reason, without the document's content, where that cannot be done.
    fn upgrade(version: u32, document: serde_json::Value) -> Result<serde_json::Value, String> {
        let _ = document;
        Err(format!("no way is known from version {version} to {}", Self::VERSION))
    }
}

#[derive(Serialize)]
struct Write<'a, T> {
    kind: &'a str,
    version: u32,
    document: &'a T,
}

/// What is hoped for: a document of this version, read in one pass.
#[derive(Deserialize)]
struct ReadNow<'a, T> {
    #[serde(borrow)]
    kind: std::borrow::Cow<'a, str>,
    version: u32,
    document: T,
}

#[derive(Deserialize)]
struct Read<'a> {
    #[serde(borrow)]
    kind: std::borrow::Cow<'a, str>,
    version: u32,
    #[serde(borrow)]
    document: &'a RawValue,
}

impl Body {
    /// Writes a typed document.
    ///
    /// # Errors
    /// [`Error::Corrupt`] where it has no JSON form.
    pub fn write<T: Stored>(key: &Key, document: &T) -> Result<Self, Error> {
        let write = Write { kind: T::KIND, version: T::VERSION, document };
        // Most documents have less.
        let mut bytes = Vec::with_capacity(1024);
        serde_json::to_writer(&mut bytes, &write).map_err(|e| corrupt(key, &e))?;
        Ok(Self(bytes.into()))
    }

    /// Reads a typed document, of this version, an older one or the next.
    ///
    /// # Errors
    /// [`Error::Corrupt`] where it is of another kind, too new, or not of its type's shape.
    pub fn read<T: Stored>(&self, key: &Key) -> Result<T, Error> {
        if let Ok(now) = serde_json::from_slice::<ReadNow<'_, T>>(&self.0)
            && now.kind == T::KIND
            && now.version == T::VERSION
        {
            return Ok(now.document);
        }
        let read: Read<'_> = serde_json::from_slice(&self.0).map_err(|e| corrupt(key, &e))?;
        let refuse = |reason: String| Error::Corrupt { key: key.clone(), reason };
        if read.kind != T::KIND {
            return Err(refuse(format!("it is a {:?}, not a {:?}", read.kind, T::KIND)));
        }
        if read.version > T::VERSION + 1 {
            return Err(refuse(format!(
                "its version {} is more than one ahead of {}: start a newer release",
                read.version,
                T::VERSION
            )));
        }
        let text = read.document.get();
        if read.version >= T::VERSION {
            return serde_json::from_str(text).map_err(|e| corrupt(key, &e));
        }
        let old = serde_json::from_str(text).map_err(|e| corrupt(key, &e))?;
        let new = T::upgrade(read.version, old).map_err(refuse)?;
        serde_json::from_value(new).map_err(|e| corrupt(key, &e))
    }
}

/// serde_json's own message may quote the document, so only place and class are kept.
fn corrupt(key: &Key, error: &serde_json::Error) -> Error {
    let reason = format!("{:?} error at line {} column {}", error.classify(), error.line(), error.column());
    Error::Corrupt { key: key.clone(), reason }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Shelf {
        books: u64,
    }

    impl Stored for Shelf {
        const KIND: &'static str = "Shelf";
        const VERSION: u32 = 2;

        fn upgrade(_: u32, document: serde_json::Value) -> Result<serde_json::Value, String> {
            Ok(serde_json::json!({ "books": document["volumes"] }))
        }
    }

    fn read(text: &str) -> Result<Shelf, String> {
        let key = "shelf/1".parse().unwrap();
        Body::from_json(text.as_bytes()).read(&key).map_err(|e| e.to_string())
    }

    #[test]
    fn reads_back_what_it_wrote() {
        let key = "shelf/1".parse().unwrap();
        let body = Body::write(&key, &Shelf { books: u64::MAX }).unwrap();
        assert_eq!(body.as_bytes(), br#"{"kind":"Shelf","version":2,"document":{"books":18446744073709551615}}"#);
        assert_eq!(body.read::<Shelf>(&key).unwrap(), Shelf { books: u64::MAX });
    }

    #[test]
    fn reads_the_version_before_and_the_version_after() {
        let before = r#"{"kind":"Shelf","version":1,"document":{"volumes":3}}"#;
        let after = r#"{"kind":"Shelf","version":3,"document":{"books":3,"colour":"red"}}"#;
        assert_eq!(read(before), Ok(Shelf { books: 3 }));
        assert_eq!(read(after), Ok(Shelf { books: 3 }));
    }

    #[test]
    fn refuses_what_is_two_versions_ahead_or_of_another_kind() {
        let ahead = read(r#"{"kind":"Shelf","version":4,"document":{"books":3}}"#).unwrap_err();
        assert!(ahead.contains("more than one ahead"), "{ahead}");
        let other = read(r#"{"kind":"Table","version":2,"document":{"books":3}}"#).unwrap_err();
        assert!(other.contains("\"Table\""), "{other}");
    }

    #[test]
    fn an_error_does_not_quote_the_document() {
        let error = read(r#"{"kind":"Shelf","version":2,"document":{"books":"s3cret"}}"#).unwrap_err();
        assert!(!error.contains("s3cret"), "{error}");
    }
}
