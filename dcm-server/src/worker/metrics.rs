//! What the worker counts.

use std::{
    fmt,
    sync::{Arc, OnceLock},
};

use dcm_core::{
    error::Error,
    service::{Attempt, Claimant},
};
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric as _},
    metrics::{
        counter::{ConstCounter, Counter},
        family::Family,
        gauge::{ConstGauge, Gauge},
    },
    registry::Registry,
};

use super::absences::Absences;

/// Counts what the worker does.
#[derive(Clone, Default)]
pub(crate) struct WorkerMetrics {
    attempts: Family<Ended, Counter>,
    in_flight: Gauge,
    /// Orders that are not carried out yet.
    pub(super) waiting: Gauge,
    /// Renewals of credentials that were ordered.
    pub(super) renewals: Counter,
    /// Processes that carry out orders from this store.
    pub(super) members: Gauge,
    /// How often this process lost its lease.
    pub(super) lost_leases: Counter,
    claimant: Arc<OnceLock<Claimant>>,
    absences: Arc<Absences>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Ended {
    outcome: &'static str,
}

/// Stands for an attempt that is being made.
pub(super) struct InFlight(Gauge);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.dec();
    }
}

impl WorkerMetrics {
    pub(super) fn new(absences: Arc<Absences>) -> Self {
        Self { absences, ..Self::default() }
    }

    pub(crate) fn register(&self, registry: &mut Registry) {
        let help = "Attempts to make a cluster as ordered, by what came of them";
        registry.register("attempts", help, self.attempts.clone());
        registry.register("attempts_in_flight", "Attempts that are being made", self.in_flight.clone());
        let help = "Orders for logical clouds that are not carried out yet";
        registry.register("orders_waiting", help, self.waiting.clone());
        let help = "Renewals of users' credentials that were ordered";
        registry.register("renewals", help, self.renewals.clone());
        registry.register("members", "Processes that carry out orders from this store", self.members.clone());
        let help = "How often this process was silent for too long, and dropped what it had in hand";
        registry.register("lost_leases", help, self.lost_leases.clone());
        registry.register_collector(Box::new(Away(Arc::clone(&self.absences))));
        registry.register_collector(Box::new(Claims(Arc::clone(&self.claimant))));
    }

    /// Has what a claimant counts be told. It counts on under other ids.
    pub(super) fn count_claims(&self, claimant: &Claimant) {
        self.claimant.get_or_init(|| claimant.clone());
    }

    /// Counts an attempt as being made until what is returned is dropped.
    pub(super) fn attempt(&self) -> InFlight {
        self.in_flight.inc();
        InFlight(self.in_flight.clone())
    }

    /// Counts an attempt that ended.
    pub(super) fn ended(&self, outcome: Option<&Result<Attempt, Error>>) {
        let outcome = match outcome {
            Some(Ok(Attempt::Done)) => "done",
            Some(Ok(Attempt::Already)) => "already",
            Some(Ok(Attempt::Held)) => "held",
            Some(Ok(Attempt::Superseded)) => "superseded",
            Some(Ok(Attempt::Retry { away: true, .. })) => "away",
            Some(Ok(Attempt::Retry { .. })) => "retry",
            Some(Err(_)) => "error",
            None => "lease-lost",
        };
        self.attempts.get_or_create(&Ended { outcome }).inc();
    }
}

/// How many clusters do not answer, counted when somebody wants to know.
#[derive(Debug)]
struct Away(Arc<Absences>);

impl Collector for Away {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let away = ConstGauge::new(i64::try_from(self.0.away()).unwrap_or(i64::MAX));
        let help = "Clusters that orders wait for and that do not answer";
        away.encode(encoder.encode_descriptor("clusters_away", help, None, away.metric_type())?)
    }
}

/// What attempts have claimed.
#[derive(Debug)]
struct Claims(Arc<OnceLock<Claimant>>);

impl Collector for Claims {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let count = |count: fn(&Claimant) -> u64| ConstCounter::new(self.0.get().map_or(0, count));
        let (claims, takeovers) = (count(Claimant::claims), count(Claimant::takeovers));
        let help = "Claims of clusters for attempts";
        claims.encode(encoder.encode_descriptor("claims", help, None, claims.metric_type())?)?;
        let help = "Claims of clusters that another process had claimed which is gone";
        takeovers.encode(encoder.encode_descriptor("takeovers", help, None, takeovers.metric_type())?)
    }
}

impl fmt::Debug for WorkerMetrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WorkerMetrics").field("in_flight", &self.in_flight).finish_non_exhaustive()
    }
}
