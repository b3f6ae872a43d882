//! The port by which a process that has no way to the clusters has another one ask them what a client waits for.
//!
//! What was ordered needs none of it: that is found in the store by whoever carries it out. What is left are three questions, and this
//! is all of them.

use std::{collections::BTreeMap, error::Error as StdError, fmt, time::Duration};

use async_trait::async_trait;

use crate::{
    error,
    name::{ClusterName, ProviderName, ReferenceName},
    service::{CloudId, Preview, Selection},
    sync::{Comparison, Failure, Grant},
};

/// Asks clusters by their names in the store.
///
/// [`Dcm`](crate::service::Dcm) is one: it asks the clusters by its synchronizer, or where it was given a gateway, by that
/// ([`Dcm::reaching_clusters_through`](crate::service::Dcm::reaching_clusters_through)).
///
/// # Contract
/// - What clusters should be, and the credentials that they are asked with, are read from the store that both sides share; neither is
///   taken from the caller nor told to him. So nothing can be had by a call that the store does not say.
/// - Every method is safe to repeat and safe to drop at any await.
/// - What a cluster does is a [`Failure`] in the answer; an error says that there is none.
#[async_trait]
pub trait ClusterGateway: Send + Sync + fmt::Debug {
    /// Asks a registered cluster who it is, and what DCM may do there. Records nothing.
    ///
    /// # Errors
    /// [`NotFound`](error::Error::NotFound); [`Gateway`](error::Error::Gateway).
    async fn probe_cluster(
        &self,
        provider: &ProviderName,
        cluster: &ClusterName,
    ) -> Result<Result<Probe, Failure>, error::Error>;

    /// As [`Dcm::diff`](crate::service::Dcm::diff).
    ///
    /// # Errors
    /// As there; [`Gateway`](error::Error::Gateway).
    async fn diff(&self, id: &CloudId, which: &Selection)
    -> Result<Preview<Result<Comparison, Failure>>, error::Error>;

    /// Takes away at once, on every cluster that can be reached, the access of everybody but the user that the applied state says. That
    /// must be of this generation, or of a later one.
    ///
    /// # Errors
    /// [`NotFound`](error::Error::NotFound); [`Changed`](error::Error::Changed) where the store does not have that generation yet;
    /// [`Refused`](error::Error::Refused) where there is no user; [`Gateway`](error::Error::Gateway).
    async fn cut_off_user(&self, id: &CloudId, generation: u64) -> Result<CutOffs, error::Error>;
}

/// What became of cutting a user off: for each cluster, by the name of its reference, what may still give him access there, or why he
/// is not cut off there yet.
pub type CutOffs = Vec<(ReferenceName, Result<Vec<Grant>, Failure>)>;

/// What a cluster says of itself, and of what DCM may do there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Probe {
    /// See [`Facts::identity`](crate::sync::Facts::identity).
    pub identity: String,
    /// See [`Facts::version`](crate::sync::Facts::version).
    pub version: String,
    /// For each feature the rights that DCM's credential lacks; nothing at all where the cluster cannot say.
    pub capabilities: BTreeMap<String, Vec<String>>,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Nobody said who reaches the clusters.
    #[error("no synchronizer is known here, and only a synchronizer reaches clusters: {fix}")]
    Unknown {
        /// What to do about it.
        fix: String,
    },
    /// Whoever reaches the clusters is away. Worth trying again.
    #[error("the synchronizer cannot be reached, and only a synchronizer reaches clusters")]
    Unavailable {
        /// When to try again.
        retry_after: Duration,
        /// What went wrong.
        source: BoxError,
    },
    /// There was no answer in time. Worth trying again.
    #[error("the synchronizer did not answer in time")]
    Timeout,
    /// Whoever reaches the clusters does not do it for this process: which identity it may have is for an operator to say.
    #[error("the synchronizer does not serve this server")]
    Denied(#[source] BoxError),
    /// Something is broken there.
    #[error("the synchronizer failed")]
    Internal(#[source] BoxError),
}

impl Error {
    /// When to try again, where nothing else is known.
    pub const RETRY_AFTER: Duration = Duration::from_secs(5);
}

/// The cause of a failure.
pub type BoxError = Box<dyn StdError + Send + Sync + 'static>;
