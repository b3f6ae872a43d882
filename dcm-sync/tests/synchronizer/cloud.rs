//! A logical cloud to carry to clusters, made by DCM's own rules.

use std::{collections::BTreeMap, time::Duration};

use dcm_core::{
    model::{
        AdoptionPolicy, Applied, DeletePolicy, Level, LogicalCloudSpec, MeshMode, PermissionScope, Uid, User,
        UserPermission, UserType,
    },
    name::{LogicalCloudName, Namespace, PermissionName, ProjectName, QuotaName, UserName},
    sync::{
        Comparison, CutOff, Desired, Failure, Grant, InventoryItem, IssuedToken, Owner, Reason, Removal, Report,
        Synchronizer as _, TokenRequest,
    },
    tenancy::{Identity, Tenancy},
};
use dcm_test_utils::patience::until;

use crate::bed::{Bed, uid, unique};

pub(crate) struct Cloud {
    pub(crate) applied: Applied,
    pub(crate) installation: Uid,
    pub(crate) namespace: String,
    pub(crate) adoption: AdoptionPolicy,
    pub(crate) delete: DeletePolicy,
    pub(crate) force: bool,
    pub(crate) inventory: Vec<InventoryItem>,
}

pub(crate) fn permission(name: &str, scope: PermissionScope) -> UserPermission {
    let texts = |list: &[&str]| list.iter().map(|text| (*text).to_owned()).collect();
    UserPermission {
        name: PermissionName::new(name).unwrap(),
        api_groups: texts(&[""]),
        resources: texts(&["configmaps"]),
        verbs: texts(&["get", "list"]),
        resource_names: Vec::new(),
        scope,
    }
}

impl Cloud {
    /// With two permissions and a quota, in a namespace of its own.
    pub(crate) fn new() -> Self {
        Self::inside(&unique("cloud"))
    }

    pub(crate) fn inside(namespace: &str) -> Self {
        let user = User {
            user_name: UserName::new("user-1").unwrap(),
            user_type: UserType::Certificate,
            permissions: vec![permission("p-1", PermissionScope::Own), permission("P_2", PermissionScope::Own)],
        };
        let spec = LogicalCloudSpec {
            namespace: Some(Namespace::new(namespace).unwrap()),
            level: Level::Standard,
            user: Some(user),
            labels: BTreeMap::from([("team".to_owned(), "finance".to_owned())]),
            mesh: MeshMode::None,
            trust_domain: None,
            adoption_policy: AdoptionPolicy::Never,
            delete_policy: DeletePolicy::Delete,
        };
        let mut cloud = Self {
            applied: Applied {
                cloud: uid(),
                project: ProjectName::new("p").unwrap(),
                name: LogicalCloudName::new("lc").unwrap(),
                generation: 3,
                spec,
                quotas: BTreeMap::new(),
                credential_epoch: 0,
                pages: 1,
                snapshot: None,
            },
            installation: uid(),
            namespace: namespace.to_owned(),
            adoption: AdoptionPolicy::Never,
            delete: DeletePolicy::Delete,
            force: false,
            inventory: Vec::new(),
        };
        cloud.quota("quota-1", &[("pods", "5"), ("limits.cpu", "4")]);
        cloud
    }

    pub(crate) fn quota(&mut self, name: &str, limits: &[(&str, &str)]) {
        let limits = limits.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
        self.applied.quotas.insert(QuotaName::new(name).unwrap(), limits.collect());
    }

    pub(crate) fn permissions(&mut self) -> &mut Vec<UserPermission> {
        &mut self.applied.spec.user.as_mut().unwrap().permissions
    }

    pub(crate) fn owner(&self) -> Owner {
        Owner {
            store_id: self.installation.to_string(),
            cloud: self.applied.cloud.clone(),
            generation: self.applied.generation,
            history: self.applied.snapshot.iter().cloned().collect(),
        }
    }

    pub(crate) fn tenancy(&self) -> Tenancy<'_> {
        Tenancy { applied: &self.applied, installation: &self.installation }
    }

    pub(crate) fn common_name(&self) -> String {
        self.tenancy().common_name(self.applied.spec.user.as_ref().unwrap())
    }

    /// Makes its user one of this type.
    pub(crate) fn user_is(&mut self, user_type: UserType) {
        self.applied.spec.user.as_mut().unwrap().user_type = user_type;
    }

    pub(crate) fn identity(&self) -> Identity {
        self.tenancy().identity(self.applied.spec.user.as_ref().unwrap())
    }

    pub(crate) fn desired(&self) -> Desired {
        Desired {
            owner: self.owner(),
            namespace: self.applied.spec.namespace.clone(),
            objects: self.tenancy().objects(),
            inventory: self.inventory.clone(),
            adoption: self.adoption,
            force: self.force,
        }
    }

    pub(crate) fn removal(&self) -> Removal {
        Removal {
            owner: self.owner(),
            namespace: self.applied.spec.namespace.clone(),
            inventory: self.inventory.clone(),
            delete: self.delete,
            force: self.force,
        }
    }

    /// Applies and records what the report says, as the worker does.
    pub(crate) async fn apply(&mut self, bed: &Bed) -> Report {
        let report = bed.sync.apply(&bed.access(), &self.desired()).await;
        self.inventory.clone_from(&report.inventory);
        report
    }

    pub(crate) async fn remove(&mut self, bed: &Bed) -> Report {
        let report = bed.sync.remove(&bed.access(), &self.removal()).await;
        self.inventory.clone_from(&report.inventory);
        report
    }

    /// Applies, which must work.
    pub(crate) async fn made(&mut self, bed: &Bed) -> Report {
        let report = self.apply(bed).await;
        assert_eq!(report.failure, None);
        report
    }

    /// The same, again while a quota that was raised is in the way: a real API server takes a moment to know of it. What
    /// was changed on the way is told too.
    pub(crate) async fn made_when_there_is_room(&mut self, bed: &Bed) -> Report {
        let within = Duration::from_secs(if bed.simulated.is_some() { 0 } else { 30 });
        let mut changes = Vec::new();
        let last = until(within, "made", async || {
            let mut report = self.apply(bed).await;
            changes.append(&mut report.changes);
            let Some(failure) = report.failure.take() else { return Ok(report) };
            assert_eq!(failure.reason, Reason::QuotaExceeded, "{failure}");
            Err(failure)
        })
        .await;
        Report { changes, ..last }
    }

    pub(crate) async fn compared(&self, bed: &Bed) -> Comparison {
        bed.sync.compare(&bed.access(), &self.desired()).await.unwrap()
    }

    /// Cuts everybody off but this identity.
    pub(crate) async fn cut_off(&self, bed: &Bed, keep: Identity) -> Result<Vec<Grant>, Failure> {
        let cut = CutOff {
            owner: self.owner(),
            namespace: self.applied.spec.namespace.clone().unwrap(),
            inventory: self.inventory.clone(),
            keep,
        };
        bed.sync.cut_off(&bed.access(), &cut).await
    }

    /// Has a token issued for the user as he is now.
    pub(crate) async fn token(&self, bed: &Bed) -> Result<IssuedToken, Failure> {
        let request = TokenRequest {
            owner: self.owner(),
            namespace: self.applied.spec.namespace.clone().unwrap(),
            account: self.identity().name().to_owned(),
            lifetime: Duration::from_secs(3600),
        };
        bed.sync.token(&bed.access(), &request).await
    }

    pub(crate) fn namespace_path(&self) -> String {
        format!("/api/v1/namespaces/{}", self.namespace)
    }

    pub(crate) fn roles(&self) -> String {
        format!("/apis/rbac.authorization.k8s.io/v1/namespaces/{}/roles", self.namespace)
    }

    pub(crate) fn bindings(&self) -> String {
        format!("/apis/rbac.authorization.k8s.io/v1/namespaces/{}/rolebindings", self.namespace)
    }

    pub(crate) fn quotas(&self) -> String {
        format!("/api/v1/namespaces/{}/resourcequotas", self.namespace)
    }

    pub(crate) fn accounts(&self) -> String {
        format!("/api/v1/namespaces/{}/serviceaccounts", self.namespace)
    }

    /// The objects in the inventory, as texts.
    pub(crate) fn held(&self) -> Vec<String> {
        self.inventory.iter().map(|item| item.id.to_string()).collect()
    }
}
