use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{CertificateAuthority, Cluster, Credential, Installation};
use crate::{
    secret::{Sealed, Sealer},
    store::{Body, Document, Key, Stored},
};

/// With which keys stored documents are encrypted, and how far a new key has got.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Encryption {
    /// The ids of all keys that a stored document may be sealed with. A key is here before it seals anything, and
    /// goes when every document was seen without it.
    pub in_use: BTreeSet<String>,
    /// The ids of keys that passes have given up, those that came last at the end. Who used one to the last, and was ended
    /// before he noticed, may have sealed documents with it that no pass has met.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub given_up: Vec<String>,
    /// The last pass over all documents that hold secrets, at work or finished.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pass: Option<Pass>,
}

impl Encryption {
    /// How many keys are remembered that were given up.
    pub const MOST_GIVEN_UP: usize = 100;

    /// Counts a key as in use; whether it was not before.
    pub(crate) fn put_in_use(&mut self, id: &str) -> bool {
        self.given_up.retain(|given_up| given_up != id);
        self.in_use.insert(id.to_owned())
    }

    /// Gives up all keys but one.
    pub(crate) fn give_up_others(&mut self, id: &str) {
        let others = std::mem::replace(&mut self.in_use, [id.to_owned()].into());
        self.given_up.extend(others.into_iter().filter(|other| other != id));
        let surplus = self.given_up.len().saturating_sub(Self::MOST_GIVEN_UP);
        self.given_up.drain(..surplus);
    }
}

impl Stored for Encryption {
    const KIND: &'static str = "Encryption";
    const VERSION: u32 = 1;
}

/// A pass over all documents that hold secrets, which encrypts them with one key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Pass {
    /// The id of the key that all are to be encrypted with.
    pub target: String,
    /// What it does at present.
    pub phase: PassPhase,
    /// The last document that it has looked at, or the root of those that come next; `None` at the beginning.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub position: Option<Key>,
    /// Whether all that was seen in this phase was encrypted with the target before.
    pub clean: bool,
    /// How many documents it has looked at in this phase.
    pub looked_at: u64,
    /// How many documents there are, once they were counted; others come and go meanwhile.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total: Option<u64>,
    /// How many documents it has encrypted anew, in all phases. What a crash or another process kept from being
    /// recorded is missing.
    pub reencrypted: u64,
    /// How many documents could not be encrypted anew in this phase.
    pub failed: u64,
    /// The first of those.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub failures: Vec<Unreadable>,
    /// Whether it came after one that had given keys up, and met nothing that was sealed with another key since.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub settled: bool,
    /// When it began.
    pub started_at: Timestamp,
    /// When it was last worked on; where it is finished, when that was.
    pub touched_at: Timestamp,
}

/// What a pass does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PassPhase {
    /// It counts the documents.
    Counting,
    /// It encrypts what is encrypted with another key.
    ReEncrypting,
    /// It looks again whether all of them are: others may write while it goes by.
    Checking,
    /// It has ended.
    Finished,
}

impl PassPhase {
    /// As it is written in answers.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Counting => "counting",
            Self::ReEncrypting => "re-encrypting",
            Self::Checking => "checking",
            Self::Finished => "finished",
        }
    }
}

/// A document that could not be encrypted anew.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Unreadable {
    /// Where it lies.
    pub document: Key,
    /// Why, for people.
    pub reason: String,
}

impl Pass {
    /// How many documents are listed that could not be encrypted anew.
    pub const MOST_FAILURES: usize = 20;

    pub(crate) fn new(target: &str, now: Timestamp) -> Self {
        Self {
            target: target.to_owned(),
            phase: PassPhase::Counting,
            position: None,
            clean: true,
            looked_at: 0,
            total: None,
            reencrypted: 0,
            failed: 0,
            failures: Vec::new(),
            settled: false,
            started_at: now,
            touched_at: now,
        }
    }

    /// Goes on to the next phase, which begins at the first document.
    pub(crate) fn advance(&mut self) {
        self.phase = match self.phase {
            PassPhase::Counting => PassPhase::ReEncrypting,
            PassPhase::ReEncrypting => PassPhase::Checking,
            PassPhase::Checking if !self.clean => PassPhase::Checking,
            PassPhase::Checking | PassPhase::Finished => PassPhase::Finished,
        };
        self.position = None;
        self.total = Some(self.looked_at);
        if self.phase != PassPhase::Finished {
            self.clean = true;
            self.looked_at = 0;
            self.failed = 0;
            self.failures.clear();
        }
    }

    pub(crate) fn fail(&mut self, document: &Key, reason: String) {
        self.failed += 1;
        if self.failures.len() < Self::MOST_FAILURES {
            self.failures.push(Unreadable { document: document.clone(), reason });
        }
    }

    /// How much of this phase is done, in percent; `None` before the documents were counted.
    #[must_use]
    pub fn percent(&self) -> Option<u64> {
        let total = self.total?;
        Some(self.looked_at.saturating_mul(100).checked_div(total).unwrap_or(100).min(100))
    }
}

/// A kind of stored document that holds sealed values.
///
/// Each is listed in [`SecretKind::all`], else no key that it was sealed with could ever be retired: a test
/// walks all golden files for sealed values that are not named here.
trait HoldsSecrets: Stored {
    /// The first segment of its documents' keys.
    const ROOT: &'static str;
    /// Where in the document a sealed value may be, as JSON pointers.
    const SEALED: &'static [&'static str];
}

impl HoldsSecrets for Installation {
    const ROOT: &'static str = "installation";
    const SEALED: &'static [&'static str] = &["/canary"];
}

impl HoldsSecrets for Cluster {
    const ROOT: &'static str = "cluster";
    const SEALED: &'static [&'static str] = &["/kubeconfig", "/ca-key"];
}

impl HoldsSecrets for Credential {
    const ROOT: &'static str = "credential";
    const SEALED: &'static [&'static str] = &["/key", "/token", "/kubeconfig"];
}

impl HoldsSecrets for CertificateAuthority {
    const ROOT: &'static str = "certificate-authority";
    const SEALED: &'static [&'static str] = &["/root/key", "/next/key", "/previous/key"];
}

/// A kind of stored document that holds secrets, and where in it they are.
#[derive(Clone, Copy, Debug)]
pub struct SecretKind {
    /// The kind that is written into its documents.
    pub kind: &'static str,
    /// The first segment of its documents' keys.
    pub root: &'static str,
    /// Where in a document a sealed value may be, as JSON pointers.
    pub sealed: &'static [&'static str],
    version: u32,
    upgrade: fn(u32, Value) -> Result<Value, String>,
}

/// A document as it lies in the store. It is not read as its type, so that what a newer release of the same
/// version has added stays in it.
#[derive(Serialize, Deserialize)]
struct Raw {
    kind: String,
    version: u32,
    document: Value,
}

impl SecretKind {
    /// All of them, in the order in which a pass goes through them.
    #[must_use]
    pub const fn all() -> &'static [Self] {
        const ALL: &[SecretKind] = &[
            SecretKind::of::<Installation>(),
            SecretKind::of::<Cluster>(),
            SecretKind::of::<Credential>(),
            SecretKind::of::<CertificateAuthority>(),
        ];
        ALL
    }

    const fn of<T: HoldsSecrets>() -> Self {
        Self { kind: T::KIND, root: T::ROOT, sealed: T::SEALED, version: T::VERSION, upgrade: T::upgrade }
    }

    /// The document with all its secrets sealed with the sealer's current key; `None` where they are already.
    ///
    /// # Errors
    /// Why that cannot be done, for people and without the document's content.
    pub(crate) fn reseal(&self, found: &Document, sealer: &dyn Sealer) -> Result<Option<Body>, String> {
        let unreadable = |_: serde_json::Error| "it cannot be read".to_owned();
        let mut raw: Raw = serde_json::from_slice(found.body.as_bytes()).map_err(unreadable)?;
        if raw.kind != self.kind {
            return Err(format!("it is not a {}", self.kind));
        }
        if raw.version > self.version {
            return Err("a newer release wrote it; let that release encrypt it".to_owned());
        }
        if raw.version < self.version {
            raw.document = (self.upgrade)(raw.version, raw.document)?;
            raw.version = self.version;
        }
        let current = sealer.current_key();
        let mut changed = false;
        for pointer in self.sealed {
            let Some(value) = raw.document.pointer_mut(pointer).filter(|value| !value.is_null()) else { continue };
            let sealed = Sealed::deserialize(&*value).map_err(|_| format!("{pointer} is no encrypted value"))?;
            if sealed.key_id != current {
                let secret = sealer.open(&found.key, &sealed).map_err(|error| error.to_string())?;
                let anew = sealer.seal(&found.key, &secret).map_err(|error| error.to_string())?;
                *value = serde_json::to_value(anew).map_err(unreadable)?;
                changed = true;
            }
        }
        if !changed {
            return Ok(None);
        }
        serde_json::to_vec(&raw).map(|json| Some(Body::from_json(json))).map_err(unreadable)
    }
}
