use axum::{extract::State, response::IntoResponse as _};
use dcm_core::{
    model::{MetadataInput, Project},
    name::ProjectName,
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
    let made = app.dcm.create_project(body.draft).await?;
    Ok(Reply::created(&answer(&made)).revision(&made.revision).warnings(&body.warnings).into_response())
}

pub(super) async fn list(State(app): State<App>, asked: Asked) -> Answer {
    let listing = match asked {
        Asked::Page(listing) => listing,
        Asked::Watch(watching) => {
            let watch = app.dcm.watch_projects(watching.from()).await?;
            return watching.answer(watch);
        }
    };
    let found = app.dcm.projects(&listing.page).await?;
    let answers: Vec<_> = found.iter().map(answer).collect();
    Ok(listing.answer(&answers, found.len(), found.last().map(|entry| entry.key.last())))
}

pub(super) async fn read(State(app): State<App>, Named(name): Named<ProjectName>, conditions: Conditions) -> Answer {
    let found = app.dcm.project(&name).await?;
    conditions.of(&found.revision, || Reply::ok(&answer(&found)).revision(&found.revision).into_response())
}

pub(super) async fn update(
    State(app): State<App>,
    Named(name): Named<ProjectName>,
    conditions: Conditions,
    body: Received<MetadataInput>,
) -> Answer {
    let expected = conditions.expected(async || Ok(app.dcm.project(&name).await?.revision)).await?;
    let made = app.dcm.update_project(&name, body.draft, expected.as_ref()).await?;
    Ok(Reply::ok(&answer(&made)).revision(&made.revision).warnings(&body.warnings).into_response())
}

pub(super) async fn delete(State(app): State<App>, Named(name): Named<ProjectName>, conditions: Conditions) -> Answer {
    let expected = conditions.expected(async || Ok(app.dcm.project(&name).await?.revision)).await?;
    app.dcm.delete_project(&name, expected.as_ref()).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

fn answer(entry: &Entry<Project>) -> RecordAnswer<'_, ProjectName> {
    RecordAnswer { metadata: &entry.value.metadata, uid: entry.value.uid.as_str() }
}

impl Shown for Entry<Project> {
    fn revision(&self) -> Option<&Revision> {
        Some(&self.revision)
    }

    fn shown(&self) -> impl Serialize {
        answer(self)
    }
}
