//! Who sees to orders, by role.

use std::sync::Arc;

use dcm_core::{
    service::{Dcm, NoWake, Wake},
    sync::Synchronizer,
};

use super::Sharing;
use crate::{
    config::{Config, SynchronizerKind},
    peers::{Hints, HintsHandle, HintsSeed, Link},
    readiness::Readiness,
    worker::{Worker, WorkerHandle, WorkerMetrics, WorkerSeed, WorkerSettings},
};

/// What sees to orders.
#[derive(Debug)]
pub(super) enum Crew {
    /// This process carries them out.
    Worker(WorkerHandle),
    /// Another one is told of them.
    Hints(HintsHandle),
    /// None are given here.
    Nobody,
}

/// The same, before there is a DCM.
pub(super) enum CrewSeed {
    Worker(WorkerSeed),
    Hints(HintsSeed),
    Nobody,
}

impl CrewSeed {
    /// What the role has see to orders, and what rings it. `link` is the way to a synchronizer, for a role that leaves orders to one.
    pub(super) fn of(config: &Config, sharing: Sharing, link: Option<Arc<Link>>) -> (Arc<dyn Wake>, Self) {
        if let Some(link) = link {
            let (wake, seed) = Hints::over(link);
            (wake, Self::Hints(seed))
        } else if config.role.reaches_clusters() {
            let (wake, seed) = Worker::new(worker_settings(config, sharing));
            (wake, Self::Worker(seed))
        } else {
            (Arc::new(NoWake), Self::Nobody)
        }
    }

    /// Has it know the clusters that do not answer, where it works on them.
    pub(super) fn watch(&self, synchronizer: Arc<dyn Synchronizer>) -> Arc<dyn Synchronizer> {
        match self {
            Self::Worker(seed) => seed.watch(synchronizer),
            Self::Hints(_) | Self::Nobody => synchronizer,
        }
    }

    /// What it counts.
    pub(super) fn metrics(&self) -> WorkerMetrics {
        match self {
            Self::Worker(seed) => seed.metrics().clone(),
            Self::Hints(_) | Self::Nobody => WorkerMetrics::default(),
        }
    }

    /// Sets it to work. Must be called in a tokio runtime.
    pub(super) fn start(self, dcm: Dcm, readiness: Readiness) -> Crew {
        match self {
            Self::Worker(seed) => Crew::Worker(seed.telling(readiness).start(dcm)),
            Self::Hints(seed) => Crew::Hints(seed.start(dcm)),
            Self::Nobody => Crew::Nobody,
        }
    }
}

impl Crew {
    /// Stops it. What is not done goes on at the next start.
    pub(super) async fn stop(self) {
        match self {
            Self::Worker(worker) => worker.stop().await,
            Self::Hints(hints) => hints.stop().await,
            Self::Nobody => {}
        }
    }
}

fn worker_settings(config: &Config, sharing: Sharing) -> WorkerSettings {
    WorkerSettings {
        concurrency: config.work.cluster_concurrency,
        resync_period: Some(config.work.resync_period).filter(|period| !period.is_zero()),
        // Simulated clusters have forgotten everything.
        resync_at_start: config.synchronizer == SynchronizerKind::Simulated,
        lease: (sharing == Sharing::Others).then_some(config.work.lease),
    }
}
