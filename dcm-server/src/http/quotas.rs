use axum::{extract::State, response::IntoResponse as _};
use dcm_core::{
    model::{Quota, QuotaInput},
    name::QuotaName,
    store::{Entry, Revision},
};
use http::StatusCode;
use serde::Serialize;

use super::{
    Answer, App,
    body::Received,
    condition::Conditions,
    dto::QuotaAnswer,
    path::{Child, Cloud},
    reply::Reply,
    watch::{Asked, Shown},
};

pub(super) async fn create(State(app): State<App>, Cloud(id): Cloud, body: Received<QuotaInput>) -> Answer {
    let made = app.dcm.create_quota(&id, body.draft).await?;
    let answer = QuotaAnswer::new(&made.value);
    Ok(Reply::created(&answer).revision(&made.revision).warnings(&body.warnings).into_response())
}

pub(super) async fn list(State(app): State<App>, Cloud(id): Cloud, asked: Asked) -> Answer {
    let listing = match asked {
        Asked::Page(listing) => listing,
        Asked::Watch(watching) => {
            let watch = app.dcm.watch_quotas(&id, watching.from()).await?;
            return watching.answer(watch);
        }
    };
    let found = app.dcm.quotas(&id, &listing.page).await?;
    let answers: Vec<_> = found.iter().map(|entry| QuotaAnswer::new(&entry.value)).collect();
    Ok(listing.answer(&answers, found.len(), found.last().map(|entry| entry.key.last())))
}

pub(super) async fn read(State(app): State<App>, path: Child<QuotaName>, conditions: Conditions) -> Answer {
    let found = app.dcm.quota(&path.cloud, &path.name).await?;
    conditions
        .of(&found.revision, || Reply::ok(&QuotaAnswer::new(&found.value)).revision(&found.revision).into_response())
}

pub(super) async fn update(
    State(app): State<App>,
    Child { cloud, name }: Child<QuotaName>,
    conditions: Conditions,
    body: Received<QuotaInput>,
) -> Answer {
    let expected = conditions.expected(async || Ok(app.dcm.quota(&cloud, &name).await?.revision)).await?;
    let made = app.dcm.update_quota(&cloud, &name, body.draft, expected.as_ref()).await?;
    // 201 and not 200: the design says so.
    let answer = QuotaAnswer::new(&made.value);
    Ok(Reply::created(&answer).revision(&made.revision).warnings(&body.warnings).into_response())
}

pub(super) async fn delete(
    State(app): State<App>,
    Child { cloud, name }: Child<QuotaName>,
    conditions: Conditions,
) -> Answer {
    let expected = conditions.expected(async || Ok(app.dcm.quota(&cloud, &name).await?.revision)).await?;
    app.dcm.delete_quota(&cloud, &name, expected.as_ref()).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

impl Shown for Entry<Quota> {
    fn revision(&self) -> Option<&Revision> {
        Some(&self.revision)
    }

    fn shown(&self) -> impl Serialize {
        QuotaAnswer::new(&self.value)
    }
}
