use std::time::Duration;

use async_trait::async_trait;
use dcm_core::{
    error::Error,
    gateway::{self, ClusterGateway, CutOffs, Probe},
    name::{ClusterName, ProviderName},
    service::{CloudId, Preview, Selection},
    sync::{Comparison, Failure},
};
use dcm_proto::sync_v1::cluster_gateway_client::ClusterGatewayClient;
use tokio::time::{Instant, sleep, timeout};
use tonic::{Request, Response, Status, transport::Channel};

use super::{message, status};

/// Clusters behind another process, over gRPC.
///
/// # Guarantees
/// A call has a deadline, which goes along with it, and one that is dropped is dropped at the other end, too. Where the connection
/// broke, or there is none, it is tried once more, since every call may be repeated: behind one address there may be several
/// synchronizers.
///
/// # Caveats
/// It needs tokio. Who answers, and who asks, is the channel's to prove (mutual TLS).
#[derive(Clone, Debug)]
pub struct GrpcClusterGateway {
    client: ClusterGatewayClient<Channel>,
    within: Duration,
}

impl GrpcClusterGateway {
    /// So long may an answer be, in bytes, where nobody says.
    pub const LARGEST_ANSWER: usize = 64 * 1024 * 1024;

    /// So long may a call take, where nobody says.
    pub const WITHIN: Duration = Duration::from_secs(30);

    /// The longest time that goes along with a call: gRPC has eight digits for it.
    const LONGEST: Duration = Duration::from_secs(99_999_999);

    /// The pause before a call is tried once more.
    const PAUSE: Duration = Duration::from_millis(100);

    /// Asks whoever is at the other end of a channel. A lazy channel will do.
    #[must_use]
    pub fn new(channel: Channel) -> Self {
        let client = ClusterGatewayClient::new(channel).max_decoding_message_size(Self::LARGEST_ANSWER);
        Self { client, within: Self::WITHIN }
    }

    /// The same, with another bound on the time that a call may take.
    #[must_use]
    pub fn within(self, within: Duration) -> Self {
        Self { within: within.min(Self::LONGEST), ..self }
    }

    /// The same, with another bound on an answer, in bytes. One that is larger is [`Error::Refused`].
    #[must_use]
    pub fn largest_answer(self, bytes: usize) -> Self {
        Self { client: self.client.max_decoding_message_size(bytes), ..self }
    }

    async fn call<M: Clone, A>(
        &self,
        message: M,
        attempt: impl AsyncFn(ClusterGatewayClient<Channel>, Request<M>) -> Result<Response<A>, Status>,
    ) -> Result<A, Error> {
        let (begun, mut is_again) = (Instant::now(), false);
        loop {
            let left = self.within.saturating_sub(begun.elapsed());
            let mut request = Request::new(message.clone());
            request.set_timeout(left);
            let failed = match timeout(left, attempt(self.client.clone(), request)).await {
                Ok(Ok(answer)) => return Ok(answer.into_inner()),
                Ok(Err(failed)) => failed,
                Err(_) => return Err(gateway::Error::Timeout.into()),
            };
            if is_again || !status::is_connection_lost(&failed) {
                return Err(status::read(failed));
            }
            is_again = true;
            sleep(Self::PAUSE).await;
        }
    }
}

#[async_trait]
impl ClusterGateway for GrpcClusterGateway {
    async fn probe_cluster(
        &self,
        provider: &ProviderName,
        cluster: &ClusterName,
    ) -> Result<Result<Probe, Failure>, Error> {
        let message = message::probe(provider, cluster);
        let answer = self.call(message, async |mut there, request| there.probe_cluster(request).await).await?;
        Ok(message::read_probed(answer)?)
    }

    async fn diff(&self, id: &CloudId, which: &Selection) -> Result<Preview<Result<Comparison, Failure>>, Error> {
        let message = message::diff(id, which);
        let answer = self.call(message, async |mut there, request| there.diff(request).await).await?;
        Ok(message::read_diffed(answer)?)
    }

    async fn cut_off_user(&self, id: &CloudId, generation: u64) -> Result<CutOffs, Error> {
        let message = message::cut_off(id, generation);
        let answer = self.call(message, async |mut there, request| there.cut_off_user(request).await).await?;
        Ok(message::read_cut_offs(answer)?)
    }
}
