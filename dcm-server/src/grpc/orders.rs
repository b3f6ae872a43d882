use dcm_core::{lifecycle::Event, service::CloudId, store::Revision};
use dcm_proto::v1 as pb;

use super::{
    Answer, App, Reply,
    convert::order::{accepted, ordered, revoked},
    names::cloud,
};
use crate::http::{Conditions, Problem};

pub(super) async fn apply(app: App, asked: pb::ApplyRequest) -> Answer<pb::ApplyResponse> {
    let id = cloud(&asked.project, &asked.logical_cloud)?;
    let expected = expected(&app, &id, &asked.if_match, &asked.if_none_match).await?;
    let taken = app.dcm.seen(expected.as_ref()).apply(&id, Event::Apply, asked.force).await?;
    Ok(Reply::new(pb::ApplyResponse { ordered: Some(ordered(&taken)) }))
}

pub(super) async fn instantiate(app: App, asked: pb::InstantiateRequest) -> Answer<pb::InstantiateResponse> {
    let id = cloud(&asked.project, &asked.logical_cloud)?;
    let expected = expected(&app, &id, &asked.if_match, &asked.if_none_match).await?;
    let taken = app.dcm.seen(expected.as_ref()).apply(&id, Event::Instantiate, asked.force).await?;
    Ok(Reply::new(pb::InstantiateResponse { ordered: Some(ordered(&taken)) }))
}

pub(super) async fn update(app: App, asked: pb::UpdateRequest) -> Answer<pb::UpdateResponse> {
    let id = cloud(&asked.project, &asked.logical_cloud)?;
    let expected = expected(&app, &id, &asked.if_match, &asked.if_none_match).await?;
    let taken = app.dcm.seen(expected.as_ref()).apply(&id, Event::Update, asked.force).await?;
    Ok(Reply::new(pb::UpdateResponse { ordered: Some(ordered(&taken)) }))
}

pub(super) async fn terminate(app: App, asked: pb::TerminateRequest) -> Answer<pb::TerminateResponse> {
    let id = cloud(&asked.project, &asked.logical_cloud)?;
    let expected = expected(&app, &id, &asked.if_match, &asked.if_none_match).await?;
    let cloud = app.dcm.seen(expected.as_ref()).terminate(&id, asked.force).await?;
    Ok(Reply::new(pb::TerminateResponse { accepted: Some(accepted(&cloud)) }))
}

pub(super) async fn stop(app: App, asked: pb::StopRequest) -> Answer<pb::StopResponse> {
    let id = cloud(&asked.project, &asked.logical_cloud)?;
    let expected = expected(&app, &id, &asked.if_match, &asked.if_none_match).await?;
    let cloud = app.dcm.seen(expected.as_ref()).stop(&id).await?;
    Ok(Reply::new(pb::StopResponse { accepted: Some(accepted(&cloud)) }))
}

pub(super) async fn revoke(app: App, asked: pb::RevokeUserRequest) -> Answer<pb::RevokeUserResponse> {
    let id = cloud(&asked.project, &asked.logical_cloud)?;
    let expected = expected(&app, &id, &asked.if_match, &asked.if_none_match).await?;
    let revocation = app.dcm.seen(expected.as_ref()).revoke_user(&id).await?;
    Ok(Reply::new(revoked(&revocation)))
}

pub(super) async fn renew(app: App, asked: pb::RenewUserRequest) -> Answer<pb::RenewUserResponse> {
    let id = cloud(&asked.project, &asked.logical_cloud)?;
    let expected = expected(&app, &id, &asked.if_match, &asked.if_none_match).await?;
    let cloud = app.dcm.seen(expected.as_ref()).renew_user(&id).await?;
    Ok(Reply::new(pb::RenewUserResponse { accepted: Some(accepted(&cloud)) }))
}

/// The one state of the logical cloud that an order is for; `None` where any will do.
async fn expected(app: &App, id: &CloudId, if_match: &str, if_none_match: &str) -> Result<Option<Revision>, Problem> {
    let conditions = Conditions::of_texts(if_match, if_none_match)?;
    conditions.expected(async || Ok(app.dcm.logical_cloud(id).await?.revision.clone())).await
}
