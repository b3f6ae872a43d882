//! What differs between a cluster and what it should hold.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Failure, ObjectId};

/// One object that is not, or was not, as it should be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Change {
    /// Which object.
    #[serde(flatten)]
    pub id: ObjectId,
    /// What brings it to what it should be.
    pub change: ChangeKind,
}

/// What brings an object to what it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ChangeKind {
    /// It is not there and is made.
    Create,
    /// It differs and is changed.
    Update,
    /// It differs in what cannot be changed: it is deleted and made anew.
    Replace,
    /// It is no longer wanted and goes.
    Delete,
    /// A change that only a newer release knows.
    #[serde(other)]
    Other,
}

/// What an apply would do on a cluster.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Comparison {
    /// The objects that it would touch, in the order in which it would; those that are as they should be are
    /// left out.
    pub differences: Vec<Difference>,
    /// See [`Report::remarks`](super::Report::remarks).
    pub remarks: Vec<String>,
    /// Why an apply would come no further: a namespace of others, a store that is older than the cluster.
    pub failure: Option<Failure>,
}

/// One object that an apply would touch.
#[derive(Clone, Debug, PartialEq)]
pub struct Difference {
    /// Which object, and how.
    pub change: Change,
    /// The fields that would change; empty for what is made or goes.
    pub fields: Vec<FieldDifference>,
    /// Whether the cluster has tried it in a dry run. Where its namespace is not there yet, the cluster has
    /// judged no more than that it knows the kind and its fields.
    pub checked: bool,
    /// Why the cluster would refuse it.
    pub refusal: Option<Failure>,
}

/// One field that an apply would change.
#[derive(Clone, Debug, PartialEq)]
pub struct FieldDifference {
    /// Where it is (RFC 6901).
    pub pointer: String,
    /// What is there; `None` where nothing is.
    pub live: Option<Value>,
    /// What would be there; `None` where nothing would be.
    pub wanted: Option<Value>,
}
