use dcm_core::{
    model::{ClusterStatus, Connectivity, Drift},
    name::ReferenceName,
    service::{CloudStatus, Overall},
    sync::{Change, Part, PartState},
};
use dcm_proto::v1 as pb;

use super::{object, time};

/// How far it is as a whole, and on these of its clusters.
pub(in crate::grpc) fn told(status: &CloudStatus, clusters: Vec<pb::ClusterStatus>) -> pb::LogicalCloudStatus {
    pb::LogicalCloudStatus {
        name: status.cloud.metadata.name.to_string(),
        description: status.cloud.metadata.description.clone(),
        status: overall(status.overall).into(),
        clusters,
        cluster_count: u32::try_from(status.clusters.len()).unwrap_or(u32::MAX),
    }
}

const fn overall(overall: Overall) -> pb::OverallStatus {
    match overall {
        Overall::NotCreated => pb::OverallStatus::NotCreated,
        Overall::CreationInProgress => pb::OverallStatus::CreationInProgress,
        Overall::Created => pb::OverallStatus::Created,
        Overall::CreationFailed => pb::OverallStatus::CreationFailed,
        Overall::DeletionInProgress => pb::OverallStatus::DeletionInProgress,
        Overall::Deleted => pb::OverallStatus::Deleted,
        Overall::DeletionFailed => pb::OverallStatus::DeletionFailed,
        Overall::Stopped => pb::OverallStatus::Stopped,
    }
}

pub(in crate::grpc) fn cluster((reference, status): &(ReferenceName, Option<ClusterStatus>)) -> pb::ClusterStatus {
    let status = status.as_ref();
    let part = |part: Part| Some(part_status(status.map_or(PartState::Pending, |status| status.part(part))));
    let connectivity = status.map_or(Connectivity::Unknown, |status| status.connectivity);
    pb::ClusterStatus {
        cluster_reference: reference.to_string(),
        namespace_status: part(Part::Namespace),
        role_status: part(Part::Role),
        role_binding_status: part(Part::RoleBinding),
        quota_status: part(Part::Quota),
        credential_status: part(Part::Credential),
        kubeconfig_status: part(Part::Kubeconfig),
        connectivity: object::connectivity(connectivity).into(),
        reason: status.and_then(ClusterStatus::reason).map(|reason| reason.as_str().to_owned()),
        last_attempt: status.and_then(|status| status.last_attempt).map(time),
        next_attempt: status.and_then(|status| status.next_attempt).map(time),
        unreachable_since: status.and_then(|status| status.unreachable_since).map(time),
        drift: status.and_then(|status| status.drift.as_ref()).map(drift),
        remarks: status.map(|status| status.remarks.clone()).unwrap_or_default(),
    }
}

fn part_status(state: PartState) -> pb::PartStatus {
    let (state, reason) = match state {
        PartState::Pending => (pb::PartState::Pending, String::new()),
        PartState::Created => (pb::PartState::Created, String::new()),
        PartState::Deleted => (pb::PartState::Deleted, String::new()),
        PartState::NotAvailable(reason) => (pb::PartState::NotAvailable, reason),
        PartState::Failed(reason) => (pb::PartState::Failed, reason),
    };
    pb::PartStatus { state: state.into(), reason }
}

fn drift(drift: &Drift) -> pb::Drift {
    let drifted = |drifted: &Change| pb::DriftedObject {
        change: object::change(drifted.change).into(),
        object: object::name(&drifted.id),
    };
    pb::Drift {
        seen_at: Some(time(drift.seen_at)),
        repaired: drift.repaired,
        count: drift.count as u64,
        objects: drift.objects.iter().map(drifted).collect(),
    }
}
