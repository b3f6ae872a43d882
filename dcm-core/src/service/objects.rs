use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{CloudId, CloudStatus, Dcm, orders::ATTEMPTS};
use crate::{
    error::Error,
    model::{ClusterReference, ClusterStatus, Goal},
    name::{ClusterName, ProviderName, ReferenceName},
    sync::{ChangeKind, InventoryItem, Object, ObjectId, Part, PartState},
    tenancy::Tenancy,
};

/// How far each object of a logical cloud is on each of its clusters. From stored state only.
#[derive(Clone, Debug)]
pub struct CloudObjects {
    /// How far the logical cloud is.
    pub status: CloudStatus,
    /// What every one of its clusters is to hold, or was to before it is terminated; nothing where that is not known.
    wanted: Vec<Object>,
    held: BTreeMap<ReferenceName, Held>,
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
    /// Whether it is as it was applied.
    pub is_reached: bool,
    wanted: &'a [Object],
    held: Option<&'a Held>,
}

/// One object on one cluster.
#[derive(Clone, Copy, Debug)]
pub struct ObjectStatus<'a> {
    /// What it is and where it lies.
    pub id: &'a ObjectId,
    /// What it is to be, or was; `None` where that is not known.
    pub manifest: Option<&'a Value>,
    /// How far it is.
    pub state: ObjectState,
    /// Whether it is known to be there.
    pub is_there: bool,
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
            let cloud = self.cloud(id).await?.value;
            let applied = match self.frozen(&cloud).await {
                // Applied anew meanwhile.
                Err(Error::NotFound { .. }) => continue,
                applied => applied?,
            };
            let tenancy = applied.as_ref().map(|applied| Tenancy { applied, installation: self.installation() });
            let wanted = tenancy.map(|tenancy| tenancy.objects()).unwrap_or_default();
            let generation = cloud.lifecycle.applied_generation;
            let mut held = BTreeMap::new();
            let look = |status: &ClusterStatus, is_wanted| {
                let current = is_wanted && status.goal == Goal::Present;
                let is_reached = current && status.generation == generation && status.reached;
                held.insert(status.reference.clone(), Held::new(status, &wanted, !current, is_reached));
            };
            let (status, references) = match self.gather_status(cloud, look).await {
                Err(Error::NotFound { .. }) => continue,
                gathered => gathered?,
            };
            let place = |(name, to): (ReferenceName, ClusterReference)| (name, (to.cluster_provider, to.cluster_name));
            return Ok(CloudObjects { status, wanted, held, places: references.into_iter().map(place).collect() });
        }
        Err(Error::changed("logical cloud", &id.name, false))
    }
}

impl CloudObjects {
    /// The clusters, by the names of their references.
    pub fn clusters(&self) -> impl Iterator<Item = ClusterObjects<'_>> {
        self.status.clusters.iter().filter_map(|(name, status)| {
            let (provider, cluster) = self.places.get(name)?;
            let status = status.as_ref();
            let held = self.held.get(name);
            let is_reached = held.is_some_and(|held| held.is_reached);
            Some(ClusterObjects { provider, cluster, status, is_reached, wanted: &self.wanted, held })
        })
    }
}

impl<'a> ClusterObjects<'a> {
    /// Its objects: those that it is to hold, in the order in which they are made, then what else is known to be there.
    pub fn objects(&self) -> impl Iterator<Item = ObjectStatus<'a>> {
        let held = self.held;
        let wanted = self.wanted.iter().enumerate().map(move |(at, object)| {
            let seen = held.and_then(|held| held.wanted.get(at)).copied().unwrap_or_default();
            seen.of(&object.id, Some(&object.manifest))
        });
        let others = held.map_or(&[][..], |held| &held.others);
        wanted.chain(others.iter().map(|(id, seen)| seen.of(id, None)))
    }
}

/// What one cluster is known to hold: small, since there may be many clusters, and the same objects on each.
#[derive(Clone, Debug)]
struct Held {
    is_reached: bool,
    /// Of what is wanted, in that order.
    wanted: Vec<Seen>,
    /// Of what else is there.
    others: Vec<(ObjectId, Seen)>,
}

/// What is known of one object.
#[derive(Clone, Copy, Debug)]
struct Seen {
    state: ObjectState,
    is_there: bool,
    drifted: Option<ChangeKind>,
}

impl Default for Seen {
    fn default() -> Self {
        Self { state: ObjectState::Pending, is_there: false, drifted: None }
    }
}

impl Seen {
    const fn of<'a>(self, id: &'a ObjectId, manifest: Option<&'a Value>) -> ObjectStatus<'a> {
        ObjectStatus { id, manifest, state: self.state, is_there: self.is_there, drifted: self.drifted }
    }
}

impl Held {
    fn new(status: &ClusterStatus, wanted: &[Object], leaving: bool, is_reached: bool) -> Self {
        let held: BTreeMap<&ObjectId, &InventoryItem> = status.inventory.iter().map(|item| (&item.id, item)).collect();
        let is_there = |id: &ObjectId| held.get(id).is_some_and(|item| item.uid.is_some());
        let missing = wanted.iter().filter(|object| !is_there(&object.id));
        let incomplete: BTreeSet<Part> = missing.map(|object| object.part).collect();
        let drift = status.drift.as_ref().filter(|drift| !drift.repaired);
        let seen = |id: &ObjectId, state| {
            let change = drift.and_then(|drift| drift.objects.iter().find(|change| change.id == *id));
            Seen { state, is_there: is_there(id), drifted: change.map(|change| change.change) }
        };
        let of_wanted = wanted.iter().map(|object| {
            let state = match held.get(&object.id) {
                _ if !leaving => present(status, object.part, is_there(&object.id), &incomplete),
                Some(item) => going(status, item),
                None => ObjectState::Deleted,
            };
            seen(&object.id, state)
        });
        let ids: BTreeSet<&ObjectId> = wanted.iter().map(|object| &object.id).collect();
        let others = status.inventory.iter().filter(|item| !ids.contains(&item.id));
        Self {
            is_reached,
            wanted: of_wanted.collect(),
            others: others.map(|item| (item.id.clone(), seen(&item.id, going(status, item)))).collect(),
        }
    }
}

/// The state of what is to be there. `incomplete` are the parts of which something is missing.
fn present(status: &ClusterStatus, part: Part, is_there: bool, incomplete: &BTreeSet<Part>) -> ObjectState {
    let others_are_made = || status.parts.values().any(|state| *state == PartState::Created);
    match status.part(part) {
        PartState::Created | PartState::Pending if !is_there => ObjectState::Pending,
        PartState::Created => ObjectState::Created,
        PartState::Pending | PartState::Deleted => ObjectState::Pending,
        // A part's state is that of its worst object: where something is missing, it is that which failed. The
        // account is there before its token is asked for, and the namespace before anything else.
        _ if is_there && status.parts.contains_key(&part) && incomplete.contains(&part) => ObjectState::Created,
        _ if is_there && part == Part::Credential => ObjectState::Created,
        PartState::NotAvailable(_) if is_there && part == Part::Namespace && others_are_made() => ObjectState::Created,
        PartState::NotAvailable(_) => ObjectState::NotAvailable,
        PartState::Failed(_) => ObjectState::Failed,
    }
}

/// The state of what is to go: it is there until it is gone.
fn going(status: &ClusterStatus, item: &InventoryItem) -> ObjectState {
    match status.parts.get(&item.id.part()) {
        Some(PartState::Failed(_)) if status.goal == Goal::Absent => ObjectState::Failed,
        _ if item.uid.is_none() => ObjectState::Pending,
        _ => ObjectState::Created,
    }
}
