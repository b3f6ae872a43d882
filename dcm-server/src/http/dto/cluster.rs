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
use utoipa::ToSchema;

use super::{
    Input, NotJson, Read,
    metadata::{MetadataBody, MetadataSchema, metadata},
    reader::{Object, Remarks},
    yaml,
};

impl Input for ClusterInput {
    fn read(body: &Object<'_>) -> Self {
        body.read_only(&["uid", "health", "used-by", "provider"]);
        let metadata = metadata(body, &["name"]);
        let spec = body.object_or_empty("spec");
        spec.read_only(&["server"]);
        if spec.takes_away("kubeconfig") {
            spec.fault("kubeconfig", "is required: it can be replaced, and not taken away");
        }
        let ca_certificate = spec.text(&["ca-certificate"]);
        // Without its key, which is not shown, the certificate is worth nothing.
        let (loses_key, names_certificate) = (spec.takes_away("ca-key"), spec.has(&["ca-certificate"]));
        spec.note_change(loses_key && ca_certificate.is_some());
        if loses_key && names_certificate && ca_certificate.is_some() {
            spec.fault("ca-key", "is required together with ca-certificate; make both null");
        }
        Self {
            metadata,
            kubeconfig: yaml::field(&spec, "kubeconfig"),
            labels: spec.map("labels", false).unwrap_or_default(),
            ca_certificate: ca_certificate.filter(|_| names_certificate || !loses_key),
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
            Read { input: ClusterInput::default(), faults, remarks: Remarks::default() }
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

/// A cluster's registration, as it is written.
#[derive(ToSchema)]
#[schema(as = ClusterInput)]
#[expect(dead_code, reason = "describes what is read")]
pub(crate) struct ClusterBody {
    metadata: Option<MetadataBody>,
    /// Required to register one.
    spec: Option<SpecBody>,
}

#[derive(ToSchema)]
#[schema(as = ClusterInputSpec)]
#[serde(rename_all = "kebab-case")]
#[expect(dead_code, reason = "describes what is read")]
struct SpecBody {
    /// A kubeconfig that holds its credentials itself, as an object or as a text of YAML or JSON. Required to register one;
    /// where it is left out of a replacement, the one that is there stays. Never shown.
    #[schema(value_type = Option<Value>)]
    kubeconfig: (),
    labels: Option<BTreeMap<String, String>>,
    /// The certificate (PEM) of the CA that the cluster trusts for clients: with its key, DCM signs users' certificates itself.
    ca_certificate: Option<String>,
    /// Its key (PEM). Never shown.
    ca_key: Option<String>,
    /// The version of Istio there.
    istio_version: Option<String>,
}

/// A registered cluster, or its name where a label was asked for.
#[derive(ToSchema)]
#[schema(as = ClusterOrName)]
#[serde(untagged)]
#[expect(dead_code, clippy::large_enum_variant, reason = "describes what is written")]
pub(crate) enum ClusterOrNameSchema {
    Cluster(ClusterAnswer<'static>),
    Name(String),
}

/// A registered cluster, without its credentials.
#[derive(Serialize, ToSchema)]
#[schema(as = Cluster)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct ClusterAnswer<'a> {
    #[schema(value_type = MetadataSchema)]
    metadata: &'a Metadata<ClusterName>,
    spec: Spec<'a>,
    name: &'a str,
    provider: &'a str,
    uid: &'a str,
    health: Health<'a>,
    /// The logical clouds that refer to it.
    used_by: Vec<Use<'a>>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = ClusterSpec)]
#[serde(rename_all = "kebab-case")]
struct Spec<'a> {
    /// The URL of its API server.
    server: &'a str,
    #[schema(value_type = Option<BTreeMap<String, String>>)]
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    labels: &'a BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ca_certificate: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    istio_version: Option<&'a str>,
}

/// What was last seen of it.
#[derive(Serialize, ToSchema)]
#[schema(as = ClusterHealth)]
#[serde(rename_all = "kebab-case")]
struct Health<'a> {
    #[schema(value_type = ConnectivityWord)]
    connectivity: &'static str,
    /// The uid of its namespace `kube-system`.
    #[serde(skip_serializing_if = "Option::is_none")]
    identity: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<&'a str>,
    /// By feature: whether DCM's credential suffices for it.
    #[schema(value_type = Option<BTreeMap<String, String>>)]
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    capabilities: BTreeMap<&'a str, String>,
    #[schema(value_type = Option<String>, format = DateTime)]
    #[serde(skip_serializing_if = "Option::is_none")]
    checked_at: Option<Timestamp>,
}

/// Whether a cluster answers.
#[derive(ToSchema)]
#[schema(as = Connectivity)]
#[serde(rename_all = "kebab-case")]
#[expect(dead_code, reason = "describes a word")]
pub(super) enum ConnectivityWord {
    Unknown,
    Available,
    Unavailable,
}

#[derive(Serialize, ToSchema)]
#[schema(as = ClusterUse)]
#[serde(rename_all = "kebab-case")]
struct Use<'a> {
    project: &'a str,
    logical_cloud: &'a str,
    cluster_reference: &'a str,
}

/// By feature: whether DCM's credential suffices for it, for people.
pub(crate) fn capabilities(lacks: &BTreeMap<String, Vec<String>>) -> BTreeMap<&str, String> {
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
