use serde_json::{Value, json};

use super::{Identity, Tenancy, identity::object_name};
use crate::{
    model::{PermissionScope, UserPermission},
    name::Namespace,
    sync::{Object, ObjectId, Part},
};

const API: &str = "rbac.authorization.k8s.io";

impl Tenancy<'_> {
    /// The role of a permission and its binding to the user, of the same name and in the same place.
    pub(super) fn role_and_binding(
        &self,
        own: &Namespace,
        user: &Identity,
        permission: &UserPermission,
    ) -> (Object, Object) {
        let record = permission.name.as_str();
        let elsewhere = || object_name(&self.applied.name, record, &self.applied.cloud);
        // A role's name may be any path segment, so a record's name always is one.
        let (prefix, namespace, name) = match &permission.scope {
            PermissionScope::Own => ("", Some(own.as_str()), record.to_owned()),
            PermissionScope::Namespace(namespace) => ("", Some(namespace.as_str()), elsewhere()),
            PermissionScope::Cluster => ("Cluster", None, elsewhere()),
        };
        let mut rule = json!({
            "apiGroups": permission.api_groups,
            "resources": permission.resources,
            "verbs": permission.verbs,
        });
        if !permission.resource_names.is_empty() {
            rule["resourceNames"] = json!(permission.resource_names);
        }
        let object = |part: Part, kind: String, mut manifest: Value| {
            manifest["apiVersion"] = format!("{API}/v1").into();
            manifest["kind"] = kind.as_str().into();
            manifest["metadata"] = self.metadata(&name, namespace, record).into();
            let id = ObjectId {
                api_version: format!("{API}/v1"),
                kind,
                namespace: namespace.map(str::to_owned),
                name: name.clone(),
            };
            Object { part, id, manifest }
        };
        let role = object(Part::Role, format!("{prefix}Role"), json!({ "rules": [rule] }));
        let subject = match user {
            Identity::CommonName(name) => json!({ "kind": "User", "apiGroup": API, "name": name }),
            Identity::Account(name) => json!({ "kind": "ServiceAccount", "namespace": own, "name": name }),
        };
        let binding = json!({
            "subjects": [subject],
            "roleRef": { "apiGroup": API, "kind": format!("{prefix}Role"), "name": name },
        });
        (role, object(Part::RoleBinding, format!("{prefix}RoleBinding"), binding))
    }
}
