use axum::{extract::State, response::IntoResponse as _};
use dcm_core::{
    model::{MetadataInput, Project},
    name::ProjectName,
    service::Expected,
    store::{Entry, Revision},
};
use http::StatusCode;
use serde::Serialize;
use serde_json::json;

use super::{
    Answer, App,
    api::{Api, Noun},
    body::Received,
    condition::Conditions,
    dto::{RecordAnswer, RecordBody, RecordSchema},
    patch::{Patch, Present},
    path::Named,
    reply::Reply,
    watch::{Asked, Shown},
};

pub(super) fn routes(api: Api) -> Api {
    let project = Noun::new("Project", "a project", "projects");
    api.tag("Projects", "Tenants.")
        .path("/v2/projects", |path| {
            path.get(list, project.list::<RecordSchema>().watched()).post(
                create,
                project
                    .create::<RecordBody, RecordSchema>(StatusCode::CREATED)
                    .named()
                    .example(json!({"metadata": {"name": "walmart"}})),
            )
        })
        .path("/v2/projects/{project}", |path| {
            path.get(read, project.read::<RecordSchema>())
                .put(update, project.replace::<RecordBody, RecordSchema>(StatusCode::OK))
                .patch(patch, project.patch::<RecordSchema>(StatusCode::OK))
                .delete(
                    delete,
                    project.delete().about("A project that holds logical clouds stays (409, naming some of them)."),
                )
        })
}

pub(super) async fn create(State(app): State<App>, body: Received<MetadataInput>) -> Answer {
    let made = app.dcm.create_project(body.draft).await?;
    Ok(Reply::created(&answer(&made))
        .revision(&made.revision)
        .made(made.value.metadata.name.as_str())
        .warnings(&body.warnings)
        .into_response())
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
    let answers: Vec<_> = found.entries.iter().map(answer).collect();
    Ok(listing.answer(&answers, found.next.as_deref()))
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
    put(&app, &name, body, expected.as_ref()).await
}

pub(super) async fn patch(
    State(app): State<App>,
    Named(name): Named<ProjectName>,
    conditions: Conditions,
    patch: Patch,
) -> Answer {
    let read = async || {
        let found = app.dcm.project(&name).await?;
        Present::new(&answer(&found), &found.revision)
    };
    let write = async |body, present| put(&app, &name, body, Some(&present)).await;
    patch.carry_out(&conditions, StatusCode::OK, read, write).await
}

async fn put(app: &App, name: &ProjectName, body: Received<MetadataInput>, expected: Expected<'_>) -> Answer {
    let made = app.dcm.update_project(name, body.draft, expected).await?;
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
