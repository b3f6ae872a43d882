use axum::{extract::State, response::IntoResponse as _};
use dcm_core::{
    model::{PermissionInput, permission_warnings},
    name::PermissionName,
    service::{Expected, Permissions},
    store::Revision,
};
use http::StatusCode;
use serde::Serialize;
use serde_json::json;

use super::{
    Answer, App,
    api::{Api, Noun, Operation, of_cloud},
    body::Received,
    condition::Conditions,
    dto::{PermissionAnswer, PermissionBody, PermissionsAnswer},
    patch::{Patch, Present},
    path::{Child, Cloud},
    reply::Reply,
    watch::{Asked, Shown},
};

pub(super) fn routes(api: Api) -> Api {
    let permission = Noun::new(
        "UserPermission",
        "a permission of a logical cloud's user",
        "the permissions of a logical cloud's user",
    );
    let every = Operation::new("listUserPermissions", "Lists the permissions of a logical cloud's user.");
    api.tag("User permissions", "What a logical cloud's user may do on its clusters.")
        .path(of_cloud("/user-permissions"), |path| {
            path.get(
                list,
                every
                    .paged()
                    .answers::<PermissionsAnswer>(StatusCode::OK, "A page of them; there are at most 256.")
                    .watched(),
            )
            .post(
                create,
                permission
                    .create::<PermissionBody, PermissionAnswer>(StatusCode::OK)
                    .about("Flat, or with `metadata` and `spec`. Clusters get it with the next apply.")
                    .example(
                        json!({"name": "permission-1", "apiGroups": [""], "resources": ["configmaps"], "verbs": ["*"]}),
                    ),
            )
        })
        .path(of_cloud("/user-permissions/{user-permission}"), |path| {
            path.get(read, permission.read::<PermissionAnswer>())
                .put(update, permission.replace::<PermissionBody, PermissionAnswer>(StatusCode::OK))
                .patch(patch, permission.patch::<PermissionAnswer>(StatusCode::OK))
                .delete(delete, permission.delete())
        })
}

pub(super) async fn create(State(app): State<App>, Cloud(id): Cloud, mut body: Received<PermissionInput>) -> Answer {
    let (made, revision) = app.dcm.create_permission(&id, body.draft).await?;
    body.warnings.extend(permission_warnings(&made));
    // 200 and not 201: the design says so.
    Ok(Reply::ok(&PermissionAnswer::new(&made))
        .revision(&revision)
        .made(made.name.as_str())
        .warnings(&body.warnings)
        .into_response())
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
    let next = found.last().filter(|_| more).map(|permission| permission.name.as_str());
    Ok(listing.answer(&PermissionsAnswer::new(&found), next))
}

pub(super) async fn read(State(app): State<App>, path: Child<PermissionName>, conditions: Conditions) -> Answer {
    let (found, revision) = app.dcm.permission(&path.cloud, &path.name).await?;
    conditions.of(&revision, || Reply::ok(&PermissionAnswer::new(&found)).revision(&revision).into_response())
}

pub(super) async fn update(
    State(app): State<App>,
    path: Child<PermissionName>,
    conditions: Conditions,
    body: Received<PermissionInput>,
) -> Answer {
    let expected = conditions.expected(async || Ok(app.dcm.permission(&path.cloud, &path.name).await?.1)).await?;
    put(&app, &path, body, expected.as_ref()).await
}

pub(super) async fn patch(
    State(app): State<App>,
    path: Child<PermissionName>,
    conditions: Conditions,
    patch: Patch,
) -> Answer {
    let read = async || {
        let (found, revision) = app.dcm.permission(&path.cloud, &path.name).await?;
        Present::new(&PermissionAnswer::new(&found), &revision)
    };
    let write = async |body, present| put(&app, &path, body, Some(&present)).await;
    patch.carry_out(&conditions, StatusCode::OK, read, write).await
}

async fn put(
    app: &App,
    path: &Child<PermissionName>,
    mut body: Received<PermissionInput>,
    expected: Expected<'_>,
) -> Answer {
    let (made, revision) = app.dcm.update_permission(&path.cloud, &path.name, body.draft, expected).await?;
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
