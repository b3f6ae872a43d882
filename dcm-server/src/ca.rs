//! What a main server has its CA do: forget logical clouds that are gone. Looks, too, whether a CA in another process can be had.

use std::{fmt, time::Duration};

use dcm_core::{
    ca::CaProvider,
    model::Uid,
    service::{BuiltInCa, Dcm},
};
use dcm_mesh::grpc::{GrpcCa, Patience};
use dcm_proto::ca_v1::{GetBundleRequest, ca_key_distribution_client::CaKeyDistributionClient};
use prometheus_client::{
    metrics::{counter::Counter, gauge::Gauge},
    registry::Registry,
};
use tokio::{
    task::JoinHandle,
    time::{Instant, MissedTickBehavior, interval},
};
use tokio_util::sync::CancellationToken;
use tonic::{Code, Request, transport::Channel};

use crate::{
    peers::{LOOK_EVERY, Link, NoWay, WITHIN, reason},
    telemetry::chain,
};

/// The longest pause after a CA has failed to forget.
const LONGEST_PAUSE: Duration = Duration::from_secs(300);

/// How long is kept what a CA is to forget where nobody says that there is one: it may be about to be registered anew.
const WITHOUT_CA: Duration = Duration::from_secs(7 * 24 * 3600);

/// Where a main server's CA is.
#[derive(Debug)]
pub(crate) enum CaSource {
    /// In this process.
    BuiltIn(BuiltInCa),
    /// In another one.
    Peer(Box<Link>),
}

impl CaSource {
    /// How a CA is called where it is waited for, and as a controller.
    pub(crate) const PART: &str = "ca";
}

/// What has the CA do its work, before it is set to it.
#[derive(Debug)]
pub(crate) struct CaSeed {
    source: CaSource,
    metrics: CaMetrics,
}

/// The same, at work.
#[derive(Debug)]
pub(crate) struct CaHandle {
    stop: CancellationToken,
    task: JoinHandle<()>,
}

/// Counts what the CA has done.
#[derive(Clone, Default)]
pub(crate) struct CaMetrics {
    pending: Gauge,
    forgotten: Counter,
    failures: Counter,
}

impl CaMetrics {
    pub(crate) fn register(&self, registry: &mut Registry) {
        let help =
            "Logical clouds that are gone and that the CA has not forgotten yet; of many, the first page is counted";
        registry.register("forgets_pending", help, self.pending.clone());
        registry.register(
            "forgotten",
            "Logical clouds that are gone and that the CA has forgotten",
            self.forgotten.clone(),
        );
        let help = "How often the CA did not forget what it was to";
        registry.register("forget_failures", help, self.failures.clone());
    }
}

impl fmt::Debug for CaMetrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CaMetrics").field("pending", &self.pending).finish_non_exhaustive()
    }
}

impl CaSeed {
    pub(crate) fn new(source: CaSource) -> Self {
        Self { source, metrics: CaMetrics::default() }
    }

    /// What it counts.
    pub(crate) const fn metrics(&self) -> &CaMetrics {
        &self.metrics
    }

    /// Sets it to work. Must be called in a tokio runtime.
    pub(crate) fn start(self, dcm: Dcm) -> CaHandle {
        let stop = CancellationToken::new();
        let until_stopped = stop.clone();
        let task = tokio::spawn(async move {
            let errands = Errands { dcm, metrics: self.metrics, pause: None };
            tokio::select! {
                () = errands.run(self.source) => {}
                () = until_stopped.cancelled() => {}
            }
        });
        CaHandle { stop, task }
    }
}

impl CaHandle {
    /// Stops. What the CA is to do is in the store, and may be done twice.
    pub(crate) async fn stop(self) {
        self.stop.cancel();
        if let Err(error) = self.task.await {
            tracing::error!(%error, "what has the CA do its work ended badly");
        }
    }
}

/// What the CA is asked to do.
struct Errands {
    dcm: Dcm,
    metrics: CaMetrics,
    /// Where it failed: how long it is let alone, and until when.
    pause: Option<(Duration, Instant)>,
}

impl Errands {
    async fn run(mut self, source: CaSource) {
        let mut look = interval(LOOK_EVERY);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            look.tick().await;
            match &source {
                CaSource::BuiltIn(ca) => self.forget(ca).await,
                CaSource::Peer(link) => self.look_at(link).await,
            }
        }
    }

    /// Looks whether the CA can be had, and has it do what waits where it can.
    async fn look_at(&mut self, link: &Link) {
        let channel = match link.channel().await {
            Ok(channel) => channel,
            Err(NoWay::Unknown) => {
                link.is_there();
                return self.drop_old().await;
            }
            Err(NoWay::Blocked(reason)) => {
                link.is_away(reason);
                return self.count().await;
            }
            Err(NoWay::Unread(error)) => {
                tracing::debug!(error = %chain(&error), "where the CA is could not be read");
                return self.count().await;
            }
        };
        match probe(channel.clone()).await {
            Ok(()) => {
                if link.is_there() {
                    self.pause = None;
                }
                self.forget(&GrpcCa::new(channel, Patience::default())).await;
            }
            Err(reason) => {
                link.is_away(reason);
                self.count().await;
            }
        }
    }

    async fn forget(&mut self, ca: &dyn CaProvider) {
        if self.pause.is_some_and(|(_, until)| Instant::now() < until) {
            return;
        }
        let failure = match self.dcm.forget_gone_clouds(ca).await {
            Ok(done) => {
                self.pending(done.pending);
                self.metrics.forgotten.inc_by(done.forgotten);
                if done.forgotten > 0 {
                    tracing::info!(clouds = done.forgotten, "the CA has forgotten logical clouds that are gone");
                }
                if done.failure.is_some() {
                    self.metrics.failures.inc();
                }
                done.failure.map(|error| chain(&error).to_string())
            }
            Err(error) => Some(chain(&error).to_string()),
        };
        self.pause = failure.map(|error| {
            let pause = self.pause.map_or(LOOK_EVERY, |(pause, _)| pause.saturating_mul(2).min(LONGEST_PAUSE));
            let again_in = pause.mul_f64(0.5 + fastrand::f64() / 2.0);
            let seconds = again_in.as_secs();
            tracing::warn!(
                error,
                seconds,
                "the CA has not forgotten all logical clouds that are gone; it is asked again"
            );
            (pause, Instant::now() + again_in)
        });
    }

    async fn count(&self) {
        match self.dcm.pending_forgets().await {
            Ok(pending) => self.pending(pending),
            Err(error) => tracing::debug!(error = %chain(&error), "what the CA is to forget could not be counted"),
        }
    }

    async fn drop_old(&self) {
        match self.dcm.drop_forgets_older_than(WITHOUT_CA).await {
            Ok(pending) => self.pending(pending),
            Err(error) => tracing::debug!(error = %chain(&error), "what no CA is to forget could not be dropped"),
        }
    }

    fn pending(&self, pending: u64) {
        self.metrics.pending.set(i64::try_from(pending).unwrap_or(i64::MAX));
    }
}

/// Asks for the bundle of a logical cloud that there is not: who serves this server says so.
async fn probe(channel: Channel) -> Result<(), String> {
    let nobody = Uid::from_random([0; 16]);
    let mut request = Request::new(GetBundleRequest { cloud_uid: nobody.to_string() });
    request.set_timeout(WITHIN);
    match CaKeyDistributionClient::new(channel).get_bundle(request).await {
        Ok(_) => Ok(()),
        Err(status) => match status.code() {
            Code::NotFound | Code::FailedPrecondition => Ok(()),
            Code::PermissionDenied | Code::Unauthenticated => {
                Err(format!("it refuses this server: {}", reason(&status)))
            }
            Code::Unimplemented => Err("what answers there does not serve dcm.ca.v1".to_owned()),
            _ => Err(reason(&status)),
        },
    }
}
