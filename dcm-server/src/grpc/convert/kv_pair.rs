use dcm_core::{
    fault::{Faults, segment},
    model::{KvPair, KvPairInput},
    service::Draft,
    store::Entry,
};
use dcm_proto::v1 as pb;

use super::{etag, metadata};
use crate::http::dto;

/// How many levels of a body in REST lie above a value.
const ABOVE: usize = 4;

/// What a client wrote. The values are read as those of a body are, of so many levels at most.
pub(in crate::grpc) fn draft(pair: Option<pb::KvPair>, deepest: usize) -> Draft<KvPairInput> {
    let pb::KvPair { metadata, spec, .. } = pair.unwrap_or_default();
    let mut faults = Faults::new();
    let mut read = |(at, pair): (usize, pb::KeyValue)| {
        let pointer = format!("/spec/kv/{at}/{}", segment(&pair.key));
        let value = dto::value(&pair.json, &pointer, deepest.saturating_sub(ABOVE), &mut faults);
        (pair.key, value)
    };
    let kv = spec.map(|spec| spec.kv.into_iter().enumerate().map(&mut read).collect());
    Draft { input: KvPairInput { metadata: metadata::input(metadata), kv }, faults }
}

pub(in crate::grpc) fn told(entry: &Entry<KvPair>) -> pb::KvPair {
    let one = |(key, value): &(String, serde_json::Value)| pb::KeyValue { key: key.clone(), json: value.to_string() };
    pb::KvPair {
        metadata: metadata::told(&entry.value.metadata),
        spec: Some(pb::KvPairSpec { kv: entry.value.kv.iter().map(one).collect() }),
        etag: etag(&entry.revision),
    }
}
