use std::sync::Arc;

use async_trait::async_trait;
use dcm_core::{error::Error, gateway::ClusterGateway};
use dcm_proto::sync_v1::{
    CutOffUserRequest, CutOffUserResponse, DiffRequest, DiffResponse, ProbeClusterRequest, ProbeClusterResponse,
    cluster_gateway_server::{self, ClusterGatewayServer},
};
use tonic::{Request, Response, Status};

use super::{message, status};

/// Serves a [`ClusterGateway`], such as a [`Dcm`](dcm_core::service::Dcm) that reaches clusters, as `dcm.sync.v1.ClusterGateway`.
///
/// Who may ask is decided before: it goes behind mutual TLS with an allowed identity.
///
/// # Caveats
/// The cause of a failure is the source of its status, which is in the extensions of the response for an outer layer to log; it is
/// not sent.
#[derive(Clone, Debug)]
pub struct ClusterGatewayService {
    gateway: Arc<dyn ClusterGateway>,
}

impl ClusterGatewayService {
    /// So long may a request be, in bytes: a few names.
    pub const LARGEST_REQUEST: usize = 16 * 1024;

    /// A service in front of a gateway.
    #[must_use]
    pub fn new(gateway: Arc<dyn ClusterGateway>) -> Self {
        Self { gateway }
    }

    /// The service as a server takes it, with its limit.
    #[must_use]
    pub fn into_server(self) -> ClusterGatewayServer<Self> {
        ClusterGatewayServer::new(self).max_decoding_message_size(Self::LARGEST_REQUEST)
    }
}

fn told<T>(result: Result<T, Error>) -> Result<T, Status> {
    result.map_err(status::write)
}

#[async_trait]
impl cluster_gateway_server::ClusterGateway for ClusterGatewayService {
    async fn probe_cluster(
        &self,
        request: Request<ProbeClusterRequest>,
    ) -> Result<Response<ProbeClusterResponse>, Status> {
        let (provider, cluster) = told(message::read_probe(request.get_ref()))?;
        let probed = told(self.gateway.probe_cluster(&provider, &cluster).await)?;
        Ok(Response::new(message::probed(probed)))
    }

    async fn diff(&self, request: Request<DiffRequest>) -> Result<Response<DiffResponse>, Status> {
        let (id, which) = told(message::read_diff(request.get_ref()))?;
        Ok(Response::new(message::diffed(told(self.gateway.diff(&id, &which).await)?)))
    }

    async fn cut_off_user(&self, request: Request<CutOffUserRequest>) -> Result<Response<CutOffUserResponse>, Status> {
        let (id, generation) = told(message::read_cut_off(request.get_ref()))?;
        Ok(Response::new(message::cut_offs(told(self.gateway.cut_off_user(&id, generation).await)?)))
    }
}
