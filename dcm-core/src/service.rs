//! The use cases: everything that DCM can be asked to do, on ports only.

mod access;
mod ca;
mod children;
mod cluster_kv_pairs;
mod cluster_labels;
mod clusters;
mod controllers;
mod drive;
mod forgets;
mod freeze;
mod gateway;
mod installation;
mod kubeconfigs;
mod kv_pairs;
mod lists;
mod logical_clouds;
mod members;
mod memo;
mod objects;
mod orders;
mod parents;
mod permissions;
mod previews;
mod projects;
mod providers;
mod quotas;
mod reencryption;
mod references;
mod renewals;
mod reservations;
mod seen;
mod status;
mod sweep;
mod watch;

use std::{fmt, sync::Arc, time::Duration};

use jiff::Timestamp;

pub use access::Revocation;
pub use ca::{BuiltInCa, CaPorts, CaSettings};
pub use clusters::ClusterView;
pub use drive::{Attempt, Claimant, CloudWork, Conclusion, Task, Work};
pub use forgets::Forgets;
pub use kubeconfigs::IssuedKubeconfig;
pub use lists::{Listed, Page};
pub use logical_clouds::LogicalCloudView;
pub use objects::{CloudObjects, ClusterObjects, ObjectState, ObjectStatus};
pub use orders::Ordered;
pub use permissions::Permissions;
pub use previews::{Preview, Selection};
pub use reencryption::{EncryptionView, Step as ReencryptionStep};
pub use references::Deletion;
pub use renewals::Renewals;
pub use seen::Seen;
pub use status::{CloudStatus, Overall};
pub use watch::{News, Watch, WatchEvent, WatchPosition};

use memo::Memo;

use crate::{
    clock::{Clock, Entropy},
    credential::{CredentialMaker, KeyAlgorithm},
    error::Error,
    fault::Faults,
    gateway::ClusterGateway,
    model::{Policy, StoreOwner, Uid},
    name::{LogicalCloudName, ProjectName},
    secret::Sealer,
    store::{Key, Revision, Store},
    sync::Synchronizer,
};

/// What the use cases stand on.
#[derive(Clone, Debug)]
pub struct Ports {
    /// Where documents are kept.
    pub store: Arc<dyn Store>,
    /// What encrypts secrets before they are stored.
    pub sealer: Arc<dyn Sealer>,
    /// What makes users' keys.
    pub credentials: Arc<dyn CredentialMaker>,
    /// What carries work to clusters.
    pub synchronizer: Arc<dyn Synchronizer>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Chance.
    pub entropy: Arc<dyn Entropy>,
    /// Who is told that an order waits.
    pub wake: Arc<dyn Wake>,
}

impl Ports {
    fn base(&self, owner: StoreOwner) -> Base<'_> {
        Base { store: &*self.store, sealer: &*self.sealer, clock: &*self.clock, entropy: &*self.entropy, owner }
    }
}

/// What everybody stands on who keeps sealed documents in a store.
#[derive(Clone, Copy)]
struct Base<'a> {
    store: &'a dyn Store,
    sealer: &'a dyn Sealer,
    clock: &'a dyn Clock,
    entropy: &'a dyn Entropy,
    /// Whose the store is.
    owner: StoreOwner,
}

/// Told whenever an order for a logical cloud is in the store.
///
/// A hint only: what is not told is found in the store.
pub trait Wake: Send + Sync + fmt::Debug {
    /// An order waits under this key.
    fn wake(&self, order: &Key);
}

/// A [`Wake`] that tells nobody: for a service that only takes orders, and for tests.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoWake;

impl Wake for NoWake {
    fn wake(&self, _: &Key) {}
}

/// How the use cases behave.
#[derive(Clone, Debug)]
pub struct Settings {
    /// What the operator allows.
    pub policy: Policy,
    /// The kind of users' keys.
    pub key_algorithm: KeyAlgorithm,
    /// How long users' certificates live.
    pub credential_lifetime: Duration,
    /// How long a cluster must have been away before a reference to it can be deleted by force.
    pub force_after: Duration,
    /// How long a cluster may take to become as ordered before the order counts as failed. It is tried
    /// further all the same.
    pub deadline: Duration,
    /// The first pause after a failed attempt; it doubles from there.
    pub first_retry: Duration,
    /// The longest pause between two attempts.
    pub longest_retry: Duration,
    /// What is done about what others changed on clusters.
    pub drift: DriftPolicy,
    /// Whose the store is: a process that only serves a CA has no logical clouds.
    pub owner: StoreOwner,
}

/// What is done about what others changed, made or deleted of what is ours on clusters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DriftPolicy {
    /// It is brought back, and the status says so.
    #[default]
    Repair,
    /// The status says so, and nothing is done about it before the next apply.
    Report,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            policy: Policy::default(),
            key_algorithm: KeyAlgorithm::default(),
            credential_lifetime: Duration::from_secs(90 * 24 * 3600),
            force_after: Duration::from_secs(600),
            deadline: Duration::from_secs(600),
            first_retry: Duration::from_millis(500),
            longest_retry: Duration::from_secs(60),
            drift: DriftPolicy::default(),
            owner: StoreOwner::default(),
        }
    }
}

/// DCM: every use case is a method of it.
///
/// Cheap to clone; all clones are the same DCM.
#[derive(Clone, Debug)]
pub struct Dcm {
    ports: Ports,
    /// Who asks the clusters what a client waits for; `None` where that is the synchronizer.
    gateway: Option<Arc<dyn ClusterGateway>>,
    settings: Arc<Settings>,
    installation: Uid,
    looks: Arc<children::Looks>,
    project_uids: Arc<Memo<Uid>>,
    views: Arc<Memo<Arc<LogicalCloudView>>>,
    shared: Arc<watch::SharedViews>,
    /// In whose name this process carries out orders that it does not share: a call that was dropped left its claims to the next one.
    alone: Claimant,
}

/// Names a logical cloud.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CloudId {
    /// Its project.
    pub project: ProjectName,
    /// Its name.
    pub name: LogicalCloudName,
}

/// An input together with what an edge found wrong with its shape.
#[derive(Clone, Debug, Default)]
pub struct Draft<T> {
    /// What could be read.
    pub input: T,
    /// What could not.
    pub faults: Faults,
}

impl<T> From<T> for Draft<T> {
    fn from(input: T) -> Self {
        Self { input, faults: Faults::new() }
    }
}

impl<T> Draft<T> {
    /// Runs a check; its faults come on top of those that were found before.
    fn check<U>(self, check: impl FnOnce(T, &mut Faults) -> Option<U>) -> Result<U, Error> {
        let mut faults = self.faults;
        let checked = check(self.input, &mut faults);
        faults.into_result()?;
        checked.ok_or_else(|| {
            let mut faults = Faults::new();
            faults.add("", "the request could not be read");
            Error::Invalid(faults)
        })
    }
}

/// The state that a caller expects a record to be in (`If-Match`); `None` where any will do.
pub type Expected<'a> = Option<&'a Revision>;

impl Dcm {
    /// Opens DCM on its ports: reads, or makes, the installation's id, and records that the current encryption key
    /// may be in use from here on.
    ///
    /// # Errors
    /// [`Error::Store`]; [`Error::Secret`] where an encryption key is missing that stored documents may need;
    /// [`Error::OtherOwner`] where the store is another one's than [`Settings::owner`] says.
    pub async fn open(ports: Ports, settings: Settings) -> Result<Self, Error> {
        let installation = installation::read_or_make(&ports.base(settings.owner)).await?;
        let alone = Claimant::alone(Uid::from_random(ports.entropy.bytes()));
        Ok(Self {
            alone,
            ports,
            gateway: None,
            settings: Arc::new(settings),
            installation,
            looks: Arc::default(),
            project_uids: Arc::default(),
            views: Arc::default(),
            shared: Arc::default(),
        })
    }

    /// The id that marks on clusters what this installation made.
    #[must_use]
    pub const fn installation(&self) -> &Uid {
        &self.installation
    }

    /// The settings in force.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Checks that requests can be served.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn ready(&self) -> Result<(), Error> {
        Ok(self.store().ready().await?)
    }

    /// How long it is until a time; nothing where it has passed, and at most the longest pause between two
    /// attempts, so that a clock that jumps back holds nothing up.
    #[must_use]
    pub fn time_until(&self, at: Timestamp) -> Duration {
        let until = Duration::try_from(at.duration_since(self.now())).unwrap_or(Duration::ZERO);
        until.min(self.settings.longest_retry)
    }

    fn base(&self) -> Base<'_> {
        self.ports.base(self.settings.owner)
    }

    fn store(&self) -> &dyn Store {
        &*self.ports.store
    }

    fn policy(&self) -> &Policy {
        &self.settings.policy
    }

    fn now(&self) -> Timestamp {
        self.ports.clock.now()
    }

    fn new_uid(&self) -> Uid {
        Uid::from_random(self.ports.entropy.bytes())
    }
}
