use std::{net::SocketAddr, sync::Arc, time::Duration};

use dcm_core::{
    ca::CaProvider,
    service::{BuiltInCa, CaPorts, CaSettings},
    store::Store,
};
use dcm_mesh::{
    ca::Signer,
    grpc::{CaService, GrpcCa, Patience},
};
use dcm_test_utils::ports::{CountingEntropy, ManualClock, TransparentSealer};
use tokio::{net::TcpListener, sync::oneshot, task::JoinHandle};
use tonic::transport::{Endpoint, Server, server::TcpIncoming};

/// A CA that is served; it ends with this.
pub(crate) struct Served {
    pub(crate) address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<()>,
}

impl Served {
    pub(crate) async fn start(ca: Arc<dyn CaProvider>) -> Self {
        Self::start_at("127.0.0.1:0".parse().unwrap(), ca).await
    }

    pub(crate) async fn start_at(address: SocketAddr, ca: Arc<dyn CaProvider>) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel();
        let server = Server::builder().add_service(CaService::new(ca).into_server());
        let task = tokio::spawn(async move {
            let stopped = async { drop(stopped.await) };
            server.serve_with_incoming_shutdown(TcpIncoming::from(listener), stopped).await.unwrap();
        });
        Self { address, stop: Some(stop), task }
    }

    pub(crate) fn client(&self, patience: Patience) -> GrpcCa {
        client(self.address, patience)
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

pub(crate) fn client(address: SocketAddr, patience: Patience) -> GrpcCa {
    let channel = Endpoint::from_shared(format!("http://{address}")).unwrap().connect_lazy();
    GrpcCa::new(channel, patience)
}

pub(crate) async fn built_in(store: &Arc<dyn Store>) -> Arc<dyn CaProvider> {
    let ports = CaPorts {
        store: Arc::clone(store),
        sealer: Arc::new(TransparentSealer),
        signer: Arc::new(Signer),
        clock: Arc::new(ManualClock::default()),
        entropy: Arc::new(CountingEntropy::starting_at(fastrand::u64(..))),
    };
    Arc::new(BuiltInCa::open(ports, CaSettings::default()).await.unwrap())
}

pub(crate) const HURRIED: Patience = Patience {
    attempt: Duration::from_millis(200),
    call: Duration::from_secs(20),
    first_retry: Duration::from_millis(10),
    longest_retry: Duration::from_millis(50),
};
