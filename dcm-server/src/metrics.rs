//! What is counted, for Prometheus. Every server has a registry of its own, so that several can be in one process.

use std::{fmt, sync::Arc};

use jiff::Timestamp;
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric as _, text},
    metrics::{gauge::ConstGauge, info::Info},
    registry::{Registry, Unit},
};

use crate::{
    ca::CaMetrics, grpc::GrpcMetrics, http::HttpMetrics, readiness::Readiness, tls::TlsMetrics, worker::WorkerMetrics,
};

/// What a server counts.
#[derive(Clone, Debug)]
pub(crate) struct Metrics {
    registry: Arc<Registry>,
    /// What the REST edge counts.
    pub(crate) http: HttpMetrics,
    /// What the gRPC edge counts.
    pub(crate) grpc: GrpcMetrics,
}

/// Who counts, beside the edges.
#[derive(Default)]
pub(crate) struct Counted<'a> {
    pub(crate) worker: WorkerMetrics,
    pub(crate) readiness: Readiness,
    /// Where there is a CA.
    pub(crate) ca: Option<&'a CaMetrics>,
    /// Where it serves over TLS.
    pub(crate) tls: Option<&'a TlsMetrics>,
    /// Where it may call other roles over TLS.
    pub(crate) peer_tls: Option<&'a TlsMetrics>,
}

impl Metrics {
    /// `started` is when this server was.
    pub(crate) fn new(counted: &Counted<'_>, started: Timestamp) -> Self {
        let mut registry = Registry::default();
        let (http, grpc) = (HttpMetrics::default(), GrpcMetrics::default());
        {
            let registry = registry.sub_registry_with_prefix("dcm");
            let version = vec![("version", env!("CARGO_PKG_VERSION"))];
            registry.register("build", "The release that runs, as a label", Info::new(version));
            http.register(registry.sub_registry_with_prefix("http"));
            grpc.register(registry.sub_registry_with_prefix("grpc"));
            counted.worker.register(registry.sub_registry_with_prefix("worker"));
            counted.readiness.register(registry);
            if let Some(ca) = counted.ca {
                ca.register(registry.sub_registry_with_prefix("ca"));
            }
            if let Some(tls) = counted.tls {
                tls.register(registry.sub_registry_with_prefix("tls"));
            }
            if let Some(peer) = counted.peer_tls {
                peer.register_peer(registry.sub_registry_with_prefix("peer_tls"));
            }
        }
        registry.register_collector(Box::new(Process { started }));
        Self { registry: Arc::new(registry), http, grpc }
    }

    /// All metrics in the text format of `OpenMetrics`, which Prometheus reads.
    pub(crate) fn render(&self) -> Result<String, fmt::Error> {
        let mut text = String::with_capacity(16 * 1024);
        text::encode(&mut text, &self.registry)?;
        Ok(text)
    }
}

/// What is asked of the system whenever somebody wants to know.
#[derive(Debug)]
struct Process {
    started: Timestamp,
}

impl Collector for Process {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let started = ConstGauge::new(self.started.as_microsecond() as f64 / 1e6);
        let help = "When this server was started, in seconds since 1970";
        let kind = started.metric_type();
        started.encode(encoder.encode_descriptor("process_start_time", help, Some(&Unit::Seconds), kind)?)?;
        if let Some(bytes) = resident() {
            let resident = ConstGauge::new(bytes);
            let help = "Memory of this process that is in the machine's";
            let kind = resident.metric_type();
            resident.encode(encoder.encode_descriptor("process_resident_memory", help, Some(&Unit::Bytes), kind)?)?;
        }
        Ok(())
    }
}

/// Resident memory, where the system tells it as Linux does.
fn resident() -> Option<i64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix(" kB")?.trim().parse::<i64>().ok()?.checked_mul(1024)
}
