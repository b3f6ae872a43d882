use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{CloudId, CloudStatus, Dcm, orders::ATTEMPTS};
use crate::{
    error::Error,
    lifecycle::Phase,
    model::{ClusterReference, ClusterStatus, Connectivity, Goal},
    name::{ClusterName, ProviderName, ReferenceName},
    sync::{ChangeKind, InventoryItem, Object, ObjectId, Part, PartState},
    tenancy::Tenancy,
};

/// How far each object of a logical cloud is on each of its clusters. From stored state only.
#[derive(Clone, Debug)]
pub struct CloudObjects {
    /// How far the logical cloud is.
    pub status: CloudStatus,
    /// The objects that every one of its clusters is to hold, or was to before it was terminated; none where that is
    /// not known any more.
    pub wanted: Vec<Object>,
    /// Which clusters its references lead to.
    places: BTreeMap<ReferenceName, (ProviderName, ClusterName)>,
}

/// One cluster of a logical cloud, with its objects.
#[derive(Clone, Copy, Debug)]
pub struct ClusterObjects<'a> {
    /// The cluster's provider.
    pub provider: &'a ProviderName,
    /// The cluster.
    pub cluster: &'a ClusterName,
    /// How far it is; `None` where work has not begun.
    pub status: Option<&'a ClusterStatus>,
    wanted: &'a [Object],
    generation: u64,
    leaving: bool,
}

/// One object on one cluster.
#[derive(Clone, Copy, Debug)]
pub struct ObjectStatus<'a> {
    /// What it is and where it lies.
    pub id: &'a ObjectId,
    /// What it is to be; `None` where it is to go.
    pub manifest: Option<&'a Value>,
    /// How far it is.
    pub state: ObjectState,
    /// The uid that the cluster gave it; `None` where it is not known to be there.
    pub uid: Option<&'a str>,
    /// What would bring it back, where somebody else has changed it and nothing is done about that.
    pub drifted: Option<ChangeKind>,
}

/// How far one object is: as [`PartState`], without the reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ObjectState {
    /// It is there, and as it should be as far as that is known.
    Created,
    /// It is gone, as it should be.
    Deleted,
    /// It was not worked on yet.
    Pending,
    /// It cannot be worked on now.
    NotAvailable,
    /// It was refused.
    Failed,
}

impl Dcm {
    /// How far each object of a logical cloud is on each of its clusters. Makes no request to a cluster.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub async fn object_status(&self, id: &CloudId) -> Result<CloudObjects, Error> {
        for _ in 0..ATTEMPTS {
            let (status, references) = self.gather_status(id).await?;
            let applied = match self.frozen(&status.cloud).await {
                // Applied anew meanwhile.
                Err(Error::NotFound { .. }) => continue,
                applied => applied?,
            };
            let tenancy = applied.as_ref().map(|applied| Tenancy { applied, installation: self.installation() });
            let wanted = tenancy.map(|tenancy| tenancy.objects()).unwrap_or_default();
            let place = |(name, to): (ReferenceName, ClusterReference)| (name, (to.cluster_provider, to.cluster_name));
            return Ok(CloudObjects { status, wanted, places: references.into_iter().map(place).collect() });
        }
        Err(Error::changed("logical cloud", &id.name, false))
    }
}

impl CloudObjects {
    /// The clusters, by the names of their references.
    pub fn clusters(&self) -> impl Iterator<Item = ClusterObjects<'_>> {
        let lifecycle = &self.status.cloud.lifecycle;
        self.status.clusters.iter().filter_map(move |(name, status)| {
            let (provider, cluster) = self.places.get(name)?;
            let status = status.as_ref();
            let leaving = match lifecycle.phase {
                Phase::Applied | Phase::Stopped => status.is_some_and(|status| status.goal == Goal::Absent),
                _ => true,
            };
            let generation = lifecycle.applied_generation;
            Some(ClusterObjects { provider, cluster, status, wanted: &self.wanted, generation, leaving })
        })
    }
}

impl<'a> ClusterObjects<'a> {
    /// Whether the cluster answered at the last attempt.
    #[must_use]
    pub fn connectivity(&self) -> Connectivity {
        self.status.map_or(Connectivity::Unknown, |status| status.connectivity)
    }

    /// Whether it is as it was applied.
    #[must_use]
    pub fn is_reached(&self) -> bool {
        let current = |status: &&ClusterStatus| status.goal == Goal::Present && status.generation == self.generation;
        !self.leaving && self.status.filter(current).is_some_and(|status| status.reached)
    }

    /// Its objects: those that it is to hold, in the order in which they are made, then what else is known to be there.
    #[must_use]
    pub fn objects(&self) -> Vec<ObjectStatus<'a>> {
        let inventory: &'a [InventoryItem] = self.status.map_or(&[], |status| &status.inventory);
        let held: BTreeMap<&ObjectId, &'a InventoryItem> = inventory.iter().map(|item| (&item.id, item)).collect();
        let uid = |id: &ObjectId| held.get(id).and_then(|item| item.uid.as_deref());
        let incomplete: BTreeSet<Part> =
            self.wanted.iter().filter(|object| uid(&object.id).is_none()).map(|object| object.part).collect();
        let wanted: BTreeSet<&ObjectId> = self.wanted.iter().map(|object| &object.id).collect();
        let drift = self.status.and_then(|status| status.drift.as_ref()).filter(|drift| !drift.repaired);
        let status = |id: &'a ObjectId, manifest, state| {
            let change = drift.and_then(|drift| drift.objects.iter().find(|change| change.id == *id));
            ObjectStatus { id, manifest, state, uid: uid(id), drifted: change.map(|change| change.change) }
        };
        let to_be = self.wanted.iter().map(|object| {
            let state = match held.get(&object.id) {
                _ if !self.leaving => self.present(object.part, uid(&object.id).is_some(), &incomplete),
                Some(item) => self.leaving(item),
                None => ObjectState::Deleted,
            };
            status(&object.id, (!self.leaving).then_some(&object.manifest), state)
        });
        let others = inventory.iter().filter(|item| !wanted.contains(&item.id));
        to_be.chain(others.map(|item| status(&item.id, None, self.leaving(item)))).collect()
    }

    /// Of what is to be there. `incomplete` are the parts of which something is missing.
    fn present(&self, part: Part, is_there: bool, incomplete: &BTreeSet<Part>) -> ObjectState {
        let Some(status) = self.status else { return ObjectState::Pending };
        let others_are_made = || status.parts.values().any(|state| *state == PartState::Created);
        match status.part(part) {
            PartState::Created | PartState::Pending if !is_there => ObjectState::Pending,
            PartState::Created => ObjectState::Created,
            PartState::Pending | PartState::Deleted => ObjectState::Pending,
            // A part's state is that of its worst object: where something is missing, it is that which failed. The
            // account is there before its token is asked for, and the namespace before anything else.
            _ if is_there && status.parts.contains_key(&part) && incomplete.contains(&part) => ObjectState::Created,
            _ if is_there && part == Part::Credential => ObjectState::Created,
            PartState::NotAvailable(_) if is_there && part == Part::Namespace && others_are_made() => {
                ObjectState::Created
            }
            PartState::NotAvailable(_) => ObjectState::NotAvailable,
            PartState::Failed(_) => ObjectState::Failed,
        }
    }

    /// Of what is to go: it is there until it is gone.
    fn leaving(&self, item: &InventoryItem) -> ObjectState {
        match self.status.and_then(|status| status.parts.get(&item.id.part())) {
            Some(PartState::Failed(_)) if self.leaving => ObjectState::Failed,
            _ if item.uid.is_none() => ObjectState::Pending,
            _ => ObjectState::Created,
        }
    }
}
