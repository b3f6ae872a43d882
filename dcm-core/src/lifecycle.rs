//! The lifecycle of a logical cloud: what was ordered, and what may be ordered next.
//!
//! Only orders are kept here. How far the clusters are is derived from their statuses
//! ([`crate::model::ClusterStatus`]), so that no state is kept twice.

mod action;

use serde::{Deserialize, Serialize};

pub use action::{Action, ActionKind};

use crate::model::Uid;

/// So many generations' states are remembered.
const HISTORY: usize = 16;

/// What was ordered for a logical cloud's clusters.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Lifecycle {
    /// The last order.
    pub phase: Phase,
    /// The last apply's generation; 0 before the first.
    pub applied_generation: u64,
    /// The frozen state that clusters are to be: which [`crate::model::Applied`] document it is, and what
    /// it was made of. `None` where nothing is to be on clusters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub applied: Option<AppliedPointer>,
    /// The id of the last order, so that a worker can tell whether what it found waiting was meant for
    /// this state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order: Option<Uid>,
    /// The frozen states of the last generations, the latest at the end: what clusters may carry without having
    /// seen a store that is younger than this one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub history: Vec<Uid>,
    /// The last orders that were given, the latest at the end.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub actions: Vec<Action>,
}

/// Points to a frozen state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct AppliedPointer {
    /// The id in the key of the frozen state's documents.
    pub snapshot: Uid,
    /// [`crate::model::LogicalCloud::edits`] when it was frozen.
    pub edits: u64,
    /// A fingerprint of the children's revisions when it was frozen.
    pub children: String,
    /// A digest of what was frozen: an apply that would freeze the same again changes nothing.
    pub digest: String,
}

impl Lifecycle {
    /// Nothing was ordered yet.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            phase: Phase::NotCreated,
            applied_generation: 0,
            applied: None,
            order: None,
            history: Vec::new(),
            actions: Vec::new(),
        }
    }

    /// The lifecycle with another frozen state applied.
    pub(crate) fn applying(mut self, generation: u64, applied: AppliedPointer) -> Self {
        self.applied_generation = generation;
        self.history.push(applied.snapshot.clone());
        let forgotten = self.history.len().saturating_sub(HISTORY);
        self.history.drain(..forgotten);
        self.applied = Some(applied);
        self
    }
}

impl Default for Lifecycle {
    fn default() -> Self {
        Self::new()
    }
}

/// The last order for a logical cloud.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// None yet.
    NotCreated,
    /// Its clusters are to hold the applied state.
    Applied,
    /// Work is stopped; its clusters are left as they are.
    Stopped,
    /// Its clusters are to hold nothing of it.
    Terminating,
    /// Its clusters hold nothing of it any more.
    Terminated,
    /// As `Terminating`, and the logical cloud goes itself when that is done.
    Deleting,
}

/// What can happen to a logical cloud.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// `apply`.
    Apply,
    /// `instantiate`: an apply of what is not applied.
    Instantiate,
    /// `update`: an apply of what is applied.
    Update,
    /// `stop`.
    Stop,
    /// `terminate`.
    Terminate,
    /// `DELETE`.
    Delete,
    /// `user/revoke`: the user is cut off.
    Revoke,
    /// `user/renew`: the user gets a new credential.
    Renew,
    /// The clusters hold nothing any more.
    Cleaned,
}

/// Where an event leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// To this phase.
    Phase(Phase),
    /// The logical cloud can be deleted now.
    Gone,
}

/// The one transition table.
///
/// # Errors
/// Why the event is refused, for people, with what to do instead.
pub const fn next(phase: Phase, event: Event) -> Result<Next, &'static str> {
    use {Event as E, Phase as P};
    let to = match (phase, event) {
        (P::Deleting, E::Delete) => P::Deleting,
        (P::Deleting, E::Cleaned) => return Ok(Next::Gone),
        (P::Deleting, _) => return Err("the logical cloud is being deleted"),

        (_, E::Apply) => P::Applied,
        (P::NotCreated | P::Terminated, E::Instantiate) => P::Applied,
        (P::Applied | P::Stopped, E::Instantiate) => {
            return Err("the logical cloud is applied already; use apply or update");
        }
        (P::Terminating, E::Instantiate) => {
            return Err("the logical cloud is being terminated; wait until its status is Deleted, or use apply");
        }
        (P::Applied | P::Stopped, E::Update) => P::Applied,
        (_, E::Update) => return Err("the logical cloud is not applied; use apply or instantiate"),

        (P::Applied, E::Revoke | E::Renew) => P::Applied,
        // He is cut off although work is stopped; his new credential waits for the next apply.
        (P::Stopped, E::Revoke) => P::Stopped,
        (P::Stopped, E::Renew) => return Err("work on the logical cloud is stopped; apply resumes it"),
        (P::Terminating, E::Revoke | E::Renew) => {
            return Err("the logical cloud is being terminated, and the user's access goes with it");
        }
        (P::NotCreated | P::Terminated, E::Revoke | E::Renew) => {
            return Err("the logical cloud is not applied, so its user has no access");
        }

        (P::Applied | P::Terminating | P::Stopped, E::Stop) => P::Stopped,
        (P::NotCreated | P::Terminated, E::Stop) => {
            return Err("nothing is in progress: the logical cloud is not applied");
        }

        (P::Applied | P::Stopped | P::Terminating, E::Terminate) => P::Terminating,
        (P::NotCreated | P::Terminated, E::Terminate) => {
            return Err("nothing is there to terminate: the logical cloud is not applied");
        }

        (P::NotCreated | P::Terminated, E::Delete) => return Ok(Next::Gone),
        (P::Applied | P::Stopped | P::Terminating, E::Delete) => P::Deleting,

        (P::Terminating, E::Cleaned) => P::Terminated,
        (_, E::Cleaned) => return Err("the logical cloud is not being terminated"),
    };
    Ok(Next::Phase(to))
}

impl Phase {
    /// Whether everything is to go from the clusters.
    #[must_use]
    pub const fn is_going(self) -> bool {
        matches!(self, Self::Terminating | Self::Deleting)
    }

    /// Whether clusters may hold something of the logical cloud.
    #[must_use]
    pub const fn is_on_clusters(self) -> bool {
        !matches!(self, Self::NotCreated | Self::Terminated)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PHASES: [Phase; 6] =
        [Phase::NotCreated, Phase::Applied, Phase::Stopped, Phase::Terminating, Phase::Terminated, Phase::Deleting];

    #[test]
    fn apply_is_possible_until_it_is_deleted() {
        for phase in PHASES {
            let expected = phase != Phase::Deleting;
            assert_eq!(next(phase, Event::Apply).is_ok(), expected, "{phase:?}");
        }
    }

    #[test]
    fn instantiate_and_update_exclude_each_other() {
        for phase in PHASES {
            let both = next(phase, Event::Instantiate).is_ok() && next(phase, Event::Update).is_ok();
            assert!(!both, "{phase:?}");
        }
        assert!(next(Phase::Applied, Event::Instantiate).is_err());
        assert!(next(Phase::NotCreated, Event::Update).is_err());
    }

    #[test]
    fn it_goes_at_once_only_where_nothing_is_on_clusters() {
        for phase in PHASES {
            let gone = next(phase, Event::Delete) == Ok(Next::Gone);
            assert_eq!(gone, !phase.is_on_clusters(), "{phase:?}");
        }
    }

    #[test]
    fn only_an_order_makes_clean_clusters_matter() {
        assert_eq!(next(Phase::Terminating, Event::Cleaned), Ok(Next::Phase(Phase::Terminated)));
        assert_eq!(next(Phase::Deleting, Event::Cleaned), Ok(Next::Gone));
        for phase in [Phase::NotCreated, Phase::Applied, Phase::Stopped, Phase::Terminated] {
            assert!(next(phase, Event::Cleaned).is_err(), "{phase:?}");
        }
    }

    #[test]
    fn a_stopped_cloud_is_resumed_by_apply_or_terminate() {
        assert_eq!(next(Phase::Stopped, Event::Apply), Ok(Next::Phase(Phase::Applied)));
        assert_eq!(next(Phase::Stopped, Event::Terminate), Ok(Next::Phase(Phase::Terminating)));
    }
}
