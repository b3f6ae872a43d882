use dcm_core::{
    model::{PermissionInput, PermissionScope, UserPermission},
    service::Permissions,
    store::Revision,
};
use dcm_proto::v1 as pb;

use super::etag;

pub(in crate::grpc) fn input(permission: Option<pb::UserPermission>) -> PermissionInput {
    let permission = permission.unwrap_or_default();
    PermissionInput {
        name: permission.name,
        api_groups: Some(permission.api_groups),
        resources: Some(permission.resources),
        verbs: Some(permission.verbs),
        resource_names: Some(permission.resource_names),
        namespace: permission.namespace,
    }
}

/// A permission; with the state of its logical cloud where it is told alone.
pub(in crate::grpc) fn told(permission: &UserPermission, revision: Option<&Revision>) -> pb::UserPermission {
    pb::UserPermission {
        name: Some(permission.name.to_string()),
        api_groups: permission.api_groups.clone(),
        resources: permission.resources.clone(),
        verbs: permission.verbs.clone(),
        resource_names: permission.resource_names.clone(),
        namespace: match &permission.scope {
            PermissionScope::Own => None,
            PermissionScope::Namespace(namespace) => Some(namespace.to_string()),
            PermissionScope::Cluster => Some(String::new()),
        },
        etag: revision.map(etag).unwrap_or_default(),
    }
}

pub(in crate::grpc) fn all(all: &Permissions) -> pb::UserPermissions {
    let one = |permission| told(permission, Some(&all.revision));
    pb::UserPermissions { user_permissions: all.permissions.iter().map(one).collect(), etag: etag(&all.revision) }
}
