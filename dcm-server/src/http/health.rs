use axum::{extract::State, response::IntoResponse as _};
use http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    Answer, App,
    api::{Api, Operation},
    reply::Reply,
};

/// Whether the server is well.
#[derive(Serialize, ToSchema)]
struct Health {
    status: &'static str,
}

pub(super) fn routes(api: Api) -> Api {
    let probe = |id: &str, summary: &str, about: &str| {
        Operation::new(id, summary).about(about).probe().answers::<Health>(StatusCode::OK, "It is so.")
    };
    let lives =
        probe("getHealth", "Says that the process serves requests.", "For a liveness probe: it asks nobody else.");
    let can_serve =
        probe("getReadiness", "Says that what is needed to serve requests is there.", "503 where the store is away.");
    api.path("/healthz", |path| path.get(alive, lives)).path("/readyz", |path| path.get(ready, can_serve))
}

/// The process serves requests.
pub(super) async fn alive() -> Answer {
    Ok(Reply::ok(&Health { status: "alive" }).into_response())
}

/// What is needed to serve requests is there.
pub(super) async fn ready(State(app): State<App>) -> Answer {
    app.dcm.ready().await?;
    Ok(Reply::ok(&Health { status: "ready" }).into_response())
}
