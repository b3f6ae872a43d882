use serde::Serialize;

use super::{CloudId, Dcm, Draft, Expected, Watch, WatchPosition, watch::Derived};
use crate::{
    error::Error,
    model::{LogicalCloud, PermissionInput, Uid, User, UserPermission},
    name::PermissionName,
    store::{Entry, Revision},
};

const WHAT: &str = "user permission";

/// All permissions of a logical cloud's user: they live in the logical cloud's document, and change with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Permissions {
    /// The permissions, by name.
    pub permissions: Vec<UserPermission>,
    /// The state of the logical cloud's document.
    pub revision: Revision,
}

impl Derived for Permissions {
    async fn of(dcm: &Dcm, id: &CloudId) -> Result<(Uid, Self), Error> {
        let Entry { value, revision, .. } = dcm.cloud(id).await?;
        let permissions = value.spec.user.map(|user| user.permissions).unwrap_or_default();
        Ok((value.uid, Self { permissions, revision }))
    }

    fn shown(&self) -> impl Serialize {
        &self.permissions
    }
}

impl Dcm {
    /// Adds a permission to a logical cloud's user.
    ///
    /// # Errors
    /// [`Error::Invalid`], [`Error::NotFound`], [`Error::AlreadyExists`], [`Error::Refused`] beyond the
    /// largest number.
    pub async fn create_permission(
        &self,
        id: &CloudId,
        draft: Draft<PermissionInput>,
    ) -> Result<(UserPermission, Revision), Error> {
        let permission = self.check_permission(id, None, draft).await?;
        self.change_permissions(id, None, |user| {
            match user.permissions.binary_search_by(|p| p.name.cmp(&permission.name)) {
                Ok(_) => return Err(Error::exists(WHAT, &permission.name)),
                Err(_) if user.permissions.len() >= UserPermission::MOST => {
                    return Err(Error::Refused(format!(
                        "a logical cloud has at most {} of a {WHAT}",
                        UserPermission::MOST
                    )));
                }
                Err(at) => user.permissions.insert(at, permission.clone()),
            }
            Ok(())
        })
        .await
        .map(|revision| (permission.clone(), revision))
    }

    /// Reads all permissions of a logical cloud's user, by name.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub async fn permissions(&self, id: &CloudId) -> Result<(Vec<UserPermission>, Revision), Error> {
        let Entry { value, revision, .. } = self.cloud(id).await?;
        Ok((value.spec.user.map(|user| user.permissions).unwrap_or_default(), revision))
    }

    /// Watches the permissions of a logical cloud's user: all of them are told whenever one changes.
    ///
    /// # Errors
    /// [`Error::NotFound`] (the logical cloud); [`Error::Store`]: also where the position is too old, or another list's.
    pub async fn watch_permissions(
        &self,
        id: &CloudId,
        from: Option<&WatchPosition>,
    ) -> Result<Watch<Permissions>, Error> {
        self.watch_derived(id, from, "user-permissions", |_| Ok(Vec::new())).await
    }

    /// Reads a permission.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub async fn permission(&self, id: &CloudId, name: &PermissionName) -> Result<(UserPermission, Revision), Error> {
        let (permissions, revision) = self.permissions(id).await?;
        let found = permissions.into_iter().find(|permission| permission.name == *name);
        found.map(|permission| (permission, revision)).ok_or_else(|| Error::not_found(WHAT, name))
    }

    /// Replaces a permission.
    ///
    /// # Errors
    /// [`Error::Invalid`], [`Error::NotFound`], [`Error::Changed`].
    pub async fn update_permission(
        &self,
        id: &CloudId,
        name: &PermissionName,
        draft: Draft<PermissionInput>,
        expected: Expected<'_>,
    ) -> Result<(UserPermission, Revision), Error> {
        let permission = self.check_permission(id, Some(name), draft).await?;
        self.change_permissions(id, expected, |user| {
            let found = user.permissions.iter_mut().find(|p| p.name == *name);
            *found.ok_or_else(|| Error::not_found(WHAT, name))? = permission.clone();
            Ok(())
        })
        .await
        .map(|revision| (permission.clone(), revision))
    }

    /// Takes a permission away. Clusters learn of it at the next apply.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Changed`].
    pub async fn delete_permission(
        &self,
        id: &CloudId,
        name: &PermissionName,
        expected: Expected<'_>,
    ) -> Result<(), Error> {
        self.change_permissions(id, expected, |user| {
            let before = user.permissions.len();
            user.permissions.retain(|permission| permission.name != *name);
            if user.permissions.len() == before { Err(Error::not_found(WHAT, name)) } else { Ok(()) }
        })
        .await
        .map(drop)
    }

    async fn check_permission(
        &self,
        id: &CloudId,
        known: Option<&PermissionName>,
        draft: Draft<PermissionInput>,
    ) -> Result<UserPermission, Error> {
        let cloud = self.cloud(id).await?.value;
        let own = cloud.spec.namespace.as_ref();
        draft.check(|input, faults| input.check("", "name", known, own, self.policy(), faults))
    }

    async fn change_permissions(
        &self,
        id: &CloudId,
        expected: Expected<'_>,
        mut change: impl FnMut(&mut User) -> Result<(), Error> + Send,
    ) -> Result<Revision, Error> {
        let change = |mut cloud: LogicalCloud| {
            let none = || Error::Refused("an admin cloud has no user, so it has no permissions".to_owned());
            change(cloud.spec.user.as_mut().ok_or_else(none)?)?;
            cloud.edits += 1;
            Ok(cloud)
        };
        Ok(self.change_cloud(id, expected, change).await?.revision)
    }
}
