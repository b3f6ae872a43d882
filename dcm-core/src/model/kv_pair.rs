use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Metadata, MetadataInput};
use crate::{fault::Faults, name::KvPairName, store::Stored};

/// A named list of key-value pairs of a logical cloud, or of a cluster.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct KvPair {
    /// Its name and description.
    pub metadata: Metadata<KvPairName>,
    /// The pairs, in the client's order, repeated keys included.
    pub kv: Vec<(String, Value)>,
}

impl KvPair {
    /// At most so many per logical cloud, and per cluster.
    pub const MOST: usize = 1000;
}

impl Stored for KvPair {
    const KIND: &'static str = "KvPair";
    const VERSION: u32 = 1;
}

/// A kv-pair as a client wrote it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct KvPairInput {
    /// See [`KvPair::metadata`].
    pub metadata: MetadataInput,
    /// See [`KvPair::kv`].
    pub kv: Option<Vec<(String, Value)>>,
}

impl KvPairInput {
    /// Checks all of it; see [`MetadataInput::check`] for `known`.
    pub fn check(self, known: Option<&KvPairName>, faults: &mut Faults) -> Option<KvPair> {
        let metadata = self.metadata.check("/metadata", known, faults);
        if self.kv.is_none() {
            faults.add("/spec/kv", "is required: an array of objects with one key each, or one object");
        }
        Some(KvPair { metadata: metadata?, kv: self.kv? })
    }
}
