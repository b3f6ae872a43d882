use axum::{extract::State, response::IntoResponse as _};

use super::{Answer, App, dto::EncryptionAnswer, reply::Reply};

pub(super) async fn read(State(app): State<App>) -> Answer {
    let found = app.dcm.encryption().await?;
    Ok(Reply::ok(&EncryptionAnswer::new(&found)).into_response())
}
