use std::sync::Arc;

use async_trait::async_trait;
use dcm_core::ca::{CaProvider, Error};
use dcm_proto::ca_v1::{
    ForgetRequest, ForgetResponse, GetBundleRequest, GetBundleResponse, IssueIntermediateRequest,
    IssueIntermediateResponse, RevokeRequest, RevokeResponse, RotateRequest, RotateResponse,
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

/// To a request for an intermediate.
fn issued<T>(result: Result<T, Error>) -> Result<T, Status> {
    result.map_err(|error| status::write(error, status::OF_CLOUD))
}

/// To all others.
fn told<T>(result: Result<T, Error>) -> Result<T, Status> {
    result.map_err(|error| status::write(error, status::ALONE))
}

#[async_trait]
impl CaKeyDistribution for CaService {
    async fn issue_intermediate(
        &self,
        request: Request<IssueIntermediateRequest>,
    ) -> Result<Response<IssueIntermediateResponse>, Status> {
        let request = issued(message::read_issue(request.into_inner()))?;
        Ok(Response::new(message::issued(issued(self.ca.issue_intermediate(&request).await)?)))
    }

    async fn get_bundle(&self, request: Request<GetBundleRequest>) -> Result<Response<GetBundleResponse>, Status> {
        let cloud = told(message::read_uid(&request.get_ref().cloud_uid))?;
        let bundle = told(self.ca.bundle(&cloud).await)?;
        Ok(Response::new(GetBundleResponse { bundle: Some(message::bundle(bundle)) }))
    }

    async fn rotate(&self, request: Request<RotateRequest>) -> Result<Response<RotateResponse>, Status> {
        let (cloud, step) = told(message::read_rotate(request.get_ref()))?;
        let bundle = told(self.ca.rotate(&cloud, step).await)?;
        Ok(Response::new(RotateResponse { bundle: Some(message::bundle(bundle)) }))
    }

    async fn revoke(&self, request: Request<RevokeRequest>) -> Result<Response<RevokeResponse>, Status> {
        let (cloud, cluster, generation) = told(message::read_revoke(request.get_ref()))?;
        Ok(Response::new(message::revoked(told(self.ca.revoke(&cloud, &cluster, generation).await)?)))
    }

    async fn forget(&self, request: Request<ForgetRequest>) -> Result<Response<ForgetResponse>, Status> {
        let cloud = told(message::read_uid(&request.get_ref().cloud_uid))?;
        told(self.ca.forget(&cloud).await)?;
        Ok(Response::new(ForgetResponse {}))
    }
}
