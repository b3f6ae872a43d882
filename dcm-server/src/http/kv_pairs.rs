use axum::{extract::State, response::IntoResponse as _};
use dcm_core::{
    model::{KvPair, KvPairInput},
    name::KvPairName,
    store::{Entry, Revision},
};
use http::StatusCode;
use serde::Serialize;

use super::{
    Answer, App,
    body::Received,
    condition::Conditions,
    dto::KvPairAnswer,
    path::{Child, Cloud},
    reply::Reply,
    watch::{Asked, Shown},
};

pub(super) async fn create(State(app): State<App>, Cloud(id): Cloud, body: Received<KvPairInput>) -> Answer {
    let made = app.dcm.create_kv_pair(&id, body.draft).await?;
    let answer = KvPairAnswer::new(&made.value);
    Ok(Reply::created(&answer).revision(&made.revision).warnings(&body.warnings).into_response())
}

pub(super) async fn list(State(app): State<App>, Cloud(id): Cloud, asked: Asked) -> Answer {
    let listing = match asked {
        Asked::Page(listing) => listing,
        Asked::Watch(watching) => {
            let watch = app.dcm.watch_kv_pairs(&id, watching.from()).await?;
            return watching.answer(watch);
        }
    };
    let found = app.dcm.kv_pairs(&id, &listing.page).await?;
    let answers: Vec<_> = found.iter().map(|entry| KvPairAnswer::new(&entry.value)).collect();
    Ok(listing.answer(&answers, found.len(), found.last().map(|entry| entry.key.last())))
}

pub(super) async fn read(State(app): State<App>, path: Child<KvPairName>, conditions: Conditions) -> Answer {
    let found = app.dcm.kv_pair(&path.cloud, &path.name).await?;
    conditions
        .of(&found.revision, || Reply::ok(&KvPairAnswer::new(&found.value)).revision(&found.revision).into_response())
}

pub(super) async fn update(
    State(app): State<App>,
    Child { cloud, name }: Child<KvPairName>,
    conditions: Conditions,
    body: Received<KvPairInput>,
) -> Answer {
    let expected = conditions.expected(async || Ok(app.dcm.kv_pair(&cloud, &name).await?.revision)).await?;
    let made = app.dcm.update_kv_pair(&cloud, &name, body.draft, expected.as_ref()).await?;
    // 201 and not 200: the design says so.
    let answer = KvPairAnswer::new(&made.value);
    Ok(Reply::created(&answer).revision(&made.revision).warnings(&body.warnings).into_response())
}

pub(super) async fn delete(
    State(app): State<App>,
    Child { cloud, name }: Child<KvPairName>,
    conditions: Conditions,
) -> Answer {
    let expected = conditions.expected(async || Ok(app.dcm.kv_pair(&cloud, &name).await?.revision)).await?;
    app.dcm.delete_kv_pair(&cloud, &name, expected.as_ref()).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

impl Shown for Entry<KvPair> {
    fn revision(&self) -> Option<&Revision> {
        Some(&self.revision)
    }

    fn shown(&self) -> impl Serialize {
        KvPairAnswer::new(&self.value)
    }
}
