use dcm_proto::v1::{self as pb, watch_cluster_providers_response::Event};

use super::{
    Answer, App, Reply,
    call::Call,
    convert::metadata::{input, provider},
    names::name,
    page::{fitting, page},
    watch::{Events, Watching},
    watches::position,
};
use crate::http::Conditions;

pub(super) async fn create(
    app: App,
    asked: pb::CreateClusterProviderRequest,
) -> Answer<pb::CreateClusterProviderResponse> {
    let made = app.dcm.create_provider(input(asked.cluster_provider.unwrap_or_default().metadata).into()).await?;
    Ok(Reply::new(pb::CreateClusterProviderResponse { cluster_provider: Some(provider(&made)) }))
}

pub(super) async fn read(app: App, asked: pb::GetClusterProviderRequest) -> Answer<pb::GetClusterProviderResponse> {
    let conditions = Conditions::of_texts(&asked.if_match, &asked.if_none_match)?;
    let found = app.dcm.provider(&name("name", &asked.name)?).await?;
    let not_modified = conditions.has(&found.revision)?;
    Ok(Reply::new(pb::GetClusterProviderResponse {
        cluster_provider: (!not_modified).then(|| provider(&found)),
        not_modified,
    }))
}

pub(super) async fn list(app: App, asked: pb::ListClusterProvidersRequest) -> Answer<pb::ListClusterProvidersResponse> {
    let found = app.dcm.providers(&page(asked.page_size, &asked.page_token)?).await?;
    let (cluster_providers, next_page_token) = fitting(found.entries.iter().map(provider), found.next);
    Ok(Reply::new(pb::ListClusterProvidersResponse { cluster_providers, next_page_token }))
}

pub(super) async fn update(
    app: App,
    asked: pb::UpdateClusterProviderRequest,
) -> Answer<pb::UpdateClusterProviderResponse> {
    let (dcm, name) = (&app.dcm, name("name", &asked.name)?);
    let conditions = Conditions::of_texts(&asked.if_match, &asked.if_none_match)?;
    let expected = conditions.expected(async || Ok(dcm.provider(&name).await?.revision)).await?;
    let draft = input(asked.cluster_provider.unwrap_or_default().metadata).into();
    let made = dcm.update_provider(&name, draft, expected.as_ref()).await?;
    Ok(Reply::new(pb::UpdateClusterProviderResponse { cluster_provider: Some(provider(&made)) }))
}

pub(super) async fn delete(
    app: App,
    asked: pb::DeleteClusterProviderRequest,
) -> Answer<pb::DeleteClusterProviderResponse> {
    let (dcm, name) = (&app.dcm, name("name", &asked.name)?);
    let conditions = Conditions::of_texts(&asked.if_match, &asked.if_none_match)?;
    let expected = conditions.expected(async || Ok(dcm.provider(&name).await?.revision)).await?;
    dcm.delete_provider(&name, expected.as_ref()).await?;
    Ok(Reply::new(pb::DeleteClusterProviderResponse {}))
}

pub(super) async fn watch(
    app: App,
    asked: pb::WatchClusterProvidersRequest,
    call: Call,
) -> Answer<Events<pb::WatchClusterProvidersResponse>> {
    let watching = Watching::new(&app, call)?;
    let watch = app.dcm.watch_providers(position(&asked.last_event_id).as_ref()).await?;
    watching.answer(watch, |entry| Event::ClusterProvider(provider(entry)))
}
