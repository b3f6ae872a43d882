use dcm_core::{
    model::LogicalCloud,
    name::ReferenceName,
    service::{Ordered, Revocation},
    sync::{Failure, Grant},
};
use dcm_proto::v1 as pb;

use super::object;

pub(in crate::grpc) fn ordered(ordered: &Ordered) -> pb::Ordered {
    let pb::Accepted { logical_cloud_name, namespace, description, user } = accepted(&ordered.cloud);
    pb::Ordered {
        logical_cloud_name,
        namespace,
        description,
        user,
        clusters: ordered.clusters.clone(),
        quota_name: ordered.quotas.first().map(ToString::to_string),
        quotas: ordered.quotas.iter().map(ToString::to_string).collect(),
    }
}

pub(in crate::grpc) fn accepted(cloud: &LogicalCloud) -> pb::Accepted {
    pb::Accepted {
        logical_cloud_name: cloud.metadata.name.to_string(),
        namespace: cloud.spec.namespace.as_ref().map(ToString::to_string),
        description: cloud.metadata.description.clone(),
        user: cloud.spec.user.as_ref().map(|user| user.user_name.to_string()),
    }
}

pub(in crate::grpc) fn revoked(revocation: &Revocation) -> pb::RevokeUserResponse {
    pb::RevokeUserResponse {
        accepted: Some(accepted(&revocation.cloud)),
        clusters: revocation.clusters.iter().map(access).collect(),
    }
}

fn access((reference, cut): &(ReferenceName, Result<Vec<Grant>, Failure>)) -> pb::RevokedAccess {
    let grants = cut.as_ref().map(Vec::as_slice).unwrap_or_default();
    let still = |grant: &Grant| pb::StillGrants { object: object::name(&grant.id), detail: grant.detail.clone() };
    pb::RevokedAccess {
        cluster_reference: reference.to_string(),
        revoked: cut.is_ok(),
        failure: cut.as_ref().err().map(object::failure),
        still_grants_access: grants.iter().map(still).collect(),
    }
}
