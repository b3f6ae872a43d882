use dcm_core::{
    model::{Pass, PassPhase},
    service::EncryptionView,
};
use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

/// Which encryption keys there are, by their ids, and how far a new one is.
#[derive(Serialize, ToSchema)]
#[schema(as = Encryption)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct EncryptionAnswer<'a> {
    current_key: &'a str,
    keys_in_use: &'a [String],
    keys_configured: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    pass: Option<PassAnswer<'a>>,
}

/// A pass over all documents that makes the current key the only one in use.
#[derive(Serialize, ToSchema)]
#[schema(as = EncryptionPass)]
#[serde(rename_all = "kebab-case")]
struct PassAnswer<'a> {
    target: &'a str,
    state: &'static str,
    /// Whether the lines of other keys can be removed from the key file.
    settled: bool,
    looked_at: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    total: Option<u64>,
    re_encrypted: u64,
    failed: u64,
    #[schema(required = false)]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    failures: Vec<Failure<'a>>,
    #[schema(value_type = String, format = DateTime)]
    started: Timestamp,
    #[schema(value_type = Option<String>, format = DateTime)]
    #[serde(skip_serializing_if = "Option::is_none")]
    finished: Option<Timestamp>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = EncryptionFailure)]
struct Failure<'a> {
    document: &'a str,
    reason: &'a str,
}

impl<'a> EncryptionAnswer<'a> {
    pub(crate) fn new(found: &'a EncryptionView) -> Self {
        Self {
            current_key: &found.current,
            keys_in_use: &found.in_use,
            keys_configured: &found.configured,
            pass: found.pass.as_ref().map(PassAnswer::new),
        }
    }
}

impl<'a> PassAnswer<'a> {
    fn new(pass: &'a Pass) -> Self {
        let failures = pass.failures.iter();
        Self {
            target: &pass.target,
            state: pass.phase.as_str(),
            settled: pass.settled,
            looked_at: pass.looked_at,
            total: pass.total,
            re_encrypted: pass.reencrypted,
            failed: pass.failed,
            failures: failures.map(|one| Failure { document: one.document.as_str(), reason: &one.reason }).collect(),
            started: pass.started_at,
            finished: (pass.phase == PassPhase::Finished).then_some(pass.touched_at),
        }
    }
}
