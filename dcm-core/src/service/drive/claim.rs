//! Who works on a cluster: one at a time, however many processes share the store.
//!
//! An attempt begins with a write of the cluster's status that claims it: who attempts, and a token that is one higher
//! than at the claim before. Each later write of the attempt is a compare-and-swap on the chain of revisions that began
//! with that write. Where another use case wrote in between, it goes on if holder and token are still its own; else it has
//! lost the claim, and writes nothing any more. The last write takes the holder out and leaves the token.
//!
//! | what an attempt writes | why one that has lost its claim cannot |
//! |---|---|
//! | the status, its deletion | compare-and-swap on the chain |
//! | the credential, its deletion | compare-and-swap from what was read under the claim; whoever takes a claim over writes the credential once as it is |
//! | a credential where none was | harmless: it is valid for whom it names, or is found invalid, and goes with its renewal |
//! | renewals | one too many is dropped when it is due |
//! | reservations | they are judged by the logical cloud, and written once more by whoever relies on them (`service/reservations`) |
//! | reference, use of the cluster | compare-and-swap, for the uid of the reference |
//! | logical cloud, order | compare-and-swap from what was opened, after a fresh look |
//! | the cluster's health | an observation, and no decision hangs on it |
//!
//! That a cluster itself is asked by one only is the lease's part: who is a holder's successor has seen that his member
//! document is gone (`service/members`), and until then the holder has stopped.

mod credential;
mod takeover;

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use super::{Attempt, CloudWork, Dcm, Leaving, Task};
use crate::{
    error::Error,
    keys,
    lifecycle::Phase,
    model::{ClusterReference, ClusterStatus, Connectivity, Goal, Order, Uid},
    service::orders::ATTEMPTS,
    store::{self, Entry, Key, Revision, StoreExt},
};

/// In whose name attempts are made.
#[derive(Clone, Debug)]
pub struct Claimant {
    id: Uid,
    alone: bool,
    tally: Arc<Tally>,
}

#[derive(Debug, Default)]
struct Tally {
    claims: AtomicU64,
    takeovers: AtomicU64,
}

impl Claimant {
    /// The only one who carries out orders from this store: nobody else's claim stands.
    #[must_use]
    pub fn alone(id: Uid) -> Self {
        Self { id, alone: true, tally: Arc::default() }
    }

    /// One of several who share a store, by his id as a [`Member`](crate::model::Member).
    #[must_use]
    pub fn member(id: Uid) -> Self {
        Self { id, alone: false, tally: Arc::default() }
    }

    /// The same process as another member: it counts on.
    #[must_use]
    pub fn rejoined(&self, id: Uid) -> Self {
        Self { id, alone: self.alone, tally: Arc::clone(&self.tally) }
    }

    /// His id.
    #[must_use]
    pub const fn id(&self) -> &Uid {
        &self.id
    }

    /// Whether a holder's claim stands, as long as he is there.
    pub(super) fn is_kept_out_by(&self, holder: &Uid) -> bool {
        !self.alone && *holder != self.id
    }

    /// How many clusters he has claimed.
    #[must_use]
    pub fn claims(&self) -> u64 {
        self.tally.claims.load(Ordering::Relaxed)
    }

    /// How many of those another one had claimed who is gone.
    #[must_use]
    pub fn takeovers(&self) -> u64 {
        self.tally.takeovers.load(Ordering::Relaxed)
    }
}

/// A cluster that is claimed, with the status to fill.
#[derive(Debug)]
pub(super) struct Claim {
    pub(super) status: ClusterStatus,
    key: Key,
    /// The end of the chain.
    revision: Revision,
    holder: Uid,
    token: u64,
    /// What to leave where nothing is done; `None` where there was nothing.
    before: Option<ClusterStatus>,
    /// Whether somebody else has it now.
    pub(super) lost: bool,
}

impl Claim {
    fn is_in(&self, status: &ClusterStatus) -> bool {
        status.token == self.token && status.holder.as_ref() == Some(&self.holder)
    }
}

impl Dcm {
    /// Claims a task's cluster; or what there is to say without that.
    pub(super) async fn claim_cluster(
        &self,
        work: &CloudWork,
        task: &Task,
        claimant: &Claimant,
    ) -> Result<Result<Claim, Attempt>, Error> {
        let key = keys::status(&work.cloud.uid, &task.reference.name)?;
        for _ in 0..ATTEMPTS {
            let found = self.store().load::<ClusterStatus>(&key).await?;
            let revision = found.as_ref().map(|entry| entry.revision.clone());
            let before = found.map(|entry| entry.value);
            if let Some(attempt) = self.without_claim(work, task, before.as_ref(), claimant).await? {
                return Ok(Err(attempt));
            }
            let mut status = before.clone().unwrap_or_else(|| self.unknown(work, task));
            let from = status.holder.replace(claimant.id.clone());
            let is_takeover = from.as_ref().is_some_and(|from| *from != claimant.id);
            if is_takeover {
                self.count_takeover(&mut status);
            }
            status.held_for = Some(work.cloud.lifecycle.applied_generation);
            status.token += 1;
            let written = match &revision {
                Some(revision) => self.store().replace(&key, &status, revision).await,
                None => self.store().insert(&key, &status).await,
            };
            let revision = match written {
                Ok(revision) => revision,
                Err(store::Error::Conflict { .. }) => continue,
                Err(error) => return Err(error.into()),
            };
            claimant.tally.claims.fetch_add(1, Ordering::Relaxed);
            let (holder, token) = (claimant.id.clone(), status.token);
            let mut claim = Claim { status, key, revision, holder, token, before, lost: false };
            if from.is_some() {
                claimant.tally.takeovers.fetch_add(u64::from(is_takeover), Ordering::Relaxed);
                self.fence_credential(&work.cloud.uid, &task.reference.name).await?;
            }
            // After the claim: a later order is carried out by whoever has seen it, or waits for it.
            if self.is_to_be_done(work, task).await? {
                return Ok(Ok(claim));
            }
            self.give_up(&mut claim).await?;
            return Ok(Err(Attempt::Superseded));
        }
        Err(Error::changed("cluster status", task.reference.name.as_str(), false))
    }

    /// What comes of an attempt at a cluster that is not to be claimed, as its status shows.
    async fn without_claim(
        &self,
        work: &CloudWork,
        task: &Task,
        status: Option<&ClusterStatus>,
        claimant: &Claimant,
    ) -> Result<Option<Attempt>, Error> {
        let Some(status) = status else {
            let gone = match &task.leaving {
                Leaving::Nothing => false,
                Leaving::Status => true,
                Leaving::Reference(_) => self.referred_to(work, task).await?.is_none(),
            };
            return Ok(if gone {
                Some(Attempt::Already)
            } else {
                (!self.is_to_be_done(work, task).await?).then_some(Attempt::Superseded)
            });
        };
        if status.reference_uid != task.reference.uid {
            return Ok(Some(Attempt::Superseded));
        }
        match &status.holder {
            Some(holder) if *holder == claimant.id => Ok(None),
            Some(holder) if claimant.is_kept_out_by(holder) && !self.is_gone(holder).await? => Ok(Some(Attempt::Held)),
            Some(_) => Ok(self.spared_until(status).map(|at| Attempt::Retry { at, away: false })),
            None if work.is_done(task, status) => Ok(Some(Attempt::Already)),
            None => Ok(self.attempted_meanwhile(work, task, status)),
        }
    }

    /// The next attempt of somebody else, who has tried in vain since the task was found.
    fn attempted_meanwhile(&self, work: &CloudWork, task: &Task, status: &ClusterStatus) -> Option<Attempt> {
        let at = status.next_attempt.filter(|at| Some(*at) != task.due && self.is_paused_until(*at))?;
        let same = status.goal == task.goal && status.order == work.cloud.lifecycle.order;
        same.then_some(Attempt::Retry { at, away: status.unreachable_since.is_some() })
    }

    /// Whether a task is still what its logical cloud wants.
    async fn is_to_be_done(&self, work: &CloudWork, task: &Task) -> Result<bool, Error> {
        if self.unchanged(work).await?.is_none() {
            return Ok(false);
        }
        // An order to look once more leaves its logical cloud as it is. Whoever holds an older one has tasks of his own, and where the newer
        // one is carried out and gone, nobody would go on from what he could not do.
        let order = self.store().load::<Order>(&work.order_key).await?;
        if order.is_none_or(|order| order.revision != work.order_revision) {
            return Ok(false);
        }
        // A reference is deleted without another state of its logical cloud, and not seeing it in a scan is no order to
        // delete anything: what became of it is read from itself.
        Ok(match task.leaving {
            Leaving::Nothing => self.referred_to(work, task).await?.is_some_and(|now| now.deleted_at.is_none()),
            Leaving::Status => self.referred_to(work, task).await?.is_none_or(|now| now.deleted_at.is_some()),
            Leaving::Reference(_) => true,
        })
    }

    /// The reference that a task is for, if it is still there.
    async fn referred_to(&self, work: &CloudWork, task: &Task) -> Result<Option<ClusterReference>, Error> {
        let key = keys::reference(&work.cloud.uid, &task.reference.name)?;
        let found = self.store().load::<ClusterReference>(&key).await?.map(|entry| entry.value);
        Ok(found.filter(|now| now.uid == task.reference.uid))
    }

    /// The status of a cluster that was not worked on yet.
    fn unknown(&self, work: &CloudWork, task: &Task) -> ClusterStatus {
        ClusterStatus {
            cloud: work.cloud.uid.clone(),
            reference: task.reference.name.clone(),
            reference_uid: task.reference.uid.clone(),
            cluster_provider: task.reference.cluster_provider.clone(),
            cluster_name: task.reference.cluster_name.clone(),
            identity: None,
            goal: task.goal,
            generation: work.cloud.lifecycle.applied_generation,
            order: None,
            reached: false,
            verified: None,
            cut_off: None,
            parts: std::collections::BTreeMap::new(),
            inventory: Vec::new(),
            carried: None,
            renew: false,
            drift: None,
            remarks: Vec::new(),
            connectivity: Connectivity::Unknown,
            failure: None,
            since: self.now(),
            last_attempt: None,
            next_attempt: None,
            unreachable_since: None,
            attempts: 0,
            overdue: false,
            holder: None,
            held_for: None,
            token: 0,
            takeovers: 0,
            taken_over_at: None,
        }
    }

    /// Writes the status as it is now, and goes on.
    pub(super) async fn record_claimed(&self, claim: &mut Claim) -> Result<(), Error> {
        for _ in 0..ATTEMPTS {
            match self.store().replace(&claim.key, &claim.status, &claim.revision).await {
                Ok(revision) => {
                    claim.revision = revision;
                    return Ok(());
                }
                Err(store::Error::Conflict { .. }) => self.still_held(claim).await?,
                Err(error) => return Err(error.into()),
            }
        }
        Err(lost_race(claim))
    }

    /// Writes the status of an attempt that has ended, and lets the cluster go.
    pub(super) async fn end(&self, claim: &mut Claim) -> Result<(), Error> {
        (claim.status.takeovers, claim.status.taken_over_at) = (0, None);
        self.let_go(claim).await
    }

    async fn let_go(&self, claim: &mut Claim) -> Result<(), Error> {
        (claim.status.holder, claim.status.held_for) = (None, None);
        self.record_claimed(claim).await
    }

    /// Takes the status away, and lets the cluster go.
    pub(super) async fn end_for_good(&self, claim: &mut Claim) -> Result<(), Error> {
        for _ in 0..ATTEMPTS {
            match self.store().delete(&claim.key, &claim.revision).await {
                Err(store::Error::Conflict { .. }) => self.still_held(claim).await?,
                deleted => return Ok(deleted?),
            }
        }
        Err(lost_race(claim))
    }

    /// Lets a cluster go for which nothing was done.
    pub(super) async fn give_up(&self, claim: &mut Claim) -> Result<(), Error> {
        let given_up = match claim.before.take() {
            Some(before) => {
                claim.status = ClusterStatus { token: claim.token, ..before };
                self.let_go(claim).await
            }
            None => self.end_for_good(claim).await,
        };
        match given_up {
            Err(_) if claim.lost => Ok(()),
            other => other,
        }
    }

    /// Goes on from what others wrote meanwhile; fails where the claim is lost.
    pub(super) async fn still_held(&self, claim: &mut Claim) -> Result<(), Error> {
        match self.store().load::<ClusterStatus>(&claim.key).await?.filter(|found| claim.is_in(&found.value)) {
            Some(Entry { revision, .. }) => {
                claim.revision = revision;
                Ok(())
            }
            None => {
                claim.lost = true;
                Err(lost_race(claim))
            }
        }
    }
}

fn lost_race(claim: &Claim) -> Error {
    Error::changed("cluster status", claim.status.reference.as_str(), false)
}

impl CloudWork {
    /// Whether a cluster is as a task would make it.
    fn is_done(&self, task: &Task, status: &ClusterStatus) -> bool {
        match (task.goal, &task.leaving) {
            (Goal::Absent, Leaving::Nothing) => status.goal == Goal::Absent && status.reached,
            (Goal::Absent, _) => false,
            (Goal::Present, _) if self.cloud.lifecycle.phase == Phase::Stopped => !self.is_to_be_cut_off(status),
            (Goal::Present, _) => self.is_reached(status),
        }
    }
}
