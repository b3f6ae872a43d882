use dcm_core::{
    model::Connectivity,
    sync::{ChangeKind, Failure, ObjectId},
};
use dcm_proto::v1 as pb;

pub(super) fn name(id: &ObjectId) -> Option<pb::ObjectName> {
    Some(pb::ObjectName {
        api_version: id.api_version.clone(),
        kind: id.kind.clone(),
        namespace: id.namespace.clone(),
        name: id.name.clone(),
    })
}

pub(super) fn failure(failure: &Failure) -> pb::Failure {
    pb::Failure { reason: failure.reason.as_str().to_owned(), detail: failure.detail.clone() }
}

pub(super) const fn change(change: ChangeKind) -> pb::ChangeKind {
    match change {
        ChangeKind::Create => pb::ChangeKind::Create,
        ChangeKind::Update => pb::ChangeKind::Update,
        ChangeKind::Replace => pb::ChangeKind::Replace,
        ChangeKind::Delete => pb::ChangeKind::Delete,
        ChangeKind::Other => pb::ChangeKind::Unspecified,
    }
}

pub(super) const fn connectivity(connectivity: Connectivity) -> pb::Connectivity {
    match connectivity {
        Connectivity::Unknown => pb::Connectivity::Unspecified,
        Connectivity::Available => pb::Connectivity::Available,
        Connectivity::Unavailable => pb::Connectivity::Unavailable,
    }
}
