//! Many clusters, each made when it is first asked for.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::OnceCell;

use crate::cluster::{Cluster, ClusterOptions};
use crate::error::Error;

type Key = (String, String);

/// A set of clusters, keyed by provider and name. Clones share the clusters.
#[derive(Debug, Clone, Default)]
pub struct Simulation {
    template: Arc<ClusterOptions>,
    clusters: Arc<Mutex<HashMap<Key, Arc<OnceCell<Cluster>>>>>,
}

impl Simulation {
    /// A set without clusters; those to come are started with these options, and a name of their own.
    #[must_use]
    pub fn new(template: ClusterOptions) -> Self {
        Self { template: Arc::new(template), clusters: Arc::default() }
    }

    /// The cluster of a provider and a name, started if nobody has asked for it before.
    ///
    /// # Guarantees
    /// Whoever asks for one pair gets the same cluster, also when they ask at the same time.
    ///
    /// # Errors
    /// The cluster can't be started; the next call tries again.
    pub async fn cluster(&self, provider: &str, name: &str) -> Result<Cluster, Error> {
        let cell = {
            let mut clusters = self.clusters.lock().unwrap_or_else(PoisonError::into_inner);
            let key = (provider.to_owned(), name.to_owned());
            Arc::clone(clusters.entry(key).or_default())
        };
        let start = || {
            let mut options = ClusterOptions::clone(&self.template);
            options.name = format!("{provider}+{name}");
            Cluster::start(options)
        };
        cell.get_or_try_init(start).await.cloned()
    }

    /// The cluster of a provider and a name, if somebody has asked for it.
    #[must_use]
    pub fn existing(&self, provider: &str, name: &str) -> Option<Cluster> {
        let clusters = self.clusters.lock().unwrap_or_else(PoisonError::into_inner);
        clusters.get(&(provider.to_owned(), name.to_owned()))?.get().cloned()
    }

    /// Forgets a cluster and everything in it. Other handles keep it running.
    pub fn remove(&self, provider: &str, name: &str) -> Option<Cluster> {
        let mut clusters = self.clusters.lock().unwrap_or_else(PoisonError::into_inner);
        clusters.remove(&(provider.to_owned(), name.to_owned()))?.get().cloned()
    }

    /// Every cluster that runs.
    #[must_use]
    pub fn clusters(&self) -> Vec<Cluster> {
        let clusters = self.clusters.lock().unwrap_or_else(PoisonError::into_inner);
        clusters.values().filter_map(|cell| cell.get().cloned()).collect()
    }

    /// Stops every cluster, and forgets them all.
    pub async fn shutdown(&self) {
        let running = self.clusters();
        self.clusters.lock().unwrap_or_else(PoisonError::into_inner).clear();
        for cluster in running {
            cluster.shutdown().await;
        }
    }
}
