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

    /// A key has at most so many bytes.
    pub const LONGEST_KEY: usize = 1024;
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
        for (i, (key, _)) in self.kv.iter().flatten().enumerate() {
            if key.len() > KvPair::LONGEST_KEY {
                // Without the key: it is too long to be told.
                faults.add(format!("/spec/kv/{i}"), format!("has a key of more than {} bytes", KvPair::LONGEST_KEY));
            }
        }
        Some(KvPair { metadata: metadata?, kv: self.kv? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_may_have_so_many_bytes_and_no_more() {
        let pair = |more: usize| KvPairInput {
            metadata: MetadataInput { name: Some("k".to_owned()), ..MetadataInput::default() },
            kv: Some(vec![("fine".to_owned(), Value::Null), ("x".repeat(KvPair::LONGEST_KEY + more), Value::Null)]),
        };
        let mut faults = Faults::new();
        assert!(pair(0).check(None, &mut faults).is_some() && faults.is_empty());
        pair(1).check(None, &mut faults);
        let [fault] = faults.as_slice() else { panic!("{faults:?}") };
        assert_eq!(
            (fault.pointer.as_str(), fault.detail.as_str()),
            ("/spec/kv/1", "has a key of more than 1024 bytes")
        );
    }
}
