use axum::{extract::State, response::IntoResponse as _};
use dcm_core::{
    model::{ClusterProvider, MetadataInput},
    name::ProviderName,
    store::Entry,
};
use http::StatusCode;

use super::{
    Answer, App, body::Received, condition::Conditions, dto::RecordAnswer, page::Listing, path::Named, reply::Reply,
};

pub(super) async fn create(State(app): State<App>, body: Received<MetadataInput>) -> Answer {
    let made = app.dcm.create_provider(body.draft).await?;
    Ok(Reply::created(&answer(&made)).revision(&made.revision).warnings(&body.warnings).into_response())
}

pub(super) async fn list(State(app): State<App>, listing: Listing) -> Answer {
    let found = app.dcm.providers(&listing.page).await?;
    let answers: Vec<_> = found.entries.iter().map(answer).collect();
    Ok(listing.answer(&answers, found.next.as_deref()))
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
