//! The worker's side: carrying out what was ordered.
//!
//! The steps are here, the scheduling is the worker's: it takes an order, asks what there is to do
//! ([`Dcm::open`](Dcm::open_order), [`Dcm::tasks`]), lets each cluster be attempted side by side
//! ([`Dcm::attempt`]), and concludes ([`Dcm::conclude`]). Everything is found again in the store after a
//! crash, and every step can be repeated.

mod attempt;
mod carry_out;
mod claim;
mod credential;
mod cut_off;
mod removal;
mod retry;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use jiff::{SignedDuration, Timestamp};

use super::Dcm;
use crate::{
    error::Error,
    keys,
    lifecycle::{Event, Next, Phase, next},
    model::{Applied, AppliedReference, ClusterReference, ClusterStatus, Goal, LogicalCloud, Order, Uid},
    name::ReferenceName,
    store::{self, Entry, Key, Scan, StoreExt},
};

pub(super) use attempt::{another_cluster, own_fault};
pub use claim::Claimant;
pub use retry::Attempt;

/// How long an order that its logical cloud does not know is kept: longer than any request lives.
const UNCLAIMED_FOR: SignedDuration = SignedDuration::from_secs(60);

/// An order that was opened.
#[derive(Clone, Debug)]
pub enum Work {
    /// There is a logical cloud to work on.
    Cloud(Arc<CloudWork>),
    /// There is nothing to do, and the order is gone.
    Nothing,
}

/// What came of concluding an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Conclusion {
    /// It is carried out, and gone.
    Done,
    /// Another order came: open it.
    Superseded,
    /// Nothing is left to do now; look again at that time.
    Later(Timestamp),
    /// Another process is still at work on a cluster: that one finishes the order.
    Held,
}

/// A logical cloud whose order is being carried out.
#[derive(Clone, Debug)]
pub struct CloudWork {
    pub(super) order_key: Key,
    pub(super) order: Order,
    pub(super) order_revision: store::Revision,
    pub(super) cloud_key: Key,
    pub(super) cloud: LogicalCloud,
    /// What clusters are to be; `None` where nothing was ever applied.
    pub(super) applied: Option<Applied>,
}

impl CloudWork {
    /// The logical cloud as it was when the order was opened.
    #[must_use]
    pub const fn cloud(&self) -> &LogicalCloud {
        &self.cloud
    }

    /// The state of the order that was opened.
    #[must_use]
    pub const fn order_revision(&self) -> &store::Revision {
        &self.order_revision
    }
}

/// One cluster that is not as it should be.
#[derive(Clone, Debug)]
pub struct Task {
    /// The reference.
    pub reference: AppliedReference,
    /// What is worked towards.
    pub goal: Goal,
    /// Not before this time.
    pub due: Option<Timestamp>,
    /// Whether the cluster did not answer at the last attempt: it should not hold up others.
    pub away: bool,
    /// What else goes when the cluster is clean.
    pub(super) leaving: Leaving,
}

/// What goes together with what a cluster holds.
#[derive(Clone, Debug)]
pub(super) enum Leaving {
    /// Nothing: the status shows that the cluster is clean.
    Nothing,
    /// The status: its reference is gone already.
    Status,
    /// The reference, and all that is kept beside it.
    Reference(Box<ClusterReference>),
}

impl Dcm {
    /// One page of waiting orders, by key.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn waiting_orders(&self, after: Option<Key>, limit: usize) -> Result<Vec<Key>, Error> {
        let scan = Scan::below(keys::orders()?, limit).after(after);
        Ok(self.store().scan(scan).await?.into_iter().map(|document| document.key).collect())
    }

    /// Opens an order: reads the logical cloud that it is for, and what its clusters are to be.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn open_order(&self, key: &Key) -> Result<Work, Error> {
        loop {
            let Some(order) = self.store().load::<Order>(key).await? else {
                return Ok(Work::Nothing);
            };
            let cloud = self.store().load::<LogicalCloud>(&order.value.cloud).await?;
            if let Some(cloud) = cloud.filter(|cloud| cloud.value.uid.as_str() == key.last()) {
                let applied = self.frozen(&cloud.value).await?;
                return Ok(Work::Cloud(Arc::new(CloudWork {
                    order_key: key.clone(),
                    order: order.value,
                    order_revision: order.revision,
                    cloud_key: cloud.key,
                    cloud: cloud.value,
                    applied,
                })));
            }
            let gone = uid_of(&order);
            self.sweep(&gone).await?;
            // One that was lost, as in a backup that is not of one moment, may be on clusters still.
            if order.value.deletes {
                self.plan_forget(&gone).await?;
            }
            self.drop_order(key, &order.revision).await?;
        }
    }

    /// Which clusters are not as they should be.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn tasks(&self, work: &CloudWork) -> Result<Vec<Task>, Error> {
        Ok(self.tasks_and_holders(work).await?.0)
    }

    /// Which clusters are not as they should be, and who works on any.
    async fn tasks_and_holders(&self, work: &CloudWork) -> Result<(Vec<Task>, BTreeSet<Uid>), Error> {
        let cloud = &work.cloud;
        let present = self.present_references(cloud).await?;
        let statuses = self.store().list_all::<ClusterStatus>(&keys::statuses(&cloud.uid)?).await?;
        let statuses: BTreeMap<ReferenceName, ClusterStatus> =
            statuses.into_iter().map(|entry| (entry.value.reference.clone(), entry.value)).collect();
        let holders = statuses.values().filter_map(|status| status.holder.clone()).collect();
        let mut tasks = Vec::new();
        for reference in present.values().filter(|reference| reference.deleted_at.is_some()) {
            let status = statuses.get(&reference.metadata.name);
            if status.is_some_and(|status| status.reference_uid != reference.uid) {
                // First what another reference of that name left.
                continue;
            }
            let leaving = Leaving::Reference(Box::new(reference.clone()));
            tasks.push(work.task(reference.into(), Goal::Absent, status, leaving));
        }
        for (name, status) in &statuses {
            match present.get(name) {
                Some(reference) if reference.uid == status.reference_uid => {
                    // Whoever works on it may be about to make something.
                    let gone = status.goal == Goal::Absent && status.reached && status.holder.is_none();
                    if reference.deleted_at.is_some() {
                        continue;
                    }
                    if cloud.lifecycle.phase.is_going() && !gone {
                        tasks.push(work.task(reference.into(), Goal::Absent, Some(status), Leaving::Nothing));
                    }
                    if work.is_to_be_cut_off(status) {
                        tasks.push(work.task(reference.into(), Goal::Present, Some(status), Leaving::Nothing));
                    }
                }
                // What a race or crash left of a reference that is gone.
                _ => tasks.push(work.task(status.into(), Goal::Absent, Some(status), Leaving::Status)),
            }
        }
        if cloud.lifecycle.phase == Phase::Applied {
            for reference in self.wanted_references(cloud, &present).await? {
                match statuses.get(&reference.name) {
                    // First what another reference of that name left.
                    Some(status) if status.reference_uid != reference.uid => {}
                    Some(status) if work.is_reached(status) => {}
                    status => tasks.push(work.task(reference, Goal::Present, status, Leaving::Nothing)),
                }
            }
        }
        Ok((tasks, holders))
    }

    /// Finishes an order whose tasks are all done.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn conclude(&self, work: &CloudWork, claimant: &Claimant) -> Result<Conclusion, Error> {
        // Looked at anew: an attempt that was in flight when the order came may have made something since.
        let (tasks, holders) = self.tasks_and_holders(work).await?;
        if !tasks.is_empty() {
            return Ok(Conclusion::Superseded);
        }
        for holder in holders {
            if claimant.is_kept_out_by(&holder) && !self.is_gone(&holder).await? {
                return Ok(Conclusion::Held);
            }
        }
        match next(work.cloud.lifecycle.phase, Event::Cleaned) {
            Ok(Next::Gone) => {
                let Some(cloud) = self.unchanged(work).await? else {
                    return Ok(Conclusion::Superseded);
                };
                match self.store().delete(&work.cloud_key, &cloud.revision).await {
                    Ok(()) => {}
                    Err(store::Error::Conflict { .. }) => return Ok(Conclusion::Superseded),
                    Err(error) => return Err(error.into()),
                }
                self.sweep(&work.cloud.uid).await?;
                self.plan_forget(&work.cloud.uid).await?;
            }
            Ok(Next::Phase(phase)) => {
                let Some(mut cloud) = self.unchanged(work).await? else {
                    return Ok(Conclusion::Superseded);
                };
                cloud.value.lifecycle.phase = phase;
                cloud.value.lifecycle.applied = None;
                match self.write(cloud, ("logical cloud", work.cloud.metadata.name.as_str()), None).await {
                    Ok(cloud) => self.drop_old_states(&cloud.value).await?,
                    Err(Error::Changed { .. }) => return Ok(Conclusion::Superseded),
                    Err(error) => return Err(error),
                }
            }
            // Nothing was to be cleaned, references on their way out aside.
            Err(_) => self.drop_old_states(&work.cloud).await?,
        }
        if work.cloud.lifecycle.order.as_ref() != Some(&work.order.id) {
            if let Some(until) = self.unclaimed_until(&work.order) {
                return Ok(Conclusion::Later(until));
            }
            // However long the request that gave it has slept: after this its own write comes too late, and it
            // gives its order anew.
            if !self.touch(work).await? {
                return Ok(Conclusion::Superseded);
            }
        }
        self.drop_order(&work.order_key, &work.order_revision).await
    }

    /// Writes the logical cloud as it is, if it is still there; false where it was changed meanwhile.
    async fn touch(&self, work: &CloudWork) -> Result<bool, Error> {
        let Some(cloud) = self.store().load::<LogicalCloud>(&work.cloud_key).await? else {
            return Ok(true);
        };
        if cloud.value.lifecycle != work.cloud.lifecycle {
            return Ok(false);
        }
        match self.store().replace(&work.cloud_key, &cloud.value, &cloud.revision).await {
            Ok(_) => Ok(true),
            Err(store::Error::Conflict { .. }) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Until when an order is kept that its logical cloud does not know: the request that gave it may still
    /// be about to write the logical cloud.
    fn unclaimed_until(&self, order: &Order) -> Option<Timestamp> {
        let until = order.given_at.checked_add(UNCLAIMED_FOR).unwrap_or(order.given_at);
        (self.now() < until).then_some(until)
    }

    /// All references of a logical cloud as they are now.
    pub(super) async fn present_references(
        &self,
        cloud: &LogicalCloud,
    ) -> Result<BTreeMap<ReferenceName, ClusterReference>, Error> {
        let all = self.store().list_all::<ClusterReference>(&keys::references(&cloud.uid)?).await?;
        Ok(all.into_iter().map(|entry| (entry.value.metadata.name.clone(), entry.value)).collect())
    }

    /// The logical cloud, if its last order is still the one that is being carried out.
    pub(super) async fn unchanged(&self, work: &CloudWork) -> Result<Option<Entry<LogicalCloud>>, Error> {
        let found = self.store().load::<LogicalCloud>(&work.cloud_key).await?;
        Ok(found.filter(|now| now.value.uid == work.cloud.uid && now.value.lifecycle == work.cloud.lifecycle))
    }

    /// Drops an order unless a newer one took its place.
    async fn drop_order(&self, key: &Key, revision: &store::Revision) -> Result<Conclusion, Error> {
        match self.store().delete(key, revision).await {
            Ok(()) => Ok(Conclusion::Done),
            Err(store::Error::Conflict { .. }) => Ok(Conclusion::Superseded),
            Err(error) => Err(error.into()),
        }
    }
}

impl CloudWork {
    fn is_reached(&self, status: &ClusterStatus) -> bool {
        let verified = self.order.verify.is_none() || self.order.verify == status.verified;
        status.reached
            && !status.renew
            && status.goal == Goal::Present
            && status.generation == self.cloud.lifecycle.applied_generation
            && verified
            && status.was_carried_for(self.cloud.lifecycle.order.as_ref())
    }

    /// Whether a user may still have access there who was cut off, and whom no other work keeps out.
    fn is_to_be_cut_off(&self, status: &ClusterStatus) -> bool {
        // An order may be opened before its cloud knows of it: then the user from before was kept.
        let same_user = status.generation == self.cloud.lifecycle.applied_generation;
        let carried_out = self.order.cut_off.is_none() || same_user && self.order.cut_off == status.cut_off;
        self.cloud.lifecycle.phase == Phase::Stopped && !status.inventory.is_empty() && !carried_out
    }

    fn task(&self, reference: AppliedReference, goal: Goal, status: Option<&ClusterStatus>, leaving: Leaving) -> Task {
        // A new order does not wait out the pauses of the one before.
        let same = status.filter(|status| status.goal == goal && status.order == self.cloud.lifecycle.order);
        Task {
            reference,
            goal,
            due: same.and_then(|status| status.next_attempt),
            away: status.is_some_and(|status| status.unreachable_since.is_some()),
            leaving,
        }
    }
}

/// The reference that a status was for, as far as work on its cluster needs it.
impl From<&ClusterStatus> for AppliedReference {
    fn from(status: &ClusterStatus) -> Self {
        Self {
            uid: status.reference_uid.clone(),
            name: status.reference.clone(),
            cluster_provider: status.cluster_provider.clone(),
            cluster_name: status.cluster_name.clone(),
            loadbalancer_ip: std::net::Ipv4Addr::UNSPECIFIED.into(),
        }
    }
}

fn uid_of(order: &Entry<Order>) -> Uid {
    Uid::from_key(order.key.last())
}
