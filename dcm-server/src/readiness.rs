//! What a process waits for although it serves: other roles that are away.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use serde::Serialize;
use utoipa::ToSchema;

/// Which of the parts that it works with are away. What it cannot serve without, its store, is asked each time instead.
///
/// Cheap to clone; all clones are the same.
#[derive(Clone, Debug, Default)]
pub(crate) struct Readiness(Arc<Mutex<BTreeMap<&'static str, String>>>);

/// A part that is waited for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct Awaited {
    /// Which part it is, by its role.
    pub(crate) part: &'static str,
    /// Why it cannot be had now.
    pub(crate) reason: String,
}

impl Readiness {
    /// A part is away; says so in the log, where that is news.
    pub(crate) fn waits_for(&self, part: &'static str, reason: String) {
        let before = self.lock().insert(part, reason.clone());
        if before.is_none() {
            tracing::warn!(part, reason, "waiting for another part of DCM; it is tried again");
        }
    }

    /// A part is there.
    pub(crate) fn has(&self, part: &'static str) {
        let before = self.lock().remove(part);
        if before.is_some() {
            tracing::info!(part, "another part of DCM is there");
        }
    }

    /// All parts that are away, by name.
    pub(crate) fn waiting(&self) -> Vec<Awaited> {
        self.lock().iter().map(|(part, reason)| Awaited { part, reason: reason.clone() }).collect()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<&'static str, String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
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
        readiness.has("ca");
        readiness.has("synchronizer");
        assert!(readiness.waiting().is_empty());
    }
}
