use dcm_core::{
    model::{ClusterProvider, Metadata, MetadataInput, Project},
    store::Entry,
};
use dcm_proto::v1 as pb;

use super::etag;

pub(in crate::grpc) fn input(metadata: Option<pb::Metadata>) -> MetadataInput {
    let Some(pb::Metadata { name, description, user_data1, user_data2 }) = metadata else {
        return MetadataInput::default();
    };
    MetadataInput { name, description: Some(description), user_data1: Some(user_data1), user_data2: Some(user_data2) }
}

pub(super) fn told<N: AsRef<str>>(metadata: &Metadata<N>) -> Option<pb::Metadata> {
    Some(pb::Metadata {
        name: Some(metadata.name.as_ref().to_owned()),
        description: metadata.description.clone(),
        user_data1: metadata.user_data1.clone(),
        user_data2: metadata.user_data2.clone(),
    })
}

pub(in crate::grpc) fn project(entry: &Entry<Project>) -> pb::Project {
    let Project { metadata, uid, .. } = &entry.value;
    pb::Project { metadata: told(metadata), uid: uid.to_string(), etag: etag(&entry.revision) }
}

pub(in crate::grpc) fn provider(entry: &Entry<ClusterProvider>) -> pb::ClusterProvider {
    let ClusterProvider { metadata, uid, .. } = &entry.value;
    pb::ClusterProvider { metadata: told(metadata), uid: uid.to_string(), etag: etag(&entry.revision) }
}
