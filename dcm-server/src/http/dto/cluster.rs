use std::collections::BTreeMap;

use dcm_core::{
    fault::Faults,
    model::{Cluster, ClusterInput, Connectivity, Metadata},
    name::ClusterName,
    secret::Secret,
    service::ClusterView,
};
use jiff::Timestamp;
use serde::Serialize;

use super::{Input, NotJson, Read, metadata::metadata, reader::Object, yaml};

impl Input for ClusterInput {
    fn read(body: &Object<'_>) -> Self {
        body.read_only(&["name", "uid", "health", "used-by", "provider"]);
        let metadata = metadata(body);
        let spec = body.object_or_empty("spec");
        spec.read_only(&["server"]);
        Self {
            metadata,
            kubeconfig: yaml::field(&spec, "kubeconfig"),
            labels: spec.map("labels", false).unwrap_or_default(),
            ca_certificate: spec.text(&["ca-certificate"]),
            ca_key: spec.text(&["ca-key"]).map(Secret::new),
            istio_version: spec.text(&["istio-version"]),
        }
    }
}

/// Reads a registration that came as a form: `metadata` as JSON, `file` the kubeconfig.
pub(crate) fn from_multipart(
    metadata: Option<&[u8]>,
    file: Option<&[u8]>,
    deepest: usize,
) -> Result<Read<ClusterInput>, NotJson> {
    let mut read = match metadata {
        Some(json) => super::read::<ClusterInput>(json, deepest)?,
        None => {
            let mut faults = Faults::new();
            faults.add("/metadata", "is required: a part of the form with JSON");
            Read { input: ClusterInput::default(), faults, unknown: Vec::new() }
        }
    };
    if let Some(file) = file {
        if read.input.kubeconfig.is_some() {
            read.faults.add("/spec/kubeconfig", "stands there twice, as a field and as the part \"file\"");
        }
        read.input.kubeconfig = match std::str::from_utf8(file) {
            Ok(text) => yaml::kubeconfig(text, "/spec/kubeconfig", &mut read.faults),
            Err(_) => {
                read.faults.add("/spec/kubeconfig", "must be UTF-8");
                None
            }
        };
    }
    Ok(read)
}

/// A registered cluster, without its credentials.
#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct ClusterAnswer<'a> {
    metadata: &'a Metadata<ClusterName>,
    spec: Spec<'a>,
    name: &'a str,
    provider: &'a str,
    uid: &'a str,
    health: Health<'a>,
    used_by: Vec<Use<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Spec<'a> {
    server: &'a str,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    labels: &'a BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ca_certificate: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    istio_version: Option<&'a str>,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Health<'a> {
    connectivity: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    identity: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<&'a str>,
    /// By feature: whether DCM's credential suffices for it.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    capabilities: BTreeMap<&'a str, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    checked_at: Option<Timestamp>,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Use<'a> {
    project: &'a str,
    logical_cloud: &'a str,
    cluster_reference: &'a str,
}

fn capabilities(lacks: &BTreeMap<String, Vec<String>>) -> BTreeMap<&str, String> {
    let word = |lacks: &Vec<String>| match lacks.as_slice() {
        [] => "Available".to_owned(),
        lacks => format!("Not Available: DCM's credential lacks {}", lacks.join("; ")),
    };
    lacks.iter().map(|(feature, lacks)| (feature.as_str(), word(lacks))).collect()
}

impl<'a> ClusterAnswer<'a> {
    pub(crate) fn new(view: &'a ClusterView) -> Self {
        let Cluster { metadata, provider, .. } = &view.cluster;
        let health = view.health.as_ref();
        Self {
            metadata,
            spec: Spec {
                server: &view.cluster.server,
                labels: &view.cluster.labels,
                ca_certificate: view.cluster.ca_certificate.as_deref(),
                istio_version: view.cluster.istio_version.as_deref(),
            },
            name: metadata.name.as_str(),
            provider: provider.as_str(),
            uid: view.cluster.uid.as_str(),
            health: Health {
                connectivity: health.map_or(Connectivity::Unknown, |health| health.connectivity).as_str(),
                identity: health.and_then(|health| health.identity.as_deref()),
                version: health.and_then(|health| health.version.as_deref()),
                reason: health.and_then(|health| health.reason).map(|reason| reason.as_str()),
                detail: health.and_then(|health| health.detail.as_deref()),
                capabilities: health.map(|health| capabilities(&health.capabilities)).unwrap_or_default(),
                checked_at: health.map(|health| health.checked_at),
            },
            used_by: view
                .uses
                .iter()
                .map(|used| Use {
                    project: used.project.as_str(),
                    logical_cloud: used.name.as_str(),
                    cluster_reference: used.reference.as_str(),
                })
                .collect(),
        }
    }
}
