use axum::{extract::State, response::IntoResponse as _};
use http::StatusCode;

use super::{
    Answer, App,
    api::{Api, Operation, of_cloud},
    dto::StatusAnswer,
    path::Cloud,
    reply::Reply,
};

pub(super) fn routes(api: Api) -> Api {
    let operation = Operation::new("getStatus", "Says how far a logical cloud is on each of its clusters.")
        .about("From what is stored: no cluster is asked.")
        .answers::<StatusAnswer>(StatusCode::OK, "The status.");
    api.tag("Status", "How far a logical cloud is.").path(of_cloud("/status"), |path| path.get(read, operation))
}

pub(super) async fn read(State(app): State<App>, Cloud(id): Cloud) -> Answer {
    let status = app.dcm.status(&id).await?;
    Ok(Reply::ok(&StatusAnswer::new(&status)).into_response())
}
