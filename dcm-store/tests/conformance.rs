//! All stores keep what `Store` promises.
#![allow(clippy::unwrap_used, reason = "a test that fails says where")]

use std::sync::Arc;

use dcm_core::store::Store;

#[cfg(feature = "memory")]
mod memory {
    use dcm_store::memory::MemoryStore;
    use dcm_test_utils::store::watching::SHORT_HISTORY;

    use super::*;

    async fn empty() -> (Arc<dyn Store>, ()) {
        (Arc::new(MemoryStore::new()), ())
    }

    async fn forgetful() -> (Arc<dyn Store>, ()) {
        (Arc::new(MemoryStore::with_history(SHORT_HISTORY)), ())
    }

    dcm_test_utils::store_conformance!(empty);
    dcm_test_utils::forgetful_store_conformance!(forgetful);
}

#[cfg(feature = "sled")]
mod sled {
    use dcm_store::{Config, SledConfig};
    use dcm_test_utils::store::watching::SHORT_HISTORY;
    use tempfile::TempDir;

    use super::*;

    fn place() -> TempDir {
        tempfile::tempdir().unwrap()
    }

    async fn open(place: &TempDir) -> Arc<dyn Store> {
        let config = Config::Sled(SledConfig::new(place.path()));
        dcm_store::open(config).await.unwrap()
    }

    async fn empty() -> (Arc<dyn Store>, TempDir) {
        let place = place();
        (open(&place).await, place)
    }

    async fn forgetful() -> (Arc<dyn Store>, TempDir) {
        let place = place();
        let mut config = SledConfig::new(place.path());
        config.history = SHORT_HISTORY;
        (dcm_store::open(Config::Sled(config)).await.unwrap(), place)
    }

    dcm_test_utils::store_conformance!(empty);
    dcm_test_utils::forgetful_store_conformance!(forgetful);
    dcm_test_utils::lasting_store_conformance!(place, open);
}

#[cfg(feature = "mongodb")]
mod mongodb {
    use dcm_test_utils::mongodb::fresh_database;

    use super::*;

    fn place() -> Option<String> {
        fresh_database("the promises of the MongoDB store")
    }

    #[expect(clippy::ptr_arg, reason = "the suite gives a reference to what place() answers")]
    async fn open(place: &String) -> Arc<dyn Store> {
        dcm_store::open(place.parse().unwrap()).await.unwrap()
    }

    async fn empty() -> Option<(Arc<dyn Store>, ())> {
        Some((open(&place()?).await, ()))
    }

    dcm_test_utils::store_conformance!(empty);
    dcm_test_utils::lasting_store_conformance!(place, open);
}
