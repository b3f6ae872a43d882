use std::collections::BTreeSet;

use super::{Attempt, CloudWork, Dcm, Task};
use crate::{
    error::Error,
    keys,
    model::{Applied, Cluster, ClusterStatus, Connectivity, Goal},
    store::{self, Entry, StoreExt},
    sync::{ClusterAccess, Desired, Facts, Failure, InventoryItem, Object, Owner, Part, PartState, Reason},
    tenancy::Tenancy,
};

impl Dcm {
    /// Tries once to make one cluster as it should be, and records what came of it.
    ///
    /// # Errors
    /// [`Error::Store`] and the like, where nothing could be recorded. What a cluster does is no error: it
    /// is recorded.
    pub async fn attempt(&self, work: &CloudWork, task: &Task) -> Result<Attempt, Error> {
        if self.unchanged(work).await?.is_none() {
            return Ok(Attempt::Superseded);
        }
        match task.goal {
            Goal::Present => self.make_present(work, task).await,
            Goal::Absent => self.make_absent(work, task).await,
        }
    }

    async fn make_present(&self, work: &CloudWork, task: &Task) -> Result<Attempt, Error> {
        let Some(applied) = &work.applied else {
            return Ok(Attempt::Superseded);
        };
        let mut status = self.begin(work, task).await?;
        let outcome = match self.carry(work, task, applied, &mut status).await {
            Ok(outcome) => outcome,
            Err(error) => Err(own_fault(error)?),
        };
        let attempt = match outcome {
            Ok(()) => {
                status.reached = true;
                status.attempts = 0;
                status.failure = None;
                status.next_attempt = None;
                status.unreachable_since = None;
                status.overdue = false;
                status.connectivity = Connectivity::Available;
                status.verified.clone_from(&work.order.verify);
                Attempt::Done
            }
            Err(failure) => self.record_failure(&mut status, failure),
        };
        self.put_status(status).await?;
        Ok(attempt)
    }

    /// The journey to one cluster. The outer error is ours, the inner one the cluster's.
    async fn carry(
        &self,
        work: &CloudWork,
        task: &Task,
        applied: &Applied,
        status: &mut ClusterStatus,
    ) -> Result<Result<(), Failure>, Error> {
        let cluster = match self.registered_cluster(task).await? {
            Ok(cluster) => cluster,
            Err(failure) => return Ok(Err(failure)),
        };
        let access = self.access(&cluster)?;
        let facts = match self.meet(&cluster, &access, status).await? {
            Ok(facts) => facts,
            Err(failure) => return Ok(Err(failure)),
        };
        if let Some(namespace) = &applied.spec.namespace {
            let holder = self.reserve(&work.cloud, namespace, &task.reference, &facts.identity).await?;
            if let Some(holder) = holder {
                let (project, name) = (holder.project, holder.name);
                let detail = format!(
                    "the namespace \"{namespace}\" on this cluster belongs to the logical cloud {project}/{name}"
                );
                return Ok(Err(Failure::new(Reason::NamespaceReserved, detail)));
            }
        }
        status.identity = Some(facts.identity.clone());
        let objects = Tenancy { applied, installation: self.installation() }.objects();
        self.plan_inventory(status, &objects).await?;
        let desired = Desired {
            owner: self.owner(work),
            namespace: applied.spec.namespace.clone(),
            objects,
            inventory: status.inventory.clone(),
            adoption: applied.adoption(),
            force: work.order.force,
        };
        let report = self.ports.synchronizer.apply(&access, &desired).await;
        status.inventory = report.inventory;
        status.parts = report.parts;
        if let Some(failure) = report.failure {
            return Ok(Err(failure));
        }
        for part in [Part::Namespace, Part::Role, Part::RoleBinding, Part::Quota] {
            status.parts.entry(part).or_insert(PartState::Created);
        }
        let issued = self.issue(work, task, applied, &cluster, &access, &facts).await?;
        let (credential, outcome) = match issued {
            Ok(()) => (PartState::Created, Ok(())),
            Err(failure) => (PartState::Failed(failure.detail.clone()), Err(failure)),
        };
        let kubeconfig = if outcome.is_ok() { PartState::Created } else { PartState::Pending };
        status.parts.insert(Part::Credential, credential);
        status.parts.insert(Part::Kubeconfig, kubeconfig);
        Ok(outcome)
    }

    /// Records that work towards a goal goes on, and answers the status to fill.
    pub(super) async fn begin(&self, work: &CloudWork, task: &Task) -> Result<ClusterStatus, Error> {
        let key = keys::status(&work.cloud.uid, &task.reference.name)?;
        let now = self.now();
        let generation = work.cloud.lifecycle.applied_generation;
        let order = work.cloud.lifecycle.order.clone();
        let found = self.store().load::<ClusterStatus>(&key).await?.map(|entry| entry.value);
        let found = found.filter(|status| status.reference_uid == task.reference.uid);
        let mut status = found.unwrap_or_else(|| ClusterStatus {
            cloud: work.cloud.uid.clone(),
            reference: task.reference.name.clone(),
            reference_uid: task.reference.uid.clone(),
            cluster_provider: task.reference.cluster_provider.clone(),
            cluster_name: task.reference.cluster_name.clone(),
            identity: None,
            goal: task.goal,
            generation,
            order: None,
            reached: false,
            verified: None,
            parts: std::collections::BTreeMap::new(),
            inventory: Vec::new(),
            connectivity: Connectivity::Unknown,
            failure: None,
            since: now,
            last_attempt: None,
            next_attempt: None,
            unreachable_since: None,
            attempts: 0,
            overdue: false,
        });
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
        status.last_attempt = Some(now);
        Ok(status)
    }

    /// Writes down what is about to be made, before it is: after a crash it is found and removed when it is
    /// no longer wanted.
    async fn plan_inventory(&self, status: &mut ClusterStatus, objects: &[Object]) -> Result<(), Error> {
        let known: BTreeSet<_> = status.inventory.iter().map(|item| item.id.clone()).collect();
        let new = objects.iter().filter(|object| !known.contains(&object.id));
        let planned: Vec<InventoryItem> =
            new.map(|object| InventoryItem { id: object.id.clone(), uid: None, adopted: false }).collect();
        if !planned.is_empty() {
            status.inventory.extend(planned);
            self.put_status(status.clone()).await?;
        }
        Ok(())
    }

    pub(super) async fn put_status(&self, status: ClusterStatus) -> Result<(), Error> {
        let key = keys::status(&status.cloud, &status.reference)?;
        let put = |_: Option<ClusterStatus>| -> Result<_, Error> { Ok(status.clone()) };
        self.store().update(&key, put).await?;
        Ok(())
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
        let other = status.identity.as_ref().is_some_and(|identity| *identity != facts.identity);
        if other && !status.inventory.is_empty() {
            let detail =
                "the registered kubeconfig leads to another cluster than the one that this logical cloud is on; \
                          register the right one, or delete the cluster reference"
                    .to_owned();
            return Ok(Err(Failure::new(Reason::IdentityChanged, detail)));
        }
        Ok(Ok(facts))
    }

    pub(super) fn owner(&self, work: &CloudWork) -> Owner {
        Owner {
            store_id: self.installation().to_string(),
            cloud: work.cloud.uid.clone(),
            generation: work.cloud.lifecycle.applied_generation,
        }
    }
}

/// What is wrong on our own side and known to stay so is recorded like a cluster's failure, so that a status
/// shows it; what the store may get over is not.
pub(super) fn own_fault(error: Error) -> Result<Failure, Error> {
    match error {
        Error::Secret(_) | Error::Credential(_) | Error::Key(_) => {}
        Error::Store(store::Error::Corrupt { .. } | store::Error::TooLarge { .. }) => {}
        other => return Err(other),
    }
    let cause = std::error::Error::source(&error).map_or_else(String::new, |source| format!(": {source}"));
    Ok(Failure::new(Reason::Internal, format!("{error}{cause}")))
}
