use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Connectivity, Uid};
use crate::{
    name::{ClusterName, ProviderName, ReferenceName},
    store::Stored,
    sync::{Change, Failure, InventoryItem, Part, PartState, Reason},
};

/// How far one cluster of a logical cloud is, with the inventory of what was made there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct ClusterStatus {
    /// The logical cloud's uid.
    pub cloud: Uid,
    /// The cluster reference.
    pub reference: ReferenceName,
    /// The cluster reference's uid: another reference of the same name has nothing to do with this.
    pub reference_uid: Uid,
    /// The cluster's provider.
    pub cluster_provider: ProviderName,
    /// The cluster.
    pub cluster_name: ClusterName,
    /// Which cluster it was when first worked on; never another one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity: Option<String>,
    /// What is worked towards.
    pub goal: Goal,
    /// The generation that is worked towards, or was reached.
    pub generation: u64,
    /// The last order ([`Lifecycle::order`](crate::lifecycle::Lifecycle::order)) that it was worked on for;
    /// a new one starts the deadline and the pauses anew.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order: Option<Uid>,
    /// Whether the goal was reached.
    pub reached: bool,
    /// The [`Order::verify`](super::Order::verify) under which the goal was last seen to be reached.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verified: Option<Uid>,
    /// The [`Order::cut_off`](super::Order::cut_off) that was last carried out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cut_off: Option<Uid>,
    /// How far each part is.
    pub parts: BTreeMap<Part, PartState>,
    /// What was made there, or is about to be.
    pub inventory: Vec<InventoryItem>,
    /// The order ([`Lifecycle::order`](crate::lifecycle::Lifecycle::order)) for which everything was last made
    /// as it should be. What differs since then has drifted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub carried: Option<Uid>,
    /// Whether the user's credential is due to be renewed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub renew: bool,
    /// What had drifted when it was last looked at, or was last repaired.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drift: Option<Drift>,
    /// What is no failure and yet to be known, for people.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub remarks: Vec<String>,
    /// Whether the cluster answered at the last attempt.
    pub connectivity: Connectivity,
    /// Why the goal is not reached.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
    /// When work towards this goal began; the deadline counts from here.
    pub since: Timestamp,
    /// When the last attempt began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_attempt: Option<Timestamp>,
    /// When the next attempt is due.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_attempt: Option<Timestamp>,
    /// Since when the cluster does not answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unreachable_since: Option<Timestamp>,
    /// How many attempts in a row failed.
    #[serde(default)]
    pub attempts: u32,
    /// Whether the deadline has passed. It is tried again all the same.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub overdue: bool,
    /// Who attempts the cluster now ([`Member::id`](super::Member::id)); `None` where nobody does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub holder: Option<Uid>,
    /// For which generation he attempts it; `None` where that is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held_for: Option<u64>,
    /// Counts the attempts that were begun. Whoever began an earlier one writes nothing here any more.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub token: u64,
    /// How often in a row it was taken over from somebody who was gone, without an attempt that ended.
    #[serde(default, skip_serializing_if = "is_never")]
    pub takeovers: u32,
    /// When it was last taken over so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub taken_over_at: Option<Timestamp>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde wants it so")]
const fn is_zero(number: &u64) -> bool {
    *number == 0
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde wants it so")]
const fn is_never(number: &u32) -> bool {
    *number == 0
}

impl Stored for ClusterStatus {
    const KIND: &'static str = "ClusterStatus";
    const VERSION: u32 = 1;
}

/// What somebody else changed, made or deleted of what is ours on a cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Drift {
    /// When it was seen.
    pub seen_at: Timestamp,
    /// Whether it was repaired.
    pub repaired: bool,
    /// The objects and what brings (or brought) each back; at most [`Drift::MOST`].
    pub objects: Vec<Change>,
    /// How many there are in all.
    pub count: usize,
}

impl Drift {
    /// So many objects are listed.
    pub const MOST: usize = 20;

    /// What was seen; `None` where nothing was.
    #[must_use]
    pub fn new(seen_at: Timestamp, repaired: bool, mut objects: Vec<Change>) -> Option<Self> {
        let count = objects.len();
        objects.truncate(Self::MOST);
        (count > 0).then_some(Self { seen_at, repaired, objects, count })
    }
}

/// What is worked towards on a cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Goal {
    /// It holds the applied state.
    Present,
    /// It holds nothing of the logical cloud.
    Absent,
}

impl ClusterStatus {
    /// So many take-overs in a row are made at once; each further one waits for longer.
    pub(crate) const TAKEOVERS_AT_ONCE: u32 = 3;

    /// What is to be known of a cluster that is taken over again and again.
    pub(crate) fn takeover_remark(&self) -> Option<String> {
        let text = "processes that worked on this cluster ended in the middle of it, one after the other; perhaps it is what the cluster \
                    answers. It is tried again after growing pauses; see DCM's log, and look at the cluster";
        (self.takeovers >= Self::TAKEOVERS_AT_ONCE).then(|| text.to_owned())
    }

    /// The state of a part, as a status shows it: a part that was not worked on yet is pending.
    #[must_use]
    pub fn part(&self, part: Part) -> PartState {
        let unknown = || match &self.failure {
            Some(failure) if self.connectivity != Connectivity::Available => {
                PartState::NotAvailable(failure.detail.clone())
            }
            _ => PartState::Pending,
        };
        self.parts.get(&part).cloned().unwrap_or_else(unknown)
    }

    /// What was reached of another generation says nothing of this one: it is still to be worked on.
    pub(crate) fn await_generation(&mut self, generation: u64) {
        if self.goal == Goal::Present && self.generation != generation {
            let done = self.parts.values_mut().filter(|state| **state == PartState::Created);
            done.for_each(|state| *state = PartState::Pending);
        }
    }

    /// What was reached of the applied state says nothing of its removal, which has not come to an end of an attempt yet.
    pub(crate) fn await_removal(&mut self) {
        if self.goal == Goal::Present {
            self.parts.values_mut().for_each(|state| *state = PartState::Pending);
        }
    }

    /// Whether trying again will not help, or has not helped for long.
    #[must_use]
    pub fn has_failed(&self) -> bool {
        let refused = |failure: &Failure| failure.reason.outlook() == crate::sync::Outlook::Refused;
        !self.reached && (self.overdue || self.failure.as_ref().is_some_and(refused))
    }

    /// Whether everything was made as it should be for an order's sake: a repeated apply is done when the clusters
    /// were looked at for it. (Before there was a record of that, it was not asked for.)
    pub(crate) fn was_carried_for(&self, order: Option<&Uid>) -> bool {
        self.carried.is_none() || self.carried.as_ref() == order
    }

    /// The machine-readable reason.
    #[must_use]
    pub fn reason(&self) -> Option<Reason> {
        self.failure.as_ref().map(|failure| failure.reason)
    }
}
