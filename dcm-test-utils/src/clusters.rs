//! Clusters as a fake: they keep what they are given, and can be told to fail.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use dcm_core::{
    model::Uid,
    sync::{
        CertificateRequest, ClusterAccess, Desired, Endpoint, Facts, Failure, InventoryItem, ObjectId, Part, PartState,
        Reason, Removal, Report, Synchronizer,
    },
};
use serde_json::Value;

use crate::ports::{FAKE_CERTIFICATE, FAKE_REQUEST};

/// Clusters that are made on first use, keyed by `provider/cluster`.
#[derive(Debug, Default)]
pub struct FakeClusters(Mutex<BTreeMap<String, FakeCluster>>);

/// One fake cluster.
#[derive(Clone, Debug)]
pub struct FakeCluster {
    /// Who it says it is.
    pub identity: String,
    /// Answered by every call while set.
    pub failure: Option<Failure>,
    /// What it holds: whose, with which uid, and what.
    pub objects: BTreeMap<ObjectId, (Uid, String, Value)>,
    /// How often it was called.
    pub calls: usize,
    next_uid: u64,
}

impl FakeClusters {
    /// Looks at a cluster, or changes it.
    pub fn with<T>(&self, name: &str, look: impl FnOnce(&mut FakeCluster) -> T) -> T {
        look(self.lock().entry(name.to_owned()).or_insert_with(|| FakeCluster::new(name)))
    }

    /// Lets a cluster be away, or come back.
    pub fn set_down(&self, name: &str, down: bool) {
        let failure = Failure::new(Reason::Unreachable, "connection refused");
        self.with(name, |cluster| cluster.failure = down.then_some(failure));
    }

    /// The kinds and names of what a cluster holds.
    pub fn holds(&self, name: &str) -> Vec<String> {
        self.with(name, |cluster| cluster.objects.keys().map(ToString::to_string).collect())
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, FakeCluster>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn called<T>(&self, access: &ClusterAccess, answer: impl FnOnce(&mut FakeCluster) -> T) -> Result<T, Failure> {
        self.with(&format!("{}/{}", access.provider, access.cluster), |cluster| {
            cluster.calls += 1;
            match &cluster.failure {
                Some(failure) => Err(failure.clone()),
                None => Ok(answer(cluster)),
            }
        })
    }
}

impl FakeCluster {
    fn new(name: &str) -> Self {
        Self {
            identity: format!("identity-of-{}", name.replace('/', "-")),
            failure: None,
            objects: BTreeMap::new(),
            calls: 0,
            next_uid: 0,
        }
    }

    fn apply(&mut self, desired: &Desired) -> Report {
        let cloud = &desired.owner.cloud;
        self.objects.retain(|id, (owner, ..)| owner != cloud || desired.objects.iter().any(|object| object.id == *id));
        let mut report = Report::default();
        for object in &desired.objects {
            let next_uid = &mut self.next_uid;
            let held = self.objects.entry(object.id.clone()).or_insert_with(|| {
                *next_uid += 1;
                (cloud.clone(), format!("uid-{next_uid}"), Value::Null)
            });
            if held.0 != *cloud {
                let failure = Failure::new(Reason::NotOurs, format!("{} is not ours", object.id));
                report.parts.insert(object.part, PartState::Failed(failure.detail.clone()));
                report.failure = Some(failure);
                return report;
            }
            held.2.clone_from(&object.manifest);
            let item = InventoryItem { id: object.id.clone(), uid: Some(held.1.clone()), adopted: false };
            report.inventory.push(item);
            report.parts.insert(object.part, PartState::Created);
        }
        report
    }
}

#[async_trait]
impl Synchronizer for FakeClusters {
    async fn probe(&self, access: &ClusterAccess) -> Result<Facts, Failure> {
        self.called(access, |cluster| Facts {
            identity: cluster.identity.clone(),
            version: "v1.36.0".to_owned(),
            endpoint: Endpoint {
                server: format!("https://{}.{}.example", access.cluster, access.provider),
                ca_pem: None,
                tls_server_name: None,
            },
        })
    }

    async fn apply(&self, access: &ClusterAccess, desired: &Desired) -> Report {
        let failed =
            |failure| Report { inventory: desired.inventory.clone(), failure: Some(failure), ..Report::default() };
        self.called(access, |cluster| cluster.apply(desired)).unwrap_or_else(failed)
    }

    async fn sign(&self, access: &ClusterAccess, request: &CertificateRequest) -> Result<String, Failure> {
        self.called(access, |_| {
            let subject = request.csr_pem.strip_prefix(FAKE_REQUEST);
            format!("{FAKE_CERTIFICATE}{}", subject.unwrap_or("nobody"))
        })
    }

    async fn remove(&self, access: &ClusterAccess, removal: &Removal) -> Report {
        let removed = self.called(access, |cluster| {
            cluster.objects.retain(|_, (owner, ..)| *owner != removal.owner.cloud);
        });
        match removed {
            Ok(()) => Report { parts: Part::ALL.map(|part| (part, PartState::Deleted)).into(), ..Report::default() },
            Err(failure) => {
                Report { inventory: removal.inventory.clone(), failure: Some(failure), ..Report::default() }
            }
        }
    }
}
