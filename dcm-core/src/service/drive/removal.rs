use std::collections::BTreeSet;

use super::{Attempt, CloudWork, Dcm, Leaving, Task, attempt::own_fault, claim::Claim, retry::record_success};
use crate::{
    error::Error,
    model::{ClusterStatus, DeletePolicy, Level},
    name::Namespace,
    sync::{Failure, Outlook, Part, PartState, Removal},
};

impl Dcm {
    pub(super) async fn make_absent(&self, work: &CloudWork, task: &Task, claim: &mut Claim) -> Result<Attempt, Error> {
        let cleared = match self.clear(work, task, &mut claim.status).await {
            Ok(cleared) => cleared,
            Err(error) => Err(own_fault(error)?),
        };
        match cleared {
            Ok(()) => self.record_removal(work, task, claim).await,
            Err(failure) if is_given_up(task, &failure) => self.record_removal(work, task, claim).await,
            Err(failure) => {
                let attempt = self.record_failure(&mut claim.status, failure);
                self.end(claim).await?;
                Ok(attempt)
            }
        }
    }

    /// Removes what one cluster holds of the logical cloud. The outer error is ours, the inner one the
    /// cluster's.
    async fn clear(
        &self,
        work: &CloudWork,
        task: &Task,
        status: &mut ClusterStatus,
    ) -> Result<Result<(), Failure>, Error> {
        // What is about to be made is written down first, so an empty inventory means a clean cluster:
        // one that was never reached holds nothing up.
        if status.inventory.is_empty() {
            return Ok(Ok(()));
        }
        let access = match self.reach(task, status).await? {
            Ok(reached) => reached.access,
            Err(failure) => return Ok(Err(failure)),
        };
        let removal = Removal {
            owner: self.owner(work),
            namespace: own_namespace(work).cloned(),
            inventory: status.inventory.clone(),
            // What an edit says since the last apply does not decide over what is deleted.
            delete: work.applied.as_ref().map_or(DeletePolicy::Keep, |applied| applied.deletion()),
            force: work.order.force,
        };
        let report = self.ports.synchronizer.remove(&access, &removal).await;
        status.inventory = report.inventory;
        status.parts = report.parts;
        Ok(report.failure.map_or(Ok(()), Err))
    }

    /// The cluster is clean: credential and reservation go, and what else is leaving.
    async fn record_removal(&self, work: &CloudWork, task: &Task, claim: &mut Claim) -> Result<Attempt, Error> {
        let (cloud, name) = (&work.cloud, &task.reference.name);
        if let Some(namespace) = own_namespace(work) {
            for identity in self.identities(task, &claim.status).await? {
                self.release(work, namespace, &identity).await?;
            }
        }
        match &task.leaving {
            Leaving::Reference(reference) => {
                self.take_credential(claim, &cloud.uid, name).await?;
                self.end_for_good(claim).await?;
                // Here only what has its uid goes.
                self.drop_bare_reference(cloud, reference).await?;
                return Ok(Attempt::Done);
            }
            Leaving::Status => {
                self.end_for_good(claim).await?;
                return Ok(Attempt::Done);
            }
            Leaving::Nothing => self.take_credential(claim, &cloud.uid, name).await?,
        }
        let status = &mut claim.status;
        status.reached = true;
        status.parts = Part::ALL.map(|part| (part, PartState::Deleted)).into();
        status.inventory.clear();
        status.carried = None;
        status.renew = false;
        status.drift = None;
        status.remarks.clear();
        record_success(status);
        self.end(claim).await?;
        Ok(Attempt::Done)
    }

    /// Under which identities the cluster's namespace may be reserved: the one that was worked on, and the one
    /// that it had when the logical cloud was applied.
    async fn identities(&self, task: &Task, status: &ClusterStatus) -> Result<BTreeSet<String>, Error> {
        let mut identities: BTreeSet<String> = status.identity.iter().cloned().collect();
        if let Ok(cluster) = self.registered_cluster(task).await? {
            let health = self.health(&cluster.value.uid).await?;
            identities.extend(health.and_then(|health| health.identity));
        }
        Ok(identities)
    }
}

/// The namespace that the logical cloud has on its clusters.
fn own_namespace(work: &CloudWork) -> Option<&Namespace> {
    match &work.applied {
        Some(applied) => applied.tenant().map(|(namespace, _)| namespace),
        None => work.cloud.spec.namespace.as_ref().filter(|_| work.cloud.spec.level == Level::Standard),
    }
}

/// Whether a cluster that cannot be cleaned is left as it is: by force, and only where it is not there.
fn is_given_up(task: &Task, failure: &Failure) -> bool {
    let forced = matches!(&task.leaving, Leaving::Reference(reference) if reference.forced);
    forced && (failure.reason.is_lost() || failure.reason.outlook() == Outlook::Away)
}
