//! What a listener counts.

use std::fmt;

use prometheus_client::{
    metrics::{counter::Counter, gauge::Gauge},
    registry::Registry,
};

/// Counts the connections of one listener.
#[derive(Clone, Default)]
pub(crate) struct ConnectionMetrics {
    open: Gauge,
    accepted: Counter,
    refused: Counter,
}

/// Stands for an open connection.
pub(super) struct Open(Gauge);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.dec();
    }
}

impl ConnectionMetrics {
    pub(crate) fn register(&self, registry: &mut Registry) {
        registry.register("connections_open", "Connections that are open", self.open.clone());
        registry.register("connections_accepted", "Connections that were accepted", self.accepted.clone());
        registry.register(
            "connections_refused",
            "Connections that could not be accepted: out of file descriptors, or given up by the client",
            self.refused.clone(),
        );
    }

    /// Counts a connection that was accepted, as open until what is returned is dropped.
    pub(super) fn opened(&self) -> Open {
        self.accepted.inc();
        self.open.inc();
        Open(self.open.clone())
    }

    /// Counts a connection that could not be accepted.
    pub(super) fn refused(&self) {
        self.refused.inc();
    }
}

impl fmt::Debug for ConnectionMetrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConnectionMetrics").field("open", &self.open).finish_non_exhaustive()
    }
}
