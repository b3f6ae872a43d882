//! Certificates that run out do it unnoticed, unless somebody tells.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use dcm_core::clock::Clock as _;
use tokio::time::Instant;

use super::{TlsMetrics, facts::Served, files::Pair};
use crate::assemble::SystemClock;

/// A certificate is near its end when so much of its time is left, or a fifth of its whole time where that is less. (Whoever renews
/// certificates does it at two thirds.)
const NEAR: Duration = Duration::from_secs(14 * 86_400);

/// How often that is told.
const AGAIN: Duration = Duration::from_secs(86_400);

/// Tells which certificate is shown, and when it runs out.
#[derive(Debug)]
pub(super) struct Expiry {
    /// To whom it is shown.
    whom: &'static str,
    metrics: TlsMetrics,
    /// When it was told last that it runs out.
    told: Mutex<Option<Instant>>,
}

impl Expiry {
    pub(super) const fn new(whom: &'static str, metrics: TlsMetrics) -> Self {
        Self { whom, metrics, told: Mutex::new(None) }
    }

    pub(super) fn tell(&self, pair: &Pair, served: &Served, is_new: bool) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let ((from, to), whom) = (served.valid, self.whom);
        if is_new {
            *told = None;
            self.metrics.serves_until(to);
            if let Some(expires) = served.expires() {
                tracing::info!(certificate = %pair.cert.path.display(), %expires, "TLS with {whom}: this certificate is shown");
            }
            if pair.key.is_open_to_others() {
                let (option, file) = (pair.key.option, pair.key.path.display());
                tracing::warn!("{option} {file} may be read by everybody on this machine: chmod o-rwx {file}");
            }
        }
        let now = SystemClock.now().as_second();
        let near = NEAR.as_secs().min(to.saturating_sub(from).unsigned_abs() / 5);
        if to.saturating_sub(now) > near.cast_signed() && from <= now || told.is_some_and(|told| told.elapsed() < AGAIN)
        {
            return;
        }
        *told = Some(Instant::now());
        let (certificate, cert, key) = (pair.cert.path.display(), pair.cert.option, pair.key.option);
        if to <= now {
            tracing::error!(%certificate, "the certificate has run out, and {whom} refuse it: renew {cert} and {key}");
        } else if from > now {
            tracing::warn!(%certificate, "the certificate is not valid yet, and {whom} refuse it: is the clock right?");
        } else {
            let hours = to.saturating_sub(now) / 3600;
            tracing::warn!(%certificate, hours, "the certificate that {whom} see runs out soon: renew {cert} and {key}");
        }
    }
}
