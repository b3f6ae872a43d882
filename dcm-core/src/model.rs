//! The records of DCM, one file per resource: plain data, and the checks that turn an input into it.
//!
//! An *input* is what a client wrote, as texts. Its `check` notes every bad field in a [`Faults`] and gives
//! the typed record where there was none, so that each edge (REST, gRPC, an embedding service) has the
//! same rules and the same words.
//!
//! [`Faults`]: crate::fault::Faults

mod applied;
mod certificate_authority;
mod cluster;
mod cluster_label;
mod cluster_reference;
mod controller;
mod credential;
mod encryption;
mod known_resources;
pub mod kubeconfig;
mod kv_pair;
mod logical_cloud;
mod member;
mod metadata;
mod policy;
mod project;
pub(crate) mod quantity;
mod quota;
mod reservation;
mod selector;
mod status;
mod user_permission;

pub use applied::{Applied, AppliedReference, ReferencePage};
pub use certificate_authority::{CaRecord, CaRoot, CertificateAuthority, ForgottenCa, IntermediateCa, PendingForget};
pub use cluster::{CheckedCa, CheckedCluster, Cluster, ClusterHealth, ClusterInput, ClusterProvider, Connectivity};
pub use cluster_label::{ClusterLabel, ClusterLabelInput};
pub use cluster_reference::{ClusterReference, ClusterReferenceInput};
pub use controller::{Controller, ControllerInput};
pub use credential::{Credential, Proof, Renewal, renew_after};
pub use encryption::{Encryption, Pass, PassPhase, SecretKind, Unreadable};
pub use kubeconfig::{Kubeconfig, KubeconfigRules};
pub use kv_pair::{KvPair, KvPairInput};
pub use logical_cloud::{
    AdoptionPolicy, DeletePolicy, Level, LogicalCloud, LogicalCloudInput, LogicalCloudSpec, MeshMode, User, UserInput,
    UserType,
};
pub use member::Member;
pub use metadata::{Metadata, MetadataInput};
pub use policy::Policy;
pub use project::Project;
pub use quota::{Quota, QuotaInput, warnings as quota_warnings};
pub use reservation::{ClusterUse, Installation, Order, Reservation, StoreOwner};
pub use selector::{InvalidSelector, LabelSelector};
pub use status::{ClusterStatus, Drift, Goal};
pub use user_permission::{PermissionInput, PermissionScope, UserPermission, warnings as permission_warnings};

use std::{fmt, sync::Arc};

use serde::{Deserialize, Serialize};

/// A unique id that a record keeps for life and that no other record ever has: a UUID (RFC 9562) in
/// its usual form.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Uid(Arc<str>);

/// A text that is no [`Uid`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be a UUID in lower-case digits, like 5f9a6b1e-3f0c-4c57-9d5b-0d8a3f6c2e11")]
pub struct InvalidUid;

impl Uid {
    /// Makes a version 4 UUID of sixteen random bytes.
    #[must_use]
    pub fn from_random(bytes: [u8; 16]) -> Self {
        Self(uuid::Builder::from_random_bytes(bytes).into_uuid().to_string().into())
    }

    /// Reads an id that came from outside.
    ///
    /// # Errors
    /// [`InvalidUid`] where it is no UUID in its usual form: lower-case digits and four hyphens.
    pub fn parse(text: &str) -> Result<Self, InvalidUid> {
        let uuid = uuid::Uuid::try_parse(text).map_err(|_| InvalidUid)?;
        if uuid.hyphenated().encode_lower(&mut uuid::Uuid::encode_buffer()) == text {
            Ok(Self(text.into()))
        } else {
            Err(InvalidUid)
        }
    }

    /// Takes an id back out of a document's key.
    #[must_use]
    pub(crate) fn from_key(segment: &str) -> Self {
        Self(segment.into())
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Uid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Uid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl AsRef<str> for Uid {
    fn as_ref(&self) -> &str {
        &self.0
    }
}
