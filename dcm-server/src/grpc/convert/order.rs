use dcm_core::{
    model::LogicalCloud,
    name::ReferenceName,
    service::{Ordered, Revocation},
    sync::{Failure, Grant},
};
use dcm_proto::v1 as pb;

use super::object;
use crate::grpc::page::fitting;

/// What became of a user's access on one cluster.
type Access = (ReferenceName, Result<Vec<Grant>, Failure>);

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
    let (clusters, clusters_left_out) = told(&revocation.clusters);
    pb::RevokeUserResponse { accepted: Some(accepted(&revocation.cloud)), clusters, clusters_left_out }
}

/// What there is room for, and how much there is not.
fn told(clusters: &[Access]) -> (Vec<pb::RevokedAccess>, u32) {
    let (mut told, next) = fitting(clusters.iter().map(access), None);
    if !next.is_empty() {
        // What is worth knowing comes first then.
        let mut sorted: Vec<_> = clusters.iter().map(access).collect();
        sorted.sort_by_key(|cluster| cluster.revoked && cluster.still_grants_access.is_empty());
        told = fitting(sorted, None).0;
    }
    let left_out = clusters.len() - told.len();
    (told, u32::try_from(left_out).unwrap_or(u32::MAX))
}

fn access((reference, cut): &Access) -> pb::RevokedAccess {
    let grants = cut.as_ref().map(Vec::as_slice).unwrap_or_default();
    let still = |grant: &Grant| pb::StillGrants { object: object::name(&grant.id), detail: grant.detail.clone() };
    pb::RevokedAccess {
        cluster_reference: reference.to_string(),
        revoked: cut.is_ok(),
        failure: cut.as_ref().err().map(object::failure),
        still_grants_access: grants.iter().map(still).collect(),
    }
}

#[cfg(test)]
mod tests {
    use dcm_core::sync::Reason;

    use super::*;

    fn clusters(count: usize, bytes: usize) -> Vec<Access> {
        let cluster = |number: usize| {
            let failure = || Failure::new(Reason::Unreachable, "x".repeat(bytes));
            let cut = if number.is_multiple_of(2) { Ok(Vec::new()) } else { Err(failure()) };
            (format!("c-{number:05}").parse().unwrap(), cut)
        };
        (0..count).map(cluster).collect()
    }

    #[test]
    fn where_there_is_no_room_for_all_those_are_told_where_he_may_still_have_access() {
        let (told, left_out) = self::told(&clusters(10_000, 800));
        assert_eq!(told.len() + left_out as usize, 10_000);
        assert!(told.len() > 3000 && told.iter().all(|cluster| !cluster.revoked), "{}", told.len());
    }

    #[test]
    fn where_there_is_room_all_are_told_by_name() {
        let (told, left_out) = self::told(&clusters(1000, 800));
        assert_eq!((told.len(), left_out), (1000, 0));
        assert!(told.is_sorted_by_key(|cluster| cluster.cluster_reference.clone()));
    }
}
