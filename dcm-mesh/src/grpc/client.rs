use std::time::Duration;

use async_trait::async_trait;
use dcm_core::{
    ca::{Bundle, CaProvider, Error, Generation, Intermediate, IntermediateRequest, Revoked, Rotation},
    model::Uid,
    name::ClusterIdentity,
};
use dcm_proto::ca_v1::{ForgetRequest, GetBundleRequest, ca_key_distribution_client::CaKeyDistributionClient};
use tokio::time::{Instant, sleep_until, timeout};
use tonic::{Request, Response, Status, transport::Channel};
use tonic_types::StatusExt as _;

use super::{message, status};

/// How long a CA in another process is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// How long one attempt may take. The CA is told; whether it stops working on it then is its own affair: DCM's drops what
    /// only reads, and ends whatever else it has begun, so that the next attempt finds it done.
    pub attempt: Duration,
    /// How long all attempts of a call may take, the pauses between them included.
    pub call: Duration,
    /// The first pause after an attempt that is worth repeating; it doubles from there. Longer where the CA says so.
    pub first_retry: Duration,
    /// The longest pause between two attempts, where the CA does not ask for a longer one.
    pub longest_retry: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            attempt: Duration::from_secs(5),
            call: Duration::from_secs(20),
            first_retry: Duration::from_millis(100),
            longest_retry: Duration::from_secs(2),
        }
    }
}

/// A CA in another process, over gRPC.
///
/// # Guarantees
/// Each attempt has a deadline of its own, which goes along with it. What is worth repeating is repeated, with growing pauses, until
/// the time for the call is up; since every call may be repeated, that is safe. What the CA refuses is not repeated.
///
/// # Caveats
/// It needs tokio. Who the CA is, and who asks, is the channel's to prove (mutual TLS).
#[derive(Clone, Debug)]
pub struct GrpcCa {
    client: CaKeyDistributionClient<Channel>,
    patience: Patience,
}

impl GrpcCa {
    /// So long may an answer be: a chain and two roots are a tenth of it.
    const LARGEST_ANSWER: usize = 256 * 1024;

    /// The longest time that goes along with a call: gRPC has eight digits for it.
    const LONGEST: Duration = Duration::from_secs(99_999_999);

    /// Asks the CA at the other end of a channel. A lazy channel will do: the CA may come later.
    #[must_use]
    pub fn new(channel: Channel, patience: Patience) -> Self {
        let client = CaKeyDistributionClient::new(channel).max_decoding_message_size(Self::LARGEST_ANSWER);
        Self { client, patience }
    }

    /// Tries, and tries again where that is worth it.
    async fn call<M: Clone, A>(
        &self,
        message: M,
        attempt: impl AsyncFn(CaKeyDistributionClient<Channel>, Request<M>) -> Result<Response<A>, Status>,
    ) -> Result<A, Error> {
        // `None` where there is no end.
        let end = Instant::now().checked_add(self.patience.call);
        let (mut pause, mut before) = (self.patience.first_retry, None);
        loop {
            let left = end.map_or(Duration::MAX, |end| end.saturating_duration_since(Instant::now()));
            let left = left.min(self.patience.attempt).min(Self::LONGEST);
            let mut request = Request::new(message.clone());
            request.set_timeout(left);
            let (error, told) = match timeout(left, attempt(self.client.clone(), request)).await {
                Ok(Ok(answer)) => return Ok(answer.into_inner()),
                Ok(Err(status)) => {
                    let told = status.get_details_retry_info().and_then(|info| info.retry_delay);
                    (status::read(status), told)
                }
                Err(_) => (Error::Timeout { retry_after: Error::RETRY_AFTER }, None),
            };
            // An attempt that the end of the call cut short has found out nothing: what the one before it did says more.
            let cut_short = left < self.patience.attempt && matches!(error, Error::Timeout { .. });
            let error = before.take().filter(|_| cut_short).unwrap_or(error);
            if error.retry_after().is_none() {
                return Err(error);
            }
            // Not all at once: those who were refused together would come again together.
            let wait = pause.min(Self::LONGEST).mul_f64(0.5 + fastrand::f64() / 2.0).max(told.unwrap_or_default());
            let Some(then) = after(Instant::now(), wait, end) else { return Err(error) };
            before = Some(error);
            sleep_until(then).await;
            pause = pause.saturating_mul(2).min(self.patience.longest_retry);
        }
    }
}

/// When to try again; `None` where that is beyond the end, or, since a CA may ask for any time, beyond what a clock can tell.
fn after(now: Instant, wait: Duration, end: Option<Instant>) -> Option<Instant> {
    now.checked_add(wait).filter(|then| end.is_none_or(|end| *then < end))
}

#[async_trait]
impl CaProvider for GrpcCa {
    async fn issue_intermediate(&self, request: &IntermediateRequest) -> Result<Intermediate, Error> {
        let message = message::issue(request);
        let answer = self.call(message, async |mut ca, request| ca.issue_intermediate(request).await).await?;
        Ok(message::read_issued(answer)?)
    }

    async fn bundle(&self, cloud: &Uid) -> Result<Bundle, Error> {
        let message = GetBundleRequest { cloud_uid: cloud.to_string() };
        let answer = self.call(message, async |mut ca, request| ca.get_bundle(request).await).await?;
        Ok(message::read_bundle(answer.bundle)?)
    }

    async fn rotate(&self, cloud: &Uid, step: Rotation) -> Result<Bundle, Error> {
        let message = message::rotate(cloud, step);
        let answer = self.call(message, async |mut ca, request| ca.rotate(request).await).await?;
        Ok(message::read_bundle(answer.bundle)?)
    }

    async fn revoke(&self, cloud: &Uid, cluster: &ClusterIdentity, generation: Generation) -> Result<Revoked, Error> {
        let message = message::revoke(cloud, cluster, generation);
        let answer = self.call(message, async |mut ca, request| ca.revoke(request).await).await?;
        Ok(message::read_revoked(answer)?)
    }

    async fn forget(&self, cloud: &Uid) -> Result<(), Error> {
        let message = ForgetRequest { cloud_uid: cloud.to_string() };
        self.call(message, async |mut ca, request| ca.forget(request).await).await.map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ca_cannot_ask_for_a_time_that_there_is_not() {
        let (now, second) = (Instant::now(), Duration::from_secs(1));
        let end = now.checked_add(second * 2);
        assert_eq!(after(now, second, end), now.checked_add(second));
        for (wait, end) in [(second * 2, end), (Duration::from_secs(i64::MAX as u64), end), (Duration::MAX, None)] {
            assert_eq!(after(now, wait, end), None, "{wait:?}");
        }
    }
}
