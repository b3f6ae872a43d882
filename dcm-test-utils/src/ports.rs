//! The small ports as fakes: a clock that is set, chance that repeats, sealing that can be looked through,
//! and keys that are none.

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
    time::Duration,
};

use dcm_core::{
    clock::{Clock, Entropy},
    credential::{
        CertificateFacts, CredentialMaker, Error as CredentialError, KeyAlgorithm, KeyAndRequest, SigningCa, Subject,
    },
    secret::{Error as SecretError, Sealed, Sealer, Secret},
    service::Wake,
    store::Key,
};
use jiff::Timestamp;

/// Where a [`ManualClock`] starts, in milliseconds: 2026-01-01T00:00:00Z.
const START: i64 = 1_767_225_600_000;

/// How long the certificates of [`FakeCredentials`] live, from the start of the [`ManualClock`].
pub const FAKE_LIFETIME: Duration = Duration::from_secs(90 * 24 * 3600);

/// The time at which a [`ManualClock`] starts.
#[must_use]
pub fn start() -> Timestamp {
    Timestamp::from_millisecond(START).unwrap_or(Timestamp::UNIX_EPOCH)
}

/// A clock that stands still until it is moved.
#[derive(Debug)]
pub struct ManualClock(AtomicI64);

impl Default for ManualClock {
    fn default() -> Self {
        Self(AtomicI64::new(START))
    }
}

impl ManualClock {
    /// Moves the clock forward.
    pub fn advance(&self, by: Duration) {
        let by = i64::try_from(by.as_millis()).unwrap_or(i64::MAX);
        self.0.fetch_add(by, Ordering::SeqCst);
    }

    /// Moves the clock back.
    pub fn go_back(&self, by: Duration) {
        let by = i64::try_from(by.as_millis()).unwrap_or(i64::MAX);
        self.0.fetch_sub(by, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millisecond(self.0.load(Ordering::SeqCst)).unwrap_or(Timestamp::MAX)
    }
}

/// Bytes that never repeat and are the same in every run.
#[derive(Debug, Default)]
pub struct CountingEntropy(AtomicU64);

impl CountingEntropy {
    /// Bytes that are the same in every run that starts at the same number, and others in another.
    #[must_use]
    pub const fn starting_at(number: u64) -> Self {
        Self(AtomicU64::new(number))
    }
}

impl Entropy for CountingEntropy {
    fn bytes(&self) -> [u8; 16] {
        let count = self.0.fetch_add(1, Ordering::SeqCst);
        let mut bytes = [0; 16];
        bytes[8..].copy_from_slice(&count.to_be_bytes());
        bytes
    }
}

/// Seals by turning every byte over: good enough to show that something was sealed, and for which
/// document. Never use it outside of tests.
#[derive(Clone, Copy, Debug, Default)]
pub struct TransparentSealer;

/// The id of the one key that [`TransparentSealer`] has.
const TRANSPARENT: &str = "transparent";

impl Sealer for TransparentSealer {
    fn current_key(&self) -> &str {
        TRANSPARENT
    }

    fn key_ids(&self) -> Vec<&str> {
        vec![TRANSPARENT]
    }

    fn seal(&self, key: &Key, secret: &Secret) -> Result<Sealed, SecretError> {
        Ok(Sealed {
            key_id: TRANSPARENT.to_owned(),
            nonce: key.as_str().as_bytes().to_vec(),
            ciphertext: secret.expose().iter().map(|byte| !byte).collect(),
        })
    }

    fn open(&self, key: &Key, sealed: &Sealed) -> Result<Secret, SecretError> {
        if sealed.nonce != key.as_str().as_bytes() {
            return Err(SecretError::Tampered { key: key.clone() });
        }
        Ok(Secret::new(sealed.ciphertext.iter().map(|byte| !byte).collect::<Vec<_>>()))
    }
}

/// Makes texts in place of keys, requests and certificates; they name their subject.
#[derive(Clone, Copy, Debug, Default)]
pub struct FakeCredentials;

/// What certificates of [`FakeCredentials`] and of the fake clusters begin with.
pub const FAKE_CERTIFICATE: &str = "fake certificate of ";

/// What requests of [`FakeCredentials`] begin with.
pub const FAKE_REQUEST: &str = "fake request of ";

impl CredentialMaker for FakeCredentials {
    fn request(&self, subject: &Subject, _: KeyAlgorithm) -> Result<KeyAndRequest, CredentialError> {
        Ok(KeyAndRequest {
            key_pem: Secret::new(format!("fake key of {}", subject.common_name)),
            csr_pem: format!("{FAKE_REQUEST}{}", subject.common_name),
        })
    }

    fn sign(
        &self,
        _: &str,
        subject: &Subject,
        _: &SigningCa<'_>,
        _: Timestamp,
        _: Duration,
    ) -> Result<String, CredentialError> {
        Ok(format!("{FAKE_CERTIFICATE}{}", subject.common_name))
    }

    fn inspect(&self, certificate_pem: &str, _: &Secret) -> Result<CertificateFacts, CredentialError> {
        let malformed = || CredentialError::Malformed { what: "certificate", reason: "not a fake one".to_owned() };
        let common_name = certificate_pem.strip_prefix(FAKE_CERTIFICATE).ok_or_else(malformed)?.to_owned();
        Ok(CertificateFacts {
            subject: Subject { common_name, organization: String::new() },
            not_before: start(),
            not_after: start().checked_add(FAKE_LIFETIME).unwrap_or(start()),
        })
    }

    fn check_ca(&self, _: &SigningCa<'_>) -> Result<(), CredentialError> {
        Ok(())
    }
}

/// Remembers for which orders it was rung.
#[derive(Debug, Default)]
pub struct RecordingWake(Mutex<Vec<Key>>);

impl RecordingWake {
    /// The orders it was rung for, and forgets them.
    pub fn take(&self) -> Vec<Key> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Wake for RecordingWake {
    fn wake(&self, order: &Key) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(order.clone());
    }
}
