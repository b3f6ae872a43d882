//! Who sees to orders, by role.

use std::sync::Arc;

use dcm_core::{
    service::{Dcm, NoWake, Wake},
    sync::Synchronizer,
};

use super::Sharing;
use crate::{
    config::{Config, Role, SynchronizerKind},
    peers::{Hints, HintsHandle, HintsSeed, Place},
    readiness::Readiness,
    tls::PeerTls,
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
    /// What the role has see to orders, and what rings it.
    pub(super) fn of(config: &Config, sharing: Sharing, peer: Option<PeerTls>) -> (Arc<dyn Wake>, Self) {
        match (config.role, &config.synchronizer) {
            (Role::All | Role::Synchronizer, _) => {
                let (wake, seed) = Worker::new(worker_settings(config, sharing));
                (wake, Self::Worker(seed))
            }
            (Role::Dcm, synchronizer) => {
                let configured = match synchronizer {
                    SynchronizerKind::Remote(address) => Some(address.clone()),
                    SynchronizerKind::Kube | SynchronizerKind::Simulated => None,
                };
                let (wake, seed) = Hints::at(Place::new(configured, "rsync", peer.is_some()), peer);
                (wake, Self::Hints(seed))
            }
            (Role::Ca, _) => (Arc::new(NoWake), Self::Nobody),
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
            Self::Hints(seed) => Crew::Hints(seed.start(dcm, readiness)),
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
