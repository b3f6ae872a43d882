use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::{CloudId, Dcm, Watch, WatchPosition, orders::ATTEMPTS, watch::Derived};
use crate::{
    error::Error,
    keys,
    lifecycle::Phase,
    model::{AppliedReference, ClusterReference, ClusterStatus, Goal, LogicalCloud, Uid},
    name::ReferenceName,
    store::{Scan, StoreExt},
};

/// So many statuses are read at a time: each may hold some hundred objects.
const PAGE: usize = 100;

/// How far a logical cloud is: as a whole and on each cluster. From stored state only.
#[derive(Clone, Debug)]
pub struct CloudStatus {
    /// The logical cloud.
    pub cloud: LogicalCloud,
    /// How far it is as a whole.
    pub overall: Overall,
    /// Its clusters by the names of their references, without their inventories. `None` where work has not begun.
    pub clusters: Vec<(ReferenceName, Option<ClusterStatus>)>,
}

/// How far a logical cloud is as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Overall {
    /// Not applied yet.
    NotCreated,
    /// Being applied.
    CreationInProgress,
    /// Every cluster is as it was applied.
    Created,
    /// A cluster refused, or is past its deadline.
    CreationFailed,
    /// Being terminated.
    DeletionInProgress,
    /// No cluster holds anything of it any more.
    Deleted,
    /// A cluster refused, or is past its deadline.
    DeletionFailed,
    /// Work was stopped.
    Stopped,
}

impl Overall {
    /// The status as the design writes it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NotCreated => "Not Created",
            Self::CreationInProgress => "Creation in Progress",
            Self::Created => "Created",
            Self::CreationFailed => "Creation Failed",
            Self::DeletionInProgress => "Deletion in Progress",
            Self::Deleted => "Deleted",
            Self::DeletionFailed => "Deletion Failed",
            Self::Stopped => "Stopped",
        }
    }
}

impl Derived for CloudStatus {
    async fn of(dcm: &Dcm, id: &CloudId) -> Result<(Uid, Self), Error> {
        let status = dcm.status(id).await?;
        Ok((status.cloud.uid.clone(), status))
    }

    fn shown(&self) -> impl Serialize {
        (&self.cloud.metadata, self.overall.as_str(), self.cloud.lifecycle.applied_generation, &self.clusters)
    }
}

impl Dcm {
    /// Watches how far a logical cloud is: its status is told whenever it is another one.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Store`]: also where the position is too old, or another list's.
    pub async fn watch_status(&self, id: &CloudId, from: Option<&WatchPosition>) -> Result<Watch<CloudStatus>, Error> {
        self.watch_derived(id, from, "status", |uid| Ok(vec![keys::statuses(uid)?, keys::desired(uid)?])).await
    }

    /// The same for one of its cluster references, with positions of its own: what it tells is that of the whole, and whoever shows one
    /// cluster only goes on where he left off with that one.
    ///
    /// # Errors
    /// As [`Dcm::watch_status`].
    pub async fn watch_status_of(
        &self,
        id: &CloudId,
        reference: &ReferenceName,
        from: Option<&WatchPosition>,
    ) -> Result<Watch<CloudStatus>, Error> {
        let what = format!("status-of-{reference}");
        self.watch_derived(id, from, &what, |uid| Ok(vec![keys::statuses(uid)?, keys::desired(uid)?])).await
    }

    /// How far a logical cloud is. Makes no request to a cluster.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub async fn status(&self, id: &CloudId) -> Result<CloudStatus, Error> {
        for _ in 0..ATTEMPTS {
            let cloud = self.cloud(id).await?.value;
            match self.gather_status(cloud, |_, _| ()).await {
                // Applied anew meanwhile.
                Err(Error::NotFound { .. }) => {}
                gathered => return Ok(gathered?.0),
            }
        }
        Err(Error::changed("logical cloud", &id.name, false))
    }

    /// How far a logical cloud is, with its references as they are now. `look` sees each cluster's status whole, and
    /// whether the cluster is to hold anything; the inventories are not kept, which of all clusters could be large. Not
    /// found where the logical cloud is applied anew meanwhile.
    pub(super) async fn gather_status(
        &self,
        cloud: LogicalCloud,
        mut look: impl FnMut(&ClusterStatus, bool),
    ) -> Result<(CloudStatus, BTreeMap<ReferenceName, ClusterReference>), Error> {
        let present = self.present_references(&cloud).await?;
        let wanted = match cloud.lifecycle.phase {
            Phase::Applied | Phase::Stopped => self.wanted_references(&cloud, &present).await?,
            _ => Vec::new(),
        };
        let wanted: BTreeSet<ReferenceName> = wanted.into_iter().map(|reference| reference.name).collect();
        let mut statuses: BTreeMap<ReferenceName, Option<ClusterStatus>> =
            wanted.iter().map(|name| (name.clone(), None)).collect();
        let prefix = keys::statuses(&cloud.uid)?;
        let mut after = None;
        loop {
            let page = Scan::below(prefix.clone(), PAGE).after(after);
            let page = self.store().list_page::<ClusterStatus>(page).await?;
            let Some(last) = page.last() else { break };
            after = Some(last.key.clone());
            for mut status in page.into_iter().map(|entry| entry.value) {
                // What a crash left of a reference that is gone is the worker's to clean up, and nobody's to see.
                if present.get(&status.reference).is_none_or(|known| known.uid != status.reference_uid) {
                    continue;
                }
                status.await_generation(cloud.lifecycle.applied_generation);
                let is_wanted = wanted.contains(&status.reference);
                if !is_wanted {
                    status.await_removal();
                }
                look(&status, is_wanted);
                status.inventory = Vec::new();
                status.remarks.extend(status.takeover_remark());
                // Who works on it is the workers' own business: a status is not another one for it.
                (status.holder, status.held_for, status.token) = (None, None, 0);
                (status.takeovers, status.taken_over_at) = (0, None);
                statuses.insert(status.reference.clone(), Some(status));
            }
        }
        let clusters: Vec<_> = statuses.into_iter().collect();
        let overall = overall(&cloud, &clusters, &wanted);
        Ok((CloudStatus { cloud, overall, clusters }, present))
    }

    /// The frozen references that still stand: neither deleted since, nor another one of the same name.
    pub(super) async fn wanted_references(
        &self,
        cloud: &LogicalCloud,
        present: &BTreeMap<ReferenceName, ClusterReference>,
    ) -> Result<Vec<AppliedReference>, Error> {
        let frozen = self.frozen_references(cloud).await?;
        let stands = |reference: &AppliedReference| {
            present.get(&reference.name).is_some_and(|now| now.uid == reference.uid && now.deleted_at.is_none())
        };
        Ok(frozen.into_iter().filter(stands).collect())
    }
}

fn overall(
    cloud: &LogicalCloud,
    clusters: &[(ReferenceName, Option<ClusterStatus>)],
    wanted: &BTreeSet<ReferenceName>,
) -> Overall {
    match cloud.lifecycle.phase {
        Phase::NotCreated => Overall::NotCreated,
        Phase::Stopped => Overall::Stopped,
        Phase::Terminated => Overall::Deleted,
        Phase::Terminating | Phase::Deleting => {
            let mut statuses = clusters.iter().filter_map(|(_, status)| status.as_ref());
            let failed = statuses.any(|status| status.goal == Goal::Absent && status.has_failed());
            if failed { Overall::DeletionFailed } else { Overall::DeletionInProgress }
        }
        Phase::Applied => {
            // A cluster on its way out does not hold the others up.
            let statuses = || clusters.iter().filter(|(name, _)| wanted.contains(name));
            let current = |status: &ClusterStatus| {
                status.goal == Goal::Present && status.generation == cloud.lifecycle.applied_generation
            };
            let failed = |status: &ClusterStatus| current(status) && status.has_failed();
            let order = cloud.lifecycle.order.as_ref();
            let reached = |status: &ClusterStatus| current(status) && status.reached && status.was_carried_for(order);
            if statuses().any(|(_, status)| status.as_ref().is_some_and(failed)) {
                Overall::CreationFailed
            } else if statuses().all(|(_, status)| status.as_ref().is_some_and(reached)) {
                Overall::Created
            } else {
                Overall::CreationInProgress
            }
        }
    }
}
