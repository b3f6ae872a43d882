use dcm_core::model::permission_warnings;
use dcm_proto::v1 as pb;

use super::{
    Answer, App, Reply,
    convert::permission::{input, told},
    names::{cloud, name},
    page::{cut, fitting, page},
};
use crate::http::Conditions;

pub(super) async fn create(
    app: App,
    asked: pb::CreateUserPermissionRequest,
) -> Answer<pb::CreateUserPermissionResponse> {
    let id = cloud(&asked.project, &asked.logical_cloud)?;
    let (made, revision) = app.dcm.create_permission(&id, input(asked.user_permission).into()).await?;
    let message = pb::CreateUserPermissionResponse { user_permission: Some(told(&made, Some(&revision))) };
    Ok(Reply::new(message).warnings(permission_warnings(&made)))
}

pub(super) async fn read(app: App, asked: pb::GetUserPermissionRequest) -> Answer<pb::GetUserPermissionResponse> {
    let id = cloud(&asked.project, &asked.logical_cloud)?;
    let conditions = Conditions::of_texts(&asked.if_match, &asked.if_none_match)?;
    let (found, revision) = app.dcm.permission(&id, &name("name", &asked.name)?).await?;
    let not_modified = conditions.has(&revision)?;
    let user_permission = (!not_modified).then(|| told(&found, Some(&revision)));
    Ok(Reply::new(pb::GetUserPermissionResponse { user_permission, not_modified }))
}

pub(super) async fn list(app: App, asked: pb::ListUserPermissionsRequest) -> Answer<pb::ListUserPermissionsResponse> {
    let id = cloud(&asked.project, &asked.logical_cloud)?;
    let page = page(asked.page_size, &asked.page_token)?;
    let (all, revision) = app.dcm.permissions(&id).await?;
    let (found, next) = cut(all, &page, |permission| permission.name.as_str());
    let told = found.iter().map(|permission| told(permission, Some(&revision)));
    let (user_permissions, next_page_token) = fitting(told, next);
    Ok(Reply::new(pb::ListUserPermissionsResponse { user_permissions, next_page_token }))
}

pub(super) async fn update(
    app: App,
    asked: pb::UpdateUserPermissionRequest,
) -> Answer<pb::UpdateUserPermissionResponse> {
    let id = cloud(&asked.project, &asked.logical_cloud)?;
    let (dcm, name) = (&app.dcm, name("name", &asked.name)?);
    let conditions = Conditions::of_texts(&asked.if_match, &asked.if_none_match)?;
    let expected = conditions.expected(async || Ok(dcm.permission(&id, &name).await?.1)).await?;
    let draft = input(asked.user_permission).into();
    let (made, revision) = dcm.update_permission(&id, &name, draft, expected.as_ref()).await?;
    let message = pb::UpdateUserPermissionResponse { user_permission: Some(told(&made, Some(&revision))) };
    Ok(Reply::new(message).warnings(permission_warnings(&made)))
}

pub(super) async fn delete(
    app: App,
    asked: pb::DeleteUserPermissionRequest,
) -> Answer<pb::DeleteUserPermissionResponse> {
    let id = cloud(&asked.project, &asked.logical_cloud)?;
    let (dcm, name) = (&app.dcm, name("name", &asked.name)?);
    let conditions = Conditions::of_texts(&asked.if_match, &asked.if_none_match)?;
    let expected = conditions.expected(async || Ok(dcm.permission(&id, &name).await?.1)).await?;
    dcm.delete_permission(&id, &name, expected.as_ref()).await?;
    Ok(Reply::new(pb::DeleteUserPermissionResponse {}))
}
