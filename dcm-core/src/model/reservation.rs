use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Uid;
use crate::{
    name::{LogicalCloudName, ProjectName, ReferenceName},
    secret::Sealed,
    store::{Key, Stored},
};

/// Whose a namespace on a cluster is. Keyed by the cluster's identity, so that one API server that is
/// registered twice counts once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Reservation {
    /// The logical cloud that has it.
    pub cloud: Uid,
    /// Its project.
    pub project: ProjectName,
    /// Its name.
    pub name: LogicalCloudName,
    /// The reference that has it.
    pub reference: ReferenceName,
    /// That reference's uid.
    pub reference_uid: Uid,
}

impl Stored for Reservation {
    const KIND: &'static str = "Reservation";
    const VERSION: u32 = 1;
}

/// A logical cloud's use of a cluster, found from the cluster's side. It also keeps one logical cloud from
/// referring to one cluster twice.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct ClusterUse {
    /// The logical cloud's uid.
    pub cloud: Uid,
    /// Its project.
    pub project: ProjectName,
    /// Its name.
    pub name: LogicalCloudName,
    /// The reference.
    pub reference: ReferenceName,
    /// The reference's uid.
    pub reference_uid: Uid,
}

impl Stored for ClusterUse {
    const KIND: &'static str = "ClusterUse";
    const VERSION: u32 = 1;
}

/// An order that waits for the worker: found again after a restart, without reading anything else.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Order {
    /// The order's id; see [`crate::lifecycle::Lifecycle::order`].
    pub id: Uid,
    /// Where the logical cloud lies.
    pub cloud: Key,
    /// When it was given.
    pub given_at: Timestamp,
    /// Where set, clusters that are as they should be already are looked at again, unless their status
    /// carries this id: an apply that is repeated, or a look for drift.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verify: Option<Uid>,
    /// Where set, a user was cut off: clusters of a stopped logical cloud are asked for that, unless their status
    /// carries this id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cut_off: Option<Uid>,
    /// Whether the guard against an older store is to be overridden.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub force: bool,
    /// Whether the logical cloud was to be deleted. Where it is not found, it went for that, and was not lost.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub deletes: bool,
}

impl Stored for Order {
    const KIND: &'static str = "Order";
    const VERSION: u32 = 1;
}

/// This installation: made once, with the store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Installation {
    /// The store's id. On clusters it marks what this installation made.
    pub id: Uid,
    /// When it was made.
    pub created_at: Timestamp,
    /// Opens only with the encryption key that the data is written with.
    pub canary: Sealed,
    /// Whose the store is.
    #[serde(default, skip_serializing_if = "StoreOwner::is_dcm")]
    pub owner: StoreOwner,
}

/// Whose a store is. Nobody works on the other's: who reads DCM's documents, or is let into its database, is to find no root there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StoreOwner {
    /// DCM's.
    #[default]
    Dcm,
    /// A CA's, which has it to itself.
    Ca,
}

impl StoreOwner {
    #[allow(clippy::trivially_copy_pass_by_ref, reason = "serde hands a reference")]
    const fn is_dcm(&self) -> bool {
        matches!(self, Self::Dcm)
    }
}

impl fmt::Display for StoreOwner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Dcm => "DCM",
            Self::Ca => "a CA",
        })
    }
}

impl Stored for Installation {
    const KIND: &'static str = "Installation";
    const VERSION: u32 = 1;
}
