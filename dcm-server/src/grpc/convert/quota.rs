use dcm_core::{
    model::{Quota, QuotaInput},
    store::Entry,
};
use dcm_proto::v1 as pb;

use super::{etag, metadata};

pub(in crate::grpc) fn input(quota: Option<pb::Quota>) -> QuotaInput {
    let pb::Quota { metadata, spec, .. } = quota.unwrap_or_default();
    QuotaInput { metadata: metadata::input(metadata), spec: spec.map(|spec| spec.limits) }
}

pub(in crate::grpc) fn told(entry: &Entry<Quota>) -> pb::Quota {
    pb::Quota {
        metadata: metadata::told(&entry.value.metadata),
        spec: Some(pb::QuotaSpec { limits: entry.value.spec.clone() }),
        etag: etag(&entry.revision),
    }
}
