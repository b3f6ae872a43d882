use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{ClusterLabel, Kubeconfig, Metadata, MetadataInput, Policy, Uid};
use crate::{
    fault::Faults,
    name::{ClusterName, ProviderName, is_label_key},
    secret::{Sealed, Secret},
    store::Stored,
    sync::Reason,
};

/// Whoever provides clusters.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct ClusterProvider {
    /// Its id for life; its clusters are keyed by it.
    pub uid: Uid,
    /// Its name and description.
    pub metadata: Metadata<ProviderName>,
    /// Set while a delete looks for children: whoever makes a child meanwhile gives way.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub deleting: bool,
}

impl Stored for ClusterProvider {
    const KIND: &'static str = "ClusterProvider";
    const VERSION: u32 = 1;
}

/// A registered Kubernetes cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Cluster {
    /// Its id for life.
    pub uid: Uid,
    /// Its name and description.
    pub metadata: Metadata<ClusterName>,
    /// Its provider.
    pub provider: ProviderName,
    /// The client's own labels.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Where its kubeconfig leads to.
    pub server: String,
    /// Its kubeconfig as JSON.
    pub kubeconfig: Sealed,
    /// The certificate of its CA for clients, PEM, where DCM is to sign users' certificates itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_certificate: Option<String>,
    /// That CA's private key, PEM.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_key: Option<Sealed>,
    /// The version of Istio that is to run there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub istio_version: Option<String>,
    /// When it was registered.
    pub registered_at: Timestamp,
    /// Set while a delete looks for who uses it: whoever refers to it meanwhile gives way.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub deleting: bool,
}

impl Stored for Cluster {
    const KIND: &'static str = "Cluster";
    const VERSION: u32 = 1;
}

/// What was last seen of a cluster; kept apart from its registration, which is the client's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct ClusterHealth {
    /// Whether it answered.
    pub connectivity: Connectivity,
    /// The uid of its `kube-system` namespace, once it was seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity: Option<String>,
    /// Its Kubernetes version, once it was seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Why it is not available, or why nobody tried.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
    /// For people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// What DCM's credential lacks there, feature by feature, when it was last registered; empty where that is
    /// not known.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub capabilities: BTreeMap<String, Vec<String>>,
    /// When this was seen.
    pub checked_at: Timestamp,
}

impl Stored for ClusterHealth {
    const KIND: &'static str = "ClusterHealth";
    const VERSION: u32 = 1;
}

/// Whether a cluster can be reached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Connectivity {
    /// Not tried yet, or nobody was there to try.
    #[default]
    Unknown,
    /// It answered.
    Available,
    /// It did not, or not to us.
    Unavailable,
}

impl Connectivity {
    /// As it is written in answers.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Available => "available",
            Self::Unavailable => "unavailable",
        }
    }
}

/// A cluster's registration as a client wrote it.
#[derive(Clone, Default)]
pub struct ClusterInput {
    /// See [`Cluster::metadata`].
    pub metadata: MetadataInput,
    /// The kubeconfig, parsed.
    pub kubeconfig: Option<Value>,
    /// See [`Cluster::labels`].
    pub labels: BTreeMap<String, String>,
    /// See [`Cluster::ca_certificate`].
    pub ca_certificate: Option<String>,
    /// See [`Cluster::ca_key`].
    pub ca_key: Option<Secret>,
    /// See [`Cluster::istio_version`].
    pub istio_version: Option<String>,
}

/// Hides the kubeconfig: it holds credentials.
impl std::fmt::Debug for ClusterInput {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ClusterInput")
            .field("metadata", &self.metadata)
            .field("kubeconfig", &self.kubeconfig.as_ref().map(|_| "…"))
            .field("labels", &self.labels)
            .field("ca_certificate", &self.ca_certificate)
            .field("ca_key", &self.ca_key)
            .field("istio_version", &self.istio_version)
            .finish()
    }
}

/// A registration that was checked and is not sealed yet.
#[derive(Clone, Debug)]
pub struct CheckedCluster {
    /// See [`Cluster::metadata`].
    pub metadata: Metadata<ClusterName>,
    /// The checked kubeconfig; `None` where the registered one stays.
    pub kubeconfig: Option<Kubeconfig>,
    /// See [`Cluster::labels`].
    pub labels: BTreeMap<String, String>,
    /// The CA that DCM may sign with.
    pub ca: CheckedCa,
    /// See [`Cluster::istio_version`].
    pub istio_version: Option<String>,
}

/// What becomes of the CA that DCM may sign with.
#[derive(Clone, Debug)]
pub enum CheckedCa {
    /// There is none.
    None,
    /// The registered one stays, if it is this certificate.
    Kept(String),
    /// This certificate and key, PEM.
    Given(String, Secret),
}

impl ClusterInput {
    /// Checks all of it. `old` is the registration that it replaces: its credentials, which are never shown,
    /// stay where the input has none.
    pub fn check(self, old: Option<&Cluster>, policy: &Policy, faults: &mut Faults) -> Option<CheckedCluster> {
        let metadata = self.metadata.check("/metadata", old.map(|old| &old.metadata.name), faults);
        let kubeconfig = match &self.kubeconfig {
            Some(value) => Kubeconfig::check(value, "/spec/kubeconfig", policy.kubeconfigs, faults),
            None if old.is_some() => None,
            None => {
                faults.add("/spec/kubeconfig", "is required: the cluster's kubeconfig, as text or as an object");
                None
            }
        };
        if self.labels.len() > ClusterLabel::MOST {
            let detail = format!("has {} labels; at most {} are allowed", self.labels.len(), ClusterLabel::MOST);
            faults.add("/spec/labels", detail);
        }
        for (key, value) in &self.labels {
            if !is_label_key(key) || ClusterLabel::check_value(value).is_err() {
                let at = format!("/spec/labels/{}", super::quota::escape(key));
                faults.add(at, "must be a Kubernetes label: a key of up to 63 letters, digits, '-', '_' or '.', with a DNS name and '/' before it where wanted; a value of the same, or empty");
            }
        }
        let kept = old.and_then(|old| old.ca_certificate.as_ref());
        let ca = match (self.ca_certificate, self.ca_key) {
            (Some(certificate), Some(key)) => CheckedCa::Given(certificate, key),
            (None, None) => CheckedCa::None,
            (Some(certificate), None) if kept == Some(&certificate) => CheckedCa::Kept(certificate),
            (Some(_), None) => {
                faults.add("/spec/ca-key", "is required together with a new ca-certificate");
                CheckedCa::None
            }
            (None, Some(_)) => {
                faults.add("/spec/ca-certificate", "is required together with ca-key");
                CheckedCa::None
            }
        };
        if self.istio_version.as_deref().is_some_and(|version| !is_version(version)) {
            faults.add("/spec/istio-version", "must be a version such as \"1.28.0\"");
        }
        Some(CheckedCluster {
            metadata: metadata?,
            kubeconfig,
            labels: self.labels,
            ca,
            istio_version: self.istio_version,
        })
    }
}

fn is_version(text: &str) -> bool {
    let text = text.strip_prefix('v').unwrap_or(text);
    let (numbers, suffix) = text.split_once('-').unwrap_or((text, "x"));
    let parts: Vec<&str> = numbers.split('.').collect();
    let word = |c: char| c.is_ascii_alphanumeric() || c == '.' || c == '-';
    text.len() <= 32
        && (2..=3).contains(&parts.len())
        && parts.iter().all(|part| part.parse::<u16>().is_ok())
        && !suffix.is_empty()
        && suffix.chars().all(word)
}
