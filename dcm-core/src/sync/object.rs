//! Objects on clusters: on whose behalf, which part of a logical cloud, what and where.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::model::Uid;

/// On whose behalf objects are kept on a cluster. Written on every object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// The id of this DCM installation's store.
    pub store_id: String,
    /// The logical cloud's uid.
    pub cloud: Uid,
    /// The applied generation that is being carried out.
    pub generation: u64,
    /// The frozen states of the last generations, that one's at the end; as far as they are remembered.
    pub history: Vec<Uid>,
}

impl Owner {
    /// Whether the store knows of what a cluster carries: a generation and, where it was written, its state. If
    /// not, a younger store has worked there, or one that went another way since both were one.
    #[must_use]
    pub fn knows(&self, generation: u64, state: Option<&str>) -> bool {
        let Some(age) = self.generation.checked_sub(generation) else {
            return false;
        };
        let remembered = usize::try_from(age).ok().and_then(|age| self.history.iter().rev().nth(age));
        match (state, remembered) {
            (Some(state), Some(remembered)) => state == remembered.as_str(),
            _ => true,
        }
    }
}

/// The parts of a logical cloud on one cluster, in the order in which they are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Part {
    /// The namespace.
    Namespace,
    /// Roles and cluster roles.
    Role,
    /// Their bindings to the user.
    RoleBinding,
    /// Resource quotas.
    Quota,
    /// The user's credential.
    Credential,
    /// The stored kubeconfig.
    Kubeconfig,
    /// A part that only a newer release knows.
    #[serde(other)]
    Other,
}

impl Part {
    /// All parts that this release knows, in order.
    pub const ALL: [Self; 6] =
        [Self::Namespace, Self::Role, Self::RoleBinding, Self::Quota, Self::Credential, Self::Kubeconfig];
}

/// How far one part is. Of several objects the worst counts.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "state", content = "detail")]
pub enum PartState {
    /// As it should be; also where nothing is wanted.
    Created,
    /// Gone, as it should be.
    Deleted,
    /// Not worked on yet.
    Pending,
    /// Cannot be worked on now.
    NotAvailable(String),
    /// Was refused.
    Failed(String),
}

impl PartState {
    /// Whether something stood in the way at the last attempt.
    #[must_use]
    pub const fn is_trouble(&self) -> bool {
        matches!(self, Self::NotAvailable(_) | Self::Failed(_))
    }
}

impl fmt::Display for PartState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Created => f.write_str("Created"),
            Self::Deleted => f.write_str("Deleted"),
            Self::Pending => f.write_str("Pending"),
            Self::NotAvailable(why) => write!(f, "Not Available: {why}"),
            Self::Failed(why) => write!(f, "Failed: {why}"),
        }
    }
}

/// One object that should be on a cluster.
#[derive(Clone, Debug, PartialEq)]
pub struct Object {
    /// Which part of the logical cloud it belongs to.
    pub part: Part,
    /// What it is and where it lies.
    pub id: ObjectId,
    /// The whole manifest, ownership labels and annotations included, for a server-side apply.
    pub manifest: Value,
}

/// What an object is and where it lies.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct ObjectId {
    /// `v1`, `rbac.authorization.k8s.io/v1`, …
    pub api_version: String,
    /// `Namespace`, `Role`, …
    pub kind: String,
    /// Its namespace; `None` where it is cluster-wide.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Its name.
    pub name: String,
}

impl ObjectId {
    /// Which part of a logical cloud an object of this kind belongs to.
    #[must_use]
    pub fn part(&self) -> Part {
        match self.kind.as_str() {
            "Namespace" => Part::Namespace,
            "Role" | "ClusterRole" => Part::Role,
            "RoleBinding" | "ClusterRoleBinding" => Part::RoleBinding,
            "ResourceQuota" => Part::Quota,
            _ => Part::Credential,
        }
    }
}

impl fmt::Display for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.namespace {
            Some(namespace) => write!(f, "{} {namespace}/{}", self.kind, self.name),
            None => write!(f, "{} {}", self.kind, self.name),
        }
    }
}

/// An object that this installation has made, or is about to make, on a cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct InventoryItem {
    /// What and where.
    #[serde(flatten)]
    pub id: ObjectId,
    /// The uid that the cluster gave it; `None` where the answer to its creation was never seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uid: Option<String>,
    /// Whether it was there before DCM and was adopted under the cloud's policy: terminate lets go of it
    /// instead of deleting it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub adopted: bool,
}
