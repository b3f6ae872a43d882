use dcm_proto::v1::{self as pb, watch_cluster_kv_pairs_response::Event};

use super::{
    Answer, App, Reply,
    call::Call,
    convert::kv_pair::{draft, told},
    names::{cluster, name},
    page::{fitting, page},
    watch::{Events, Watching},
    watches::position,
};
use crate::http::Conditions;

pub(super) async fn create(app: App, asked: pb::CreateClusterKvPairRequest) -> Answer<pb::CreateClusterKvPairResponse> {
    let (provider, cluster) = cluster(&asked.cluster_provider, &asked.cluster)?;
    let draft = draft(asked.kv_pair, app.limits.json_depth);
    let made = app.dcm.create_cluster_kv_pair((&provider, &cluster), draft).await?;
    Ok(Reply::new(pb::CreateClusterKvPairResponse { kv_pair: Some(told(&made)) }))
}

pub(super) async fn read(app: App, asked: pb::GetClusterKvPairRequest) -> Answer<pb::GetClusterKvPairResponse> {
    let (provider, cluster) = cluster(&asked.cluster_provider, &asked.cluster)?;
    let conditions = Conditions::of_texts(&asked.if_match, &asked.if_none_match)?;
    let found = app.dcm.cluster_kv_pair((&provider, &cluster), &name("name", &asked.name)?).await?;
    let not_modified = conditions.has(&found.revision)?;
    Ok(Reply::new(pb::GetClusterKvPairResponse { kv_pair: (!not_modified).then(|| told(&found)), not_modified }))
}

pub(super) async fn list(app: App, asked: pb::ListClusterKvPairsRequest) -> Answer<pb::ListClusterKvPairsResponse> {
    let (provider, cluster) = cluster(&asked.cluster_provider, &asked.cluster)?;
    let page = page(asked.page_size, &asked.page_token)?;
    let found = app.dcm.cluster_kv_pairs((&provider, &cluster), &page).await?;
    let (kv_pairs, next_page_token) = fitting(found.entries.iter().map(told), found.next);
    Ok(Reply::new(pb::ListClusterKvPairsResponse { kv_pairs, next_page_token }))
}

pub(super) async fn update(app: App, asked: pb::UpdateClusterKvPairRequest) -> Answer<pb::UpdateClusterKvPairResponse> {
    let (provider, cluster) = cluster(&asked.cluster_provider, &asked.cluster)?;
    let (dcm, of, name) = (&app.dcm, (&provider, &cluster), name("name", &asked.name)?);
    let conditions = Conditions::of_texts(&asked.if_match, &asked.if_none_match)?;
    let expected = conditions.expected(async || Ok(dcm.cluster_kv_pair(of, &name).await?.revision)).await?;
    let draft = draft(asked.kv_pair, app.limits.json_depth);
    let made = dcm.update_cluster_kv_pair(of, &name, draft, expected.as_ref()).await?;
    Ok(Reply::new(pb::UpdateClusterKvPairResponse { kv_pair: Some(told(&made)) }))
}

pub(super) async fn delete(app: App, asked: pb::DeleteClusterKvPairRequest) -> Answer<pb::DeleteClusterKvPairResponse> {
    let (provider, cluster) = cluster(&asked.cluster_provider, &asked.cluster)?;
    let (dcm, of, name) = (&app.dcm, (&provider, &cluster), name("name", &asked.name)?);
    let conditions = Conditions::of_texts(&asked.if_match, &asked.if_none_match)?;
    let expected = conditions.expected(async || Ok(dcm.cluster_kv_pair(of, &name).await?.revision)).await?;
    dcm.delete_cluster_kv_pair(of, &name, expected.as_ref()).await?;
    Ok(Reply::new(pb::DeleteClusterKvPairResponse {}))
}

pub(super) async fn watch(
    app: App,
    asked: pb::WatchClusterKvPairsRequest,
    call: Call,
) -> Answer<Events<pb::WatchClusterKvPairsResponse>> {
    let watching = Watching::new(&app, call)?;
    let (provider, cluster) = cluster(&asked.cluster_provider, &asked.cluster)?;
    let from = position(&asked.last_event_id);
    let watch = app.dcm.watch_cluster_kv_pairs((&provider, &cluster), from.as_ref()).await?;
    watching.answer(watch, |entry| Event::KvPair(told(entry)))
}
