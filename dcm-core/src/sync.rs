//! The port to the clusters: what carries a plan to one cluster and tells what became of it.
//!
//! A synchronizer works on *one* cluster per call, holds no state that matters and is level-triggered: it
//! compares what should be with what is and closes the difference, so a repeated call does no harm. Which
//! clusters are worked on when, and what is recorded, is decided by the use cases ([`crate::service`]).

mod access;
mod change;
mod credential;
mod failure;
mod none;
mod object;
mod work;

use std::{collections::BTreeMap, fmt};

use async_trait::async_trait;

pub use access::{ClusterAccess, Endpoint, Facts};
pub use change::{Change, ChangeKind, Comparison, Difference, FieldDifference};
pub use credential::{CertificateRequest, CutOff, Grant, IssuedToken, TokenRequest};
pub use failure::{Failure, Outlook, Reason};
pub use none::NoClusters;
pub use object::{InventoryItem, Object, ObjectId, Owner, Part, PartState};
pub use work::{Desired, Removal, Report};

/// Carries work to one cluster at a time.
///
/// # Contract
/// - Every method is safe to repeat and safe to drop at any await.
/// - Nothing that this installation did not create is changed or deleted, except as the adoption policy says.
/// - A cluster that is away, slow or hostile makes a [`Failure`], within a bound; never a panic or a hang.
#[async_trait]
pub trait Synchronizer: Send + Sync + fmt::Debug {
    /// Asks a cluster who it is.
    ///
    /// # Errors
    /// Why it cannot be asked.
    async fn probe(&self, access: &ClusterAccess) -> Result<Facts, Failure>;

    /// Finds out what DCM's credential may do on a cluster: for each feature the rights that it lacks. Nothing
    /// at all where the cluster cannot say.
    ///
    /// # Errors
    /// Why it cannot be asked.
    async fn capabilities(&self, access: &ClusterAccess) -> Result<BTreeMap<String, Vec<String>>, Failure>;

    /// Makes a cluster hold what is desired, and no more of ours.
    ///
    /// Works through the parts in order. An object that is refused keeps back only what needs it: others are
    /// made, and what is no longer wanted goes. The report says how far it came, and why no further.
    async fn apply(&self, access: &ClusterAccess, desired: &Desired) -> Report;

    /// Has the cluster sign a user's certificate; answers the certificate, PEM.
    ///
    /// # Errors
    /// Why there is none.
    async fn sign(&self, access: &ClusterAccess, request: &CertificateRequest) -> Result<String, Failure>;

    /// Has the cluster issue a token for a user's ServiceAccount that an apply has made.
    ///
    /// # Errors
    /// Why there is none.
    async fn token(&self, access: &ClusterAccess, request: &TokenRequest) -> Result<IssuedToken, Failure>;

    /// Finds out what an apply would change, and changes nothing.
    ///
    /// # Errors
    /// Why the cluster cannot be asked.
    async fn compare(&self, access: &ClusterAccess, desired: &Desired) -> Result<Comparison, Failure>;

    /// Takes away at once what gives a user access under an identity that is not to be kept: bindings and
    /// ServiceAccounts of ours. Answers what is left, made by others, that may still give him access.
    ///
    /// # Errors
    /// Why some of it may still be there.
    async fn cut_off(&self, access: &ClusterAccess, cut: &CutOff) -> Result<Vec<Grant>, Failure>;

    /// Removes what is ours, in reverse order, and waits within a bound until it is gone.
    ///
    /// Complete where the report has no failure and an empty inventory.
    async fn remove(&self, access: &ClusterAccess, removal: &Removal) -> Report;
}
