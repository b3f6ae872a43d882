use dcm_proto::v1::{self as pb, watch_controllers_response::Event};

use super::{
    Answer, App, Reply,
    call::Call,
    convert::controller::{input, told},
    names::name,
    page::{fitting, page},
    watch::{Events, Watching},
    watches::position,
};
use crate::http::Conditions;

pub(super) async fn create(app: App, asked: pb::CreateControllerRequest) -> Answer<pb::CreateControllerResponse> {
    let made = app.dcm.create_controller(input(asked.controller).into()).await?;
    Ok(Reply::new(pb::CreateControllerResponse { controller: Some(told(&made)) }))
}

pub(super) async fn read(app: App, asked: pb::GetControllerRequest) -> Answer<pb::GetControllerResponse> {
    let conditions = Conditions::of_texts(&asked.if_match, &asked.if_none_match)?;
    let found = app.dcm.controller(&name("name", &asked.name)?).await?;
    let not_modified = conditions.has(&found.revision)?;
    Ok(Reply::new(pb::GetControllerResponse { controller: (!not_modified).then(|| told(&found)), not_modified }))
}

pub(super) async fn list(app: App, asked: pb::ListControllersRequest) -> Answer<pb::ListControllersResponse> {
    let found = app.dcm.controllers(&page(asked.page_size, &asked.page_token)?).await?;
    let (controllers, next_page_token) = fitting(found.entries.iter().map(told), found.next);
    Ok(Reply::new(pb::ListControllersResponse { controllers, next_page_token }))
}

pub(super) async fn update(app: App, asked: pb::UpdateControllerRequest) -> Answer<pb::UpdateControllerResponse> {
    let (dcm, name) = (&app.dcm, name("name", &asked.name)?);
    let conditions = Conditions::of_texts(&asked.if_match, &asked.if_none_match)?;
    let expected = conditions.expected(async || Ok(dcm.controller(&name).await?.revision)).await?;
    let made = dcm.update_controller(&name, input(asked.controller).into(), expected.as_ref()).await?;
    Ok(Reply::new(pb::UpdateControllerResponse { controller: Some(told(&made)) }))
}

pub(super) async fn delete(app: App, asked: pb::DeleteControllerRequest) -> Answer<pb::DeleteControllerResponse> {
    let (dcm, name) = (&app.dcm, name("name", &asked.name)?);
    let conditions = Conditions::of_texts(&asked.if_match, &asked.if_none_match)?;
    let expected = conditions.expected(async || Ok(dcm.controller(&name).await?.revision)).await?;
    dcm.delete_controller(&name, expected.as_ref()).await?;
    Ok(Reply::new(pb::DeleteControllerResponse {}))
}

pub(super) async fn watch(
    app: App,
    asked: pb::WatchControllersRequest,
    call: Call,
) -> Answer<Events<pb::WatchControllersResponse>> {
    let watching = Watching::new(&app, call)?;
    let watch = app.dcm.watch_controllers(position(&asked.last_event_id).as_ref()).await?;
    watching.answer(watch, |entry| Event::Controller(told(entry)))
}
