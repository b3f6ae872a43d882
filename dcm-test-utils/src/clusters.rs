//! Clusters as a fake: they keep what they are given, and can be told to fail.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use dcm_core::{
    model::{DeletePolicy, Uid},
    secret::Secret,
    sync::{
        CertificateRequest, Change, ChangeKind, ClusterAccess, Comparison, CutOff, Desired, Difference, Endpoint,
        Facts, Failure, Grant, InventoryItem, IssuedToken, ObjectId, Owner, Part, PartState, Reason, Removal, Report,
        Synchronizer, TokenRequest,
    },
    tenancy::marks,
};
use jiff::Timestamp;
use serde_json::Value;

use crate::ports::{FAKE_CERTIFICATE, FAKE_LIFETIME, FAKE_REQUEST, start};

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
    /// A kind of object that it refuses, and why.
    pub refuses: Option<(String, Reason)>,
    /// What it says, when asked, that still gives a user access.
    pub grants: Vec<Grant>,
    /// What its clock says; `None` where it does not say.
    pub clock: Option<Timestamp>,
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
            refuses: None,
            grants: Vec::new(),
            clock: None,
            calls: 0,
            next_uid: 0,
        }
    }

    /// Why a store that is older than the cluster is not followed.
    fn is_ahead_of(&self, owner: &Owner, force: bool) -> Option<Failure> {
        let carried = |manifest: &Value| manifest["metadata"]["annotations"][marks::GENERATION].as_str()?.parse().ok();
        let ours = self.objects.values().filter(|(cloud, ..)| *cloud == owner.cloud);
        let carried: Option<u64> = ours.filter_map(|(.., manifest)| carried(manifest)).max();
        let ahead = !force && carried.is_some_and(|carried| carried > owner.generation);
        ahead.then(|| Failure::new(Reason::StoreOlderThanCluster, "the store is older than the cluster"))
    }

    fn apply(&mut self, desired: &Desired) -> Report {
        if let Some(failure) = self.is_ahead_of(&desired.owner, desired.force) {
            return Report { inventory: desired.inventory.clone(), failure: Some(failure), ..Report::default() };
        }
        let cloud = &desired.owner.cloud;
        let mut report = Report { changes: self.changes(desired), ..Report::default() };
        self.objects.retain(|id, (owner, ..)| owner != cloud || desired.objects.iter().any(|object| object.id == *id));
        for object in &desired.objects {
            if let Some((_, reason)) = self.refuses.as_ref().filter(|(kind, _)| *kind == object.id.kind) {
                let failure = Failure::new(*reason, format!("{} is refused", object.id));
                report.parts.insert(object.part, failure.as_state());
                report.failure = Some(failure);
                continue;
            }
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

impl FakeCluster {
    /// What an apply would touch.
    fn changes(&self, desired: &Desired) -> Vec<Change> {
        let change = |id: &ObjectId, change| Change { id: id.clone(), change };
        let mut changes = Vec::new();
        for object in &desired.objects {
            match self.objects.get(&object.id) {
                None => changes.push(change(&object.id, ChangeKind::Create)),
                Some((.., held)) if *held != object.manifest => changes.push(change(&object.id, ChangeKind::Update)),
                Some(_) => {}
            }
        }
        let wanted = |id: &ObjectId| desired.objects.iter().any(|object| object.id == *id);
        let unwanted = self.objects.iter().filter(|(id, held)| held.0 == desired.owner.cloud && !wanted(id));
        changes.extend(unwanted.map(|(id, _)| change(id, ChangeKind::Delete)));
        changes
    }

    fn remove(&mut self, removal: &Removal) -> Report {
        if let Some(failure) = self.is_ahead_of(&removal.owner, removal.force) {
            return Report { inventory: removal.inventory.clone(), failure: Some(failure), ..Report::default() };
        }
        let nobody = Uid::from_random([0; 16]);
        self.objects.retain(|id, (owner, ..)| {
            let goes = *owner == removal.owner.cloud;
            if goes && removal.delete == DeletePolicy::Keep && id.kind == "Namespace" {
                *owner = nobody.clone();
                return true;
            }
            !goes
        });
        Report { parts: Part::ALL.map(|part| (part, PartState::Deleted)).into(), ..Report::default() }
    }

    fn cut_off(&mut self, cut: &CutOff) -> Result<Vec<Grant>, Failure> {
        if let Some(failure) = self.is_ahead_of(&cut.owner, false) {
            return Err(failure);
        }
        let name = cut.keep.name();
        self.objects.retain(|id, (owner, _, manifest)| {
            let stays = match id.kind.as_str() {
                "RoleBinding" | "ClusterRoleBinding" => manifest["subjects"][0]["name"] == name,
                "ServiceAccount" => id.name == name,
                _ => true,
            };
            *owner != cut.owner.cloud || stays
        });
        Ok(self.grants.clone())
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
            clock: cluster.clock,
        })
    }

    async fn capabilities(&self, access: &ClusterAccess) -> Result<BTreeMap<String, Vec<String>>, Failure> {
        self.called(access, |_| BTreeMap::from([("core".to_owned(), Vec::new())]))
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

    async fn token(&self, access: &ClusterAccess, request: &TokenRequest) -> Result<IssuedToken, Failure> {
        self.called(access, |cluster| {
            let account =
                cluster.objects.iter().find(|(id, _)| id.kind == "ServiceAccount" && id.name == request.account);
            let (_, (_, uid, _)) = account.ok_or_else(|| Failure::new(Reason::Conflict, "no such ServiceAccount"))?;
            Ok(IssuedToken {
                token: Secret::new(format!("fake token of {}", request.account)),
                account_uid: uid.clone(),
                issued_at: start(),
                expires_at: start().checked_add(FAKE_LIFETIME).unwrap_or(start()),
            })
        })?
    }

    async fn compare(&self, access: &ClusterAccess, desired: &Desired) -> Result<Comparison, Failure> {
        self.called(access, |cluster| {
            let difference = |change| Difference { change, fields: Vec::new(), checked: true, refusal: None };
            let differences = cluster.changes(desired).into_iter().map(difference).collect();
            // It comes no further than a namespace that is refused.
            let refused = cluster.refuses.as_ref().filter(|(kind, _)| kind == "Namespace");
            let failure = refused.map(|(_, reason)| Failure::new(*reason, "the namespace is refused"));
            Comparison { differences, failure, ..Comparison::default() }
        })
    }

    async fn cut_off(&self, access: &ClusterAccess, cut: &CutOff) -> Result<Vec<Grant>, Failure> {
        self.called(access, |cluster| cluster.cut_off(cut))?
    }

    async fn remove(&self, access: &ClusterAccess, removal: &Removal) -> Report {
        let failed =
            |failure| Report { inventory: removal.inventory.clone(), failure: Some(failure), ..Report::default() };
        self.called(access, |cluster| cluster.remove(removal)).unwrap_or_else(failed)
    }
}
