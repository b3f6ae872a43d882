use std::sync::Arc;

use dcm_core::{
    name::ReferenceName,
    service::Preview,
    sync::{Comparison, Difference, Failure, FieldDifference, Object},
};
use dcm_proto::v1 as pb;

use super::object;
use crate::grpc::page::fitting;

pub(in crate::grpc) fn manifests(preview: Preview<Arc<[Object]>>) -> pb::GetManifestsResponse {
    let manifest =
        |object: &Object| pb::Manifest { object: object::name(&object.id), json: object.manifest.to_string() };
    let cluster = |(reference, objects): (ReferenceName, Arc<[Object]>)| pb::ClusterManifests {
        cluster_reference: reference.into(),
        objects: objects.iter().map(manifest).collect(),
    };
    let (clusters, next_page_token) = fitting(preview.clusters.into_iter().map(cluster), preview.next);
    pb::GetManifestsResponse { generation: preview.generation, clusters, next_page_token }
}

pub(in crate::grpc) fn diff(preview: &Preview<Result<Comparison, Failure>>) -> pb::DiffResponse {
    let (clusters, next_page_token) = fitting(preview.clusters.iter().map(cluster_diff), preview.next.clone());
    pb::DiffResponse { generation: preview.generation, clusters, next_page_token }
}

fn cluster_diff((reference, compared): &(ReferenceName, Result<Comparison, Failure>)) -> pb::ClusterDiff {
    let cluster_reference = reference.to_string();
    match compared {
        Ok(comparison) => pb::ClusterDiff {
            cluster_reference,
            changes: comparison.differences.iter().map(object_diff).collect(),
            remarks: comparison.remarks.clone(),
            failure: comparison.failure.as_ref().map(object::failure),
        },
        Err(failure) => {
            pb::ClusterDiff { cluster_reference, failure: Some(object::failure(failure)), ..pb::ClusterDiff::default() }
        }
    }
}

fn object_diff(difference: &Difference) -> pb::ObjectDiff {
    pb::ObjectDiff {
        change: object::change(difference.change.change).into(),
        object: object::name(&difference.change.id),
        fields: difference.fields.iter().map(field_diff).collect(),
        checked_by_cluster: difference.checked,
        refusal: difference.refusal.as_ref().map(object::failure),
    }
}

fn field_diff(field: &FieldDifference) -> pb::FieldDiff {
    pb::FieldDiff {
        pointer: field.pointer.clone(),
        live_json: field.live.as_ref().map(ToString::to_string),
        wanted_json: field.wanted.as_ref().map(ToString::to_string),
    }
}
