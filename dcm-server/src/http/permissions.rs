use axum::{extract::State, response::IntoResponse as _};
use dcm_core::{
    model::{PermissionInput, permission_warnings},
    name::PermissionName,
    service::Permissions,
    store::Revision,
};
use http::StatusCode;
use serde::Serialize;

use super::{
    Answer, App,
    body::Received,
    condition::Conditions,
    dto::{PermissionAnswer, PermissionsAnswer},
    path::{Child, Cloud},
    reply::Reply,
    watch::{Asked, Shown},
};

pub(super) async fn create(State(app): State<App>, Cloud(id): Cloud, mut body: Received<PermissionInput>) -> Answer {
    let (made, revision) = app.dcm.create_permission(&id, body.draft).await?;
    body.warnings.extend(permission_warnings(&made));
    // 200 and not 201: the design says so.
    Ok(Reply::ok(&PermissionAnswer::new(&made)).revision(&revision).warnings(&body.warnings).into_response())
}

pub(super) async fn list(State(app): State<App>, Cloud(id): Cloud, asked: Asked) -> Answer {
    let listing = match asked {
        Asked::Page(listing) => listing,
        Asked::Watch(watching) => {
            let watch = app.dcm.watch_permissions(&id, watching.from()).await?;
            return watching.answer(watch);
        }
    };
    let (mut found, _) = app.dcm.permissions(&id).await?;
    if let Some(after) = &listing.page.after {
        found.retain(|permission| permission.name.as_str() > after.as_str());
    }
    let more = found.len() > listing.page.limit;
    found.truncate(listing.page.limit);
    let last = found.last().filter(|_| more).map(|permission| permission.name.as_str());
    Ok(listing.answer(&PermissionsAnswer::new(&found), found.len(), last))
}

pub(super) async fn read(State(app): State<App>, path: Child<PermissionName>, conditions: Conditions) -> Answer {
    let (found, revision) = app.dcm.permission(&path.cloud, &path.name).await?;
    conditions.of(&revision, || Reply::ok(&PermissionAnswer::new(&found)).revision(&revision).into_response())
}

pub(super) async fn update(
    State(app): State<App>,
    Child { cloud, name }: Child<PermissionName>,
    conditions: Conditions,
    mut body: Received<PermissionInput>,
) -> Answer {
    let expected = conditions.expected(async || Ok(app.dcm.permission(&cloud, &name).await?.1)).await?;
    let (made, revision) = app.dcm.update_permission(&cloud, &name, body.draft, expected.as_ref()).await?;
    body.warnings.extend(permission_warnings(&made));
    Ok(Reply::ok(&PermissionAnswer::new(&made)).revision(&revision).warnings(&body.warnings).into_response())
}

pub(super) async fn delete(
    State(app): State<App>,
    Child { cloud, name }: Child<PermissionName>,
    conditions: Conditions,
) -> Answer {
    let expected = conditions.expected(async || Ok(app.dcm.permission(&cloud, &name).await?.1)).await?;
    app.dcm.delete_permission(&cloud, &name, expected.as_ref()).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// Permissions are watched all together: they live in their logical cloud's document.
impl Shown for Permissions {
    fn revision(&self) -> Option<&Revision> {
        Some(&self.revision)
    }

    fn shown(&self) -> impl Serialize {
        PermissionsAnswer::new(&self.permissions)
    }
}
