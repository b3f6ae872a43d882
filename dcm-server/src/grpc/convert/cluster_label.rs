use dcm_core::{
    model::{ClusterLabel, ClusterLabelInput},
    store::Revision,
};
use dcm_proto::v1 as pb;

use super::etag;

pub(in crate::grpc) fn input(label: Option<pb::ClusterLabel>) -> ClusterLabelInput {
    let pb::ClusterLabel { label_name, value, .. } = label.unwrap_or_default();
    ClusterLabelInput { key: label_name, value: Some(value) }
}

pub(in crate::grpc) fn told(label: &ClusterLabel, revision: &Revision) -> pb::ClusterLabel {
    one(label.key.to_string(), label.value.clone(), revision)
}

pub(in crate::grpc) fn one(key: String, value: String, revision: &Revision) -> pb::ClusterLabel {
    pb::ClusterLabel { label_name: Some(key), value, etag: etag(revision) }
}
