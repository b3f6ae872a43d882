use jiff::{SignedDuration, Timestamp};

use crate::{
    model::{ClusterStatus, Connectivity, Goal},
    service::Dcm,
    sync::{Failure, Outlook, Part, PartState, Reason},
};

/// What came of an attempt at one cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Attempt {
    /// The cluster is as it should be.
    Done,
    /// It was already: another process has made it so.
    Already,
    /// Another process works on it; that one finishes the order, or what it left is taken over when it is gone.
    Held,
    /// It is not; try again then.
    Retry {
        /// When.
        at: Timestamp,
        /// Whether the cluster did not answer.
        away: bool,
    },
    /// Another order came: open it.
    Superseded,
}

impl Dcm {
    /// Records a failure in a status: when to try again, and whether the deadline has passed.
    pub(super) fn record_failure(&self, status: &mut ClusterStatus, failure: Failure) -> Attempt {
        let now = self.now();
        let outlook = failure.reason.outlook();
        let away = outlook == Outlook::Away;
        status.reached = false;
        status.attempts = status.attempts.saturating_add(1);
        match failure.reason {
            _ if away => status.connectivity = Connectivity::Unavailable,
            // Nothing was asked of the cluster.
            Reason::NotRegistered | Reason::Internal => {}
            _ => status.connectivity = Connectivity::Available,
        }
        status.unreachable_since = if away { status.unreachable_since.or(Some(now)) } else { None };
        show(status, &failure);
        let waited = now.duration_since(status.since);
        let deadline = SignedDuration::try_from(self.settings().deadline).unwrap_or(SignedDuration::MAX);
        status.overdue = waited >= deadline;
        let at = now.checked_add(self.pause(status.attempts, &failure)).unwrap_or(now);
        status.next_attempt = Some(at);
        status.failure = Some(failure);
        Attempt::Retry { at, away }
    }

    /// The pause after so many failed attempts: doubled each time up to the longest, then between a half
    /// and the whole of it by chance, so that what failed together doesn't come back together.
    fn pause(&self, attempts: u32, failure: &Failure) -> SignedDuration {
        let settings = self.settings();
        let doubled = settings.first_retry.saturating_mul(1 << attempts.saturating_sub(1).min(16));
        let longest = doubled.min(settings.longest_retry);
        let chance = u32::from(self.ports.entropy.bytes()[0]);
        let jittered = longest / 2 + longest / 2 * chance / 255;
        let asked = std::time::Duration::from_secs(failure.retry_after.unwrap_or(0)).min(settings.longest_retry);
        SignedDuration::try_from(jittered.max(asked)).unwrap_or(SignedDuration::ZERO)
    }
}

/// Records that a cluster did what it was asked for: nothing stands in the way, and nothing is to be tried again.
pub(super) fn record_success(status: &mut ClusterStatus) {
    status.attempts = 0;
    status.failure = None;
    status.next_attempt = None;
    status.unreachable_since = None;
    status.overdue = false;
    status.connectivity = Connectivity::Available;
}

/// Sees to it that a part shows the failure: the first that is not as it should be, else the first of all.
fn show(status: &mut ClusterStatus, failure: &Failure) {
    if status.parts.values().any(PartState::is_trouble) {
        return;
    }
    let wanted = match status.goal {
        Goal::Present => PartState::Created,
        Goal::Absent => PartState::Deleted,
    };
    let part = Part::ALL.into_iter().find(|part| status.parts.get(part).is_none_or(|state| *state != wanted));
    status.parts.insert(part.unwrap_or(Part::Namespace), failure.as_state());
}
