use dcm_proto::v1::{self as pb, watch_projects_response::Event};

use super::{
    Answer, App, Reply,
    call::Call,
    convert::metadata::{input, project},
    names::name,
    page::{fitting, page},
    watch::{Events, Watching},
    watches::position,
};
use crate::http::Conditions;

pub(super) async fn create(app: App, asked: pb::CreateProjectRequest) -> Answer<pb::CreateProjectResponse> {
    let made = app.dcm.create_project(input(asked.project.unwrap_or_default().metadata).into()).await?;
    Ok(Reply::new(pb::CreateProjectResponse { project: Some(project(&made)) }))
}

pub(super) async fn read(app: App, asked: pb::GetProjectRequest) -> Answer<pb::GetProjectResponse> {
    let conditions = Conditions::of_texts(&asked.if_match, &asked.if_none_match)?;
    let found = app.dcm.project(&name("name", &asked.name)?).await?;
    let not_modified = conditions.has(&found.revision)?;
    Ok(Reply::new(pb::GetProjectResponse { project: (!not_modified).then(|| project(&found)), not_modified }))
}

pub(super) async fn list(app: App, asked: pb::ListProjectsRequest) -> Answer<pb::ListProjectsResponse> {
    let found = app.dcm.projects(&page(asked.page_size, &asked.page_token)?).await?;
    let (projects, next_page_token) = fitting(found.entries.iter().map(project), found.next);
    Ok(Reply::new(pb::ListProjectsResponse { projects, next_page_token }))
}

pub(super) async fn update(app: App, asked: pb::UpdateProjectRequest) -> Answer<pb::UpdateProjectResponse> {
    let (dcm, name) = (&app.dcm, name("name", &asked.name)?);
    let conditions = Conditions::of_texts(&asked.if_match, &asked.if_none_match)?;
    let expected = conditions.expected(async || Ok(dcm.project(&name).await?.revision)).await?;
    let draft = input(asked.project.unwrap_or_default().metadata).into();
    let made = dcm.update_project(&name, draft, expected.as_ref()).await?;
    Ok(Reply::new(pb::UpdateProjectResponse { project: Some(project(&made)) }))
}

pub(super) async fn delete(app: App, asked: pb::DeleteProjectRequest) -> Answer<pb::DeleteProjectResponse> {
    let (dcm, name) = (&app.dcm, name("name", &asked.name)?);
    let conditions = Conditions::of_texts(&asked.if_match, &asked.if_none_match)?;
    let expected = conditions.expected(async || Ok(dcm.project(&name).await?.revision)).await?;
    dcm.delete_project(&name, expected.as_ref()).await?;
    Ok(Reply::new(pb::DeleteProjectResponse {}))
}

pub(super) async fn watch(
    app: App,
    asked: pb::WatchProjectsRequest,
    call: Call,
) -> Answer<Events<pb::WatchProjectsResponse>> {
    let watching = Watching::new(&app, call)?;
    let watch = app.dcm.watch_projects(position(&asked.last_event_id).as_ref()).await?;
    watching.answer(watch, |entry| Event::Project(project(entry)))
}
