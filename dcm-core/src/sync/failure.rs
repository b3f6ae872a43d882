//! Why a cluster is not as it should be.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::PartState;

/// Why a cluster is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Failure {
    /// For machines.
    pub reason: Reason,
    /// For people: what happened and what to do. No secret.
    pub detail: String,
    /// When the cluster asked to be tried again, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<u64>,
}

impl Failure {
    /// A failure with its reason and detail.
    #[must_use]
    pub fn new(reason: Reason, detail: impl Into<String>) -> Self {
        Self { reason, detail: detail.into(), retry_after: None }
    }

    /// The state of a part that has met this failure.
    #[must_use]
    pub fn as_state(&self) -> PartState {
        match self.reason.outlook() {
            Outlook::Refused => PartState::Failed(self.detail.clone()),
            Outlook::Away | Outlook::Waiting => PartState::NotAvailable(self.detail.clone()),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.detail)
    }
}

macro_rules! reasons {
    ($($(#[$meta:meta])* $name:ident: $class:ident;)*) => {
        /// Why a cluster is not as it should be, for machines.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
        pub enum Reason { $($(#[$meta])* $name,)* }

        impl Reason {
            /// The reason as it is written in a status.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => stringify!($name),)* }
            }

            /// What trying again can do about it.
            #[must_use]
            pub const fn outlook(self) -> Outlook {
                match self { $(Self::$name => Outlook::$class,)* }
            }
        }
    };
}

/// What trying again can do about a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outlook {
    /// The cluster is not to be had now; it may come back by itself.
    Away,
    /// The cluster is there and not ready for us yet; trying again is expected to help.
    Waiting,
    /// The cluster refuses; somebody has to change something.
    Refused,
}

reasons! {
    /// No connection, or no answer.
    Unreachable: Away;
    /// The API server did not answer within the bound.
    Timeout: Away;
    /// The API server answered 5xx, or half an answer.
    ServerError: Away;
    /// The API server answered 429.
    RateLimited: Away;
    /// The API server does not accept DCM's credential.
    Unauthorized: Refused;
    /// DCM's credential lacks a right.
    Forbidden: Refused;
    /// DCM may not grant what the permission asks for.
    BeyondCeiling: Refused;
    /// A quota of the cluster's is exhausted.
    QuotaExceeded: Refused;
    /// The namespace, or another object, is there and is not ours.
    NotOurs: Refused;
    /// The namespace is on its way out; waited for.
    NamespaceTerminating: Waiting;
    /// Something keeps the namespace, or another object, from going.
    DeletionBlocked: Waiting;
    /// An object changed while we worked on it.
    Conflict: Waiting;
    /// The cluster carries a higher generation than the store: an old backup?
    StoreOlderThanCluster: Refused;
    /// The kubeconfig now leads to another cluster than before.
    IdentityChanged: Refused;
    /// Another logical cloud has this namespace on this cluster.
    NamespaceReserved: Refused;
    /// No signer answered the certificate signing request in time.
    CertificateNotIssued: Waiting;
    /// The signer, or the approval, refused the certificate signing request.
    CertificateRefused: Refused;
    /// The API server, or a webhook of it, refused an object.
    Rejected: Refused;
    /// A webhook of the cluster's does not answer.
    WebhookFailed: Waiting;
    /// The cluster is not registered any more.
    NotRegistered: Refused;
    /// DCM could not do its own part (a store, an encryption key).
    Internal: Waiting;
    /// A reason that only a newer release knows.
    #[serde(other)]
    Other: Waiting;
}

impl Reason {
    /// Whether the cluster that held something is not to be had any more, however often it is tried.
    #[must_use]
    pub const fn is_lost(self) -> bool {
        matches!(self, Self::NotRegistered | Self::IdentityChanged)
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
