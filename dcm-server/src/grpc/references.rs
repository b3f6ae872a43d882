use dcm_core::service::Deletion;
use dcm_proto::v1 as pb;

use super::{
    Answer, App, Reply,
    convert::reference::{input, told},
    names::{cloud, name},
    page::{fitting, page},
};
use crate::http::Conditions;

pub(super) async fn create(
    app: App,
    asked: pb::CreateClusterReferenceRequest,
) -> Answer<pb::CreateClusterReferenceResponse> {
    let id = cloud(&asked.project, &asked.logical_cloud)?;
    let made = app.dcm.create_reference(&id, input(asked.cluster_reference).into()).await?;
    Ok(Reply::new(pb::CreateClusterReferenceResponse { cluster_reference: Some(told(&made)) }))
}

pub(super) async fn read(app: App, asked: pb::GetClusterReferenceRequest) -> Answer<pb::GetClusterReferenceResponse> {
    let id = cloud(&asked.project, &asked.logical_cloud)?;
    let conditions = Conditions::of_texts(&asked.if_match, &asked.if_none_match)?;
    let found = app.dcm.reference(&id, &name("name", &asked.name)?).await?;
    let not_modified = conditions.has(&found.revision)?;
    let cluster_reference = (!not_modified).then(|| told(&found));
    Ok(Reply::new(pb::GetClusterReferenceResponse { cluster_reference, not_modified }))
}

pub(super) async fn list(
    app: App,
    asked: pb::ListClusterReferencesRequest,
) -> Answer<pb::ListClusterReferencesResponse> {
    let id = cloud(&asked.project, &asked.logical_cloud)?;
    let found = app.dcm.references(&id, &page(asked.page_size, &asked.page_token)?).await?;
    let (cluster_references, next_page_token) = fitting(found.entries.iter().map(told), found.next);
    Ok(Reply::new(pb::ListClusterReferencesResponse { cluster_references, next_page_token }))
}

pub(super) async fn update(
    app: App,
    asked: pb::UpdateClusterReferenceRequest,
) -> Answer<pb::UpdateClusterReferenceResponse> {
    let id = cloud(&asked.project, &asked.logical_cloud)?;
    let (dcm, name) = (&app.dcm, name("name", &asked.name)?);
    let conditions = Conditions::of_texts(&asked.if_match, &asked.if_none_match)?;
    let expected = conditions.expected(async || Ok(dcm.reference(&id, &name).await?.revision)).await?;
    let made = dcm.update_reference(&id, &name, input(asked.cluster_reference).into(), expected.as_ref()).await?;
    Ok(Reply::new(pb::UpdateClusterReferenceResponse { cluster_reference: Some(told(&made)) }))
}

pub(super) async fn delete(
    app: App,
    asked: pb::DeleteClusterReferenceRequest,
) -> Answer<pb::DeleteClusterReferenceResponse> {
    let id = cloud(&asked.project, &asked.logical_cloud)?;
    let (dcm, name) = (&app.dcm, name("name", &asked.name)?);
    let conditions = Conditions::of_texts(&asked.if_match, &asked.if_none_match)?;
    let expected = conditions.expected(async || Ok(dcm.reference(&id, &name).await?.revision)).await?;
    let deletion = dcm.delete_reference(&id, &name, expected.as_ref(), asked.force).await?;
    Ok(Reply::new(pb::DeleteClusterReferenceResponse { accepted: deletion == Deletion::Accepted }))
}
