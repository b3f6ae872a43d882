use std::sync::Arc;

use async_trait::async_trait;
use dcm_core::ca::{CaProvider, Error};
use dcm_proto::ca_v1::{
    GetBundleRequest, GetBundleResponse, IssueIntermediateRequest, IssueIntermediateResponse, RevokeRequest,
    RevokeResponse, RotateRequest, RotateResponse,
    ca_key_distribution_server::{CaKeyDistribution, CaKeyDistributionServer},
};
use tonic::{Request, Response, Status};

use super::{message, status};

/// Serves a [`CaProvider`] as `dcm.ca.v1.CaKeyDistribution`.
///
/// Who may ask is decided before: it goes behind mutual TLS with an allowed identity.
///
/// # Caveats
/// The cause of a failure is the source of its status, which is in the extensions of the response for an outer layer to log; it is
/// not sent.
#[derive(Clone, Debug)]
pub struct CaService {
    ca: Arc<dyn CaProvider>,
}

impl CaService {
    /// So long may a request be: a certificate request and a few names.
    pub const LARGEST_REQUEST: usize = 64 * 1024;

    /// A service in front of a provider.
    #[must_use]
    pub fn new(ca: Arc<dyn CaProvider>) -> Self {
        Self { ca }
    }

    /// The service as a server takes it, with its limit.
    #[must_use]
    pub fn into_server(self) -> CaKeyDistributionServer<Self> {
        CaKeyDistributionServer::new(self).max_decoding_message_size(Self::LARGEST_REQUEST)
    }
}

fn answer<T, M>(result: Result<T, Error>, message: impl FnOnce(T) -> M) -> Result<Response<M>, Status> {
    result.map(|value| Response::new(message(value))).map_err(status::write)
}

#[async_trait]
impl CaKeyDistribution for CaService {
    async fn issue_intermediate(
        &self,
        request: Request<IssueIntermediateRequest>,
    ) -> Result<Response<IssueIntermediateResponse>, Status> {
        let request = message::read_issue(request.into_inner()).map_err(status::write)?;
        answer(self.ca.issue_intermediate(&request).await, message::issued)
    }

    async fn get_bundle(&self, request: Request<GetBundleRequest>) -> Result<Response<GetBundleResponse>, Status> {
        let cloud = message::read_uid(&request.get_ref().cloud_uid).map_err(status::write)?;
        answer(self.ca.bundle(&cloud).await, |bundle| GetBundleResponse { bundle: Some(message::bundle(bundle)) })
    }

    async fn rotate(&self, request: Request<RotateRequest>) -> Result<Response<RotateResponse>, Status> {
        let (cloud, step) = message::read_rotate(request.get_ref()).map_err(status::write)?;
        answer(self.ca.rotate(&cloud, step).await, |bundle| RotateResponse { bundle: Some(message::bundle(bundle)) })
    }

    async fn revoke(&self, request: Request<RevokeRequest>) -> Result<Response<RevokeResponse>, Status> {
        let (cloud, cluster, generation) = message::read_revoke(request.get_ref()).map_err(status::write)?;
        answer(self.ca.revoke(&cloud, &cluster, generation).await, message::revoked)
    }
}
