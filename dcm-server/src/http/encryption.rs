use axum::{extract::State, response::IntoResponse as _};

use http::StatusCode;

use super::{
    Answer, App,
    api::{Api, Operation},
    dto::EncryptionAnswer,
    reply::Reply,
};

pub(super) fn routes(api: Api) -> Api {
    let operation =
        Operation::new("getEncryption", "Says which encryption keys there are, by their ids, and which are in use.")
            .about("A new key has a pass over all documents; when it is settled, the lines of older keys may go.")
            .answers::<EncryptionAnswer>(StatusCode::OK, "The keys' ids, and how far a pass is.");
    api.tag("Server", "The server itself.").path("/v2/encryption", |path| path.get(read, operation))
}

pub(super) async fn read(State(app): State<App>) -> Answer {
    let found = app.dcm.encryption().await?;
    Ok(Reply::ok(&EncryptionAnswer::new(&found)).into_response())
}
