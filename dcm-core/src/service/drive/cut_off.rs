use super::{Attempt, CloudWork, Dcm, Task, attempt::own_fault, claim::Claim, retry::record_success};
use crate::{
    error::Error,
    model::{Applied, ClusterStatus},
    sync::Failure,
};

impl Dcm {
    /// Cuts the user off on a cluster of a stopped logical cloud, where a revoke is not carried out by making the
    /// cluster what it should be.
    pub(super) async fn make_cut_off(
        &self,
        work: &CloudWork,
        task: &Task,
        claim: &mut Claim,
    ) -> Result<Attempt, Error> {
        let Some(applied) = &work.applied else {
            self.give_up(claim).await?;
            return Ok(Attempt::Superseded);
        };
        let outcome = match self.cut_off_once_more(work, task, applied, &claim.status).await {
            Ok(outcome) => outcome,
            Err(error) => Err(own_fault(error)?),
        };
        let status = &mut claim.status;
        let attempt = match outcome {
            Ok(()) => {
                status.cut_off.clone_from(&work.order.cut_off);
                record_success(status);
                Attempt::Done
            }
            Err(failure) => self.record_failure(status, failure),
        };
        self.end(claim).await?;
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
