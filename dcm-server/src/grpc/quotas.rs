use dcm_core::model::quota_warnings;
use dcm_proto::v1 as pb;

use super::{
    Answer, App, Reply,
    convert::quota::{input, told},
    names::{cloud, name},
    page::{fitting, page},
};
use crate::http::Conditions;

pub(super) async fn create(app: App, asked: pb::CreateQuotaRequest) -> Answer<pb::CreateQuotaResponse> {
    let id = cloud(&asked.project, &asked.logical_cloud)?;
    let made = app.dcm.create_quota(&id, input(asked.quota).into()).await?;
    let message = pb::CreateQuotaResponse { quota: Some(told(&made)) };
    Ok(Reply::new(message).warnings(quota_warnings(&made.value)))
}

pub(super) async fn read(app: App, asked: pb::GetQuotaRequest) -> Answer<pb::GetQuotaResponse> {
    let id = cloud(&asked.project, &asked.logical_cloud)?;
    let conditions = Conditions::of_texts(&asked.if_match, &asked.if_none_match)?;
    let found = app.dcm.quota(&id, &name("name", &asked.name)?).await?;
    let not_modified = conditions.has(&found.revision)?;
    Ok(Reply::new(pb::GetQuotaResponse { quota: (!not_modified).then(|| told(&found)), not_modified }))
}

pub(super) async fn list(app: App, asked: pb::ListQuotasRequest) -> Answer<pb::ListQuotasResponse> {
    let id = cloud(&asked.project, &asked.logical_cloud)?;
    let found = app.dcm.quotas(&id, &page(asked.page_size, &asked.page_token)?).await?;
    let (quotas, next_page_token) = fitting(found.entries.iter().map(told), found.next);
    Ok(Reply::new(pb::ListQuotasResponse { quotas, next_page_token }))
}

pub(super) async fn update(app: App, asked: pb::UpdateQuotaRequest) -> Answer<pb::UpdateQuotaResponse> {
    let id = cloud(&asked.project, &asked.logical_cloud)?;
    let (dcm, name) = (&app.dcm, name("name", &asked.name)?);
    let conditions = Conditions::of_texts(&asked.if_match, &asked.if_none_match)?;
    let expected = conditions.expected(async || Ok(dcm.quota(&id, &name).await?.revision)).await?;
    let made = dcm.update_quota(&id, &name, input(asked.quota).into(), expected.as_ref()).await?;
    let message = pb::UpdateQuotaResponse { quota: Some(told(&made)) };
    Ok(Reply::new(message).warnings(quota_warnings(&made.value)))
}

pub(super) async fn delete(app: App, asked: pb::DeleteQuotaRequest) -> Answer<pb::DeleteQuotaResponse> {
    let id = cloud(&asked.project, &asked.logical_cloud)?;
    let (dcm, name) = (&app.dcm, name("name", &asked.name)?);
    let conditions = Conditions::of_texts(&asked.if_match, &asked.if_none_match)?;
    let expected = conditions.expected(async || Ok(dcm.quota(&id, &name).await?.revision)).await?;
    dcm.delete_quota(&id, &name, expected.as_ref()).await?;
    Ok(Reply::new(pb::DeleteQuotaResponse {}))
}
