//! Puts a server together: the only list of concrete types.

mod system;

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use dcm_core::{
    clock::Clock as _,
    credential::CredentialMaker,
    error::Error,
    secret,
    service::{Dcm, Ports},
    store::Store,
    sync::Synchronizer,
};
use dcm_mesh::credential::UserCredentials;
use dcm_sim::Simulation;
use dcm_store::{
    OpenError,
    encryption::{AeadSealer, Keyring, KeyringError},
};
use dcm_sync::{
    kube::{KubeOptions, KubeSynchronizer},
    layer::Timeouts,
};
use tokio::net::TcpListener;

use crate::{
    config::{Config, SynchronizerKind},
    http::{Edge, Limits, Server, Shared, Trust},
    metrics::Metrics,
    reencryption::Reencryption,
    simulated::SimulatedSynchronizer,
    worker::{Worker, WorkerHandle, WorkerSettings},
};
use system::OffWorkers;
pub(crate) use system::{OsEntropy, SystemClock};

/// How long one call may work on a cluster: one that answers every request just in time takes no place for ever.
/// What is cut off goes on at the next attempt.
const ATTEMPT: Duration = Duration::from_secs(60);

/// How long a cluster may take where a client waits for the answer: shorter than a request may.
const ANSWER: Duration = Duration::from_secs(10);

/// A server at work.
#[derive(Debug)]
pub struct Running {
    dcm: Dcm,
    http: Server,
    worker: WorkerHandle,
    reencryption: Reencryption,
    simulation: Option<Simulation>,
}

/// Why a server did not start, and what to do about it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The address can be reached by others, and nobody would be asked who he is.
    #[error(
        "--http {0} can be reached from beyond this machine, and this release asks nobody who he is: listen on 127.0.0.1, \
         or give --insecure-listen-without-authentication if the network keeps strangers away"
    )]
    BeyondLoopback(SocketAddr),
    /// The address cannot be had.
    #[error(
        "--http {address} cannot be listened on: another program may have the port, or the machine not the address"
    )]
    Listen {
        /// The address.
        address: SocketAddr,
        /// The system's own error.
        source: io::Error,
    },
    /// The store cannot be opened.
    #[error("--store cannot be opened")]
    Store(#[from] OpenError),
    /// Several servers may use the store, so no file beside one of them is the obvious place of the key.
    #[error(
        "--encryption-key-file is required with MongoDB: name a file outside of the database, the same key for every server that \
         uses it; it is made where it is missing, or by: \
         (umask 077; echo \"dcm-key-v1:$(head -c 32 /dev/urandom | base64)\" > FILE)"
    )]
    NoKey,
    /// There is no encryption key.
    #[error("--encryption-key-file cannot be used")]
    Key(#[from] KeyringError),
    /// The encryption key does not work.
    #[error("the encryption of secrets cannot be set up")]
    Encryption(#[from] secret::Error),
    /// The data was written with another encryption key.
    #[error(
        "--encryption-key-file is not the key that the data was written with; give that one: without it users' keys and \
         registered kubeconfigs cannot be read"
    )]
    WrongKey(#[source] secret::Error),
    /// A line of the key file went too early.
    #[error("--encryption-key-file lacks keys that the data may still need")]
    KeysMissing(#[source] secret::Error),
    /// The store holds half of an import.
    #[error("--store cannot be used")]
    Unfinished(#[source] dcm_core::transfer::Error),
    /// The store does not serve.
    #[error("the first records cannot be read or written")]
    Records(#[from] Error),
}

/// Starts a server. Must be called in a tokio runtime, after a crypto provider was installed.
///
/// # Errors
/// [`StartError`]; nothing is left running then.
pub async fn start(config: Config) -> Result<Running, StartError> {
    let store = async |config: &Config| Ok(dcm_store::open(config.storage.store.clone()).await?);
    assemble(store, config).await
}

/// [`start`]s a server on a store that the caller has opened; the one that the configuration names is left alone.
///
/// Without `--encryption-key-file` the key lies beside the store that the configuration names.
///
/// # Errors
/// [`StartError`]; nothing is left running then.
pub async fn start_on(store: Arc<dyn Store>, config: Config) -> Result<Running, StartError> {
    assemble(async move |_: &Config| Ok(store), config).await
}

/// What a configuration alone shows to stand against a start.
pub(crate) fn check(config: &Config) -> Result<(), StartError> {
    if !config.http.ip().is_loopback() && !config.insecure_listen_without_authentication {
        return Err(StartError::BeyondLoopback(config.http));
    }
    #[cfg(feature = "mongodb")]
    if matches!(config.storage.store, dcm_store::Config::MongoDb(_)) && config.storage.encryption_key_file.is_none() {
        return Err(StartError::NoKey);
    }
    Ok(())
}

/// The store is opened once there is an address to serve it from.
async fn assemble(
    open: impl AsyncFnOnce(&Config) -> Result<Arc<dyn Store>, StartError>,
    config: Config,
) -> Result<Running, StartError> {
    check(&config)?;
    let failed = |source| StartError::Listen { address: config.http, source };
    let listener = TcpListener::bind(config.http).await.map_err(failed)?;
    let (wake, worker) = Worker::new(worker_settings(&config));
    let (synchronizer, simulation) = synchronizer(&config);
    let ports = Ports {
        store: open(&config).await?,
        sealer: Arc::new(AeadSealer::new(keyring(&config)?)?),
        credentials: Arc::new(OffWorkers(UserCredentials)) as Arc<dyn CredentialMaker>,
        synchronizer: worker.watch(synchronizer),
        clock: Arc::new(SystemClock),
        entropy: Arc::new(OsEntropy),
        wake,
    };
    let process = system::process_id(&*ports.entropy);
    let dcm = Dcm::open(ports, config.settings()).await.map_err(|error| match error {
        Error::Secret(error @ secret::Error::KeysMissing { .. }) => StartError::KeysMissing(error),
        Error::Secret(error) => StartError::WrongKey(error),
        Error::Unfinished(error) => StartError::Unfinished(error),
        other => StartError::Records(other),
    })?;
    dcm.ensure_default_provider().await?;
    let metrics = Metrics::new(worker.metrics(), SystemClock.now());
    let shared = Shared::new(dcm.clone(), limits(&config), metrics);
    let edge = Edge::new(shared, Trust::new(&config.allowed_host), process);
    let http = Server::start(listener, edge).map_err(failed)?;
    let worker = worker.start(dcm.clone());
    let reencryption = Reencryption::start(dcm.clone(), config.key_file());
    Ok(Running { dcm, http, worker, reencryption, simulation })
}

impl Running {
    /// Where HTTP is served.
    #[must_use]
    pub const fn http_addr(&self) -> SocketAddr {
        self.http.address()
    }

    /// The DCM that is served.
    #[must_use]
    pub const fn dcm(&self) -> &Dcm {
        &self.dcm
    }

    /// The simulated clusters, where there are any.
    #[must_use]
    pub const fn simulation(&self) -> Option<&Simulation> {
        self.simulation.as_ref()
    }

    /// Stops: takes no request any more, ends those in flight within a bound, then the worker, then the
    /// store. What was ordered and is not done goes on at the next start.
    pub async fn stop(self) {
        self.http.stop().await;
        self.reencryption.stop().await;
        self.worker.stop().await;
        if let Some(simulation) = self.simulation {
            simulation.shutdown().await;
        }
    }
}

fn keyring(config: &Config) -> Result<Keyring, KeyringError> {
    config.key_file().map_or_else(Keyring::random, |file| Keyring::load_or_create(&file))
}

fn synchronizer(config: &Config) -> (Arc<dyn Synchronizer>, Option<Simulation>) {
    // Clients hold memory and connections: so many are kept as serve those that are worked on, and the next.
    let clients = config.work.cluster_concurrency.saturating_mul(2);
    let kube = Arc::new(KubeSynchronizer::new(KubeOptions { clients, ..KubeOptions::default() }));
    let kube: Arc<dyn Synchronizer> = Arc::new(Timeouts::new(kube, ATTEMPT).answers_within(ANSWER));
    match config.synchronizer {
        SynchronizerKind::Kube => (kube, None),
        SynchronizerKind::Simulated => {
            let simulation = Simulation::default();
            (Arc::new(SimulatedSynchronizer::new(kube, simulation.clone())), Some(simulation))
        }
    }
}

fn worker_settings(config: &Config) -> WorkerSettings {
    WorkerSettings {
        concurrency: config.work.cluster_concurrency,
        resync_period: Some(config.work.resync_period).filter(|period| !period.is_zero()),
        // Simulated clusters have forgotten everything.
        resync_at_start: config.synchronizer == SynchronizerKind::Simulated,
    }
}

pub(crate) fn limits(config: &Config) -> Limits {
    let limits = &config.limits;
    Limits {
        connections: limits.max_connections,
        requests: limits.max_concurrent_requests,
        body_size: limits.max_body_size,
        bodies_in_memory: limits.max_bodies_in_memory,
        answers_in_memory: limits.max_answers_in_memory,
        json_depth: limits.max_json_depth,
        header_size: limits.max_header_size,
        watches: limits.max_watches,
        header_timeout: limits.header_timeout,
        body_timeout: limits.body_timeout,
        request_timeout: limits.request_timeout,
        write_timeout: limits.write_timeout,
        stop_timeout: limits.stop_timeout,
    }
}
