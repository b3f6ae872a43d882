//! Secrets, and the port that encrypts them before they are stored.

use std::{collections::BTreeSet, fmt};

use data_encoding::BASE64;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use zeroize::Zeroizing;

use crate::store::{Body, BoxError, Key};

/// Bytes that must not reach a log, an error or an answer by accident.
///
/// Debug output hides them, there is no serde form, and the memory is wiped on drop.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<Vec<u8>>);

impl Secret {
    /// Takes the bytes over.
    #[must_use]
    pub fn new(bytes: impl Into<Vec<u8>>) -> Self {
        Self(Zeroizing::new(bytes.into()))
    }

    /// The bytes. Every call is a place to review.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        &self.0
    }

    /// The bytes as text, where they are UTF-8.
    #[must_use]
    pub fn expose_str(&self) -> Option<&str> {
        std::str::from_utf8(&self.0).ok()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// An encrypted secret, as it is stored.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Sealed {
    /// Which encryption key it was sealed with; says nothing about the key itself.
    pub key_id: String,
    /// The random nonce.
    #[serde(with = "base64")]
    pub nonce: Vec<u8>,
    /// Ciphertext and authentication tag.
    #[serde(with = "base64")]
    pub ciphertext: Vec<u8>,
}

impl fmt::Debug for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sealed(with key {}, {} bytes)", self.key_id, self.ciphertext.len())
    }
}

mod base64 {
    use super::{BASE64, Deserializer, Serializer};
    use serde::{Deserialize as _, de::Error as _};

    pub(super) fn serialize<S: Serializer>(bytes: &[u8], to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&BASE64.encode(bytes))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<u8>, D::Error> {
        let text = String::deserialize(from)?;
        BASE64.decode(text.as_bytes()).map_err(|_| D::Error::custom("not base64"))
    }
}

/// The port to whatever encrypts secrets at rest.
///
/// # Contract
/// Authenticated encryption with a random nonce, the document's key as associated data: a sealed value
/// that is moved to another document does not open there.
pub trait Sealer: Send + Sync + fmt::Debug {
    /// The id of the key that seals.
    fn current_key(&self) -> &str;

    /// The ids of all keys that open, the one that seals among them and first.
    fn key_ids(&self) -> Vec<&str>;

    /// Encrypts a secret for the document under `key`.
    ///
    /// # Errors
    /// [`Error::Crypto`] where the cryptography fails.
    fn seal(&self, key: &Key, secret: &Secret) -> Result<Sealed, Error>;

    /// Decrypts what was sealed for the document under `key`.
    ///
    /// # Errors
    /// [`Error::UnknownKey`] and [`Error::Tampered`].
    fn open(&self, key: &Key, sealed: &Sealed) -> Result<Secret, Error>;
}

/// Why a secret could not be sealed or opened.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It was sealed with a key that this process does not have.
    #[error("the encryption key {key_id} is not configured; give DCM the key file that the data was written with")]
    UnknownKey {
        /// The missing key's id.
        key_id: String,
    },
    /// Stored documents may be sealed with keys that this process does not have.
    #[error(
        "stored documents may still be encrypted with {}, which the key file lacks: put the lines back until \
         re-encryption has finished", key_ids.join(", ")
    )]
    KeysMissing {
        /// The missing keys' ids.
        key_ids: Vec<String>,
    },
    /// It was changed, or belongs to another document.
    #[error("the encrypted value of {key} is damaged or belongs to another document")]
    Tampered {
        /// The document it was read from.
        key: Key,
    },
    /// The cryptography itself failed.
    #[error("encryption failed")]
    Crypto(#[source] BoxError),
}

/// Notes the ids of the keys that sealed values in this JSON were sealed with.
pub(crate) fn note_key_ids(body: &str, ids: &mut BTreeSet<String>) {
    // Most documents hold no secret: not even parsed.
    if !(body.contains("\"key-id\"") && body.contains("\"ciphertext\"")) {
        return;
    }
    if let Ok(value) = serde_json::from_str(body) {
        search(&value, ids);
    }
}

/// The same for a document's body.
pub(crate) fn note_key_ids_of(body: &Body, ids: &mut BTreeSet<String>) {
    note_key_ids(std::str::from_utf8(body.as_bytes()).unwrap_or_default(), ids);
}

fn search(value: &serde_json::Value, ids: &mut BTreeSet<String>) {
    match value {
        serde_json::Value::Object(object) => {
            if let (Some(id), true, true) = (
                object.get("key-id").and_then(|id| id.as_str()),
                object.contains_key("nonce"),
                object.contains_key("ciphertext"),
            ) && !ids.contains(id)
            {
                ids.insert(id.to_owned());
            }
            object.values().for_each(|value| search(value, ids));
        }
        serde_json::Value::Array(list) => list.iter().for_each(|value| search(value, ids)),
        _ => {}
    }
}
