use std::collections::BTreeMap;

use dcm_core::{
    model::{KvPair, KvPairInput, Metadata},
    name::KvPairName,
};
use serde::{Serialize, Serializer, ser::SerializeMap as _};
use serde_json::Value;
use utoipa::ToSchema;

use super::{
    Input,
    metadata::{MetadataBody, MetadataSchema, metadata},
    reader::Object,
};

impl Input for KvPairInput {
    fn read(body: &Object<'_>) -> Self {
        let metadata = metadata(body, &["name"]);
        Self { metadata, kv: body.object_or_empty("spec").pairs("kv") }
    }
}

/// Key-value pairs under one name, as they are written.
#[derive(ToSchema)]
#[schema(as = KvPairInput)]
#[expect(dead_code, reason = "describes what is read")]
pub(crate) struct KvPairBody {
    metadata: Option<MetadataBody>,
    spec: KvSpecBody,
}

#[derive(ToSchema)]
#[schema(as = KvPairInputSpec)]
#[expect(dead_code, reason = "describes what is read")]
struct KvSpecBody {
    /// Objects with one key each, whose order and repetitions are kept; a plain object is taken too, and sorted.
    #[schema(value_type = PairsBody)]
    kv: (),
}

#[derive(ToSchema)]
#[schema(as = KvPairs)]
#[serde(untagged)]
#[expect(dead_code, reason = "describes what is read")]
enum PairsBody {
    List(Vec<BTreeMap<String, Value>>),
    Object(BTreeMap<String, Value>),
}

/// Key-value pairs under one name.
#[derive(Serialize, ToSchema)]
#[schema(as = KvPair)]
pub(crate) struct KvPairAnswer<'a> {
    #[schema(value_type = MetadataSchema)]
    metadata: &'a Metadata<KvPairName>,
    spec: Spec<'a>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = KvPairSpec)]
struct Spec<'a> {
    /// Objects with one key each, in their order.
    #[schema(value_type = Vec<BTreeMap<String, Value>>)]
    kv: Vec<Pair<'a>>,
}

/// A kv-pair, or where a key was asked for, its value.
#[derive(ToSchema)]
#[schema(as = KvPairOrValue)]
#[serde(untagged)]
#[expect(dead_code, reason = "describes what is written")]
pub(crate) enum KvPairOrValueSchema {
    Pair(KvPairAnswer<'static>),
    Value(KvValueAnswer<'static>),
}

/// The value of one key of a kv-pair.
#[derive(Serialize, ToSchema)]
#[schema(as = KvValue)]
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
