use axum::{extract::State, response::IntoResponse as _};
use dcm_core::{
    model::{LogicalCloud, LogicalCloudInput, permission_warnings},
    name::ProjectName,
    service::{CloudId, Deletion},
};
use http::StatusCode;

use super::{
    Answer, App,
    body::Received,
    condition::Conditions,
    dto::{AcceptedAnswer, LogicalCloudAnswer, UserKey},
    page::Listing,
    path::{Cloud, Named},
    reply::{self, Reply, Warnings},
};

pub(super) async fn create(
    State(app): State<App>,
    Named(project): Named<ProjectName>,
    mut body: Received<LogicalCloudInput>,
) -> Answer {
    let made = app.dcm.create_logical_cloud(&project, body.draft).await?;
    warn(&mut body.warnings, &made.cloud);
    let answer = LogicalCloudAnswer::new(&made, UserKey::UserName);
    Ok(Reply::created(&answer).revision(&made.revision).warnings(&body.warnings).into_response())
}

pub(super) async fn list(State(app): State<App>, Named(project): Named<ProjectName>, listing: Listing) -> Answer {
    let found = app.dcm.logical_clouds(&project, &listing.page).await?;
    let answers: Vec<_> = found.iter().map(|view| LogicalCloudAnswer::new(view, UserKey::UserName)).collect();
    Ok(listing.answer(&answers, found.len(), found.last().map(|view| view.cloud.metadata.name.as_str())))
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
    mut body: Received<LogicalCloudInput>,
) -> Answer {
    let expected = conditions.expected(async || Ok(app.dcm.logical_cloud(&id).await?.revision.clone())).await?;
    let made = app.dcm.update_logical_cloud(&id, body.draft, expected.as_ref()).await?;
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

/// Says what goes; it may be gone already.
async fn accepted(app: &App, id: &CloudId) -> Answer {
    match app.dcm.logical_cloud(id).await {
        Ok(view) => Ok(Reply::accepted(&AcceptedAnswer::new(&view.cloud)).into_response()),
        Err(_) => Ok(StatusCode::ACCEPTED.into_response()),
    }
}

fn warn(warnings: &mut Warnings, cloud: &LogicalCloud) {
    let permissions = cloud.spec.user.iter().flat_map(|user| &user.permissions);
    warnings.extend(permissions.flat_map(permission_warnings));
}
