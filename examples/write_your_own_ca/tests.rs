//! Every promise that a CA gives.

use std::sync::Arc;

use dcm_core::ca::CaProvider;
use tempfile::TempDir;

use super::pki::Pki;

async fn place() -> TempDir {
    tempfile::tempdir().unwrap()
}

/// Another one on the same folder: as another process would be.
async fn open(place: &TempDir) -> Arc<dyn CaProvider> {
    Arc::new(Pki::new(place.path()))
}

async fn fresh() -> (Arc<dyn CaProvider>, TempDir) {
    let place = place().await;
    (open(&place).await, place)
}

dcm_test_utils::ca_conformance!(fresh);
dcm_test_utils::shared_ca_conformance!(place, open);
