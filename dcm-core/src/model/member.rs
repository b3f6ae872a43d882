use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Uid;
use crate::store::Stored;

/// A process that carries out orders, as it tells the others that it lives.
///
/// It writes the document again and again. Who sees no change of it for as long as its lease says, by a clock of his
/// own, may delete it: then the process has stopped working by itself before that, also where it still runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Member {
    /// Its id: a new one whenever a process begins, or begins anew after it was silent for too long.
    pub id: Uid,
    /// When it began, by its own clock. Says who is the eldest; nothing that must be right rests on it.
    pub started_at: Timestamp,
    /// How long it may be silent, in milliseconds.
    pub lease_ms: u64,
    /// Counts how often it was written.
    pub beat: u64,
}

impl Member {
    /// How long it may be silent.
    #[must_use]
    pub const fn lease(&self) -> Duration {
        Duration::from_millis(self.lease_ms)
    }
}

impl Stored for Member {
    const KIND: &'static str = "Member";
    const VERSION: u32 = 1;
}
