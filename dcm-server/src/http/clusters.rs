use axum::{extract::State, response::IntoResponse as _};
use dcm_core::{model::ClusterInput, name::ProviderName, service::ClusterView, store::Revision};
use http::StatusCode;
use serde::Serialize;

use super::{
    Answer, App,
    body::ReceivedOrForm,
    condition::Conditions,
    dto::ClusterAnswer,
    path::{ClusterPath, Named},
    reply::Reply,
    watch::{Asked, Shown},
};

pub(super) async fn create(
    State(app): State<App>,
    Named(provider): Named<ProviderName>,
    ReceivedOrForm(body): ReceivedOrForm<ClusterInput>,
) -> Answer {
    let made = app.dcm.create_cluster(&provider, body.draft).await?;
    Ok(Reply::created(&ClusterAnswer::new(&made)).revision(&made.revision).warnings(&body.warnings).into_response())
}

pub(super) async fn list(State(app): State<App>, Named(provider): Named<ProviderName>, asked: Asked) -> Answer {
    let listing = match asked {
        Asked::Page(listing) => listing,
        Asked::Watch(watching) => {
            let watch = app.dcm.watch_clusters(&provider, watching.from()).await?;
            return watching.answer(watch);
        }
    };
    let found = app.dcm.clusters(&provider, &listing.page).await?;
    let answers: Vec<_> = found.iter().map(ClusterAnswer::new).collect();
    Ok(listing.answer(&answers, found.len(), found.last().map(|view| view.cluster.metadata.name.as_str())))
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

impl Shown for ClusterView {
    fn revision(&self) -> Option<&Revision> {
        Some(&self.revision)
    }

    fn shown(&self) -> impl Serialize {
        ClusterAnswer::new(self)
    }
}
