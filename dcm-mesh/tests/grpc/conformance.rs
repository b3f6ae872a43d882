use std::sync::{Arc, Mutex};

use dcm_core::{ca::CaProvider, store::Store};
use dcm_mesh::grpc::Patience;
use dcm_store::memory::MemoryStore;

use crate::support::{Served, built_in};

/// A store, and who serves a CA on it.
struct Place {
    store: Arc<dyn Store>,
    served: Mutex<Vec<Served>>,
}

async fn fresh() -> (Arc<dyn CaProvider>, Served) {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let served = Served::start(built_in(&store).await).await;
    (Arc::new(served.client(Patience::default())), served)
}

async fn place() -> Place {
    Place { store: Arc::new(MemoryStore::new()), served: Mutex::default() }
}

/// Another server on the same store.
async fn open(place: &Place) -> Arc<dyn CaProvider> {
    let served = Served::start(built_in(&place.store).await).await;
    let client = served.client(Patience::default());
    place.served.lock().unwrap().push(served);
    Arc::new(client)
}

dcm_test_utils::ca_conformance!(fresh);
dcm_test_utils::shared_ca_conformance!(place, open);
