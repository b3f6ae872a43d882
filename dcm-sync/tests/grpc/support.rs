use std::{net::SocketAddr, sync::Arc, time::Duration};

use dcm_core::{
    gateway::ClusterGateway,
    service::{Dcm, Ports, Settings},
    store::Store,
    sync::NoClusters,
};
use dcm_store::memory::MemoryStore;
use dcm_sync::grpc::{ClusterGatewayService, GrpcClusterGateway};
use dcm_test_utils::{
    builders::Fixture,
    ports::{CountingEntropy, FakeCredentials, ManualClock, RecordingWake, TransparentSealer},
};
use tokio::{net::TcpListener, sync::oneshot, task::JoinHandle};
use tonic::transport::{Endpoint, Server, server::TcpIncoming};

/// A gateway that is served; it ends with this.
pub(crate) struct Served {
    pub(crate) address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<()>,
}

impl Served {
    pub(crate) async fn start(gateway: Arc<dyn ClusterGateway>) -> Self {
        Self::start_at("127.0.0.1:0".parse().unwrap(), gateway).await
    }

    pub(crate) async fn start_at(address: SocketAddr, gateway: Arc<dyn ClusterGateway>) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel();
        let server = Server::builder().add_service(ClusterGatewayService::new(gateway).into_server());
        let task = tokio::spawn(async move {
            let stopped = async { drop(stopped.await) };
            server.serve_with_incoming_shutdown(TcpIncoming::from(listener), stopped).await.unwrap();
        });
        Self { address, stop: Some(stop), task }
    }

    pub(crate) fn client(&self) -> GrpcClusterGateway {
        client(self.address)
    }

    /// Ends it as a crash does: connections are cut.
    pub(crate) async fn kill(mut self) {
        self.task.abort();
        drop((&mut self.task).await);
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        drop(self.stop.take());
        self.task.abort();
    }
}

pub(crate) fn client(address: SocketAddr) -> GrpcClusterGateway {
    let channel = Endpoint::from_shared(format!("http://{address}")).unwrap().connect_lazy();
    GrpcClusterGateway::new(channel).within(Duration::from_secs(20))
}

/// Two DCMs on one store: one reaches the clusters and is served, the other asks it.
pub(crate) struct Split {
    /// The one with the clusters.
    pub(crate) there: Fixture,
    /// The one that has no way to them.
    pub(crate) main: Dcm,
    pub(crate) served: Served,
}

impl Split {
    pub(crate) async fn start() -> Self {
        let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
        let there = Fixture::new(Arc::clone(&store)).await.unwrap();
        let served = Served::start(Arc::new(there.dcm.clone())).await;
        let main = main(&store, Arc::new(served.client())).await;
        Self { there, main, served }
    }
}

/// A DCM that has no way to clusters.
pub(crate) async fn main(store: &Arc<dyn Store>, gateway: Arc<dyn ClusterGateway>) -> Dcm {
    let ports = Ports {
        store: Arc::clone(store),
        sealer: Arc::new(TransparentSealer),
        credentials: Arc::new(FakeCredentials),
        synchronizer: Arc::new(NoClusters),
        clock: Arc::new(ManualClock::default()),
        entropy: Arc::new(CountingEntropy::starting_at(1 << 32)),
        wake: Arc::new(RecordingWake::default()),
    };
    Dcm::open(ports, Settings::default()).await.unwrap().reaching_clusters_through(gateway)
}
