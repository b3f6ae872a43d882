use axum::{extract::State, response::IntoResponse as _};

use super::{Answer, App, dto::StatusAnswer, path::Cloud, reply::Reply};

pub(super) async fn read(State(app): State<App>, Cloud(id): Cloud) -> Answer {
    let status = app.dcm.status(&id).await?;
    Ok(Reply::ok(&StatusAnswer::new(&status)).into_response())
}
