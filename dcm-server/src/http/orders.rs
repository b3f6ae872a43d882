use axum::{extract::State, response::IntoResponse as _};
use dcm_core::lifecycle::Event;
use http::Uri;

use super::{
    Answer, App,
    dto::{AcceptedAnswer, AppliedAnswer, RevokedAnswer},
    path::Cloud,
    query::Query,
    reply::Reply,
};

pub(super) async fn apply(State(app): State<App>, Cloud(id): Cloud, uri: Uri) -> Answer {
    let ordered = app.dcm.apply(&id, Event::Apply, Query::is_forced(&uri)?).await?;
    Ok(Reply::ok(&AppliedAnswer::new(&ordered)).into_response())
}

pub(super) async fn instantiate(State(app): State<App>, Cloud(id): Cloud, uri: Uri) -> Answer {
    let ordered = app.dcm.apply(&id, Event::Instantiate, Query::is_forced(&uri)?).await?;
    Ok(Reply::accepted(&AppliedAnswer::new(&ordered)).into_response())
}

pub(super) async fn update(State(app): State<App>, Cloud(id): Cloud, uri: Uri) -> Answer {
    let ordered = app.dcm.apply(&id, Event::Update, Query::is_forced(&uri)?).await?;
    Ok(Reply::accepted(&AppliedAnswer::new(&ordered)).into_response())
}

pub(super) async fn terminate(State(app): State<App>, Cloud(id): Cloud, uri: Uri) -> Answer {
    let cloud = app.dcm.terminate(&id, Query::is_forced(&uri)?).await?;
    Ok(Reply::accepted(&AcceptedAnswer::new(&cloud)).into_response())
}

pub(super) async fn stop(State(app): State<App>, Cloud(id): Cloud) -> Answer {
    let cloud = app.dcm.stop(&id).await?;
    Ok(Reply::accepted(&AcceptedAnswer::new(&cloud)).into_response())
}

pub(super) async fn revoke(State(app): State<App>, Cloud(id): Cloud) -> Answer {
    let revocation = app.dcm.revoke_user(&id).await?;
    Ok(Reply::accepted(&RevokedAnswer::new(&revocation)).into_response())
}

pub(super) async fn renew(State(app): State<App>, Cloud(id): Cloud) -> Answer {
    let cloud = app.dcm.renew_user(&id).await?;
    Ok(Reply::accepted(&AcceptedAnswer::new(&cloud)).into_response())
}
