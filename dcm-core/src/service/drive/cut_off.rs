use super::{Attempt, CloudWork, Dcm, Task, attempt::own_fault, retry::record_success};
use crate::{
    error::Error,
    model::{Applied, ClusterStatus},
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
                record_success(&mut status);
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
        if let Err(failure) = self.reach(task, status).await? {
            return Ok(Err(failure));
        }
        Ok(self.cut_off_there(&work.cloud, applied, status).await?.map(drop))
    }
}
