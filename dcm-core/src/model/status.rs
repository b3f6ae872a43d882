use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Connectivity, Uid};
use crate::{
    name::{ClusterName, ProviderName, ReferenceName},
    store::Stored,
    sync::{Failure, InventoryItem, Part, PartState, Reason},
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
    /// How far each part is.
    pub parts: BTreeMap<Part, PartState>,
    /// What was made there, or is about to be.
    pub inventory: Vec<InventoryItem>,
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
}

impl Stored for ClusterStatus {
    const KIND: &'static str = "ClusterStatus";
    const VERSION: u32 = 1;
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

    /// Whether trying again will not help, or has not helped for long.
    #[must_use]
    pub fn has_failed(&self) -> bool {
        let refused = |failure: &Failure| failure.reason.outlook() == crate::sync::Outlook::Refused;
        !self.reached && (self.overdue || self.failure.as_ref().is_some_and(refused))
    }

    /// The machine-readable reason.
    #[must_use]
    pub fn reason(&self) -> Option<Reason> {
        self.failure.as_ref().map(|failure| failure.reason)
    }
}
