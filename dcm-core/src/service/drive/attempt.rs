use std::collections::BTreeSet;

use super::{Attempt, Claimant, CloudWork, Dcm, Task, claim::Claim, credential::Place, retry::record_success};
use crate::{
    error::Error,
    lifecycle::{Lifecycle, Phase},
    model::{Applied, Cluster, ClusterStatus, Drift, Goal, Uid},
    service::DriftPolicy,
    store::{self, Entry},
    sync::{ClusterAccess, Desired, Facts, Failure, InventoryItem, Object, Outlook, Owner, Part, PartState, Reason},
    tenancy::Tenancy,
};

/// So many seconds a cluster's clock may differ from ours without a word; a `Date` alone can be a second off.
const MOST_CLOCK_SKEW: u64 = 60;

/// A cluster that answered and is the one that is meant.
pub(super) struct Reached {
    pub(super) cluster: Entry<Cluster>,
    pub(super) access: ClusterAccess,
    pub(super) facts: Facts,
}

impl Dcm {
    /// Tries once to make one cluster as it should be, and records what came of it.
    ///
    /// # Errors
    /// [`Error::Store`] and the like, where nothing could be recorded. What a cluster does is no error: it
    /// is recorded.
    pub async fn attempt(&self, work: &CloudWork, task: &Task, claimant: &Claimant) -> Result<Attempt, Error> {
        let mut claim = match self.claim_cluster(work, task, claimant).await? {
            Ok(claim) => claim,
            Err(attempt) => return Ok(attempt),
        };
        self.begin(work, task, &mut claim.status);
        let made = match task.goal {
            Goal::Present if work.cloud.lifecycle.phase == Phase::Stopped => {
                self.make_cut_off(work, task, &mut claim).await
            }
            Goal::Present => self.make_present(work, task, &mut claim).await,
            Goal::Absent => self.make_absent(work, task, &mut claim).await,
        };
        match made {
            Err(_) if claim.lost => Ok(Attempt::Superseded),
            made => made,
        }
    }

    async fn make_present(&self, work: &CloudWork, task: &Task, claim: &mut Claim) -> Result<Attempt, Error> {
        let Some(applied) = &work.applied else {
            self.give_up(claim).await?;
            return Ok(Attempt::Superseded);
        };
        let outcome = match self.carry(work, task, applied, claim).await {
            Ok(outcome) => outcome,
            Err(error) => Err(own_fault(error)?),
        };
        let status = &mut claim.status;
        let attempt = match outcome {
            Ok(()) => {
                status.reached = true;
                status.renew = false;
                status.carried.clone_from(&work.cloud.lifecycle.order);
                record_success(status);
                status.verified.clone_from(&work.order.verify);
                status.cut_off.clone_from(&work.order.cut_off);
                Attempt::Done
            }
            Err(failure) => self.record_failure(status, failure),
        };
        self.end(claim).await?;
        Ok(attempt)
    }

    /// The journey to one cluster. The outer error is ours, the inner one the cluster's.
    async fn carry(
        &self,
        work: &CloudWork,
        task: &Task,
        applied: &Applied,
        claim: &mut Claim,
    ) -> Result<Result<(), Failure>, Error> {
        let Reached { cluster, access, facts } = match self.reach(task, &claim.status).await? {
            Ok(reached) => reached,
            Err(failure) => return Ok(Err(failure)),
        };
        if let Some((namespace, _)) = applied.tenant() {
            let holder = self.reserve(&work.cloud, namespace, &task.reference, &facts.identity).await?;
            if let Some(holder) = holder {
                let (project, name) = (holder.project, holder.name);
                let detail = format!(
                    "the namespace \"{namespace}\" on this cluster belongs to the logical cloud {project}/{name}"
                );
                return Ok(Err(Failure::new(Reason::NamespaceReserved, detail)));
            }
        }
        if let Some((namespace, holder)) = self.reaches_into(applied, &facts.identity).await? {
            let detail = format!(
                "a permission reaches into the namespace \"{namespace}\", which belongs to the logical cloud {}/{} on this \
                 cluster; take it away",
                holder.project, holder.name
            );
            return Ok(Err(Failure::new(Reason::NamespaceReserved, detail)));
        }
        let status = &mut claim.status;
        status.identity = Some(facts.identity.clone());
        let objects = Tenancy { applied, installation: self.installation() }.objects();
        let desired = Desired {
            owner: self.owner(work),
            namespace: applied.tenant().map(|(namespace, _)| namespace.clone()),
            objects,
            inventory: status.inventory.clone(),
            adoption: applied.adoption(),
            force: work.order.force,
        };
        // What was carried out for this order once has drifted since, if it differs now.
        let was_carried = status.carried.is_some() && status.carried == work.cloud.lifecycle.order;
        let only_look = was_carried && self.settings().drift == DriftPolicy::Report;
        let seen = if only_look {
            self.look(&access, &desired, status).await
        } else {
            self.put_right(&access, desired, claim, was_carried).await?
        };
        let status = &mut claim.status;
        status.remarks.extend(self.clock_remark(&facts));
        let refused = match seen {
            Ok(()) => None,
            // A permission that is refused takes no access away that the user has: his credential goes on.
            Err(failure) if is_of_single_objects(&failure, status) => Some(failure),
            Err(failure) => return Ok(Err(failure)),
        };
        for part in [Part::Namespace, Part::Role, Part::RoleBinding, Part::Quota] {
            status.parts.entry(part).or_insert(PartState::Created);
        }
        let inventory = &status.inventory.clone();
        let place = Place { cluster: &cluster, access: &access, facts: &facts, inventory };
        let issued = self.issue(work, task, applied, &place, claim).await?;
        let (credential, outcome) = match issued {
            Ok(()) => (PartState::Created, Ok(())),
            Err(failure) => (failure.as_state(), Err(failure)),
        };
        let kubeconfig = if outcome.is_ok() { PartState::Created } else { PartState::Pending };
        claim.status.parts.insert(Part::Credential, credential);
        claim.status.parts.insert(Part::Kubeconfig, kubeconfig);
        Ok(refused.map_or(outcome, Err))
    }

    /// Makes the cluster be as desired.
    async fn put_right(
        &self,
        access: &ClusterAccess,
        mut desired: Desired,
        claim: &mut Claim,
        was_carried: bool,
    ) -> Result<Result<(), Failure>, Error> {
        self.plan_inventory(claim, &desired.objects).await?;
        let status = &mut claim.status;
        desired.inventory.clone_from(&status.inventory);
        let report = self.ports.synchronizer.apply(access, &desired).await;
        status.inventory = report.inventory;
        status.parts = report.parts;
        status.remarks = report.remarks;
        match Drift::new(self.now(), true, report.changes) {
            drift @ Some(_) if was_carried => status.drift = drift,
            _ if was_carried => {}
            _ => status.drift = None,
        }
        Ok(report.failure.map_or(Ok(()), Err))
    }

    /// Finds out what has drifted, and leaves it so.
    async fn look(&self, access: &ClusterAccess, desired: &Desired, status: &mut ClusterStatus) -> Result<(), Failure> {
        // What kept an earlier look from an answer keeps this one from none; all was made, and drift stands apart.
        status.parts.retain(|_, state| *state == PartState::Created);
        let comparison = self.ports.synchronizer.compare(access, desired).await?;
        status.remarks = comparison.remarks;
        let changes = comparison.differences.into_iter().map(|difference| difference.change).collect();
        status.drift = Drift::new(self.now(), false, changes);
        comparison.failure.map_or(Ok(()), |failure| {
            // It is always the namespace that an apply would not come past.
            status.parts.insert(Part::Namespace, failure.as_state());
            Err(failure)
        })
    }

    /// Says so where a cluster's clock and ours differ much: certificates are judged by the cluster's.
    fn clock_remark(&self, facts: &Facts) -> Option<String> {
        let ahead = facts.clock?.duration_since(self.now()).as_secs();
        let which = if ahead > 0 { "ahead of" } else { "behind" };
        let text = || format!("the cluster's clock is {} s {which} DCM's; set both right", ahead.unsigned_abs());
        (ahead.unsigned_abs() > MOST_CLOCK_SKEW).then(text)
    }

    /// Notes in a status that work towards a goal goes on.
    fn begin(&self, work: &CloudWork, task: &Task, status: &mut ClusterStatus) {
        let now = self.now();
        let generation = work.cloud.lifecycle.applied_generation;
        let order = work.cloud.lifecycle.order.clone();
        if status.goal != task.goal || status.generation != generation {
            // Another goal: what was reached or refused so far counts no more, the deadline begins anew.
            status.goal = task.goal;
            status.generation = generation;
            status.reached = false;
            status.parts.clear();
            status.failure = None;
        }
        if status.order != order || status.reached {
            // The deadline of a new order, or of what was fine until now, begins here.
            status.since = now;
            status.attempts = 0;
            status.overdue = false;
            status.order = order;
        }
        // What stood in the way at the last attempt says nothing of this one, which may not come as far.
        status.parts.retain(|_, state| !state.is_trouble());
        status.last_attempt = Some(now);
    }

    /// Writes down what is about to be made, before it is: after a crash it is found and removed when it is
    /// no longer wanted.
    async fn plan_inventory(&self, claim: &mut Claim, objects: &[Object]) -> Result<(), Error> {
        let inventory = &mut claim.status.inventory;
        let known: BTreeSet<_> = inventory.iter().map(|item| item.id.clone()).collect();
        let new = objects.iter().filter(|object| !known.contains(&object.id));
        let planned: Vec<InventoryItem> =
            new.map(|object| InventoryItem { id: object.id.clone(), uid: None, adopted: false }).collect();
        if planned.is_empty() {
            return Ok(());
        }
        inventory.extend(planned);
        self.record_claimed(claim).await
    }

    /// Finds a task's cluster and asks it who it is.
    pub(super) async fn reach(&self, task: &Task, status: &ClusterStatus) -> Result<Result<Reached, Failure>, Error> {
        let cluster = match self.registered_cluster(task).await? {
            Ok(cluster) => cluster,
            Err(failure) => return Ok(Err(failure)),
        };
        let access = self.access(&cluster)?;
        let met = self.meet(&cluster, &access, status).await?;
        Ok(met.map(|facts| Reached { cluster, access, facts }))
    }

    pub(super) async fn registered_cluster(&self, task: &Task) -> Result<Result<Entry<Cluster>, Failure>, Error> {
        let (provider, name) = (&task.reference.cluster_provider, &task.reference.cluster_name);
        match self.registration(provider, name).await {
            Ok(cluster) => Ok(Ok(cluster)),
            Err(Error::NotFound { .. }) => {
                let detail = format!("the cluster {provider}/{name} is not registered any more");
                Ok(Err(Failure::new(Reason::NotRegistered, detail)))
            }
            Err(error) => Err(error),
        }
    }

    /// Asks a cluster who it is: it must be the one that was worked on before.
    pub(super) async fn meet(
        &self,
        cluster: &Entry<Cluster>,
        access: &ClusterAccess,
        status: &ClusterStatus,
    ) -> Result<Result<Facts, Failure>, Error> {
        let seen = self.probe(access).await;
        self.record_health(&cluster.value.uid, &seen).await?;
        let facts = match seen {
            Ok(facts) => facts,
            Err(failure) => return Ok(Err(failure)),
        };
        Ok(match another_cluster(status, &facts.identity) {
            Some(failure) => Err(failure),
            None => Ok(facts),
        })
    }

    /// The same as [`Dcm::meet`] by what was last seen of the cluster, where it is not worth a request.
    pub(in crate::service) async fn known_as_another(
        &self,
        cluster: &Entry<Cluster>,
        status: &ClusterStatus,
    ) -> Result<Option<Failure>, Error> {
        let identity = self.health(&cluster.value.uid).await?.and_then(|health| health.identity);
        Ok(identity.and_then(|identity| another_cluster(status, &identity)))
    }

    pub(super) fn owner(&self, work: &CloudWork) -> Owner {
        self.owner_of(&work.cloud.uid, &work.cloud.lifecycle)
    }

    /// On whose behalf objects are kept on clusters.
    pub(in crate::service) fn owner_of(&self, cloud: &Uid, lifecycle: &Lifecycle) -> Owner {
        Owner {
            store_id: self.installation().to_string(),
            cloud: cloud.clone(),
            generation: lifecycle.applied_generation,
            history: lifecycle.history.clone(),
        }
    }
}

/// Whether a cluster refused some objects only, in a namespace that is as it should be.
fn is_of_single_objects(failure: &Failure, status: &ClusterStatus) -> bool {
    failure.reason.outlook() == Outlook::Refused && status.parts.get(&Part::Namespace) == Some(&PartState::Created)
}

/// Why a cluster must not be worked on: it is not the one that holds what the status lists.
pub(in crate::service) fn another_cluster(status: &ClusterStatus, identity: &str) -> Option<Failure> {
    let other = status.identity.as_ref().is_some_and(|known| known != identity);
    let detail = "the registered kubeconfig leads to another cluster than the one that this logical cloud is on; \
                  register the right one, or, if the old one is gone, delete the cluster reference with force";
    (other && !status.inventory.is_empty()).then(|| Failure::new(Reason::IdentityChanged, detail))
}

/// What is wrong on our own side and known to stay so is recorded like a cluster's failure, so that a status
/// shows it; what the store may get over is not.
pub(in crate::service) fn own_fault(error: Error) -> Result<Failure, Error> {
    match error {
        Error::Secret(_) | Error::Credential(_) | Error::Key(_) => {}
        Error::Store(store::Error::Corrupt { .. } | store::Error::TooLarge { .. }) => {}
        other => return Err(other),
    }
    let cause = std::error::Error::source(&error).map_or_else(String::new, |source| format!(": {source}"));
    Ok(Failure::new(Reason::Internal, format!("{error}{cause}")))
}
