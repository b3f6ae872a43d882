//! Tells a synchronizer in another process of orders, so that it need not find them in the store.
//!
//! A hint may be lost: every synchronizer watches the store, too. So none is kept for later, and no client waits for one.

use std::{sync::Arc, time::Duration};

use dcm_core::{
    lifecycle::Phase,
    service::{Dcm, Wake},
    store::Key,
};
use dcm_proto::sync_v1::{
    StartRequest, StopRequest, TerminateRequest, resource_synchronizer_client::ResourceSynchronizerClient,
};
use futures_util::{StreamExt as _, stream};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tonic::{Code, Status, transport::Channel};
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};

use super::Place;
use crate::{config::PeerAddress, readiness::Readiness, telemetry::chain, tls::PeerTls, worker::Bell};

/// How it is called where it is waited for.
const PART: &str = "synchronizer";

/// The service that is asked for its health.
const SERVICE: &str = "dcm.sync.v1.ResourceSynchronizer";

/// How long one call may take.
const WITHIN: Duration = Duration::from_secs(5);

/// How many hints are on their way at once.
const AT_ONCE: usize = 16;

/// How often it is asked how it is.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// Makes hints.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Hints;

/// What gives hints, and waits for the DCM whose orders they are about.
#[derive(Debug)]
pub(crate) struct HintsSeed {
    place: Place,
    tls: Option<PeerTls>,
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
    pub(crate) fn at(place: Place, tls: Option<PeerTls>) -> (Arc<dyn Wake>, HintsSeed) {
        let bell = Arc::<Bell>::default();
        (Arc::clone(&bell) as Arc<dyn Wake>, HintsSeed { place, tls, bell })
    }
}

impl HintsSeed {
    /// Starts to give hints. Must be called in a tokio runtime.
    pub(crate) fn start(self, dcm: Dcm, readiness: Readiness) -> HintsHandle {
        let stop = CancellationToken::new();
        let until_stopped = stop.clone();
        let task = tokio::spawn(async move {
            let link = Link { place: self.place, tls: self.tls, dcm, readiness, open: None };
            tokio::select! {
                () = link.run(&self.bell) => {}
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

/// The way to the synchronizer.
struct Link {
    place: Place,
    tls: Option<PeerTls>,
    dcm: Dcm,
    readiness: Readiness,
    open: Option<(PeerAddress, Channel)>,
}

impl Link {
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

    /// A channel to where the synchronizer is now, which connects when it is used.
    async fn channel(&mut self) -> Option<Channel> {
        let address = match self.place.find(&self.dcm).await {
            Ok(Some(address)) => address,
            Ok(None) => {
                self.open = None;
                self.readiness.has(PART);
                return None;
            }
            Err(error) => {
                tracing::debug!(error = %chain(&error), "where the synchronizer is could not be read");
                return self.open.as_ref().map(|(_, channel)| channel.clone());
            }
        };
        if let Some((open, channel)) = &self.open
            && *open == address
        {
            return Some(channel.clone());
        }
        let channel = match channel(&address, self.tls.as_ref()) {
            Ok(channel) => channel,
            Err(reason) => {
                self.readiness.waits_for(PART, reason);
                return None;
            }
        };
        self.open = Some((address, channel.clone()));
        Some(channel)
    }

    /// Asks the synchronizer how it is.
    async fn look(&mut self) {
        let Some(channel) = self.channel().await else { return };
        let request = HealthCheckRequest { service: SERVICE.to_owned() };
        match HealthClient::new(channel).check(request).await.map(|answer| answer.into_inner().status()) {
            Ok(tonic_health::pb::health_check_response::ServingStatus::Serving) => self.readiness.has(PART),
            Ok(status) => self.readiness.waits_for(PART, format!("it says that it is {}", status.as_str_name())),
            Err(status) => self.readiness.waits_for(PART, reason(&status)),
        }
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
            Phase::Stopped => client.stop(StopRequest { project, logical_cloud }).await.map(drop),
            Phase::Terminating | Phase::Deleting => {
                client.terminate(TerminateRequest { project, logical_cloud }).await.map(drop)
            }
            // References may be on their way out whatever the phase is.
            Phase::NotCreated | Phase::Applied | Phase::Terminated => {
                let generation = cloud.lifecycle.applied_generation;
                client.start(StartRequest { project, logical_cloud, generation }).await.map(drop)
            }
        };
        match told {
            Ok(()) => self.readiness.has(PART),
            Err(status) if matches!(status.code(), Code::Unavailable | Code::DeadlineExceeded | Code::Cancelled) => {
                self.readiness.waits_for(PART, reason(&status));
            }
            Err(status) => {
                tracing::info!(%order, code = ?status.code(), reason = status.message(), "the synchronizer took no hint");
            }
        }
    }
}

/// A channel that connects when it is used, and again where the connection was lost.
fn channel(address: &PeerAddress, tls: Option<&PeerTls>) -> Result<Channel, String> {
    // Whether it is secure is for the connector to see to: a scheme that says so has tonic look for TLS of its own.
    let mut parts = address.uri().clone().into_parts();
    parts.scheme = Some(http::uri::Scheme::HTTP);
    let uri = http::Uri::from_parts(parts).map_err(|error| error.to_string())?;
    let endpoint = Channel::builder(uri)
        .connect_timeout(WITHIN)
        .timeout(WITHIN)
        .http2_keep_alive_interval(LOOK_EVERY)
        .keep_alive_timeout(WITHIN);
    match (address.is_https(), tls) {
        (false, _) => Ok(endpoint.connect_lazy()),
        (true, Some(tls)) => Ok(endpoint.connect_with_connector_lazy(tls.connector())),
        (true, None) => {
            Err(format!("{address} is to be reached over TLS, and --peer-ca says nothing of whom to trust"))
        }
    }
}

/// What went wrong, for people.
fn reason(status: &Status) -> String {
    let cause = std::error::Error::source(status).map_or_else(String::new, |source| format!(": {}", chain(source)));
    format!("{}{cause}", status.message())
}
