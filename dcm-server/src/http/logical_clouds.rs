use axum::{extract::State, response::IntoResponse as _};
use dcm_core::{
    error::Error,
    model::{LogicalCloud, LogicalCloudInput, permission_warnings},
    name::ProjectName,
    service::{CloudId, Deletion, Expected, LogicalCloudView},
    store::Revision,
};
use http::StatusCode;
use serde::Serialize;
use serde_json::{Value, json};

use super::{
    Answer, App,
    api::{Api, Noun, of_cloud},
    body::Received,
    condition::Conditions,
    dto::{AcceptedAnswer, LogicalCloudAnswer, LogicalCloudBody, UserKey},
    page::Selecting,
    patch::{Patch, Present},
    path::{Cloud, Named},
    reply::{self, Reply, Warnings},
    watch::{Asked, Shown},
};

pub(super) fn routes(api: Api) -> Api {
    let cloud = Noun::new("LogicalCloud", "a logical cloud", "a project's logical clouds");
    api.tag("Logical clouds", "A namespace, a user, quotas and key-value pairs, the same on many clusters.")
        .path("/v2/projects/{project}/logical-clouds", |path| {
            path.get(list, cloud.list_selected::<LogicalCloudAnswer>().watched()).post(
                create,
                cloud
                    .create::<LogicalCloudBody, LogicalCloudAnswer>(StatusCode::CREATED)
                    .named()
                    .about("Nothing happens on clusters before it is applied. The project is made where it is not there, \
                            unless the server is told that projects are registered.")
                    .example(example()),
            )
        })
        .path(of_cloud(""), |path| {
            path.get(read, cloud.read::<LogicalCloudAnswer>())
                .put(
                    update,
                    cloud
                        .replace::<LogicalCloudBody, LogicalCloudAnswer>(StatusCode::OK)
                        .about("Clusters get it with the next apply."),
                )
                .patch(patch, cloud.patch::<LogicalCloudAnswer>(StatusCode::OK))
.delete(
                    delete,
                    cloud
                        .delete()
                        .about("Where something of it is on clusters it is terminated first, and goes when they are clean. It \
                                takes along all that is in it.")
                        .accepts::<AcceptedAnswer>(),
                )
        })
}

fn example() -> Value {
    json!({
        "metadata": { "name": "lc-1", "description": "logical cloud for walmart finance department" },
        "spec": {
            "namespace": "ns-1",
            "user": {
                "user-name": "user-1",
                "type": "certificate",
                "user-permissions": [
                    { "permission-name": "permission-1", "apiGroups": [""], "resources": ["configmaps"], "verbs": ["*"] },
                ],
            },
        },
    })
}

pub(super) async fn create(
    State(app): State<App>,
    Named(project): Named<ProjectName>,
    mut body: Received<LogicalCloudInput>,
) -> Answer {
    let made = app.dcm.create_logical_cloud(&project, body.draft).await?;
    warn(&mut body.warnings, &made.cloud);
    let answer = LogicalCloudAnswer::new(&made, UserKey::UserName);
    Ok(Reply::created(&answer)
        .revision(&made.revision)
        .made(made.cloud.metadata.name.as_str())
        .warnings(&body.warnings)
        .into_response())
}

pub(super) async fn list(
    State(app): State<App>,
    Named(project): Named<ProjectName>,
    asked: Asked<Selecting>,
) -> Answer {
    let query = match asked {
        Asked::Page(query) => query,
        Asked::Watch(watching) => {
            let watch = app.dcm.watch_logical_clouds(&project, watching.selector(), watching.from()).await?;
            return watching.answer(watch);
        }
    };
    let Selecting { listing, selector } = query;
    let found = app.dcm.logical_clouds(&project, &selector, &listing.page).await?;
    let answers: Vec<_> = found.entries.iter().map(|view| LogicalCloudAnswer::new(view, UserKey::UserName)).collect();
    Ok(listing.answer(&answers, found.next.as_deref()))
}

pub(super) async fn read(State(app): State<App>, Cloud(id): Cloud, conditions: Conditions) -> Answer {
    let found = app.dcm.logical_cloud(&id).await?;
    let json = found.written(|view| reply::write(&LogicalCloudAnswer::new(view, UserKey::UserName)))?;
    conditions.of(&found.revision, || Reply::written(json).revision(&found.revision).into_response())
}

pub(super) async fn update(
    State(app): State<App>,
    Cloud(id): Cloud,
    conditions: Conditions,
    body: Received<LogicalCloudInput>,
) -> Answer {
    let expected = conditions.expected(async || Ok(app.dcm.logical_cloud(&id).await?.revision.clone())).await?;
    put(&app, &id, body, expected.as_ref()).await
}

pub(super) async fn patch(State(app): State<App>, Cloud(id): Cloud, conditions: Conditions, patch: Patch) -> Answer {
    let read = async || {
        let found = app.dcm.logical_cloud(&id).await?;
        let present = Present::new(&LogicalCloudAnswer::new(&found, UserKey::Both), &found.revision)?;
        present.unchanged(&LogicalCloudAnswer::new(&found, UserKey::User))
    };
    let write = async |body, present| put(&app, &id, body, Some(&present)).await;
    patch.carry_out(&conditions, StatusCode::OK, read, write).await
}

async fn put(app: &App, id: &CloudId, mut body: Received<LogicalCloudInput>, expected: Expected<'_>) -> Answer {
    let made = app.dcm.update_logical_cloud(id, body.draft, expected).await?;
    warn(&mut body.warnings, &made.cloud);
    let answer = LogicalCloudAnswer::new(&made, UserKey::User);
    Ok(Reply::ok(&answer).revision(&made.revision).warnings(&body.warnings).into_response())
}

pub(super) async fn delete(State(app): State<App>, Cloud(id): Cloud, conditions: Conditions) -> Answer {
    let expected = conditions.expected(async || Ok(app.dcm.logical_cloud(&id).await?.revision.clone())).await?;
    match app.dcm.delete_logical_cloud(&id, expected.as_ref()).await? {
        Deletion::Gone => Ok(StatusCode::NO_CONTENT.into_response()),
        Deletion::Accepted => accepted(&app, &id).await,
    }
}

/// Says what goes, where it is not gone already.
async fn accepted(app: &App, id: &CloudId) -> Answer {
    match app.dcm.logical_cloud(id).await {
        Ok(view) => Ok(Reply::accepted(&AcceptedAnswer::new(&view.cloud)).into_response()),
        Err(Error::NotFound { .. }) => Ok(StatusCode::NO_CONTENT.into_response()),
        Err(error) => Err(error.into()),
    }
}

fn warn(warnings: &mut Warnings, cloud: &LogicalCloud) {
    let permissions = cloud.spec.user.iter().flat_map(|user| &user.permissions);
    warnings.extend(permissions.flat_map(permission_warnings));
}

impl Shown for LogicalCloudView {
    fn revision(&self) -> Option<&Revision> {
        Some(&self.revision)
    }

    fn shown(&self) -> impl Serialize {
        LogicalCloudAnswer::new(self, UserKey::UserName)
    }
}
