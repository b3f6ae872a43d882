use axum::{extract::State, response::IntoResponse as _};
use dcm_core::{lifecycle::Event, service::CloudId, store::Revision};
use http::{StatusCode, Uri};

use super::{
    Answer, App,
    api::{Api, Operation, of_cloud},
    condition::Conditions,
    dto::{AcceptedAnswer, AppliedAnswer, RevokedAnswer},
    path::Cloud,
    problem::Problem,
    query::Query,
    reply::Reply,
};

pub(super) fn routes(api: Api) -> Api {
    let order = |id: &str, summary: &str| Operation::new(id, summary).conditional();
    let forced = "Go on although a cluster holds a newer state than this store: it was restored from an old backup.";
    api.tag("Lifecycle", "What is to become of a logical cloud on its clusters. Bodies are ignored; `If-Match` is held against the \
                            logical cloud's `ETag`.")
        .path(of_cloud("/apply"), |path| {
            let about = "Freezes the logical cloud as it is now, and makes the clusters be that; from there on they are kept so. \
                         May always be called again.";
            let operation = order("applyLogicalCloud", "Makes the clusters be as the logical cloud says.").about(about);
            path.post(apply, operation.forced(forced).answers::<AppliedAnswer>(StatusCode::OK, "It is recorded."))
        })
        .path(of_cloud("/instantiate"), |path| {
            let operation = order("instantiateLogicalCloud", "Applies a logical cloud that is not applied.");
            path.post(instantiate, operation.about("One that is applied is a 409.").forced(forced).accepts::<AppliedAnswer>())
        })
        .path(of_cloud("/update"), |path| {
            let operation = order("updateLogicalCloud", "Applies a logical cloud that is applied once more.");
            path.post(update, operation.about("One that is not applied is a 409.").forced(forced).accepts::<AppliedAnswer>())
        })
        .path(of_cloud("/terminate"), |path| {
            let about = "Removes from the clusters all that DCM made there for it, and waits until it is gone.";
            let operation = order("terminateLogicalCloud", "Removes a logical cloud from its clusters.").about(about);
            path.post(terminate, operation.forced(forced).accepts::<AcceptedAnswer>())
        })
        .path(of_cloud("/stop"), |path| {
            let about = "Objects on clusters stay as they are. Apply or terminate take it up again.";
            let operation = order("stopLogicalCloud", "Ends the work that is in progress.").about(about);
            path.post(stop, operation.accepts::<AcceptedAnswer>())
        })
        .path(of_cloud("/user/revoke"), |path| {
            let about = "At once on every cluster that can be reached; the rest is reported, and follows. The answer lists what \
                         else there grants him access.";
            let operation = order("revokeUser", "Cuts the user off, and gives him no new credential.").about(about);
            path.post(revoke, operation.accepts::<RevokedAnswer>())
        })
        .path(of_cloud("/user/renew"), |path| {
            let about = "The old credential does not work any more.";
            let operation = order("renewUser", "Gives the user a new credential on every cluster.").about(about);
            path.post(renew, operation.accepts::<AcceptedAnswer>())
        })
}

pub(super) async fn apply(State(app): State<App>, Cloud(id): Cloud, uri: Uri, conditions: Conditions) -> Answer {
    let expected = expected(&app, &id, &conditions).await?;
    let ordered = app.dcm.seen(expected.as_ref()).apply(&id, Event::Apply, Query::is_forced(&uri)?).await?;
    Ok(Reply::ok(&AppliedAnswer::new(&ordered)).into_response())
}

pub(super) async fn instantiate(State(app): State<App>, Cloud(id): Cloud, uri: Uri, conditions: Conditions) -> Answer {
    let expected = expected(&app, &id, &conditions).await?;
    let ordered = app.dcm.seen(expected.as_ref()).apply(&id, Event::Instantiate, Query::is_forced(&uri)?).await?;
    Ok(Reply::accepted(&AppliedAnswer::new(&ordered)).into_response())
}

pub(super) async fn update(State(app): State<App>, Cloud(id): Cloud, uri: Uri, conditions: Conditions) -> Answer {
    let expected = expected(&app, &id, &conditions).await?;
    let ordered = app.dcm.seen(expected.as_ref()).apply(&id, Event::Update, Query::is_forced(&uri)?).await?;
    Ok(Reply::accepted(&AppliedAnswer::new(&ordered)).into_response())
}

pub(super) async fn terminate(State(app): State<App>, Cloud(id): Cloud, uri: Uri, conditions: Conditions) -> Answer {
    let expected = expected(&app, &id, &conditions).await?;
    let cloud = app.dcm.seen(expected.as_ref()).terminate(&id, Query::is_forced(&uri)?).await?;
    Ok(Reply::accepted(&AcceptedAnswer::new(&cloud)).into_response())
}

pub(super) async fn stop(State(app): State<App>, Cloud(id): Cloud, conditions: Conditions) -> Answer {
    let expected = expected(&app, &id, &conditions).await?;
    let cloud = app.dcm.seen(expected.as_ref()).stop(&id).await?;
    Ok(Reply::accepted(&AcceptedAnswer::new(&cloud)).into_response())
}

pub(super) async fn revoke(State(app): State<App>, Cloud(id): Cloud, conditions: Conditions) -> Answer {
    let expected = expected(&app, &id, &conditions).await?;
    let revocation = app.dcm.seen(expected.as_ref()).revoke_user(&id).await?;
    Ok(Reply::accepted(&RevokedAnswer::new(&revocation)).into_response())
}

pub(super) async fn renew(State(app): State<App>, Cloud(id): Cloud, conditions: Conditions) -> Answer {
    let expected = expected(&app, &id, &conditions).await?;
    let cloud = app.dcm.seen(expected.as_ref()).renew_user(&id).await?;
    Ok(Reply::accepted(&AcceptedAnswer::new(&cloud)).into_response())
}

/// The one state of the logical cloud that an order is for; `None` where any will do.
async fn expected(app: &App, id: &CloudId, conditions: &Conditions) -> Result<Option<Revision>, Problem> {
    conditions.expected(async || Ok(app.dcm.logical_cloud(id).await?.revision.clone())).await
}
