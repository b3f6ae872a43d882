//! Encryption of the secrets inside of stored documents.
//!
//! [`AeadSealer`] implements the port [`Sealer`] with AES-256-GCM. Its keys come from a [`Keyring`]: one
//! current key, which seals, and older ones, which open what they once sealed. To replace a key, put a new
//! line at the top of the key file ([`rotate`]); the server then encrypts every document with it, says when that is
//! done, and refuses to start where a line went too early.

mod keyring;
mod rotation;

use std::{collections::HashMap, fmt};

use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey},
    error::Unspecified,
    rand,
};
use dcm_core::{
    secret::{Error, Sealed, Sealer, Secret},
    store::Key,
};

pub use keyring::{Keyring, KeyringError};
pub use rotation::{Change, rotate};

/// Keeps these associated data apart from all others that the same key may ever authenticate.
const DOMAIN: &[u8] = b"dcm-sealed-v1\0";

const NONCE_LEN: usize = 12;

/// AES-256-GCM with a random 96-bit nonce, bound to the document's key.
///
/// ```
/// use dcm_core::secret::{Sealer, Secret};
/// use dcm_store::encryption::{AeadSealer, Keyring};
///
/// let sealer = AeadSealer::new(Keyring::random()?)?;
/// let key = "credential/1".parse()?;
/// let sealed = sealer.seal(&key, &Secret::new("s3cret"))?;
/// assert_eq!(sealer.open(&key, &sealed)?.expose_str(), Some("s3cret"));
/// assert!(sealer.open(&"credential/2".parse()?, &sealed).is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Caveats
/// Random nonces allow some four billion seals with one key before a repetition becomes thinkable.
pub struct AeadSealer {
    /// The keys' ids, the current one first.
    ids: Vec<String>,
    keys: HashMap<String, LessSafeKey>,
}

impl AeadSealer {
    /// Seals with the keyring's current key and opens with any of its keys.
    ///
    /// # Errors
    /// [`Error::Crypto`] where the cryptography fails.
    pub fn new(keyring: Keyring) -> Result<Self, Error> {
        let (mut ids, mut keys) = (Vec::new(), HashMap::new());
        for (id, bytes) in keyring.keys() {
            let key = UnboundKey::new(&AES_256_GCM, bytes).map_err(crypto)?;
            ids.push(id.to_owned());
            keys.insert(id.to_owned(), LessSafeKey::new(key));
        }
        Ok(Self { ids, keys })
    }

    fn key(&self, id: &str) -> Result<&LessSafeKey, Error> {
        self.keys.get(id).ok_or_else(|| Error::UnknownKey { key_id: id.to_owned() })
    }
}

impl Sealer for AeadSealer {
    fn current_key(&self) -> &str {
        self.ids.first().map_or("", String::as_str)
    }

    fn key_ids(&self) -> Vec<&str> {
        self.ids.iter().map(String::as_str).collect()
    }

    fn seal(&self, key: &Key, secret: &Secret) -> Result<Sealed, Error> {
        let mut nonce = [0; NONCE_LEN];
        rand::fill(&mut nonce).map_err(crypto)?;
        // Encrypted in place: the copy of the plaintext becomes the ciphertext. Room for the tag is made
        // before, so that the buffer does not move and leave plaintext behind.
        let mut ciphertext = Vec::with_capacity(secret.expose().len() + AES_256_GCM.tag_len());
        ciphertext.extend_from_slice(secret.expose());
        let current = self.current_key();
        self.key(current)?
            .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), associated_data(key), &mut ciphertext)
            .map_err(crypto)?;
        Ok(Sealed { key_id: current.to_owned(), nonce: nonce.to_vec(), ciphertext })
    }

    fn open(&self, key: &Key, sealed: &Sealed) -> Result<Secret, Error> {
        let cipher = self.key(&sealed.key_id)?;
        let tampered = || Error::Tampered { key: key.clone() };
        let nonce = Nonce::try_assume_unique_for_key(&sealed.nonce).map_err(|Unspecified| tampered())?;
        let mut buffer = sealed.ciphertext.clone();
        let length =
            cipher.open_in_place(nonce, associated_data(key), &mut buffer).map_err(|Unspecified| tampered())?.len();
        // What lies behind the plaintext is the tag, which is no secret.
        buffer.truncate(length);
        Ok(Secret::new(buffer))
    }
}

impl fmt::Debug for AeadSealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AeadSealer").field("keys", &self.ids).finish()
    }
}

fn associated_data(key: &Key) -> Aad<Vec<u8>> {
    Aad::from([DOMAIN, key.as_str().as_bytes()].concat())
}

fn crypto(error: Unspecified) -> Error {
    Error::Crypto(Box::new(error))
}

#[cfg(test)]
mod tests {
    use data_encoding::HEXLOWER;

    use super::*;

    fn key(text: &str) -> Key {
        text.parse().unwrap()
    }

    fn sealer(text: &str) -> AeadSealer {
        AeadSealer::new(text.parse().unwrap()).unwrap()
    }

    const OLD: &str = "dcm-key-v1:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
    const NEW: &str = "dcm-key-v1://///////////////////////////////////////wA=";

    #[test]
    fn opens_what_it_sealed() {
        let sealer = sealer(OLD);
        for secret in [&b""[..], b"x", &[7; 100_000]] {
            let sealed = sealer.seal(&key("a/b"), &Secret::new(secret)).unwrap();
            assert_eq!(sealer.open(&key("a/b"), &sealed).unwrap().expose(), secret);
        }
    }

    #[test]
    fn two_seals_of_one_secret_have_nothing_in_common() {
        let sealer = sealer(OLD);
        let seal = || sealer.seal(&key("a/b"), &Secret::new("s3cret")).unwrap();
        let (one, two) = (seal(), seal());
        assert_eq!(one.nonce.len(), 12);
        assert_ne!(one.nonce, two.nonce);
        assert_ne!(one.ciphertext, two.ciphertext);
    }

    #[test]
    fn refuses_what_was_moved_to_another_document() {
        let sealer = sealer(OLD);
        let sealed = sealer.seal(&key("a/b"), &Secret::new("s3cret")).unwrap();
        for other in ["a/c", "a", "a/b/c"] {
            let error = sealer.open(&key(other), &sealed).unwrap_err();
            assert!(matches!(error, Error::Tampered { .. }), "{error:?}");
        }
    }

    #[test]
    fn refuses_what_was_changed_in_any_byte() {
        let sealer = sealer(OLD);
        let sealed = sealer.seal(&key("a/b"), &Secret::new("s3cret")).unwrap();
        let refused = |sealed: &Sealed| {
            let error = sealer.open(&key("a/b"), sealed).unwrap_err();
            assert!(matches!(error, Error::Tampered { .. }), "{error:?}");
        };
        for at in 0..sealed.ciphertext.len() {
            let mut changed = sealed.clone();
            changed.ciphertext[at] ^= 1;
            refused(&changed);
        }
        for at in 0..sealed.nonce.len() {
            let mut changed = sealed.clone();
            changed.nonce[at] ^= 1;
            refused(&changed);
        }
        let mut short = sealed.clone();
        short.nonce.pop();
        refused(&short);
        short = sealed;
        short.ciphertext.clear();
        refused(&short);
    }

    #[test]
    fn an_older_key_opens_and_the_current_one_seals() {
        let before = sealer(OLD);
        let old = before.seal(&key("a/b"), &Secret::new("s3cret")).unwrap();
        let after = sealer(&format!("{NEW}\n{OLD}\n"));
        assert_eq!(after.open(&key("a/b"), &old).unwrap().expose(), b"s3cret");
        let new = after.seal(&key("a/b"), &Secret::new("s3cret")).unwrap();
        assert_ne!(new.key_id, old.key_id);
        let error = before.open(&key("a/b"), &new).unwrap_err();
        assert!(error.to_string().contains(&new.key_id), "{error}");
    }

    #[test]
    fn opens_what_the_first_release_sealed() {
        // Made with another implementation (Python's `cryptography`).
        let hex = |text: &str| HEXLOWER.decode(text.as_bytes()).unwrap();
        let sealed = Sealed {
            key_id: "d5aa502e13a7bdd0".into(),
            nonce: hex("6465666768696a6b6c6d6e6f"),
            ciphertext: hex("2f74b2021c879bdbd44b07607cb8405e2e0a0f28b4c9"),
        };
        let opened = sealer(OLD).open(&key("credential/1"), &sealed).unwrap();
        assert_eq!(opened.expose(), b"golden");
    }

    #[test]
    fn debug_output_shows_no_key() {
        let text = format!("{:?} {:?}", sealer(OLD), OLD.parse::<Keyring>().unwrap());
        assert!(!text.contains("AAEC") && !text.contains("[0, 1, 2"), "{text}");
    }
}
