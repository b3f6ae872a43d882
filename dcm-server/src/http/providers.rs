use axum::{extract::State, response::IntoResponse as _};
use dcm_core::{
    model::{ClusterProvider, MetadataInput},
    name::ProviderName,
    store::{Entry, Revision},
};
use http::StatusCode;
use serde::Serialize;

use super::{
    Answer, App,
    body::Received,
    condition::Conditions,
    dto::RecordAnswer,
    path::Named,
    reply::Reply,
    watch::{Asked, Shown},
};

pub(super) async fn create(State(app): State<App>, body: Received<MetadataInput>) -> Answer {
    let made = app.dcm.create_provider(body.draft).await?;
    Ok(Reply::created(&answer(&made)).revision(&made.revision).warnings(&body.warnings).into_response())
}

pub(super) async fn list(State(app): State<App>, asked: Asked) -> Answer {
    let listing = match asked {
        Asked::Page(listing) => listing,
        Asked::Watch(watching) => {
            let watch = app.dcm.watch_providers(watching.from()).await?;
            return watching.answer(watch);
        }
    };
    let found = app.dcm.providers(&listing.page).await?;
    let answers: Vec<_> = found.iter().map(answer).collect();
    Ok(listing.answer(&answers, found.len(), found.last().map(|entry| entry.key.last())))
}

pub(super) async fn read(State(app): State<App>, Named(name): Named<ProviderName>, conditions: Conditions) -> Answer {
    let found = app.dcm.provider(&name).await?;
    conditions.of(&found.revision, || Reply::ok(&answer(&found)).revision(&found.revision).into_response())
}

pub(super) async fn update(
    State(app): State<App>,
    Named(name): Named<ProviderName>,
    conditions: Conditions,
    body: Received<MetadataInput>,
) -> Answer {
    let expected = conditions.expected(async || Ok(app.dcm.provider(&name).await?.revision)).await?;
    let made = app.dcm.update_provider(&name, body.draft, expected.as_ref()).await?;
    Ok(Reply::ok(&answer(&made)).revision(&made.revision).warnings(&body.warnings).into_response())
}

pub(super) async fn delete(State(app): State<App>, Named(name): Named<ProviderName>, conditions: Conditions) -> Answer {
    let expected = conditions.expected(async || Ok(app.dcm.provider(&name).await?.revision)).await?;
    app.dcm.delete_provider(&name, expected.as_ref()).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

fn answer(entry: &Entry<ClusterProvider>) -> RecordAnswer<'_, ProviderName> {
    RecordAnswer { metadata: &entry.value.metadata, uid: entry.value.uid.as_str() }
}

impl Shown for Entry<ClusterProvider> {
    fn revision(&self) -> Option<&Revision> {
        Some(&self.revision)
    }

    fn shown(&self) -> impl Serialize {
        answer(self)
    }
}
