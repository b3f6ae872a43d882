use dcm_core::{
    model::{KvPair, KvPairInput, Metadata},
    name::KvPairName,
};
use serde::{Serialize, Serializer, ser::SerializeMap as _};
use serde_json::Value;

use super::{Input, metadata::metadata, reader::Object};

impl Input for KvPairInput {
    fn read(body: &Object<'_>) -> Self {
        body.read_only(&["name"]);
        let metadata = metadata(body);
        Self { metadata, kv: body.object_or_empty("spec").pairs("kv") }
    }
}

/// A kv-pair.
#[derive(Serialize)]
pub(crate) struct KvPairAnswer<'a> {
    metadata: &'a Metadata<KvPairName>,
    spec: Spec<'a>,
}

#[derive(Serialize)]
struct Spec<'a> {
    kv: Vec<Pair<'a>>,
}

/// The value of one key of a kv-pair.
#[derive(Serialize)]
pub(crate) struct KvValueAnswer<'a> {
    pub(crate) value: &'a Value,
}

struct Pair<'a>(&'a (String, Value));

impl Serialize for Pair<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut map = to.serialize_map(Some(1))?;
        map.serialize_entry(&self.0.0, &self.0.1)?;
        map.end()
    }
}

impl<'a> KvPairAnswer<'a> {
    pub(crate) fn new(pair: &'a KvPair) -> Self {
        Self { metadata: &pair.metadata, spec: Spec { kv: pair.kv.iter().map(Pair).collect() } }
    }
}
