//! Clusters and who uses them.

use std::collections::BTreeMap;

use dcm_core::{
    model::{Cluster, ClusterHealth, ClusterProvider, ClusterUse, Connectivity},
    sync::Reason,
};

use super::{holds, holds_as, metadata, name, sealed, time, uid};

#[test]
fn cluster_provider_keeps_its_shape() {
    holds(&ClusterProvider { uid: uid(1), metadata: metadata("cp-1"), deleting: false });
}

#[test]
fn cluster_keeps_its_shape() {
    holds(&Cluster {
        uid: uid(2),
        metadata: metadata("c1"),
        provider: name("cp-1"),
        labels: BTreeMap::from([("site".to_owned(), "edge-7".to_owned())]),
        server: "https://192.0.2.1:6443".to_owned(),
        kubeconfig: sealed(),
        ca_certificate: Some("-----BEGIN CERTIFICATE-----".to_owned()),
        ca_key: Some(sealed()),
        istio_version: Some("1.28.0".to_owned()),
        registered_at: time(),
        deleting: false,
    });
}

#[test]
fn cluster_health_keeps_its_shape() {
    let health = ClusterHealth {
        connectivity: Connectivity::Unavailable,
        identity: Some("7c0f".to_owned()),
        version: Some("v1.36.3".to_owned()),
        reason: Some(Reason::Unreachable),
        detail: Some("connection refused".to_owned()),
        capabilities: BTreeMap::new(),
        checked_at: time(),
    };
    holds(&health);
    let lacks = BTreeMap::from([("core".to_owned(), vec!["delete namespaces".to_owned()])]);
    holds_as(&ClusterHealth { capabilities: lacks, ..health }, ".capabilities");
}

#[test]
fn cluster_use_keeps_its_shape() {
    holds(&ClusterUse {
        cloud: uid(3),
        project: name("walmart"),
        name: name("lc-1"),
        reference: name("lc-cl-1"),
        reference_uid: uid(6),
    });
}
