use super::{Attempt, CloudWork, Dcm, Task, attempt::own_fault};
use crate::{
    error::Error,
    model::{Applied, ClusterStatus, Connectivity},
    sync::Failure,
};

impl Dcm {
    /// Cuts the user off on a cluster of a stopped logical cloud, where a revoke is not carried out by making the
    /// cluster what it should be.
    pub(super) async fn make_cut_off(&self, work: &CloudWork, task: &Task) -> Result<Attempt, Error> {
        let Some(applied) = &work.applied else {
            return Ok(Attempt::Superseded);
        };
        let mut status = self.begin(work, task).await?;
        let outcome = match self.cut_off_once_more(work, task, applied, &status).await {
            Ok(outcome) => outcome,
            Err(error) => Err(own_fault(error)?),
        };
        let attempt = match outcome {
            Ok(()) => {
                status.cut_off.clone_from(&work.order.cut_off);
                status.attempts = 0;
                status.failure = None;
                status.next_attempt = None;
                status.unreachable_since = None;
                status.overdue = false;
                status.connectivity = Connectivity::Available;
                Attempt::Done
            }
            Err(failure) => self.record_failure(&mut status, failure),
        };
        self.put_status(status).await?;
        Ok(attempt)
    }

    async fn cut_off_once_more(
        &self,
        work: &CloudWork,
        task: &Task,
        applied: &Applied,
        status: &ClusterStatus,
    ) -> Result<Result<(), Failure>, Error> {
        let cluster = match self.registered_cluster(task).await? {
            Ok(cluster) => cluster,
            Err(failure) => return Ok(Err(failure)),
        };
        let access = self.access(&cluster)?;
        if let Err(failure) = self.meet(&cluster, &access, status).await? {
            return Ok(Err(failure));
        }
        Ok(self.cut_off_there(&work.cloud, applied, status).await?.map(drop))
    }
}
