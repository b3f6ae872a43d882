//! What a process waits for although it serves: other roles that are away.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric as _},
    metrics::gauge::ConstGauge,
    registry::Registry,
};
use serde::Serialize;
use utoipa::ToSchema;

/// Which of the parts that it works with are away. What it cannot serve without, its store, is asked each time instead.
///
/// Cheap to clone; all clones are the same.
#[derive(Clone, Debug, Default)]
pub(crate) struct Readiness(Arc<Mutex<Looked>>);

/// The parts that were looked for, and why each is away that is.
type Looked = BTreeMap<&'static str, Option<String>>;

/// A part that is waited for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct Awaited {
    /// Which part it is, by its role; `lease` where this process itself carries out no orders now.
    pub(crate) part: &'static str,
    /// Why it cannot be had now.
    pub(crate) reason: String,
}

impl Readiness {
    /// A part is away; says so in the log, where that is news.
    pub(crate) fn waits_for(&self, part: &'static str, reason: String) {
        let before = self.note(part, Some(reason.clone()));
        if before.is_none() {
            tracing::warn!(part, reason, "waiting for another part of DCM; it is tried again");
        }
    }

    /// A part is there, or there is none; answers whether it was away before.
    pub(crate) fn has(&self, part: &'static str) -> bool {
        let was_away = self.note(part, None).is_some();
        if was_away {
            tracing::info!(part, "another part of DCM is there");
        }
        was_away
    }

    /// Notes why a part is away, or that it is there, for whoever says so in the log himself; answers what was noted before.
    pub(crate) fn note(&self, part: &'static str, away: Option<String>) -> Option<String> {
        self.lock().insert(part, away).flatten()
    }

    /// All parts that are away, by name.
    pub(crate) fn waiting(&self) -> Vec<Awaited> {
        let awaited =
            |(part, reason): (&&'static str, &Option<String>)| Some(Awaited { part, reason: reason.clone()? });
        self.lock().iter().filter_map(awaited).collect()
    }

    /// Has it told which parts are away.
    pub(crate) fn register(&self, registry: &mut Registry) {
        registry.register_collector(Box::new(Parts(self.clone())));
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Looked> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The parts that were looked for, counted when somebody wants to know.
#[derive(Debug)]
struct Parts(Readiness);

impl Collector for Parts {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let parts = self.0.lock().clone();
        if parts.is_empty() {
            return Ok(());
        }
        let help = "1 where this server waits for another part of DCM, 0 where it is there or not needed";
        let kind = ConstGauge::new(0_i64).metric_type();
        let mut family = encoder.encode_descriptor("part_away", help, None, kind)?;
        for (part, reason) in parts {
            ConstGauge::new(i64::from(reason.is_some())).encode(family.encode_family(&[("part", part)])?)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_waited_for_until_it_is_there() {
        let readiness = Readiness::default();
        readiness.waits_for("synchronizer", "connection refused".to_owned());
        readiness.waits_for("ca", "timed out".to_owned());
        readiness.waits_for("ca", "connection refused".to_owned());
        let parts: Vec<_> = readiness.waiting().into_iter().map(|awaited| (awaited.part, awaited.reason)).collect();
        assert_eq!(parts, [("ca", "connection refused".to_owned()), ("synchronizer", "connection refused".to_owned())]);
        assert!(readiness.has("ca") && readiness.has("synchronizer"));
        assert!(!readiness.has("ca"), "it was there");
        assert!(readiness.waiting().is_empty());
    }

    #[test]
    fn the_metrics_tell_which_part_is_away() {
        let (readiness, mut registry) = (Readiness::default(), Registry::default());
        readiness.register(&mut registry);
        let told = || {
            let mut text = String::new();
            prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
            text
        };
        assert!(!told().contains("part_away"), "none was looked for");
        readiness.waits_for("ca", "connection refused".to_owned());
        readiness.has("synchronizer");
        let told = told();
        assert!(
            told.contains("part_away{part=\"ca\"} 1") && told.contains("part_away{part=\"synchronizer\"} 0"),
            "{told}"
        );
    }
}
