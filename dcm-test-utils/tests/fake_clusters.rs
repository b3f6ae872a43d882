//! The fake clusters keep the promises that a synchronizer gives: what is tested on them holds elsewhere.

#![allow(clippy::unwrap_used, reason = "a helper of tests; clippy.toml knows the tests themselves only")]

use std::sync::Arc;

use dcm_core::{
    name::{ClusterName, ProviderName},
    secret::Secret,
    sync::ClusterAccess,
};
use dcm_test_utils::{clusters::FakeClusters, synchronizer::Bed};

async fn bed() -> (Bed, ()) {
    let access = ClusterAccess {
        provider: ProviderName::new("default").unwrap(),
        cluster: ClusterName::new("c1").unwrap(),
        kubeconfig: Secret::new("{}"),
    };
    (Bed { synchronizer: Arc::<FakeClusters>::default(), access }, ())
}

dcm_test_utils::synchronizer_conformance!(bed);
