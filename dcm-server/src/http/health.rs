use axum::{extract::State, response::IntoResponse as _};
use http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    Answer, App,
    api::{Api, Operation},
    reply::Reply,
};
use crate::readiness::Awaited;

/// Whether the server is well.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
struct Health {
    status: &'static str,
    /// Parts of DCM that are away, or that this process cannot be now. Requests are served all the same; what needs them waits.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    waiting_for: Vec<Awaited>,
}

pub(super) fn routes(api: Api) -> Api {
    let probe = |id: &str, summary: &str, about: &str| {
        Operation::new(id, summary).about(about).probe().answers::<Health>(StatusCode::OK, "It is so.")
    };
    let lives =
        probe("getHealth", "Says that the process serves requests.", "For a liveness probe: it asks nobody else.");
    let can_serve = probe(
        "getReadiness",
        "Says that what is needed to serve requests is there.",
        "503 where the store is away. What else is waited for is listed.",
    );
    api.path("/healthz", |path| path.get(alive, lives)).path("/readyz", |path| path.get(ready, can_serve))
}

/// The process serves requests.
pub(super) async fn alive() -> Answer {
    Ok(Reply::ok(&Health { status: "alive", waiting_for: Vec::new() }).into_response())
}

/// What is needed to serve requests is there.
pub(super) async fn ready(State(app): State<App>) -> Answer {
    app.dcm.ready().await?;
    let waiting_for = app.readiness.waiting();
    Ok(Reply::ok(&Health { status: "ready", waiting_for }).into_response())
}
