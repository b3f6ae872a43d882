//! How clusters are reached, by role.

use std::{sync::Arc, time::Duration};

use dcm_core::{
    store::Store,
    sync::{NoClusters, Synchronizer},
};
use dcm_sim::Simulation;
use dcm_sync::{
    kube::{KubeOptions, KubeSynchronizer},
    layer::Timeouts,
};

use crate::{
    config::{Config, SynchronizerKind},
    peers::{Link, Place},
    readiness::Readiness,
    simulated::SimulatedSynchronizer,
    tls::PeerTls,
};

/// How long one call may work on a cluster: one that answers every request just in time takes no place for ever.
/// What is cut off goes on at the next attempt.
const ATTEMPT: Duration = Duration::from_secs(60);

/// How long a cluster may take where a client waits for the answer: shorter than a request may.
const ANSWER: Duration = Duration::from_secs(10);

/// The way from a main server to its synchronizer.
pub(super) fn link(config: &Config, peer: Option<PeerTls>, store: &Arc<dyn Store>, readiness: &Readiness) -> Arc<Link> {
    let configured = match &config.synchronizer {
        SynchronizerKind::Remote(address) => Some(address.clone()),
        SynchronizerKind::Kube | SynchronizerKind::Simulated => None,
    };
    let place = Place::new(configured, "rsync", peer.is_some());
    Arc::new(Link::new("synchronizer", place, peer, Arc::clone(store), readiness.clone()))
}

/// What reaches clusters. A role that is not to reach them has nothing that could.
pub(super) fn synchronizer(config: &Config) -> (Arc<dyn Synchronizer>, Option<Simulation>) {
    if !config.role.reaches_clusters() {
        return (Arc::new(NoClusters), None);
    }
    // Clients hold memory and connections: so many are kept as serve those that are worked on, and the next.
    let clients = config.work.cluster_concurrency.saturating_mul(2);
    let kube = Arc::new(KubeSynchronizer::new(KubeOptions { clients, ..KubeOptions::default() }));
    let kube: Arc<dyn Synchronizer> = Arc::new(Timeouts::new(kube, ATTEMPT).answers_within(ANSWER));
    match config.synchronizer {
        SynchronizerKind::Kube | SynchronizerKind::Remote(_) => (kube, None),
        SynchronizerKind::Simulated => {
            let simulation = Simulation::default();
            (Arc::new(SimulatedSynchronizer::new(kube, simulation.clone())), Some(simulation))
        }
    }
}
