//! A DCM on fakes, and inputs with sane values to begin with.

use std::{sync::Arc, time::Duration};

use dcm_core::{
    error::Error,
    lifecycle::Event,
    model::{
        ClusterInput, ClusterReferenceInput, LogicalCloudInput, MetadataInput, PermissionInput, QuotaInput, Uid,
        UserInput,
    },
    name::{LogicalCloudName, ProjectName, ProviderName},
    secret::Sealer,
    service::{Attempt, Claimant, CloudId, Conclusion, Dcm, Ports, Settings, Work},
    store::Store,
};
use serde_json::{Value, json};

use crate::{
    clusters::FakeClusters,
    ports::{CountingEntropy, FakeCredentials, ManualClock, RecordingWake, TransparentSealer},
};

/// A DCM whose every port is at hand.
#[derive(Debug)]
pub struct Fixture {
    /// The DCM.
    pub dcm: Dcm,
    /// Its clusters.
    pub clusters: Arc<FakeClusters>,
    /// Its clock.
    pub clock: Arc<ManualClock>,
    /// Its wake.
    pub wake: Arc<RecordingWake>,
    ports: Ports,
}

impl Fixture {
    /// A DCM on a store, with the default settings.
    ///
    /// # Errors
    /// The store's.
    pub async fn new(store: Arc<dyn Store>) -> Result<Self, Error> {
        Self::with_settings(store, Settings::default()).await
    }

    /// A DCM on a store.
    ///
    /// # Errors
    /// The store's.
    pub async fn with_settings(store: Arc<dyn Store>, settings: Settings) -> Result<Self, Error> {
        Self::sealing(store, Arc::new(TransparentSealer), settings).await
    }

    /// A DCM on a store, with a sealer of the test's own.
    ///
    /// # Errors
    /// The store's.
    pub async fn sealing(store: Arc<dyn Store>, sealer: Arc<dyn Sealer>, settings: Settings) -> Result<Self, Error> {
        let (clusters, clock, wake) =
            (Arc::<FakeClusters>::default(), Arc::<ManualClock>::default(), Arc::<RecordingWake>::default());
        let ports = Ports {
            store,
            sealer,
            credentials: Arc::new(FakeCredentials),
            synchronizer: Arc::clone(&clusters) as _,
            clock: Arc::clone(&clock) as _,
            entropy: Arc::new(CountingEntropy::default()),
            wake: Arc::clone(&wake) as _,
        };
        let dcm = Dcm::open(ports.clone(), settings).await?;
        dcm.ensure_default_provider().await?;
        Ok(Self { dcm, clusters, clock, wake, ports })
    }

    /// The same installation after a restart: another DCM on the same ports.
    ///
    /// # Errors
    /// The store's.
    pub async fn restarted(&self) -> Result<Dcm, Error> {
        Dcm::open(self.ports.clone(), self.dcm.settings().clone()).await
    }

    /// The same installation after a restart with other encryption keys.
    ///
    /// # Errors
    /// The store's, and those of keys that are missing.
    pub async fn restarted_with(&self, sealer: Arc<dyn Sealer>) -> Result<Dcm, Error> {
        Dcm::open(Ports { sealer, ..self.ports.clone() }, self.dcm.settings().clone()).await
    }

    /// Registers clusters with the default provider.
    ///
    /// # Errors
    /// DCM's.
    pub async fn register(&self, names: &[&str]) -> Result<(), Error> {
        let provider = provider("default");
        for name in names {
            self.dcm.create_cluster(&provider, cluster_input(name).into()).await?;
        }
        Ok(())
    }

    /// Creates a logical cloud with a user, a permission and a quota, that refers to clusters.
    ///
    /// # Errors
    /// DCM's.
    pub async fn create_cloud(&self, name: &str, namespace: &str, clusters: &[&str]) -> Result<CloudId, Error> {
        let id = cloud_id(name);
        self.dcm.create_logical_cloud(&id.project, cloud_input(name, namespace).into()).await?;
        for cluster in clusters {
            self.dcm.create_reference(&id, reference_input(cluster).into()).await?;
        }
        self.dcm.create_quota(&id, quota_input("quota-1", "5").into()).await?;
        Ok(id)
    }

    /// [`Fixture::create_cloud`], applied and carried out.
    ///
    /// # Errors
    /// DCM's.
    pub async fn create_applied(&self, name: &str, namespace: &str, clusters: &[&str]) -> Result<CloudId, Error> {
        let id = self.create_cloud(name, namespace, clusters).await?;
        self.apply(&id).await?;
        self.carry_out().await?;
        Ok(id)
    }

    /// Looks for drift while a cluster is away, which comes back then.
    ///
    /// # Errors
    /// DCM's.
    pub async fn look_while_away(&self, id: &CloudId, cluster: &str) -> Result<(), Error> {
        self.clusters.set_down(cluster, true);
        self.dcm.resync(id).await?;
        self.carry_out().await?;
        self.clusters.set_down(cluster, false);
        self.clock.advance(Duration::from_secs(300));
        self.carry_out().await
    }

    /// Applies a logical cloud.
    ///
    /// # Errors
    /// DCM's.
    pub async fn apply(&self, id: &CloudId) -> Result<(), Error> {
        self.dcm.apply(id, Event::Apply, false).await.map(drop)
    }

    /// Carries out what waits, each cluster once: what a worker does, in one thread and in order.
    ///
    /// # Errors
    /// DCM's.
    pub async fn carry_out(&self) -> Result<(), Error> {
        carry_out(&self.dcm).await
    }
}

/// The only one who carries out orders.
#[must_use]
pub fn alone() -> Claimant {
    Claimant::alone(Uid::from_random([0; 16]))
}

/// Carries out what waits, each cluster once.
///
/// # Errors
/// DCM's.
pub async fn carry_out(dcm: &Dcm) -> Result<(), Error> {
    let alone = alone();
    for order in dcm.waiting_orders(None, 1000).await? {
        let Work::Cloud(work) = dcm.open_order(&order).await? else {
            continue;
        };
        let mut done = true;
        for task in dcm.tasks(&work).await? {
            done &= dcm.attempt(&work, &task, &alone).await? == Attempt::Done;
        }
        if done && dcm.conclude(&work, &alone).await? == Conclusion::Superseded {
            return Err(Error::Refused("one thread cannot be superseded".to_owned()));
        }
    }
    Ok(())
}

/// A logical cloud of the project `walmart`.
///
/// # Panics
/// Where the name is none.
#[must_use]
#[expect(clippy::expect_used, reason = "a test's own mistake")]
pub fn cloud_id(name: &str) -> CloudId {
    CloudId {
        project: ProjectName::new("walmart").expect("a project's name"),
        name: LogicalCloudName::new(name).expect("a logical cloud's name"),
    }
}

/// A provider's name.
///
/// # Panics
/// Where it is none.
#[must_use]
#[expect(clippy::expect_used, reason = "a test's own mistake")]
pub fn provider(name: &str) -> ProviderName {
    ProviderName::new(name).expect("a provider's name")
}

/// Metadata with a name.
#[must_use]
pub fn metadata(name: &str) -> MetadataInput {
    MetadataInput { name: Some(name.to_owned()), ..MetadataInput::default() }
}

/// A logical cloud with a user that may do everything with config maps.
#[must_use]
pub fn cloud_input(name: &str, namespace: &str) -> LogicalCloudInput {
    LogicalCloudInput {
        metadata: metadata(name),
        namespace: Some(namespace.to_owned()),
        user: Some(UserInput {
            user_name: Some("user-1".to_owned()),
            user_type: Some("certificate".to_owned()),
            permissions: vec![permission_input("permission-1", "configmaps")],
        }),
        ..LogicalCloudInput::default()
    }
}

/// A permission for everything with one resource of the core group.
#[must_use]
pub fn permission_input(name: &str, resource: &str) -> PermissionInput {
    PermissionInput {
        name: Some(name.to_owned()),
        api_groups: Some(vec![String::new()]),
        resources: Some(vec![resource.to_owned()]),
        verbs: Some(vec!["*".to_owned()]),
        ..PermissionInput::default()
    }
}

/// A reference of the short form.
#[must_use]
pub fn reference_input(cluster: &str) -> ClusterReferenceInput {
    ClusterReferenceInput {
        cluster_name: Some(cluster.to_owned()),
        loadbalancer_ip: Some("0.0.0.0".to_owned()),
        short: true,
        ..ClusterReferenceInput::default()
    }
}

/// A quota of pods.
#[must_use]
pub fn quota_input(name: &str, pods: &str) -> QuotaInput {
    QuotaInput { metadata: metadata(name), spec: Some([("pods".to_owned(), pods.to_owned())].into()) }
}

/// A registration with a kubeconfig that is good in form.
#[must_use]
pub fn cluster_input(name: &str) -> ClusterInput {
    ClusterInput { metadata: metadata(name), kubeconfig: Some(kubeconfig()), ..ClusterInput::default() }
}

/// A kubeconfig that is good in form and leads nowhere.
#[must_use]
pub fn kubeconfig() -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{ "name": "c", "cluster": { "server": "https://127.0.0.1:1" } }],
        "users": [{ "name": "u", "user": { "token": "not-a-real-token" } }],
        "contexts": [{ "name": "x", "context": { "cluster": "c", "user": "u" } }],
        "current-context": "x",
    })
}
