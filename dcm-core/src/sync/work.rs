//! What is to be done on a cluster, and what became of it.

use std::collections::BTreeMap;

use super::{Change, Failure, InventoryItem, Object, Owner, Part, PartState};
use crate::{
    model::{AdoptionPolicy, DeletePolicy},
    name::Namespace,
};

/// What one cluster should hold for one logical cloud.
#[derive(Clone, Debug)]
pub struct Desired {
    /// On whose behalf.
    pub owner: Owner,
    /// The cloud's own namespace; `None` for an admin cloud.
    pub namespace: Option<Namespace>,
    /// The objects, in the order in which they are made.
    pub objects: Vec<Object>,
    /// What was recorded of earlier work. What is in here and not in `objects` is pruned.
    pub inventory: Vec<InventoryItem>,
    /// What to do with a namespace that is there already.
    pub adoption: AdoptionPolicy,
    /// Go on although the cluster carries a higher generation than the store.
    pub force: bool,
}

/// What should go from one cluster.
#[derive(Clone, Debug)]
pub struct Removal {
    /// On whose behalf.
    pub owner: Owner,
    /// The cloud's own namespace; `None` for an admin cloud.
    pub namespace: Option<Namespace>,
    /// What was recorded of earlier work.
    pub inventory: Vec<InventoryItem>,
    /// What becomes of the namespace.
    pub delete: DeletePolicy,
    /// Go on although the cluster carries a higher generation than the store.
    pub force: bool,
}

/// What became of one cluster's work.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Report {
    /// How far each part is that was worked on.
    pub parts: BTreeMap<Part, PartState>,
    /// All objects of ours that are there now, to be recorded.
    pub inventory: Vec<InventoryItem>,
    /// What was made, changed or deleted on the cluster by this call.
    pub changes: Vec<Change>,
    /// What is no failure and yet to be known, for people: labels of others on the namespace that loosen
    /// its security, for example.
    pub remarks: Vec<String>,
    /// Why the work is not complete; `None` where it is.
    pub failure: Option<Failure>,
}
