use dcm_core::{
    fault::Faults,
    model::{ClusterHealth, ClusterInput, ClusterUse},
    secret::Secret,
    service::{ClusterView, Draft},
};
use dcm_proto::v1 as pb;

use super::{etag, metadata, object, time};
use crate::http::dto;

pub(in crate::grpc) fn draft(cluster: Option<pb::Cluster>) -> Draft<ClusterInput> {
    let pb::Cluster { metadata, spec, .. } = cluster.unwrap_or_default();
    let spec = spec.unwrap_or_default();
    let mut faults = Faults::new();
    let kubeconfig = spec.kubeconfig.and_then(|text| dto::yaml::kubeconfig(&text, "/spec/kubeconfig", &mut faults));
    let input = ClusterInput {
        metadata: metadata::input(metadata),
        kubeconfig,
        labels: spec.labels,
        ca_certificate: spec.ca_certificate,
        ca_key: spec.ca_key.map(Secret::new),
        istio_version: spec.istio_version,
    };
    Draft { input, faults }
}

pub(in crate::grpc) fn told(view: &ClusterView) -> pb::Cluster {
    let cluster = &view.cluster;
    pb::Cluster {
        metadata: metadata::told(&cluster.metadata),
        spec: Some(pb::ClusterSpec {
            kubeconfig: None,
            labels: cluster.labels.clone(),
            ca_certificate: cluster.ca_certificate.clone(),
            ca_key: None,
            istio_version: cluster.istio_version.clone(),
            server: cluster.server.clone(),
        }),
        provider: cluster.provider.to_string(),
        uid: cluster.uid.to_string(),
        health: Some(view.health.as_ref().map(health).unwrap_or_default()),
        used_by: view.uses.iter().map(used).collect(),
        etag: etag(&view.revision),
    }
}

fn health(health: &ClusterHealth) -> pb::ClusterHealth {
    let capabilities = dto::capabilities(&health.capabilities);
    pb::ClusterHealth {
        connectivity: object::connectivity(health.connectivity).into(),
        identity: health.identity.clone(),
        version: health.version.clone(),
        reason: health.reason.map(|reason| reason.as_str().to_owned()),
        detail: health.detail.clone(),
        capabilities: capabilities.into_iter().map(|(feature, word)| (feature.to_owned(), word)).collect(),
        checked_at: Some(time(health.checked_at)),
    }
}

fn used(used: &ClusterUse) -> pb::ClusterUse {
    pb::ClusterUse {
        project: used.project.to_string(),
        logical_cloud: used.name.to_string(),
        cluster_reference: used.reference.to_string(),
    }
}
