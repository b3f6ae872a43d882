use axum::{extract::State, response::IntoResponse as _};
use dcm_core::{model::ClusterInput, name::ProviderName};
use http::StatusCode;

use super::{
    Answer, App,
    body::ReceivedOrForm,
    condition::Conditions,
    dto::ClusterAnswer,
    page::SelectingClusters,
    path::{ClusterPath, Named},
    reply::Reply,
};

pub(super) async fn create(
    State(app): State<App>,
    Named(provider): Named<ProviderName>,
    ReceivedOrForm(body): ReceivedOrForm<ClusterInput>,
) -> Answer {
    let made = app.dcm.create_cluster(&provider, body.draft).await?;
    Ok(Reply::created(&ClusterAnswer::new(&made)).revision(&made.revision).warnings(&body.warnings).into_response())
}

pub(super) async fn list(
    State(app): State<App>,
    Named(provider): Named<ProviderName>,
    query: SelectingClusters,
) -> Answer {
    let SelectingClusters { listing, selector, names_only } = query;
    let found = app.dcm.clusters(&provider, &selector, &listing.page).await?;
    if names_only {
        let names: Vec<_> = found.entries.iter().map(|view| view.cluster.metadata.name.as_str()).collect();
        return Ok(listing.answer(&names, found.next.as_deref()));
    }
    let answers: Vec<_> = found.entries.iter().map(ClusterAnswer::new).collect();
    Ok(listing.answer(&answers, found.next.as_deref()))
}

pub(super) async fn read(State(app): State<App>, path: ClusterPath, conditions: Conditions) -> Answer {
    let found = app.dcm.cluster(&path.provider, &path.cluster).await?;
    conditions.of(&found.revision, || Reply::ok(&ClusterAnswer::new(&found)).revision(&found.revision).into_response())
}

pub(super) async fn update(
    State(app): State<App>,
    ClusterPath { provider, cluster }: ClusterPath,
    conditions: Conditions,
    ReceivedOrForm(body): ReceivedOrForm<ClusterInput>,
) -> Answer {
    let present = async || Ok(app.dcm.cluster(&provider, &cluster).await?.revision);
    let expected = conditions.expected(present).await?;
    let made = app.dcm.update_cluster(&provider, &cluster, body.draft, expected.as_ref()).await?;
    Ok(Reply::ok(&ClusterAnswer::new(&made)).revision(&made.revision).warnings(&body.warnings).into_response())
}

pub(super) async fn delete(State(app): State<App>, path: ClusterPath, conditions: Conditions) -> Answer {
    let ClusterPath { provider, cluster } = path;
    let present = async || Ok(app.dcm.cluster(&provider, &cluster).await?.revision);
    let expected = conditions.expected(present).await?;
    app.dcm.delete_cluster(&provider, &cluster, expected.as_ref()).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}
