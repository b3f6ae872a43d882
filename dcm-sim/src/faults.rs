//! Latency and faults of a cluster, changeable while it runs.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

/// What goes wrong with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Effect {
    Status(u16),
    Hang,
    CutAnswer,
}

/// Something that goes wrong, for which requests, and how often.
#[derive(Debug, Clone)]
pub struct Fault {
    effect: Effect,
    retry_after: Option<u64>,
    times: Option<u32>,
    method: Option<String>,
    path: Option<String>,
}

impl Fault {
    /// Requests are answered with an HTTP status and the `Status` object that belongs to it.
    #[must_use]
    pub fn status(code: u16) -> Self {
        Self::new(Effect::Status(code))
    }

    /// Requests are taken and never answered.
    #[must_use]
    pub fn hang() -> Self {
        Self::new(Effect::Hang)
    }

    /// Requests are carried out, and the connection breaks in the middle of the answer.
    #[must_use]
    pub fn cut_answer() -> Self {
        Self::new(Effect::CutAnswer)
    }

    fn new(effect: Effect) -> Self {
        Self { effect, retry_after: None, times: None, method: None, path: None }
    }

    /// Ends after this many requests; without it, the fault stays until [`Faults::clear`].
    #[must_use]
    pub fn times(mut self, times: u32) -> Self {
        self.times = Some(times);
        self
    }

    /// Adds a `Retry-After` header, in seconds.
    #[must_use]
    pub fn retry_after(mut self, seconds: u64) -> Self {
        self.retry_after = Some(seconds);
        self
    }

    /// Is only for requests with this HTTP method.
    #[must_use]
    pub fn on_method(mut self, method: &str) -> Self {
        self.method = Some(method.to_ascii_uppercase());
        self
    }

    /// Is only for requests whose path starts like this.
    #[must_use]
    pub fn on_path(mut self, prefix: &str) -> Self {
        self.path = Some(prefix.to_owned());
        self
    }

    fn hits(&self, method: &str, path: &str) -> bool {
        self.times != Some(0)
            && self.method.as_deref().is_none_or(|wanted| wanted == method)
            && self.path.as_deref().is_none_or(|prefix| path.starts_with(prefix))
    }
}

/// The faults of a cluster. The first one that fits a request is what happens to it.
#[derive(Debug)]
pub struct Faults {
    plan: Mutex<Plan>,
    down: watch::Sender<bool>,
    /// What the listener has done about it: it sets this to what `down` was when it acted.
    settled: watch::Sender<bool>,
}

#[derive(Debug)]
struct Plan {
    latency: Duration,
    faults: Vec<Fault>,
}

impl Faults {
    pub(crate) fn new(latency: Duration) -> Self {
        Self {
            plan: Mutex::new(Plan { latency, faults: Vec::new() }),
            down: watch::Sender::new(false),
            settled: watch::Sender::new(false),
        }
    }

    /// Delays every answer by this much.
    pub fn set_latency(&self, latency: Duration) {
        self.with(|plan| plan.latency = latency);
    }

    /// Adds a fault after those that are there.
    pub fn add(&self, fault: Fault) {
        self.with(|plan| plan.faults.push(fault));
    }

    /// Answers the next requests with a status: `add(Fault::status(code).times(times))`.
    pub fn fail_next(&self, times: u32, code: u16) {
        self.add(Fault::status(code).times(times));
    }

    /// Answers every request with a status: `add(Fault::status(code))`.
    pub fn fail_always(&self, code: u16) {
        self.add(Fault::status(code));
    }

    /// Takes every fault back, except latency and being down. Requests that hang already hang on.
    pub fn clear(&self) {
        self.with(|plan| plan.faults.clear());
    }

    /// Refuses connections and breaks those that are open, or listens again on the same port with the same state.
    ///
    /// Returns when it is so.
    pub async fn set_down(&self, down: bool) {
        let mut settled = self.settled.subscribe();
        self.down.send_replace(down);
        tokio::select! {
            _ = settled.wait_for(|settled| *settled == down) => {}
            // Nobody settles anything after a shutdown, which is down enough.
            () = self.down.closed() => {}
        }
    }

    /// Whether the cluster refuses connections.
    #[must_use]
    pub fn is_down(&self) -> bool {
        *self.down.borrow()
    }

    pub(crate) fn downs(&self) -> watch::Receiver<bool> {
        self.down.subscribe()
    }

    pub(crate) fn settle(&self, down: bool) {
        self.settled.send_replace(down);
    }

    pub(crate) fn latency(&self) -> Duration {
        self.with(|plan| plan.latency)
    }

    /// What happens to a request, with the `Retry-After` of it.
    pub(crate) fn strike(&self, method: &str, path: &str) -> Option<(Effect, Option<u64>)> {
        self.with(|plan| {
            let fault = plan.faults.iter_mut().find(|fault| fault.hits(method, path))?;
            let struck = (fault.effect, fault.retry_after);
            fault.times = fault.times.map(|times| times.saturating_sub(1));
            plan.faults.retain(|fault| fault.times != Some(0));
            Some(struck)
        })
    }

    fn with<T>(&self, change: impl FnOnce(&mut Plan) -> T) -> T {
        change(&mut self.plan.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_hits_what_it_is_for_and_as_often_as_it_says() {
        let faults = Faults::new(Duration::ZERO);
        faults.add(Fault::status(429).times(2).retry_after(3).on_method("post").on_path("/api/v1"));
        assert_eq!(faults.strike("GET", "/api/v1/pods"), None);
        assert_eq!(faults.strike("POST", "/apis"), None);
        for _ in 0..2 {
            assert_eq!(faults.strike("POST", "/api/v1/pods"), Some((Effect::Status(429), Some(3))));
        }
        assert_eq!(faults.strike("POST", "/api/v1/pods"), None);
    }

    #[test]
    fn a_cleared_fault_hits_nothing() {
        let faults = Faults::new(Duration::ZERO);
        faults.fail_always(503);
        assert!(faults.strike("GET", "/").is_some());
        faults.clear();
        assert!(faults.strike("GET", "/").is_none());
    }
}
