//! The simulated servers' clock: the only place of the crate that asks what time it is.

use jiff::Timestamp;

/// The present moment.
#[allow(clippy::disallowed_methods, reason = "an API server has a clock of its own, which no client can set")]
pub(crate) fn now() -> Timestamp {
    Timestamp::now()
}

/// A moment as Kubernetes writes it: whole seconds, UTC.
pub(crate) fn rfc3339(moment: Timestamp) -> String {
    moment.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// The present moment as Kubernetes writes it.
pub(crate) fn stamp() -> String {
    rfc3339(now())
}
