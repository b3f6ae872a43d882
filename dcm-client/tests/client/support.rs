//! Servers for one test, and what is asked of them again and again.

use std::{net::SocketAddr, path::Path, sync::Arc, time::Duration};

use dcm_client::{Client, Retry, v1 as pb};
use dcm_server::{Config, Running};
use dcm_store::memory::MemoryStore;

/// How long anything may take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// A server that forgets everything, somewhere.
pub(crate) async fn start() -> Running {
    start_at("127.0.0.1:0".parse().unwrap(), "memory:").await
}

/// A server that keeps what it has in a folder, somewhere.
pub(crate) async fn start_on(folder: &Path) -> Running {
    start_at("127.0.0.1:0".parse().unwrap(), &kept_in(folder)).await
}

pub(crate) fn kept_in(folder: &Path) -> String {
    format!("sled:{}", folder.join("data").display())
}

/// A server at this address.
pub(crate) async fn start_at(address: SocketAddr, store: &str) -> Running {
    dcm_server::start(config(address, store, &[])).await.unwrap()
}

/// A server at this address, on a store that outlives it; its key lies in the folder.
pub(crate) async fn start_over(address: SocketAddr, store: &Arc<MemoryStore>, folder: &Path) -> Running {
    let key = folder.join("key").display().to_string();
    let config = config(address, "memory:", &["--encryption-key-file", &key]);
    dcm_server::start_on(Arc::clone(store) as _, config).await.unwrap()
}

fn config(address: SocketAddr, store: &str, more: &[&str]) -> Config {
    dcm_server::install_crypto_provider();
    let grpc = address.to_string();
    let options = ["--http", "127.0.0.1:0", "--grpc", &grpc, "--store", store, "--synchronizer", "simulated"];
    Config::from_options(options.iter().chain(more).copied()).unwrap()
}

/// Tries often, with short pauses.
pub(crate) const OFTEN: Retry =
    Retry { attempts: 200, first_pause: Duration::from_millis(20), longest_pause: Duration::from_millis(100) };

pub(crate) fn client(address: SocketAddr) -> Client {
    Client::lazy(format!("http://{address}")).unwrap()
}

pub(crate) fn named(name: &str) -> Option<pb::Metadata> {
    Some(pb::Metadata { name: Some(name.to_owned()), ..Default::default() })
}

pub(crate) fn project(name: &str) -> pb::CreateProjectRequest {
    pb::CreateProjectRequest { project: Some(pb::Project { metadata: named(name), ..Default::default() }) }
}

/// Makes the logical cloud `lc-1` in the project `p`, with this namespace.
pub(crate) fn cloud(namespace: &str) -> pb::CreateLogicalCloudRequest {
    let user = pb::User { user_name: Some("user-1".to_owned()), ..Default::default() };
    let spec = pb::LogicalCloudSpec { namespace: Some(namespace.to_owned()), user: Some(user), ..Default::default() };
    let logical_cloud = pb::LogicalCloud { metadata: named("lc-1"), spec: Some(spec), ..Default::default() };
    pb::CreateLogicalCloudRequest { project: "p".to_owned(), logical_cloud: Some(logical_cloud) }
}

pub(crate) fn get_cloud() -> pb::GetLogicalCloudRequest {
    pb::GetLogicalCloudRequest { project: "p".to_owned(), name: "lc-1".to_owned(), ..Default::default() }
}

pub(crate) fn get_project(name: &str) -> pb::GetProjectRequest {
    pb::GetProjectRequest { name: name.to_owned(), ..Default::default() }
}

/// Waits for something that is about to happen.
pub(crate) async fn soon<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, what).await.expect("it took too long")
}
