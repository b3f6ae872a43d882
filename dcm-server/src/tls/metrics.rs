//! What TLS counts.

use std::fmt;

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::{Registry, Unit},
};

/// Counts what happens to TLS.
#[derive(Clone)]
pub(crate) struct TlsMetrics {
    expires: Gauge,
    reloads: Family<Reload, Counter>,
    last_reload: Gauge,
    failed: Counter,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Reload {
    result: &'static str,
}

impl Default for TlsMetrics {
    fn default() -> Self {
        let last_reload = Gauge::default();
        last_reload.set(1);
        let reloads: Family<Reload, Counter> = Family::default();
        for result in [SUCCESS, FAILURE] {
            drop(reloads.get_or_create(&Reload { result }));
        }
        Self { expires: Gauge::default(), reloads, last_reload, failed: Counter::default() }
    }
}

const SUCCESS: &str = "success";
const FAILURE: &str = "failure";

impl TlsMetrics {
    pub(crate) fn register(&self, registry: &mut Registry) {
        self.register_shown(registry);
        self.register_files(registry);
        registry.register("handshakes_failed", "Connections that ended before they were secure", self.failed.clone());
    }

    /// Likewise, for what goes to other roles: they may be shown no certificate, and count failed handshakes themselves.
    pub(crate) fn register_peer(&self, registry: &mut Registry) {
        if self.expires.get() != 0 {
            self.register_shown(registry);
        }
        self.register_files(registry);
    }

    fn register_shown(&self, registry: &mut Registry) {
        let help = "When the first of the certificates that are shown runs out, in seconds since 1970";
        let unit = Unit::Seconds;
        registry.register_with_unit("certificate_expiration_timestamp", help, unit, self.expires.clone());
    }

    fn register_files(&self, registry: &mut Registry) {
        registry.register("reloads", "Changed files with certificates, keys and CAs, by result", self.reloads.clone());
        let help = "1 where these files are what is in force, 0 where they cannot be used and older ones are in force";
        registry.register("last_reload_successful", help, self.last_reload.clone());
    }

    pub(super) fn serves_until(&self, seconds: i64) {
        self.expires.set(seconds);
    }

    pub(super) fn reloaded(&self, is_good: bool) {
        self.reloads.get_or_create(&Reload { result: if is_good { SUCCESS } else { FAILURE } }).inc();
        self.last_reload.set(is_good.into());
    }

    pub(super) fn failed(&self) {
        self.failed.inc();
    }
}

impl fmt::Debug for TlsMetrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsMetrics").field("expires", &self.expires).finish_non_exhaustive()
    }
}
