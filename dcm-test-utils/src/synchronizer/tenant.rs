use std::collections::BTreeMap;

use dcm_core::{
    model::{
        AdoptionPolicy, Applied, DeletePolicy, Level, LogicalCloudSpec, MeshMode, PermissionScope, Uid, User,
        UserPermission, UserType,
    },
    name::{LogicalCloudName, Namespace, PermissionName, ProjectName, QuotaName, UserName},
    sync::{Change, Comparison, CutOff, Desired, InventoryItem, Owner, Part, PartState, Removal, Report},
    tenancy::{Identity, Tenancy},
};

use super::Bed;

/// A logical cloud on one cluster, made by DCM's own rules, with what the worker would record of it.
#[derive(Clone, Debug)]
pub struct Tenant {
    /// What was applied.
    pub applied: Applied,
    /// What was recorded of the cluster.
    pub inventory: Vec<InventoryItem>,
    /// Whether to go on against an older store.
    pub force: bool,
    installation: Uid,
}

/// Bytes that no other test has.
fn random() -> [u8; 16] {
    fastrand::u128(..).to_be_bytes()
}

fn permission(name: &str) -> UserPermission {
    UserPermission {
        name: PermissionName::new(name).expect("a name"),
        api_groups: vec![String::new()],
        resources: vec!["configmaps".to_owned()],
        verbs: vec!["get".to_owned(), "list".to_owned()],
        resource_names: Vec::new(),
        scope: PermissionScope::Own,
    }
}

impl Tenant {
    /// With two permissions and a quota, in a namespace of its own.
    #[must_use]
    pub fn new() -> Self {
        Self::inside(&format!("ns-{:016x}", fastrand::u64(..)))
    }

    /// The same in a given namespace.
    ///
    /// # Panics
    /// Where that is none.
    #[must_use]
    pub fn inside(namespace: &str) -> Self {
        let user = User {
            user_name: UserName::new("user-1").expect("a name"),
            user_type: UserType::Certificate,
            permissions: vec![permission("p-1"), permission("p-2")],
        };
        let limits = BTreeMap::from([("pods".to_owned(), "5".to_owned())]);
        let applied = Applied {
            cloud: Uid::from_random(random()),
            project: ProjectName::new("p").expect("a name"),
            name: LogicalCloudName::new("lc").expect("a name"),
            generation: 3,
            spec: LogicalCloudSpec {
                namespace: Some(Namespace::new(namespace).expect("a namespace")),
                level: Level::Standard,
                user: Some(user),
                labels: BTreeMap::from([("team".to_owned(), "finance".to_owned())]),
                mesh: MeshMode::None,
                trust_domain: None,
                adoption_policy: AdoptionPolicy::Never,
                delete_policy: DeletePolicy::Delete,
            },
            quotas: BTreeMap::from([(QuotaName::new("quota-1").expect("a name"), limits)]),
            credential_epoch: 0,
            pages: 1,
            snapshot: None,
        };
        Self { applied, inventory: Vec::new(), force: false, installation: Uid::from_random(random()) }
    }

    /// Its namespace.
    ///
    /// # Panics
    /// Where it has none.
    #[must_use]
    pub fn namespace(&self) -> &Namespace {
        self.applied.spec.namespace.as_ref().expect("a namespace")
    }

    pub(super) fn user(&mut self) -> &mut User {
        self.applied.spec.user.as_mut().expect("a user")
    }

    fn tenancy(&self) -> Tenancy<'_> {
        Tenancy { applied: &self.applied, installation: &self.installation }
    }

    pub(super) fn identity(&self) -> Identity {
        self.tenancy().identity(self.applied.spec.user.as_ref().expect("a user"))
    }

    fn owner(&self) -> Owner {
        Owner {
            store_id: self.installation.to_string(),
            cloud: self.applied.cloud.clone(),
            generation: self.applied.generation,
            history: Vec::new(),
        }
    }

    pub(super) fn desired(&self) -> Desired {
        Desired {
            owner: self.owner(),
            namespace: self.applied.spec.namespace.clone(),
            objects: self.tenancy().objects(),
            inventory: self.inventory.clone(),
            adoption: self.applied.adoption(),
            force: self.force,
        }
    }

    pub(super) fn removal(&self) -> Removal {
        Removal {
            owner: self.owner(),
            namespace: self.applied.spec.namespace.clone(),
            inventory: self.inventory.clone(),
            delete: self.applied.deletion(),
            force: self.force,
        }
    }

    /// Records what is about to be made, as the worker does before each apply.
    pub(super) fn plan(&mut self) {
        for object in self.tenancy().objects() {
            if !self.inventory.iter().any(|item| item.id == object.id) {
                self.inventory.push(InventoryItem { id: object.id, uid: None, adopted: false });
            }
        }
    }

    /// Plans, applies, and records what the report says.
    pub async fn apply(&mut self, bed: &Bed) -> Report {
        self.plan();
        let report = bed.synchronizer.apply(&bed.access, &self.desired()).await;
        self.inventory.clone_from(&report.inventory);
        report
    }

    /// Applies, which must work.
    ///
    /// # Panics
    /// Where it does not.
    pub async fn made(&mut self, bed: &Bed) -> Report {
        let report = self.apply(bed).await;
        assert_eq!(report.failure, None);
        for (part, state) in &report.parts {
            assert_eq!(*state, PartState::Created, "{part:?}");
        }
        let wanted = [Part::Namespace, Part::Role, Part::RoleBinding, Part::Quota];
        assert_eq!(report.parts.keys().copied().collect::<Vec<_>>(), wanted, "each part is reported");
        report
    }

    /// Removes, and records what the report says.
    pub async fn remove(&mut self, bed: &Bed) -> Report {
        let report = bed.synchronizer.remove(&bed.access, &self.removal()).await;
        self.inventory.clone_from(&report.inventory);
        report
    }

    /// Removes, which must work.
    ///
    /// # Panics
    /// Where it does not.
    pub async fn removed(&mut self, bed: &Bed) {
        let report = self.remove(bed).await;
        assert_eq!((report.failure, report.inventory), (None, Vec::new()));
        assert!(report.parts.values().all(|state| *state == PartState::Deleted), "{:?}", report.parts);
    }

    pub(super) async fn compared(&self, bed: &Bed) -> Comparison {
        bed.synchronizer.compare(&bed.access, &self.desired()).await.expect("a comparison")
    }

    /// What an apply would change now.
    pub(super) async fn differences(&self, bed: &Bed) -> Vec<Change> {
        let comparison = self.compared(bed).await;
        assert_eq!(comparison.failure, None);
        sorted(comparison.differences.into_iter().map(|difference| difference.change).collect())
    }

    /// Cuts everybody off but the user as he is now.
    pub(super) async fn cut_off_others(&self, bed: &Bed) {
        let cut = CutOff {
            owner: self.owner(),
            namespace: self.namespace().clone(),
            inventory: self.inventory.clone(),
            keep: self.identity(),
        };
        bed.synchronizer.cut_off(&bed.access, &cut).await.expect("everybody else is cut off");
    }
}

impl Default for Tenant {
    fn default() -> Self {
        Self::new()
    }
}

/// In an order of their own.
pub(super) fn sorted(mut changes: Vec<Change>) -> Vec<Change> {
    changes.sort_by(|a, b| a.id.cmp(&b.id));
    changes
}
