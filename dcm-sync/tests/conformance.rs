//! The Kubernetes synchronizer, bare and in its layers, keeps what every synchronizer promises.
//!
//! What it promises beyond that, and on real API servers, is in `tests/synchronizer`.

#![allow(clippy::unwrap_used, reason = "a helper of tests; clippy.toml knows the tests themselves only")]

use std::{sync::Arc, time::Duration};

use dcm_core::{
    name::{ClusterName, ProviderName},
    secret::Secret,
    sync::ClusterAccess,
};
use dcm_sim::{Cluster, ClusterOptions};
use dcm_sync::{
    kube::{KubeOptions, KubeSynchronizer},
    layer::{Limited, Timeouts},
};
use dcm_test_utils::synchronizer::Bed;

/// As long as a cluster on a busy machine may take.
const PATIENCE: Duration = Duration::from_secs(60);

async fn bare() -> (Bed, Cluster) {
    let cluster = Cluster::start(ClusterOptions::default()).await.unwrap();
    let access = ClusterAccess {
        provider: ProviderName::new("default").unwrap(),
        cluster: ClusterName::new("c1").unwrap(),
        kubeconfig: Secret::new(cluster.admin_kubeconfig().to_string()),
    };
    let options = KubeOptions {
        request_timeout: PATIENCE,
        namespace_wait: PATIENCE,
        removal_wait: PATIENCE,
        ..KubeOptions::default()
    };
    (Bed { synchronizer: Arc::new(KubeSynchronizer::new(options)), access }, cluster)
}

async fn layered() -> (Bed, Cluster) {
    let (bed, cluster) = bare().await;
    let limited = Arc::new(Limited::new(bed.synchronizer, 1));
    (Bed { synchronizer: Arc::new(Timeouts::new(limited, PATIENCE)), ..bed }, cluster)
}

mod kube {
    dcm_test_utils::synchronizer_conformance!(super::bare);
}

mod layers {
    dcm_test_utils::synchronizer_conformance!(super::layered);
}
