//! A simulated cluster and the handle to it.

use std::net::SocketAddr;
use std::sync::Arc;

use serde_json::Value;
use tokio::sync::{Mutex, watch};
use tokio::task::JoinHandle;

use crate::auth::MASTERS;
use crate::error::Error;
use crate::faults::Faults;
use crate::json;
use crate::kinds::NAMESPACES;
use crate::requests::RequestRecord;
use crate::server;
use crate::shared::Shared;

mod kubeconfig;
mod objects;
mod options;
mod secret;

pub use objects::Objects;
pub use options::ClusterOptions;
pub use secret::Secret;

const ADMIN: &str = "kubernetes-admin";

/// A handle to a running simulated cluster. Clones are handles to the same one.
///
/// # Guarantees
/// The cluster stops when its last handle is dropped, or by [`Cluster::shutdown`].
///
/// # Caveats
/// It runs on the runtime that started it, and ends with that runtime.
#[derive(Debug, Clone)]
pub struct Cluster(Arc<Handle>);

#[derive(Debug)]
struct Handle {
    shared: Arc<Shared>,
    address: SocketAddr,
    stop: watch::Sender<bool>,
    admin: Admin,
    task: Mutex<Option<JoinHandle<()>>>,
}

/// The administrator's certificate and key, in PEM.
struct Admin {
    certificate: String,
    key: String,
}

impl std::fmt::Debug for Admin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Admin(…)")
    }
}

impl Cluster {
    /// Starts a cluster: an HTTPS server on a free port of 127.0.0.1, with a CA of its own.
    ///
    /// # Errors
    /// No port can be opened, or no certificate made.
    pub async fn start(options: ClusterOptions) -> Result<Self, Error> {
        let shared = Arc::new(Shared::new(options)?);
        let (certificate, key) = shared.ca.client(ADMIN, &[MASTERS])?;
        let (stop, stopped) = watch::channel(false);
        let (address, task) = server::start(&shared, stopped)?;
        Ok(Self(Arc::new(Handle {
            shared,
            address,
            stop,
            admin: Admin { certificate, key },
            task: Mutex::new(Some(task)),
        })))
    }

    /// The name that it was started with.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0.shared.options.name
    }

    /// The server's URL, `https://127.0.0.1:PORT`.
    #[must_use]
    pub fn server(&self) -> String {
        format!("https://{}", self.0.address)
    }

    /// The certificate of the cluster's CA.
    #[must_use]
    pub fn ca_pem(&self) -> &str {
        &self.0.shared.ca.pem
    }

    /// The key of the cluster's CA, for tests that sign with it.
    #[must_use]
    pub fn ca_key_pem(&self) -> Secret {
        Secret::new(self.0.shared.ca.key_pem())
    }

    /// What tells this cluster from others however it is reached: the uid of `kube-system`.
    #[must_use]
    pub fn identity(&self) -> String {
        self.0.shared.read(|state| {
            state
                .get(NAMESPACES, "", "kube-system")
                .map(|namespace| json::text(namespace, &["metadata", "uid"]).to_owned())
                .unwrap_or_default()
        })
    }

    /// A kubeconfig with a certificate of the group `system:masters`.
    #[must_use]
    pub fn admin_kubeconfig(&self) -> Value {
        let Admin { certificate, key } = &self.0.admin;
        kubeconfig::with_certificate(self, ADMIN, certificate, key)
    }

    /// A kubeconfig with a new certificate of a user, who is in these groups.
    ///
    /// # Errors
    /// No certificate can be made.
    pub fn kubeconfig_for(&self, user: &str, groups: &[&str]) -> Result<Value, Error> {
        let (certificate, key) = self.0.shared.ca.client(user, groups)?;
        Ok(kubeconfig::with_certificate(self, user, &certificate, &key))
    }

    /// A kubeconfig with a bearer token.
    #[must_use]
    pub fn kubeconfig_with_token(&self, token: &str) -> Value {
        kubeconfig::with_token(self, token)
    }

    /// Latency and faults, which can be changed at any time.
    #[must_use]
    pub fn faults(&self) -> &Faults {
        &self.0.shared.faults
    }

    /// The last requests, oldest first.
    #[must_use]
    pub fn requests(&self) -> Vec<RequestRecord> {
        self.0.shared.requests.all()
    }

    /// Forgets the requests so far.
    pub fn clear_requests(&self) {
        self.0.shared.requests.clear();
    }

    /// A direct look at what is stored, past the API and its faults.
    #[must_use]
    pub fn objects(&self) -> Objects<'_> {
        Objects::new(&self.0.shared)
    }

    /// Stops the server, breaks open connections and returns when the port is free.
    pub async fn shutdown(&self) {
        self.0.stop.send_replace(true);
        if let Some(task) = self.0.task.lock().await.take() {
            let _ = task.await;
        }
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.stop.send_replace(true);
    }
}
