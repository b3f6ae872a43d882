use dcm_core::{
    model::{ClusterReference, ClusterReferenceInput},
    store::Entry,
};
use dcm_proto::v1 as pb;

use super::{etag, metadata};

pub(in crate::grpc) fn input(reference: Option<pb::ClusterReference>) -> ClusterReferenceInput {
    let pb::ClusterReference { metadata, spec, .. } = reference.unwrap_or_default();
    let spec = spec.unwrap_or_default();
    ClusterReferenceInput {
        metadata: metadata::input(metadata),
        cluster_provider: spec.cluster_provider,
        cluster_name: spec.cluster_name,
        loadbalancer_ip: spec.loadbalancer_ip,
        ..ClusterReferenceInput::default()
    }
}

pub(in crate::grpc) fn told(entry: &Entry<ClusterReference>) -> pb::ClusterReference {
    let reference = &entry.value;
    pb::ClusterReference {
        metadata: metadata::told(&reference.metadata),
        spec: Some(pb::ClusterReferenceSpec {
            cluster_provider: Some(reference.cluster_provider.to_string()),
            cluster_name: Some(reference.cluster_name.to_string()),
            loadbalancer_ip: Some(reference.loadbalancer_ip.to_string()),
        }),
        uid: reference.uid.to_string(),
        deleting: reference.deleted_at.is_some(),
        etag: etag(&entry.revision),
    }
}
