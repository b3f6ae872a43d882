use std::sync::Arc;

use dcm_core::{
    name::ReferenceName,
    service::Preview,
    sync::{Comparison, Difference, Failure, FieldDifference, Object},
};
use dcm_proto::v1 as pb;

use super::object;

pub(in crate::grpc) fn manifests(preview: Preview<Arc<[Object]>>) -> pb::GetManifestsResponse {
    let manifest =
        |object: &Object| pb::Manifest { object: object::name(&object.id), json: object.manifest.to_string() };
    let cluster = |(reference, objects): (ReferenceName, Arc<[Object]>)| pb::ClusterManifests {
        cluster_reference: reference.into(),
        objects: objects.iter().map(manifest).collect(),
    };
    pb::GetManifestsResponse {
        generation: preview.generation,
        clusters: preview.clusters.into_iter().map(cluster).collect(),
        next_page_token: preview.next.unwrap_or_default(),
    }
}

pub(in crate::grpc) fn diff(preview: &Preview<Result<Comparison, Failure>>) -> pb::DiffResponse {
    pb::DiffResponse {
        generation: preview.generation,
        clusters: preview.clusters.iter().map(cluster_diff).collect(),
        next_page_token: preview.next.clone().unwrap_or_default(),
    }
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
