use std::sync::Arc;

use dcm_core::{
    ca::{CaProvider, CaSigner},
    service::{BuiltInCa, CaPorts, CaSettings},
    store::Store,
};
use dcm_mesh::ca::Signer;
use dcm_test_utils::ports::{CountingEntropy, ManualClock, TransparentSealer};

pub(crate) async fn open_on(store: &Arc<dyn Store>) -> Arc<dyn CaProvider> {
    open_with(store, Arc::new(Signer)).await
}

pub(crate) async fn open_with(store: &Arc<dyn Store>, signer: Arc<dyn CaSigner>) -> Arc<dyn CaProvider> {
    let ports = CaPorts {
        store: Arc::clone(store),
        sealer: Arc::new(TransparentSealer),
        signer,
        clock: Arc::new(ManualClock::default()),
        entropy: Arc::new(CountingEntropy::starting_at(fastrand::u64(..))),
    };
    Arc::new(BuiltInCa::open(ports, CaSettings::default()).await.unwrap())
}

mod memory {
    use dcm_store::memory::MemoryStore;

    use super::*;

    async fn place() -> Arc<dyn Store> {
        Arc::new(MemoryStore::new())
    }

    async fn fresh() -> (Arc<dyn CaProvider>, ()) {
        (open_on(&place().await).await, ())
    }

    dcm_test_utils::ca_conformance!(fresh);
    dcm_test_utils::shared_ca_conformance!(place, open_on);
}

mod sled {
    use dcm_store::{Config, SledConfig};
    use tempfile::TempDir;

    use super::*;

    type Place = (Arc<dyn Store>, TempDir);

    async fn place() -> Place {
        let folder = tempfile::tempdir().unwrap();
        (dcm_store::open(Config::Sled(SledConfig::new(folder.path()))).await.unwrap(), folder)
    }

    async fn open(place: &Place) -> Arc<dyn CaProvider> {
        open_on(&place.0).await
    }

    async fn fresh() -> (Arc<dyn CaProvider>, Place) {
        let place = place().await;
        (open(&place).await, place)
    }

    dcm_test_utils::ca_conformance!(fresh);
    dcm_test_utils::shared_ca_conformance!(place, open);
}
