//! What the gRPC edge counts.

use std::{fmt, sync::Arc, time::Duration};

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::{Registry, Unit},
};
use tonic::Code;

use super::methods::Method;
use crate::{serving::ConnectionMetrics, status};

/// Bounds in seconds, as those of the REST edge.
const BOUNDS: [f64; 14] =
    [0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1.0, 5.0, 30.0];

/// Stands for a method that is none of ours.
const UNMATCHED: &str = "unmatched";

/// Counts calls.
#[derive(Clone)]
pub(crate) struct GrpcMetrics {
    calls: Family<Answered, Counter>,
    durations: Family<Called, Histogram, fn() -> Histogram>,
    unmatched: Arc<str>,
    /// Calls that are being served.
    pub(crate) in_flight: Gauge,
    received: Counter,
    sent: Counter,
    /// Its connections.
    pub(super) connections: ConnectionMetrics,
}

/// What was called, with names of ours only: nobody can make more of them by calling other things.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Called {
    method: Arc<str>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Answered {
    method: Arc<str>,
    code: &'static str,
}

impl Default for GrpcMetrics {
    fn default() -> Self {
        let (unmatched, calls) = (Arc::<str>::from(UNMATCHED), Family::default());
        let durations: Family<Called, Histogram, fn() -> Histogram> =
            Family::new_with_constructor(|| Histogram::new(BOUNDS));
        // What was never called is told all the same: a rate of nothing at all cannot be watched.
        let code = status::name(Code::Unimplemented);
        calls.get_or_create_owned(&Answered { method: Arc::clone(&unmatched), code });
        durations.get_or_create_owned(&Called { method: Arc::clone(&unmatched) });
        Self {
            calls,
            durations,
            unmatched,
            in_flight: Gauge::default(),
            received: Counter::default(),
            sent: Counter::default(),
            connections: ConnectionMetrics::default(),
        }
    }
}

impl GrpcMetrics {
    pub(crate) fn register(&self, registry: &mut Registry) {
        let help = "Calls that were answered, by method and status code; streams by what they began with";
        registry.register("calls", help, self.calls.clone());
        let help = "How long calls took until their answer, or until the head of a stream";
        registry.register_with_unit("call_duration", help, Unit::Seconds, self.durations.clone());
        registry.register("calls_in_flight", "Calls that are being served", self.in_flight.clone());
        let help = "Bytes of messages that were read";
        registry.register_with_unit("request_message", help, Unit::Bytes, self.received.clone());
        let help = "Bytes of messages that were sent; without streams";
        registry.register_with_unit("response_message", help, Unit::Bytes, self.sent.clone());
        self.connections.register(registry);
    }

    /// Counts a message that was read.
    pub(super) fn read(&self, bytes: usize) {
        self.received.inc_by(bytes as u64);
    }

    /// Counts a call that was answered with so many bytes.
    pub(super) fn answered(&self, method: Option<&Method>, code: Code, bytes: usize, took: Duration) {
        let method = Arc::clone(method.map_or(&self.unmatched, |method| &method.name));
        let called = Called { method };
        self.durations.get_or_create(&called).observe(took.as_secs_f64());
        let answered = Answered { method: called.method, code: status::name(code) };
        self.calls.get_or_create(&answered).inc();
        self.sent.inc_by(bytes as u64);
    }
}

impl fmt::Debug for GrpcMetrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GrpcMetrics").field("in_flight", &self.in_flight).finish_non_exhaustive()
    }
}
