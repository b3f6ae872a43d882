use dcm_proto::v1::{self as pb, watch_clusters_response::Event};

use super::{
    Answer, App, Reply,
    call::Call,
    convert::cluster::{draft, told},
    names::name,
    page::{fitting, page, selector},
    watch::{Events, Watching},
    watches::position,
};
use crate::http::Conditions;

pub(super) async fn create(app: App, asked: pb::CreateClusterRequest) -> Answer<pb::CreateClusterResponse> {
    let provider = name("cluster_provider", &asked.cluster_provider)?;
    let made = app.dcm.create_cluster(&provider, draft(asked.cluster)).await?;
    Ok(Reply::new(pb::CreateClusterResponse { cluster: Some(told(&made)) }))
}

pub(super) async fn read(app: App, asked: pb::GetClusterRequest) -> Answer<pb::GetClusterResponse> {
    let provider = name("cluster_provider", &asked.cluster_provider)?;
    let conditions = Conditions::of_texts(&asked.if_match, &asked.if_none_match)?;
    let found = app.dcm.cluster(&provider, &name("name", &asked.name)?).await?;
    let not_modified = conditions.has(&found.revision)?;
    Ok(Reply::new(pb::GetClusterResponse { cluster: (!not_modified).then(|| told(&found)), not_modified }))
}

pub(super) async fn list(app: App, asked: pb::ListClustersRequest) -> Answer<pb::ListClustersResponse> {
    let provider = name("cluster_provider", &asked.cluster_provider)?;
    let (page, selector) = (page(asked.page_size, &asked.page_token)?, selector(&asked.label_selector)?);
    let found = app.dcm.clusters(&provider, &selector, &page).await?;
    let (clusters, next_page_token) = fitting(found.entries.iter().map(told), found.next);
    Ok(Reply::new(pb::ListClustersResponse { clusters, next_page_token }))
}

pub(super) async fn update(app: App, asked: pb::UpdateClusterRequest) -> Answer<pb::UpdateClusterResponse> {
    let provider = name("cluster_provider", &asked.cluster_provider)?;
    let (dcm, name) = (&app.dcm, name("name", &asked.name)?);
    let conditions = Conditions::of_texts(&asked.if_match, &asked.if_none_match)?;
    let expected = conditions.expected(async || Ok(dcm.cluster(&provider, &name).await?.revision)).await?;
    let made = dcm.update_cluster(&provider, &name, draft(asked.cluster), expected.as_ref()).await?;
    Ok(Reply::new(pb::UpdateClusterResponse { cluster: Some(told(&made)) }))
}

pub(super) async fn delete(app: App, asked: pb::DeleteClusterRequest) -> Answer<pb::DeleteClusterResponse> {
    let provider = name("cluster_provider", &asked.cluster_provider)?;
    let (dcm, name) = (&app.dcm, name("name", &asked.name)?);
    let conditions = Conditions::of_texts(&asked.if_match, &asked.if_none_match)?;
    let expected = conditions.expected(async || Ok(dcm.cluster(&provider, &name).await?.revision)).await?;
    dcm.delete_cluster(&provider, &name, expected.as_ref()).await?;
    Ok(Reply::new(pb::DeleteClusterResponse {}))
}

pub(super) async fn watch(
    app: App,
    asked: pb::WatchClustersRequest,
    call: Call,
) -> Answer<Events<pb::WatchClustersResponse>> {
    let watching = Watching::new(&app, call)?;
    let (selector, from) = (selector(&asked.label_selector)?, position(&asked.last_event_id));
    let provider = name("cluster_provider", &asked.cluster_provider)?;
    let watch = app.dcm.watch_clusters(&provider, &selector, from.as_ref()).await?;
    watching.answer(watch, |view| Event::Cluster(told(view)))
}
