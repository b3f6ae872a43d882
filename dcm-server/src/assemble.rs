//! Puts a server together: the only list of concrete types.

mod check;
mod clusters;
mod crew;
mod error;
mod system;

use std::{net::SocketAddr, sync::Arc};

use dcm_core::{
    clock::Clock as _,
    credential::CredentialMaker,
    error::Error,
    secret,
    service::{BuiltInCa, CaPorts, CaSettings, Dcm, Ports},
    store::Store,
};
use dcm_mesh::{ca::Signer, credential::UserCredentials};
use dcm_sim::Simulation;
use dcm_store::encryption::{AeadSealer, Keyring, KeyringError};
use tokio::net::TcpListener;

use crate::{
    ca::{CaHandle, CaSeed, CaSource},
    config::{CaKind, Config, Role},
    grpc::{self, Offer},
    http::{self, Limits, Shared, Surface, Trust},
    metrics::{Counted, Metrics},
    peers::{Link, Place, SynchronizerGateway},
    readiness::Readiness,
    reencryption::Reencryption,
    serving::{self, Server},
    tls::{Looks, PeerTls, ServerTls},
};
pub(crate) use check::check;
use check::check_on_any_store;
use clusters::{link, synchronizer};
use crew::{Crew, CrewSeed};
pub use error::StartError;
use system::OffWorkers;
pub(crate) use system::{OsEntropy, SystemClock};

/// The options that name an address to listen at.
const HTTP: &str = "--http";
const GRPC: &str = "--grpc";

/// A server at work.
#[derive(Debug)]
pub struct Running {
    role: Role,
    dcm: Dcm,
    http: Server,
    grpc: Server,
    /// Looks for changed certificates.
    looks: Option<Looks>,
    /// What other roles are shown; looks by itself, too.
    peer: Option<PeerTls>,
    crew: Crew,
    /// What has the CA do its work, where there is one.
    ca: Option<CaHandle>,
    reencryption: Reencryption,
    simulation: Option<Simulation>,
}

/// Starts a server. Must be called in a tokio runtime, after a crypto provider was installed.
///
/// # Errors
/// [`StartError`]; nothing is left running then.
pub async fn start(config: Config) -> Result<Running, StartError> {
    check(&config)?;
    let store = async |config: &Config| Ok(dcm_store::open(config.storage.store.clone()).await?);
    let sharing = Sharing::of(&config.storage.store);
    assemble(store, sharing, config).await
}

/// [`start`]s a server on a store that the caller has opened; the one that the configuration names is left alone.
///
/// Without `--encryption-key-file` the key lies beside the store that the configuration names. Others may use the store at the
/// same time.
///
/// # Errors
/// [`StartError`]; nothing is left running then.
pub async fn start_on(store: Arc<dyn Store>, config: Config) -> Result<Running, StartError> {
    check_on_any_store(&config)?;
    assemble(async move |_: &Config| Ok(store), Sharing::Others, config).await
}

/// Who uses the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sharing {
    /// This server alone: nobody else can open it.
    Nobody,
    /// Perhaps others, too.
    Others,
}

impl Sharing {
    const fn of(store: &dcm_store::Config) -> Self {
        match store {
            #[cfg(feature = "mongodb")]
            dcm_store::Config::MongoDb(_) => Self::Others,
            _ => Self::Nobody,
        }
    }
}

/// The store is opened once there is an address to serve it from.
async fn assemble(
    open: impl AsyncFnOnce(&Config) -> Result<Arc<dyn Store>, StartError>,
    sharing: Sharing,
    config: Config,
) -> Result<Running, StartError> {
    let tls = &config.tls;
    let server_tls = tls.own().map(|(cert, key)| ServerTls::open(cert, key, tls.client_ca.as_deref())).transpose()?;
    let http_listener = listen(HTTP, config.http).await?;
    let grpc_listener = listen(GRPC, config.grpc).await?;
    let peer = PeerTls::of(tls)?;
    let store = open(&config).await?;
    let readiness = Readiness::default();
    let link = (config.role == Role::Dcm).then(|| link(&config, peer.clone(), &store, &readiness));
    let (wake, crew) = CrewSeed::of(&config, sharing, link.clone());
    let remote_ca = remote_ca(&config, peer.as_ref(), &store, &readiness);
    let (synchronizer, simulation) = synchronizer(&config);
    let worker = Arc::clone(&wake);
    let ports = Ports {
        store,
        sealer: Arc::new(AeadSealer::new(keyring(&config)?)?),
        credentials: Arc::new(OffWorkers(UserCredentials)) as Arc<dyn CredentialMaker>,
        synchronizer: crew.watch(synchronizer),
        clock: Arc::new(SystemClock),
        entropy: Arc::new(OsEntropy),
        wake,
    };
    let ca_ports = CaPorts {
        store: Arc::clone(&ports.store),
        sealer: Arc::clone(&ports.sealer),
        signer: Arc::new(Signer),
        clock: Arc::clone(&ports.clock),
        entropy: Arc::clone(&ports.entropy),
    };
    let processes = [(); 2].map(|()| system::process_id(&*ports.entropy));
    let offer = match config.role {
        Role::All | Role::Dcm => Offer::Clients,
        Role::Synchronizer => Offer::Synchronizer(worker),
        Role::Ca => Offer::Ca(Arc::new(built_in_ca(ca_ports.clone(), &config).await?)),
    };
    let mut dcm = Dcm::open(ports, config.settings()).await.map_err(not_opened)?;
    if let Some(link) = link {
        let gateway = SynchronizerGateway::new(link, config.limits.max_answers_in_memory);
        dcm = dcm.reaching_clusters_through(Arc::new(gateway));
    }
    let ca = match (config.role, remote_ca) {
        (_, Some(remote)) => Some(remote),
        (Role::All, None) => Some(CaSource::BuiltIn(built_in_ca(ca_ports, &config).await?)),
        (Role::Dcm | Role::Ca | Role::Synchronizer, None) => None,
    };
    let ca = ca.map(CaSeed::new);
    let surface = if config.role.serves_clients() { Surface::Clients } else { Surface::Probes };
    if surface == Surface::Clients {
        dcm.ensure_default_provider().await?;
    }
    let counted = Counted {
        worker: crew.metrics(),
        readiness: readiness.clone(),
        ca: ca.as_ref().map(CaSeed::metrics),
        tls: server_tls.as_ref().map(ServerTls::metrics),
        peer_tls: peer.as_ref().map(PeerTls::metrics),
    };
    let metrics = Metrics::new(&counted, SystemClock.now());
    let shared = Arc::new(Shared::new(dcm.clone(), limits(&config), metrics, readiness.clone()));
    let trust = Trust::new(&config.allowed_host).with_tls(server_tls.clone(), &tls.allowed_identity);
    let looks = server_tls.as_ref().map(ServerTls::reload);
    let grpc_edge = grpc::Edge::new(Arc::clone(&shared), offer, trust.clone(), processes[1]);
    let grpc_edge = grpc_edge.map_err(|error| StartError::Services(error.into()))?;
    // Who asks how a part is has no certificate, and hears nothing that is worth one.
    let http_trust = if surface == Surface::Clients { trust } else { Trust::new(&config.allowed_host) };
    let http_edge = http::Edge::new(shared, surface, http_trust, processes[0]);
    let http_tls = server_tls.clone().filter(|_| surface == Surface::Clients);
    let http = http_listener.serve(http_edge, http_tls)?;
    let grpc = grpc_listener.serve(grpc_edge, server_tls)?;
    let ca = ca.map(|ca| ca.start(dcm.clone()));
    let crew = crew.start(dcm.clone(), readiness);
    let reencryption = Reencryption::start(dcm.clone(), config.key_file());
    Ok(Running { role: config.role, dcm, http, grpc, looks, peer, crew, ca, reencryption, simulation })
}

/// The CA that is built in.
async fn built_in_ca(ports: CaPorts, config: &Config) -> Result<BuiltInCa, StartError> {
    let settings = CaSettings { owner: config.role.store_owner(), ..CaSettings::default() };
    BuiltInCa::open(ports, settings).await.map_err(not_opened)
}

/// The CA of a main server in another process; `None` where there can be none.
fn remote_ca(
    config: &Config,
    peer: Option<&PeerTls>,
    store: &Arc<dyn Store>,
    readiness: &Readiness,
) -> Option<CaSource> {
    let configured = match (config.role, &config.ca) {
        (_, CaKind::Remote(address)) => Some(address.clone()),
        // It has none of its own: one may be registered.
        (Role::Dcm, CaKind::BuiltIn) => None,
        (Role::All | Role::Ca | Role::Synchronizer, CaKind::BuiltIn) => return None,
    };
    let place = Place::new(configured, CaSource::PART, peer.is_some());
    let link = Link::new(CaSource::PART, place, peer.cloned(), Arc::clone(store), readiness.clone());
    Some(CaSource::Peer(Box::new(link)))
}

/// Why the first records could not be read or written.
fn not_opened(error: Error) -> StartError {
    match error {
        Error::Secret(error @ secret::Error::KeysMissing { .. }) => StartError::KeysMissing(error),
        Error::Secret(error) => StartError::WrongKey(error),
        Error::Unfinished(error) => StartError::Unfinished(error),
        Error::OtherOwner { is, .. } => StartError::StoreOfOthers(is),
        other => StartError::Records(other),
    }
}

/// An address that is listened at, and the option that names it.
struct Listener {
    option: &'static str,
    address: SocketAddr,
    listener: TcpListener,
}

async fn listen(option: &'static str, address: SocketAddr) -> Result<Listener, StartError> {
    let listener = TcpListener::bind(address).await;
    let listener = listener.map_err(|source| StartError::Listen { option, address, source })?;
    Ok(Listener { option, address, listener })
}

impl Listener {
    fn serve(self, edge: impl serving::Edge, tls: Option<ServerTls>) -> Result<Server, StartError> {
        let Self { option, address, listener } = self;
        Server::start(listener, edge, tls).map_err(|source| StartError::Listen { option, address, source })
    }
}

impl Running {
    /// Where HTTP is served.
    #[must_use]
    pub const fn http_addr(&self) -> SocketAddr {
        self.http.address()
    }

    /// Where gRPC is served.
    #[must_use]
    pub const fn grpc_addr(&self) -> SocketAddr {
        self.grpc.address()
    }

    /// Whether HTTP is served over TLS.
    #[must_use]
    pub const fn is_http_secure(&self) -> bool {
        self.is_grpc_secure() && self.role.serves_clients()
    }

    /// Whether gRPC is served over TLS.
    #[must_use]
    pub const fn is_grpc_secure(&self) -> bool {
        self.looks.is_some()
    }

    /// Takes changed certificates, keys and CAs now, instead of within seconds.
    pub async fn reload_tls(&self) {
        if let Some(looks) = &self.looks {
            looks.now().await;
        }
        if let Some(peer) = &self.peer {
            peer.reload().await;
        }
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
        tokio::join!(self.http.stop(), self.grpc.stop());
        if let Some(looks) = self.looks {
            looks.stop().await;
        }
        self.reencryption.stop().await;
        self.crew.stop().await;
        if let Some(ca) = self.ca {
            ca.stop().await;
        }
        if let Some(simulation) = self.simulation {
            simulation.shutdown().await;
        }
    }
}

fn keyring(config: &Config) -> Result<Keyring, KeyringError> {
    config.key_file().map_or_else(Keyring::random, |file| Keyring::load_or_create(&file))
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
