use axum::{extract::State, response::IntoResponse as _};
use dcm_core::{
    model::{Controller, ControllerInput},
    name::ControllerName,
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
    dto::{ControllerAnswer, ControllerBody},
    patch::{Patch, Present},
    path::Named,
    reply::Reply,
    watch::{Asked, Shown},
};

pub(super) fn routes(api: Api) -> Api {
    let controller = Noun::new("Controller", "a controller", "controllers");
    api.tag("Controllers", "Where DCM's other processes are to be reached.")
        .path("/v2/controllers", |path| {
            path.get(list, controller.list::<ControllerAnswer>().watched()).post(
                create,
                controller
                    .create::<ControllerBody, ControllerAnswer>(StatusCode::CREATED)
                    .named()
                    .about("`ca` and `rsync` are DCM's own: the CA controller and the resource synchronizer. They are kept and \
                            served; this release does everything in one process.")
                    .example(json!({"metadata": {"name": "rsync"}, "spec": {"host": "rsync.example.com", "port": 9078}})),
            )
        })
        .path("/v2/controllers/{controller}", |path| {
            path.get(read, controller.read::<ControllerAnswer>())
                .put(update, controller.replace::<ControllerBody, ControllerAnswer>(StatusCode::OK))
                .patch(patch, controller.patch::<ControllerAnswer>(StatusCode::OK))
                .delete(delete, controller.delete())
        })
}

pub(super) async fn create(State(app): State<App>, body: Received<ControllerInput>) -> Answer {
    let made = app.dcm.create_controller(body.draft).await?;
    let answer = ControllerAnswer::new(&made.value);
    Ok(Reply::created(&answer)
        .revision(&made.revision)
        .made(made.value.metadata.name.as_str())
        .warnings(&body.warnings)
        .into_response())
}

pub(super) async fn list(State(app): State<App>, asked: Asked) -> Answer {
    let listing = match asked {
        Asked::Page(listing) => listing,
        Asked::Watch(watching) => {
            let watch = app.dcm.watch_controllers(watching.from()).await?;
            return watching.answer(watch);
        }
    };
    let found = app.dcm.controllers(&listing.page).await?;
    let answers: Vec<_> = found.entries.iter().map(|entry| ControllerAnswer::new(&entry.value)).collect();
    Ok(listing.answer(&answers, found.next.as_deref()))
}

impl Shown for Entry<Controller> {
    fn revision(&self) -> Option<&Revision> {
        Some(&self.revision)
    }

    fn shown(&self) -> impl Serialize {
        ControllerAnswer::new(&self.value)
    }
}

pub(super) async fn read(State(app): State<App>, Named(name): Named<ControllerName>, conditions: Conditions) -> Answer {
    let found = app.dcm.controller(&name).await?;
    conditions.of(&found.revision, || {
        Reply::ok(&ControllerAnswer::new(&found.value)).revision(&found.revision).into_response()
    })
}

pub(super) async fn update(
    State(app): State<App>,
    Named(name): Named<ControllerName>,
    conditions: Conditions,
    body: Received<ControllerInput>,
) -> Answer {
    let expected = conditions.expected(async || Ok(app.dcm.controller(&name).await?.revision)).await?;
    put(&app, &name, body, expected.as_ref()).await
}

pub(super) async fn patch(
    State(app): State<App>,
    Named(name): Named<ControllerName>,
    conditions: Conditions,
    patch: Patch,
) -> Answer {
    let read = async || {
        let found = app.dcm.controller(&name).await?;
        Present::new(&ControllerAnswer::new(&found.value), &found.revision)
    };
    let write = async |body, present| put(&app, &name, body, Some(&present)).await;
    patch.carry_out(&conditions, StatusCode::OK, read, write).await
}

async fn put(app: &App, name: &ControllerName, body: Received<ControllerInput>, expected: Expected<'_>) -> Answer {
    let made = app.dcm.update_controller(name, body.draft, expected).await?;
    let answer = ControllerAnswer::new(&made.value);
    Ok(Reply::ok(&answer).revision(&made.revision).warnings(&body.warnings).into_response())
}

pub(super) async fn delete(
    State(app): State<App>,
    Named(name): Named<ControllerName>,
    conditions: Conditions,
) -> Answer {
    let expected = conditions.expected(async || Ok(app.dcm.controller(&name).await?.revision)).await?;
    app.dcm.delete_controller(&name, expected.as_ref()).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}
