//! The CA that is built in: roots and intermediates in a store, signed by a [`CaSigner`].

mod forget;
mod issue;
mod roots;

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;

use super::{Base, installation};
use crate::{
    ca::{
        self, Bundle, CaProvider, CaSigner, Generation, Intermediate, IntermediateRequest, KeyAlgorithm, Revoked,
        Rotation,
    },
    clock::{Clock, Entropy},
    error::Error,
    model::{StoreOwner, Uid},
    name::ClusterIdentity,
    secret::Sealer,
    store::Store,
};

/// How often a document is tried that others write at the same time.
const ATTEMPTS: usize = 16;

/// What the built-in CA stands on.
#[derive(Clone, Debug)]
pub struct CaPorts {
    /// Where its documents are kept: DCM's store, or one of its own.
    pub store: Arc<dyn Store>,
    /// What encrypts the roots' keys before they are stored.
    pub sealer: Arc<dyn Sealer>,
    /// What makes keys and signs.
    pub signer: Arc<dyn CaSigner>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Chance.
    pub entropy: Arc<dyn Entropy>,
}

/// How the built-in CA behaves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CaSettings {
    /// The kind of the roots' keys.
    pub algorithm: KeyAlgorithm,
    /// How long roots live.
    pub root_lifetime: Duration,
    /// How long intermediates live; their root's end is theirs, too.
    pub intermediate_lifetime: Duration,
    /// Whose the store is: DCM's, or the CA's own.
    pub owner: StoreOwner,
}

impl Default for CaSettings {
    fn default() -> Self {
        const DAY: u64 = 24 * 3600;
        Self {
            algorithm: KeyAlgorithm::default(),
            root_lifetime: Duration::from_secs(3652 * DAY),
            intermediate_lifetime: Duration::from_secs(90 * DAY),
            owner: StoreOwner::default(),
        }
    }
}

/// The CA that is built in.
///
/// Cheap to clone. Any number of them, in any number of processes, serve from one store.
///
/// # Guarantees
/// All that [`CaProvider`] promises. What is answered was recorded before; a crash loses at most a certificate that nobody was
/// told of, and the repeat gets the recorded one. Roots' keys are sealed before the store sees them. A key is certified for one
/// generation of a cluster only; where two were asked for at one moment, revoking one takes the other along.
///
/// # Caveats
/// A logical cloud that is forgotten leaves one small document. Its roots' keys, sealed as they were, may lie for a while in what the
/// store has not overwritten yet, and in exports.
///
/// Peers are not told of a revocation (there are no revocation lists yet): they trust what was revoked until it runs out or its
/// root is retired, as [`Revoked::trusted_until`] says.
#[derive(Clone, Debug)]
pub struct BuiltInCa {
    ports: CaPorts,
    settings: Arc<CaSettings>,
}

impl BuiltInCa {
    /// Opens the CA on its ports, and records that the current encryption key may be in use from here on.
    ///
    /// # Errors
    /// [`Error::Store`]; [`Error::Secret`] where an encryption key is missing that stored documents may need;
    /// [`Error::Unfinished`] where an import was not finished; [`Error::OtherOwner`] where the store is another one's than
    /// [`CaSettings::owner`] says.
    pub async fn open(ports: CaPorts, settings: CaSettings) -> Result<Self, Error> {
        let ca = Self { ports, settings: Arc::new(settings) };
        installation::read_or_make(&ca.base()).await?;
        Ok(ca)
    }

    /// Checks that requests can be served.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn ready(&self) -> Result<(), Error> {
        Ok(self.ports.store.ready().await?)
    }

    pub(super) fn base(&self) -> Base<'_> {
        let CaPorts { store, sealer, clock, entropy, .. } = &self.ports;
        Base { store: &**store, sealer: &**sealer, clock: &**clock, entropy: &**entropy, owner: self.settings.owner }
    }

    fn store(&self) -> &dyn Store {
        &*self.ports.store
    }
}

#[async_trait]
impl CaProvider for BuiltInCa {
    async fn issue_intermediate(&self, request: &IntermediateRequest) -> Result<Intermediate, ca::Error> {
        self.issue(request).await
    }

    async fn bundle(&self, cloud: &Uid) -> Result<Bundle, ca::Error> {
        Ok(self.authority(cloud).await?.value.bundle())
    }

    async fn rotate(&self, cloud: &Uid, step: Rotation) -> Result<Bundle, ca::Error> {
        self.take_step(cloud, step).await
    }

    async fn revoke(
        &self,
        cloud: &Uid,
        cluster: &ClusterIdentity,
        generation: Generation,
    ) -> Result<Revoked, ca::Error> {
        self.revoke_intermediate(cloud, cluster, generation).await
    }

    async fn forget(&self, cloud: &Uid) -> Result<(), ca::Error> {
        self.forget_cloud(cloud).await
    }
}
