//! The synchronizer that talks to the clusters' API servers.

mod api;
mod apply;
mod changes;
mod clients;
mod compare;
mod credential;
mod cut_off;
mod failure;
mod ledger;
mod make;
mod namespace;
mod object;
mod observe;
mod preview;
mod prune;
mod remove;
mod rights;
mod session;
mod token;
mod transport;

use std::collections::BTreeMap;
use std::{fmt, time::Duration};

use async_trait::async_trait;
use dcm_core::sync::{
    CertificateRequest, ClusterAccess, Comparison, CutOff, Desired, Facts, Failure, Grant, IssuedToken, Removal,
    Report, Synchronizer, TokenRequest,
};

use self::{clients::Clients, session::Session};

/// Bounds that a [`KubeSynchronizer`] keeps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KubeOptions {
    /// How long a connection may take, TLS included.
    pub connect_timeout: Duration,
    /// How long one request may take, from its first to its answer's last byte.
    pub request_timeout: Duration,
    /// How long an apply waits for a namespace that is still terminating.
    pub namespace_wait: Duration,
    /// How long a removal waits until the namespace is gone.
    pub removal_wait: Duration,
    /// How long a certificate is waited for.
    pub certificate_wait: Duration,
    /// How many requests go to one cluster side by side.
    pub concurrency: usize,
    /// For how many kubeconfigs a client is kept.
    pub clients: usize,
}

impl Default for KubeOptions {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(5),
            request_timeout: Duration::from_secs(15),
            namespace_wait: Duration::from_secs(10),
            removal_wait: Duration::from_secs(20),
            certificate_wait: Duration::from_secs(10),
            concurrency: 4,
            clients: 256,
        }
    }
}

/// Carries logical clouds to clusters through their API servers.
///
/// # Guarantees
/// - A kubeconfig makes it run no program, read no file and use no proxy of the environment.
/// - What it makes is made by POST and known by the uid of the answer; what was there already is left
///   alone, except a namespace that the adoption policy lets it take.
/// - Every delete names the uid of the object that it is for.
/// - An apply that changes nothing writes nothing. It reads the namespace once and the cloud's objects in
///   it with one list per kind, however many there are; an object elsewhere costs one request. ServiceAccounts
///   are listed where one is wanted or known.
/// - A comparison goes through an apply's decisions and sends dry runs only: nothing is stored, and neither a
///   token nor a certificate is asked for.
/// - Who is cut off has lost every binding of ours when the call returns without a failure. A store that is
///   older than the cluster cuts nobody off.
/// - Each request is bounded. Nothing is tried again here: whoever calls decides when.
///
/// # Caveats
/// TLS is rustls's with the provider of the process; where none is installed, aws-lc-rs is. Call it from
/// one Tokio runtime: connections are kept, and they live on the runtime that made them.
pub struct KubeSynchronizer {
    options: KubeOptions,
    clients: Clients,
}

impl KubeSynchronizer {
    /// Makes a synchronizer that knows no cluster yet.
    #[must_use]
    pub fn new(options: KubeOptions) -> Self {
        Self { clients: Clients::new(options.clients), options }
    }
}

impl Default for KubeSynchronizer {
    fn default() -> Self {
        Self::new(KubeOptions::default())
    }
}

impl fmt::Debug for KubeSynchronizer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KubeSynchronizer").field("options", &self.options).finish_non_exhaustive()
    }
}

#[async_trait]
impl Synchronizer for KubeSynchronizer {
    async fn probe(&self, access: &ClusterAccess) -> Result<Facts, Failure> {
        let cluster = self.clients.get(access, &self.options)?;
        observe::facts(&cluster).await
    }

    async fn capabilities(&self, access: &ClusterAccess) -> Result<BTreeMap<String, Vec<String>>, Failure> {
        let cluster = self.clients.get(access, &self.options)?;
        rights::capabilities(&cluster.api).await
    }

    async fn apply(&self, access: &ClusterAccess, desired: &Desired) -> Report {
        let cluster = match self.clients.get(access, &self.options) {
            Ok(cluster) => cluster,
            Err(failure) => return unreached(failure, &desired.inventory),
        };
        let session =
            Session::new(&cluster.api, &self.options, &desired.owner, desired.namespace.as_ref(), &desired.inventory);
        apply::apply(session, desired).await
    }

    async fn sign(&self, access: &ClusterAccess, request: &CertificateRequest) -> Result<String, Failure> {
        let cluster = self.clients.get(access, &self.options)?;
        credential::sign(&cluster.api, &self.options, request).await
    }

    async fn token(&self, access: &ClusterAccess, request: &TokenRequest) -> Result<IssuedToken, Failure> {
        let cluster = self.clients.get(access, &self.options)?;
        token::issue(&cluster.api, request).await
    }

    async fn compare(&self, access: &ClusterAccess, desired: &Desired) -> Result<Comparison, Failure> {
        let cluster = self.clients.get(access, &self.options)?;
        let session =
            Session::new(&cluster.api, &self.options, &desired.owner, desired.namespace.as_ref(), &desired.inventory);
        preview::compare(session, desired).await
    }

    async fn cut_off(&self, access: &ClusterAccess, cut: &CutOff) -> Result<Vec<Grant>, Failure> {
        let cluster = self.clients.get(access, &self.options)?;
        let session = Session::new(&cluster.api, &self.options, &cut.owner, Some(&cut.namespace), &cut.inventory);
        cut_off::cut_off(session, cut).await
    }

    async fn remove(&self, access: &ClusterAccess, removal: &Removal) -> Report {
        let cluster = match self.clients.get(access, &self.options) {
            Ok(cluster) => cluster,
            Err(failure) => return unreached(failure, &removal.inventory),
        };
        let session =
            Session::new(&cluster.api, &self.options, &removal.owner, removal.namespace.as_ref(), &removal.inventory);
        remove::remove(session, removal).await
    }
}

/// Nothing was done, so all that was there still is.
fn unreached(failure: Failure, inventory: &[dcm_core::sync::InventoryItem]) -> Report {
    Report { inventory: inventory.to_vec(), failure: Some(failure), ..Report::default() }
}
