//! The port to the clusters: what carries a plan to one cluster and tells what became of it.
//!
//! A synchronizer works on *one* cluster per call, holds no state that matters and is level-triggered: it
//! compares what should be with what is and closes the difference, so a repeated call does no harm. Which
//! clusters are worked on when, and what is recorded, is decided by the use cases ([`crate::service`]).

use std::{collections::BTreeMap, fmt, time::Duration};

use async_trait::async_trait;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    model::{AdoptionPolicy, DeletePolicy, Uid},
    name::{ClusterName, Namespace, ProviderName},
    secret::Secret,
    tenancy::Identity,
};

/// How to reach a registered cluster.
#[derive(Clone, Debug)]
pub struct ClusterAccess {
    /// The cluster's provider.
    pub provider: ProviderName,
    /// The cluster's name.
    pub cluster: ClusterName,
    /// The registered kubeconfig as JSON, with embedded credentials only.
    pub kubeconfig: Secret,
}

/// What a reachable cluster says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// The uid of its `kube-system` namespace: the same cluster whatever name it is registered under.
    pub identity: String,
    /// Its Kubernetes version, as `/version` gives it (`v1.34.1`).
    pub version: String,
    /// Where a user's kubeconfig points to.
    pub endpoint: Endpoint,
    /// What its clock said when it answered, to the second (RFC 9110, section 6.6.1: `Date`); `None` where
    /// it did not say.
    pub clock: Option<Timestamp>,
}

/// Where an API server is and how it proves itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Its URL.
    pub server: String,
    /// The PEM of the CA that its certificate is judged by; `None` for the system's roots.
    pub ca_pem: Option<String>,
    /// The name to check its certificate for, where that isn't the URL's host.
    pub tls_server_name: Option<String>,
}

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
    /// See [`Report::remarks`].
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

/// Who is to be cut off on one cluster.
#[derive(Clone, Debug)]
pub struct CutOff {
    /// On whose behalf.
    pub owner: Owner,
    /// The cloud's own namespace.
    pub namespace: Namespace,
    /// What was recorded of earlier work.
    pub inventory: Vec<InventoryItem>,
    /// The identity that stays: bindings to it, and its account, are left alone.
    pub keep: Identity,
}

/// Something by which a user who was cut off may still have access, made by himself or by others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// What it is.
    pub id: ObjectId,
    /// Whom it gives access, for people.
    pub detail: String,
}

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

/// A request for a user's client certificate.
#[derive(Clone, Debug)]
pub struct CertificateRequest {
    /// On whose behalf.
    pub owner: Owner,
    /// The PKCS #10 request, PEM.
    pub csr_pem: String,
    /// How long the certificate should live; the cluster may cap it.
    pub lifetime: Duration,
}

/// A request for a token of a user's ServiceAccount.
#[derive(Clone, Debug)]
pub struct TokenRequest {
    /// On whose behalf.
    pub owner: Owner,
    /// The ServiceAccount's namespace.
    pub namespace: Namespace,
    /// The ServiceAccount's name. It must carry the owner's marks.
    pub account: String,
    /// How long the token should live; the cluster may cap it.
    pub lifetime: Duration,
}

/// A token of a user's ServiceAccount.
#[derive(Clone, Debug)]
pub struct IssuedToken {
    /// The token: a JWT.
    pub token: Secret,
    /// The uid of the ServiceAccount that it is bound to: it dies with that.
    pub account_uid: String,
    /// When it was issued, by the cluster's clock.
    pub issued_at: Timestamp,
    /// Until when it is valid, by the cluster's clock.
    pub expires_at: Timestamp,
}

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
