//! How a cluster is reached, and what it says of itself.

use jiff::Timestamp;

use crate::{
    name::{ClusterName, ProviderName},
    secret::Secret,
};

/// How to reach a registered cluster.
#[derive(Clone, Debug)]
pub struct ClusterAccess {
    /// The cluster's provider.
    pub provider: ProviderName,
    /// The cluster's name.
    pub cluster: ClusterName,
    /// The registered kubeconfig as JSON, with embedded credentials only.
    pub kubeconfig: Secret,
}

/// What a reachable cluster says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// The uid of its `kube-system` namespace: the same cluster whatever name it is registered under. Up to 128
    /// letters, digits, `-`, `_` and `.`; it becomes part of a key.
    pub identity: String,
    /// Its Kubernetes version, as `/version` gives it (`v1.34.1`).
    pub version: String,
    /// Where a user's kubeconfig points to.
    pub endpoint: Endpoint,
    /// What its clock said when it answered, to the second (RFC 9110, section 6.6.1: `Date`); `None` where
    /// it did not say.
    pub clock: Option<Timestamp>,
}

/// Where an API server is and how it proves itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Its URL.
    pub server: String,
    /// The PEM of the CA that its certificate is judged by; `None` for the system's roots.
    pub ca_pem: Option<String>,
    /// The name to check its certificate for, where that isn't the URL's host.
    pub tls_server_name: Option<String>,
}
