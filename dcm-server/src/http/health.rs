use axum::{extract::State, response::IntoResponse as _};
use serde::Serialize;

use super::{Answer, App, reply::Reply};

#[derive(Serialize)]
struct Health {
    status: &'static str,
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
