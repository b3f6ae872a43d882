use dcm_proto::v1 as pb;

use super::{
    Answer, App, Reply,
    convert::kv_pair::{draft, told},
    names::{cloud, name},
    page::{fitting, page},
};
use crate::http::Conditions;

pub(super) async fn create(app: App, asked: pb::CreateKvPairRequest) -> Answer<pb::CreateKvPairResponse> {
    let id = cloud(&asked.project, &asked.logical_cloud)?;
    let made = app.dcm.create_kv_pair(&id, draft(asked.kv_pair, app.limits.json_depth)).await?;
    Ok(Reply::new(pb::CreateKvPairResponse { kv_pair: Some(told(&made)) }))
}

pub(super) async fn read(app: App, asked: pb::GetKvPairRequest) -> Answer<pb::GetKvPairResponse> {
    let id = cloud(&asked.project, &asked.logical_cloud)?;
    let conditions = Conditions::of_texts(&asked.if_match, &asked.if_none_match)?;
    let found = app.dcm.kv_pair(&id, &name("name", &asked.name)?).await?;
    let not_modified = conditions.has(&found.revision)?;
    Ok(Reply::new(pb::GetKvPairResponse { kv_pair: (!not_modified).then(|| told(&found)), not_modified }))
}

pub(super) async fn list(app: App, asked: pb::ListKvPairsRequest) -> Answer<pb::ListKvPairsResponse> {
    let id = cloud(&asked.project, &asked.logical_cloud)?;
    let found = app.dcm.kv_pairs(&id, &page(asked.page_size, &asked.page_token)?).await?;
    let (kv_pairs, next_page_token) = fitting(found.entries.iter().map(told), found.next);
    Ok(Reply::new(pb::ListKvPairsResponse { kv_pairs, next_page_token }))
}

pub(super) async fn update(app: App, asked: pb::UpdateKvPairRequest) -> Answer<pb::UpdateKvPairResponse> {
    let id = cloud(&asked.project, &asked.logical_cloud)?;
    let (dcm, name) = (&app.dcm, name("name", &asked.name)?);
    let conditions = Conditions::of_texts(&asked.if_match, &asked.if_none_match)?;
    let expected = conditions.expected(async || Ok(dcm.kv_pair(&id, &name).await?.revision)).await?;
    let draft = draft(asked.kv_pair, app.limits.json_depth);
    let made = dcm.update_kv_pair(&id, &name, draft, expected.as_ref()).await?;
    Ok(Reply::new(pb::UpdateKvPairResponse { kv_pair: Some(told(&made)) }))
}

pub(super) async fn delete(app: App, asked: pb::DeleteKvPairRequest) -> Answer<pb::DeleteKvPairResponse> {
    let id = cloud(&asked.project, &asked.logical_cloud)?;
    let (dcm, name) = (&app.dcm, name("name", &asked.name)?);
    let conditions = Conditions::of_texts(&asked.if_match, &asked.if_none_match)?;
    let expected = conditions.expected(async || Ok(dcm.kv_pair(&id, &name).await?.revision)).await?;
    dcm.delete_kv_pair(&id, &name, expected.as_ref()).await?;
    Ok(Reply::new(pb::DeleteKvPairResponse {}))
}
