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
    dcm_test_utils::every_change_store_conformance!(empty);
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
    dcm_test_utils::every_change_store_conformance!(empty);
    dcm_test_utils::forgetful_store_conformance!(forgetful);
    dcm_test_utils::lasting_store_conformance!(place, open);
}

#[cfg(feature = "mongodb")]
mod mongodb {
    use std::{sync::Weak, time::Duration};

    use dcm_store::{MongoConfig, WatchMode, mongodb::MongoStore};
    use dcm_test_utils::{
        mongodb::{Server, fresh_database, random_name, with_database},
        patience::until,
        store::watching::SHORT_HISTORY,
    };
    use tempfile::TempDir;
    use tokio::sync::Mutex;

    use super::*;

    fn place() -> Option<String> {
        fresh_database("the promises of the MongoDB store")
    }

    #[expect(clippy::ptr_arg, reason = "the suite gives a reference to what place() answers")]
    async fn open(place: &String) -> Arc<dyn Store> {
        opened(MongoConfig::new(place).unwrap()).await
    }

    async fn empty() -> Option<(Arc<dyn Store>, ())> {
        Some((open(&place()?).await, ()))
    }

    async fn opened(mut config: MongoConfig) -> Arc<dyn Store> {
        // Hundreds of writes at once may have to wait for a busy machine, and so may who opens a store beside them; the bounds themselves
        // are tested elsewhere.
        config.wait = Duration::from_secs(60);
        let open = async || MongoStore::open(config.clone()).await;
        Arc::new(until(Duration::from_secs(60), "opened", open).await)
    }

    async fn polled(uri: &str, change: impl FnOnce(&mut MongoConfig)) -> Arc<dyn Store> {
        let mut config = MongoConfig::new(uri).unwrap();
        config.wait = Duration::from_secs(60);
        config.poll_every = Duration::from_millis(100);
        change(&mut config);
        opened(config).await
    }

    dcm_test_utils::store_conformance!(empty);
    dcm_test_utils::every_change_store_conformance!(empty);
    dcm_test_utils::lasting_store_conformance!(place, open);
    dcm_test_utils::shared_store_conformance!(place, open);

    /// A server and its folder; the last test that holds them ends them.
    type Own = Arc<(Server, TempDir)>;

    /// One server for all tests that run side by side.
    async fn own(shared: &Mutex<Weak<(Server, TempDir)>>, options: &[&str], what: &str) -> Option<(String, Own)> {
        let mut shared = shared.lock().await;
        let own = match shared.upgrade() {
            Some(own) => own,
            None => {
                let folder = tempfile::tempdir().unwrap();
                let server = Server::start(&folder.path().join("data"), options, what).await?;
                Arc::new((server, folder))
            }
        };
        *shared = Arc::downgrade(&own);
        Some((with_database(&own.0.uri(), &random_name()), own))
    }

    mod polling {
        use super::*;

        async fn empty() -> Option<(Arc<dyn Store>, ())> {
            let uri = fresh_database("the promises of polled watches")?;
            Some((polled(&uri, |config| config.watch = WatchMode::Polling).await, ()))
        }

        async fn forgetful() -> Option<(Arc<dyn Store>, ())> {
            let uri = fresh_database("how polled watches forget")?;
            let change = |config: &mut MongoConfig| {
                config.watch = WatchMode::Polling;
                config.history = SHORT_HISTORY;
            };
            Some((polled(&uri, change).await, ()))
        }

        dcm_test_utils::store_conformance!(empty);
        dcm_test_utils::store_conformance!(@tests forgetful, watching, too_old_a_position_is_expired);
    }

    mod standalone {
        use super::*;

        static SERVER: Mutex<Weak<(Server, TempDir)>> = Mutex::const_new(Weak::new());

        async fn empty() -> Option<(Arc<dyn Store>, Own)> {
            let (uri, own) = own(&SERVER, &["--standalone"], "the promises on a stand-alone server").await?;
            Some((polled(&uri, |_| ()).await, own))
        }

        dcm_test_utils::store_conformance!(empty);
    }
}
