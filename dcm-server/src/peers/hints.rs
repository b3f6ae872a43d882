//! Tells a synchronizer in another process of orders, so that it need not find them in the store.
//!
//! A hint may be lost: every synchronizer watches the store, too. So none is kept for later, and no client waits for one.

use std::sync::Arc;

use dcm_core::{
    lifecycle::Phase,
    service::{Dcm, Wake},
    store::Key,
};
use dcm_proto::sync_v1::{
    ProbeClusterRequest, StartRequest, StopRequest, TerminateRequest, cluster_gateway_client::ClusterGatewayClient,
    resource_synchronizer_client::ResourceSynchronizerClient,
};
use futures_util::{StreamExt as _, stream};
use tokio::{task::JoinHandle, time::Instant};
use tokio_util::sync::CancellationToken;
use tonic::{Code, Request, Status, transport::Channel};
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};

use super::{
    Link,
    gateway::FIX,
    link::{LOOK_EVERY, NoWay, WITHIN, reason},
};
use crate::{
    telemetry::chain,
    worker::{Bell, Others},
};

/// The service that is asked for its health.
const SERVICE: &str = "dcm.sync.v1.ResourceSynchronizer";

/// How many hints are on their way at once.
const AT_ONCE: usize = 16;

/// Why orders wait where nobody is told of them, and nobody finds them.
const NOBODY: &str = "no process on this store carries out orders; start one with --role synchronizer or --role all";

/// Makes hints.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Hints;

/// What gives hints, and waits for the DCM whose orders they are about.
#[derive(Debug)]
pub(crate) struct HintsSeed {
    link: Arc<Link>,
    bell: Arc<Bell>,
}

/// What gives hints, at work.
#[derive(Debug)]
pub(crate) struct HintsHandle {
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Hints {
    /// Makes it in two halves: what is told of orders, which DCM needs, and the rest, which needs DCM.
    pub(crate) fn over(link: Arc<Link>) -> (Arc<dyn Wake>, HintsSeed) {
        let bell = Arc::<Bell>::default();
        (Arc::clone(&bell) as Arc<dyn Wake>, HintsSeed { link, bell })
    }
}

impl HintsSeed {
    /// Starts to give hints. Must be called in a tokio runtime.
    pub(crate) fn start(self, dcm: Dcm) -> HintsHandle {
        let stop = CancellationToken::new();
        let until_stopped = stop.clone();
        let task = tokio::spawn(async move {
            let teller = Teller { link: self.link, dcm, others: Others::default() };
            tokio::select! {
                () = teller.run(&self.bell) => {}
                () = until_stopped.cancelled() => {}
            }
        });
        HintsHandle { stop, task }
    }
}

impl HintsHandle {
    /// Stops. Hints that were not given are not needed.
    pub(crate) async fn stop(self) {
        self.stop.cancel();
        if let Err(error) = self.task.await {
            tracing::error!(%error, "the hints to the synchronizer ended badly");
        }
    }
}

/// Tells the synchronizer of orders.
struct Teller {
    link: Arc<Link>,
    dcm: Dcm,
    /// Who carries out orders from this store, as far as was seen.
    others: Others,
}

impl Teller {
    async fn run(mut self, bell: &Bell) {
        let mut look = tokio::time::interval(LOOK_EVERY);
        look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = bell.rung() => {
                    let Some(channel) = self.channel().await else { bell.take(); continue };
                    let hints = bell.take().into_iter().map(|order| self.tell(channel.clone(), order));
                    stream::iter(hints).for_each_concurrent(AT_ONCE, |hint| hint).await;
                }
                _ = look.tick() => self.look().await,
            }
        }
    }

    /// A channel to the synchronizer; `None` where there is no way to it, which the next look tells of.
    async fn channel(&self) -> Option<Channel> {
        self.link.channel().await.ok()
    }

    /// Asks the synchronizer how it is; where nobody said where it is, looks whether there is one that finds orders in the store.
    async fn look(&mut self) {
        let channel = match self.link.channel().await {
            Ok(channel) => channel,
            Err(NoWay::Unknown) => return self.look_at_members().await,
            Err(NoWay::Blocked(reason)) => return self.link.is_away(reason),
            // The store is away, which is shown elsewhere.
            Err(NoWay::Unread(error)) => {
                tracing::debug!(error = %chain(&error), "where the synchronizer is could not be read");
                return;
            }
        };
        let request = hint(HealthCheckRequest { service: SERVICE.to_owned() });
        match HealthClient::new(channel.clone()).check(request).await.map(|answer| answer.into_inner().status()) {
            Ok(tonic_health::pb::health_check_response::ServingStatus::Serving) => match serves_us(channel).await {
                Ok(()) => drop(self.link.is_there()),
                Err(reason) => self.link.is_away(reason),
            },
            Ok(status) => self.link.is_away(format!("it says that it is {}", status.as_str_name())),
            Err(status) => self.link.is_away(reason(&status)),
        }
    }

    /// Where orders are found nobody needs to be told of them, but what a client waits for still needs a way.
    async fn look_at_members(&mut self) {
        let asked = Instant::now().into_std();
        let found = match self.dcm.members().await {
            Ok(found) => found,
            Err(error) => {
                tracing::debug!(error = %chain(&error), "who carries out orders could not be read");
                return;
            }
        };
        let silent = self.others.look(&found, None, asked, Instant::now().into_std()).len();
        self.link.is_away(match silent < found.len() {
            true => format!("orders are carried out, but clusters can be asked nothing: {FIX}"),
            false => format!("{NOBODY}, and {FIX}"),
        });
    }

    async fn tell(&self, channel: Channel, order: Key) {
        let cloud = match self.dcm.ordered_cloud(&order).await {
            Ok(Some(cloud)) => cloud,
            // Carried out already, or about a logical cloud that is gone: the store's watch tells of it.
            Ok(None) => return,
            Err(error) => {
                tracing::debug!(%order, error = %chain(&error), "an order could not be read to tell of it");
                return;
            }
        };
        let mut client = ResourceSynchronizerClient::new(channel);
        let (project, logical_cloud) = (cloud.project.to_string(), cloud.metadata.name.to_string());
        let told = match cloud.lifecycle.phase {
            Phase::Stopped => client.stop(hint(StopRequest { project, logical_cloud })).await.map(drop),
            Phase::Terminating | Phase::Deleting => {
                client.terminate(hint(TerminateRequest { project, logical_cloud })).await.map(drop)
            }
            // References may be on their way out whatever the phase is.
            Phase::NotCreated | Phase::Applied | Phase::Terminated => {
                let generation = cloud.lifecycle.applied_generation;
                client.start(hint(StartRequest { project, logical_cloud, generation })).await.map(drop)
            }
        };
        match told {
            Ok(()) => {
                self.link.is_there();
            }
            Err(status) if matches!(status.code(), Code::Unavailable | Code::DeadlineExceeded | Code::Cancelled) => {
                self.link.is_away(reason(&status));
            }
            Err(status) if is_refusal(&status) => self.link.is_away(refused(&status)),
            Err(status) => {
                tracing::info!(%order, code = ?status.code(), reason = status.message(), "the synchronizer took no hint");
            }
        }
    }
}

/// Asks of a cluster that there is not: anybody hears how the synchronizer is, but not everybody is served.
async fn serves_us(channel: Channel) -> Result<(), String> {
    let nobody = || "dcm-look".to_owned();
    let asked = hint(ProbeClusterRequest { cluster_provider: nobody(), cluster: nobody() });
    match ClusterGatewayClient::new(channel).probe_cluster(asked).await {
        Err(status) if is_refusal(&status) => Err(refused(&status)),
        Err(status) if status.code() == Code::Unimplemented => {
            Err("what answers there does not serve dcm.sync.v1.ClusterGateway".to_owned())
        }
        // How it is was asked before.
        _ => Ok(()),
    }
}

fn is_refusal(status: &Status) -> bool {
    matches!(status.code(), Code::PermissionDenied | Code::Unauthenticated)
}

fn refused(status: &Status) -> String {
    format!("it refuses this server: {}", reason(status))
}

/// A message that is not waited for longer than a hint is worth.
fn hint<M>(message: M) -> Request<M> {
    let mut request = Request::new(message);
    request.set_timeout(WITHIN);
    request
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use dcm_test_utils::builders::Fixture;

    use super::*;
    use crate::{peers::Place, readiness::Readiness};

    const PART: &str = "synchronizer";
    const LEASE: Duration = Duration::from_secs(15);

    fn waits(readiness: &Readiness) -> Option<String> {
        readiness.waiting().into_iter().find(|awaited| awaited.part == PART).map(|awaited| awaited.reason)
    }

    #[tokio::test(start_paused = true)]
    async fn a_main_server_says_whether_anybody_is_there_who_carries_out_orders() {
        let store = dcm_store::open(dcm_store::Config::Memory).await.unwrap();
        let dcm = Fixture::new(Arc::clone(&store)).await.unwrap().dcm;
        let readiness = Readiness::default();
        let place = Place::new(None, "rsync", false);
        let (_, seed) = Hints::over(Arc::new(Link::new(PART, place, None, store, readiness.clone())));
        let hints = seed.start(dcm.clone());
        let looked = async || tokio::time::sleep(LOOK_EVERY + Duration::from_millis(10)).await;
        looked().await;
        assert!(waits(&readiness).is_some_and(|why| why.starts_with(NOBODY)));
        let mut member = dcm.join(LEASE).await.unwrap();
        for _ in 0..6 {
            looked().await;
            let told = waits(&readiness).unwrap();
            assert!(
                told.starts_with("orders are carried out, but") && told.ends_with(FIX),
                "one is there, and renews: {told}"
            );
            member = dcm.renew_member(member).await.unwrap().unwrap();
        }
        // It dies, and nobody is there who would take its document away.
        for _ in 0..5 {
            looked().await;
        }
        assert!(waits(&readiness).is_some_and(|why| why.starts_with(NOBODY)));
        hints.stop().await;
    }
}
