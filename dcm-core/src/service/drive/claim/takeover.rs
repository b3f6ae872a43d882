//! Clusters whose holders die one after the other: it may be what a cluster answers that kills them.
//!
//! A status counts how often in a row its claim was taken over without an attempt that ended. The first few take-overs
//! are made at once, as after any death. Each further one comes only half of the longest retry pause after the one before it, the next
//! twice as long after that, and so on up to ten times that pause. An hour without a take-over, or an attempt that ends, however it does,
//! has it begin anew; so does a process that stops in the middle of an attempt, where it comes to say so.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::Claimant;
use crate::{
    error::Error,
    keys,
    model::{ClusterStatus, Uid},
    name::ReferenceName,
    service::{Dcm, orders::ATTEMPTS},
    store::{self, Key, StoreExt},
};

/// What came before is forgotten after so long: longer than any pause, a lease, and what an attempt takes together.
const REMEMBERED: SignedDuration = SignedDuration::from_hours(1);

impl Dcm {
    /// Until when a cluster is left alone whose holder is gone; `None` where it may be taken over now.
    pub(super) fn spared_until(&self, status: &ClusterStatus) -> Option<Timestamp> {
        let doublings = self.takeovers_in_a_row(status).checked_sub(ClusterStatus::TAKEOVERS_AT_ONCE)?;
        let longest = self.settings().longest_retry;
        let pause = (longest / 2).saturating_mul(1 << doublings.min(16)).min(longest.saturating_mul(10));
        let at = status.taken_over_at?.checked_add(SignedDuration::try_from(pause).ok()?).ok()?;
        // What is further off was written by a clock that is wrong.
        let off = Duration::try_from(at.duration_since(self.now())).unwrap_or_default();
        (!off.is_zero() && off <= pause * 2).then_some(at)
    }

    /// Counts that a cluster is taken over from somebody who is gone.
    pub(super) fn count_takeover(&self, status: &mut ClusterStatus) {
        status.takeovers = self.takeovers_in_a_row(status).saturating_add(1);
        status.taken_over_at = Some(self.now());
    }

    fn takeovers_in_a_row(&self, status: &ClusterStatus) -> u32 {
        let is_remembered = status.taken_over_at.is_some_and(|at| self.now().duration_since(at) < REMEMBERED);
        if is_remembered { status.takeovers } else { 0 }
    }

    /// Notes that an attempt for an order is given up because its process stops, not because of its cluster: whoever takes the claim over need not
    /// wait. Does nothing where the claim is another one's, or was no take-over.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn excuse(&self, order: &Key, reference: &ReferenceName, claimant: &Claimant) -> Result<(), Error> {
        let key = keys::status(&Uid::from_key(order.last()), reference)?;
        for _ in 0..ATTEMPTS {
            let Some(found) = self.store().load::<ClusterStatus>(&key).await? else { return Ok(()) };
            if found.value.holder.as_ref() != Some(&claimant.id) || found.value.takeovers == 0 {
                return Ok(());
            }
            let excused = ClusterStatus { takeovers: 0, taken_over_at: None, ..found.value };
            match self.store().replace(&key, &excused, &found.revision).await {
                Err(store::Error::Conflict { .. }) => {}
                written => return Ok(written.map(drop)?),
            }
        }
        Err(Error::changed("cluster status", reference.as_str(), false))
    }
}
