//! From a frozen logical cloud to the Kubernetes objects that one cluster should hold. Pure: no I/O, no
//! types of a Kubernetes client.
//!
//! Every object carries the marks of [`marks`]; its name follows [`identity::object_name`].

pub mod identity;
pub mod marks;

mod account;
mod namespace;
mod quota;
mod rbac;

pub use identity::Identity;

use crate::{
    model::{Applied, Uid},
    sync::Object,
};

/// On whose behalf the objects are made.
#[derive(Clone, Debug)]
pub struct Tenancy<'a> {
    /// The frozen logical cloud.
    pub applied: &'a Applied,
    /// This installation's id.
    pub installation: &'a Uid,
}

impl Tenancy<'_> {
    /// The objects of the logical cloud on any one cluster, in the order in which they are made:
    /// namespace, roles, bindings, quotas, the ServiceAccount of a user who has tokens.
    ///
    /// An admin cloud uses the clusters' own credentials and has none of them.
    #[must_use]
    pub fn objects(&self) -> Vec<Object> {
        let mut objects = Vec::new();
        let Some((namespace, user)) = self.applied.tenant() else {
            return objects;
        };
        objects.push(self.namespace(namespace));
        let identity = self.identity(user);
        let (roles, bindings): (Vec<_>, Vec<_>) =
            user.permissions.iter().map(|p| self.role_and_binding(namespace, &identity, p)).unzip();
        objects.extend(roles);
        objects.extend(bindings);
        objects.extend(self.quotas(namespace));
        if let Identity::Account(name) = &identity {
            objects.push(self.account(namespace, name, user));
        }
        objects
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::{
        model::{
            AdoptionPolicy, DeletePolicy, Level, LogicalCloudSpec, MeshMode, PermissionScope, User, UserPermission,
            UserType,
        },
        name::{LogicalCloudName, Namespace, PermissionName, ProjectName, QuotaName, UserName},
        sync::Part,
    };

    fn permission(name: &str, scope: PermissionScope) -> UserPermission {
        UserPermission {
            name: PermissionName::new(name).unwrap(),
            api_groups: vec![String::new()],
            resources: vec!["configmaps".to_owned()],
            verbs: vec!["*".to_owned()],
            resource_names: Vec::new(),
            scope,
        }
    }

    pub(super) fn applied(permissions: Vec<UserPermission>) -> Applied {
        Applied {
            cloud: Uid::from_random([7; 16]),
            project: ProjectName::new("walmart").unwrap(),
            name: LogicalCloudName::new("lc-1").unwrap(),
            generation: 3,
            spec: LogicalCloudSpec {
                namespace: Some(Namespace::new("ns-1").unwrap()),
                level: Level::Standard,
                user: Some(User {
                    user_name: UserName::new("user-1").unwrap(),
                    user_type: UserType::Certificate,
                    permissions,
                }),
                labels: BTreeMap::from([("team".to_owned(), "finance".to_owned())]),
                mesh: MeshMode::Auto,
                trust_domain: None,
                adoption_policy: AdoptionPolicy::Never,
                delete_policy: DeletePolicy::Delete,
            },
            quotas: BTreeMap::from([
                (QuotaName::new("quota-1").unwrap(), BTreeMap::from([("pods".to_owned(), "5".to_owned())])),
                (QuotaName::new("Quota_2").unwrap(), BTreeMap::from([("cpu".to_owned(), "4".to_owned())])),
            ]),
            credential_epoch: 0,
            pages: 1,
            snapshot: None,
        }
    }

    #[test]
    fn objects_come_in_the_order_in_which_they_are_made() {
        let applied = applied(vec![permission("p-1", PermissionScope::Own), permission("p-2", PermissionScope::Own)]);
        let installation = Uid::from_random([9; 16]);
        let objects = Tenancy { applied: &applied, installation: &installation }.objects();
        let parts: Vec<Part> = objects.iter().map(|o| o.part).collect();
        assert_eq!(
            parts,
            [Part::Namespace, Part::Role, Part::Role, Part::RoleBinding, Part::RoleBinding, Part::Quota, Part::Quota]
        );
        for object in &objects {
            let metadata = &object.manifest["metadata"];
            assert_eq!(metadata["name"], object.id.name.as_str());
            assert_eq!(metadata["labels"][marks::CLOUD_UID], applied.cloud.as_str());
            assert_eq!(metadata["labels"][marks::INSTALLATION], installation.as_str());
            assert_eq!(metadata["annotations"][marks::PROJECT], "walmart");
        }
        assert_eq!(objects[0].manifest["metadata"]["labels"]["team"], "finance");
        assert_eq!(objects[0].manifest["metadata"]["annotations"][marks::GENERATION], "3");
    }

    #[test]
    fn a_record_name_is_kept_in_the_own_namespace_where_it_is_valid() {
        let applied = applied(vec![permission("P_1", PermissionScope::Own)]);
        let installation = Uid::from_random([9; 16]);
        let objects = Tenancy { applied: &applied, installation: &installation }.objects();
        let names: Vec<&str> = objects.iter().map(|o| o.id.name.as_str()).collect();
        assert_eq!(names[..3], ["ns-1", "P_1", "P_1"]);
        assert!(names[3].starts_with("dcm-lc-1-quota-2-"), "{}", names[3]);
        assert_eq!(names[4], "quota-1");
    }

    #[test]
    fn a_wider_permission_is_made_where_it_holds_under_a_name_of_its_own() {
        let elsewhere = PermissionScope::Namespace(Namespace::new("shared").unwrap());
        let applied = applied(vec![permission("p-1", PermissionScope::Cluster), permission("p-2", elsewhere)]);
        let installation = Uid::from_random([9; 16]);
        let objects = Tenancy { applied: &applied, installation: &installation }.objects();
        let find = |kind: &str| objects.iter().find(|o| o.id.kind == kind).unwrap();
        let (role, binding) = (find("ClusterRole"), find("ClusterRoleBinding"));
        assert_eq!(role.id.namespace, None);
        assert!(role.id.name.starts_with("dcm-lc-1-p-1-"), "{}", role.id.name);
        assert_eq!(binding.manifest["roleRef"]["name"], role.id.name.as_str());
        assert_eq!(find("Role").id.namespace.as_deref(), Some("shared"));
        assert_ne!(find("Role").id.name, "p-2");
    }

    #[test]
    fn bindings_name_the_user_and_never_a_group() {
        let applied = applied(vec![permission("p-1", PermissionScope::Own)]);
        let installation = Uid::from_random([9; 16]);
        let objects = Tenancy { applied: &applied, installation: &installation }.objects();
        let binding = objects.iter().find(|o| o.part == Part::RoleBinding).unwrap();
        let subjects = binding.manifest["subjects"].as_array().unwrap();
        assert_eq!(subjects.len(), 1);
        assert_eq!(subjects[0]["kind"], "User");
        assert!(subjects[0]["name"].as_str().unwrap().starts_with("dcm:walmart:lc-1:user-1:"));
    }
}
