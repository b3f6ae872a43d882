use dcm_core::{
    error::Error,
    model::{LogicalCloud, permission_warnings},
    service::{CloudId, Deletion},
};
use dcm_proto::v1 as pb;

use super::{
    Answer, App, Reply,
    convert::{
        logical_cloud::{input, told},
        order::accepted,
    },
    names::name,
    page::{fitting, page, selector},
};
use crate::http::{Conditions, Problem};

pub(super) async fn create(app: App, asked: pb::CreateLogicalCloudRequest) -> Answer<pb::CreateLogicalCloudResponse> {
    let project = name("project", &asked.project)?;
    let made = app.dcm.create_logical_cloud(&project, input(asked.logical_cloud).into()).await?;
    let message = pb::CreateLogicalCloudResponse { logical_cloud: Some(told(&made)) };
    Ok(Reply::new(message).warnings(warnings(&made.cloud)))
}

pub(super) async fn read(app: App, asked: pb::GetLogicalCloudRequest) -> Answer<pb::GetLogicalCloudResponse> {
    let conditions = Conditions::of_texts(&asked.if_match, &asked.if_none_match)?;
    let found = app.dcm.logical_cloud(&id(&asked.project, &asked.name)?).await?;
    let not_modified = conditions.has(&found.revision)?;
    let logical_cloud = (!not_modified).then(|| told(&found));
    Ok(Reply::new(pb::GetLogicalCloudResponse { logical_cloud, not_modified }))
}

pub(super) async fn list(app: App, asked: pb::ListLogicalCloudsRequest) -> Answer<pb::ListLogicalCloudsResponse> {
    let project = name("project", &asked.project)?;
    let (page, selector) = (page(asked.page_size, &asked.page_token)?, selector(&asked.label_selector)?);
    let found = app.dcm.logical_clouds(&project, &selector, &page).await?;
    let (logical_clouds, next_page_token) = fitting(found.entries.iter().map(told), found.next);
    Ok(Reply::new(pb::ListLogicalCloudsResponse { logical_clouds, next_page_token }))
}

pub(super) async fn update(app: App, asked: pb::UpdateLogicalCloudRequest) -> Answer<pb::UpdateLogicalCloudResponse> {
    let (dcm, id) = (&app.dcm, id(&asked.project, &asked.name)?);
    let conditions = Conditions::of_texts(&asked.if_match, &asked.if_none_match)?;
    let expected = conditions.expected(async || Ok(dcm.logical_cloud(&id).await?.revision.clone())).await?;
    let made = dcm.update_logical_cloud(&id, input(asked.logical_cloud).into(), expected.as_ref()).await?;
    let message = pb::UpdateLogicalCloudResponse { logical_cloud: Some(told(&made)) };
    Ok(Reply::new(message).warnings(warnings(&made.cloud)))
}

pub(super) async fn delete(app: App, asked: pb::DeleteLogicalCloudRequest) -> Answer<pb::DeleteLogicalCloudResponse> {
    let (dcm, id) = (&app.dcm, id(&asked.project, &asked.name)?);
    let conditions = Conditions::of_texts(&asked.if_match, &asked.if_none_match)?;
    let expected = conditions.expected(async || Ok(dcm.logical_cloud(&id).await?.revision.clone())).await?;
    let logical_cloud = match dcm.delete_logical_cloud(&id, expected.as_ref()).await? {
        Deletion::Gone => None,
        Deletion::Accepted => going(&app, &id).await?,
    };
    Ok(Reply::new(pb::DeleteLogicalCloudResponse { accepted: logical_cloud.is_some(), logical_cloud }))
}

/// What goes, where it is not gone already.
async fn going(app: &App, id: &CloudId) -> Result<Option<pb::Accepted>, Problem> {
    match app.dcm.logical_cloud(id).await {
        Ok(view) => Ok(Some(accepted(&view.cloud))),
        Err(Error::NotFound { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn id(project: &str, cloud: &str) -> Result<CloudId, Problem> {
    Ok(CloudId { project: name("project", project)?, name: name("name", cloud)? })
}

fn warnings(cloud: &LogicalCloud) -> impl Iterator<Item = String> {
    cloud.spec.user.iter().flat_map(|user| &user.permissions).flat_map(permission_warnings)
}
