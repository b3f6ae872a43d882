use dcm_core::{
    error::Error,
    model::{Controller, ControllerInput},
    name::ControllerName,
    service::{Dcm, Draft, Expected, Listed, Page, Watch, WatchPosition},
    store::Entry,
};
use http::StatusCode;
use serde::Serialize;
use serde_json::json;

use super::{
    api::{Api, Noun},
    dto::{ControllerAnswer, ControllerBody},
    path::{All, Named},
    record::{Kept, Record, create, delete, list, patch, read, update},
};

pub(super) fn routes(api: Api) -> Api {
    let controller = Noun::new("Controller", "a controller", "controllers");
    api.tag("Controllers", "Where DCM's other processes are to be reached.")
        .path("/v2/controllers", |path| {
            path.get(list::<Controllers>, controller.list::<ControllerAnswer>().watched()).post(
                create::<Controllers>,
                controller
                    .create::<ControllerBody, ControllerAnswer>(StatusCode::CREATED)
                    .named()
                    .about("`ca` and `rsync` are DCM's own: the CA controller and the resource synchronizer. They are kept and \
                            served; this release does everything in one process.")
                    .example(json!({"metadata": {"name": "rsync"}, "spec": {"host": "rsync.example.com", "port": 9078}})),
            )
        })
        .path("/v2/controllers/{controller}", |path| {
            path.get(read::<Controllers>, controller.read::<ControllerAnswer>())
                .put(update::<Controllers>, controller.replace::<ControllerBody, ControllerAnswer>(StatusCode::OK))
                .patch(patch::<Controllers>, controller.patch::<ControllerAnswer>(StatusCode::OK))
                .delete(delete::<Controllers>, controller.delete())
        })
}

impl Kept for Controller {
    fn name(&self) -> &str {
        self.metadata.name.as_str()
    }

    fn answer(&self) -> impl Serialize {
        ControllerAnswer::new(self)
    }
}

/// DCM's other processes.
struct Controllers;

impl Record for Controllers {
    type Stored = Controller;
    type Input = ControllerInput;
    type Of = All;
    type One = Named<ControllerName>;

    async fn create(dcm: &Dcm, _: &All, draft: Draft<ControllerInput>) -> Result<Entry<Controller>, Error> {
        dcm.create_controller(draft).await
    }

    async fn page(dcm: &Dcm, _: &All, page: &Page) -> Result<Listed<Entry<Controller>>, Error> {
        dcm.controllers(page).await
    }

    async fn watch(dcm: &Dcm, _: &All, from: Option<&WatchPosition>) -> Result<Watch<Entry<Controller>>, Error> {
        dcm.watch_controllers(from).await
    }

    async fn find(dcm: &Dcm, one: &Named<ControllerName>) -> Result<Entry<Controller>, Error> {
        dcm.controller(&one.0).await
    }

    async fn replace(
        dcm: &Dcm,
        one: &Named<ControllerName>,
        draft: Draft<ControllerInput>,
        expected: Expected<'_>,
    ) -> Result<Entry<Controller>, Error> {
        dcm.update_controller(&one.0, draft, expected).await
    }

    async fn delete(dcm: &Dcm, one: &Named<ControllerName>, expected: Expected<'_>) -> Result<(), Error> {
        dcm.delete_controller(&one.0, expected).await
    }
}
