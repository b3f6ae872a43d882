use axum::{extract::State, response::IntoResponse as _};
use dcm_core::{
    model::{ClusterReference, ClusterReferenceInput},
    name::ReferenceName,
    service::Deletion,
    store::{Entry, Revision},
};
use http::{StatusCode, Uri};
use serde::Serialize;

use super::{
    Answer, App,
    body::Received,
    condition::Conditions,
    dto::ReferenceAnswer,
    path::{Child, Cloud},
    query::Query,
    reply::Reply,
    watch::{Asked, Shown},
};

pub(super) async fn create(State(app): State<App>, Cloud(id): Cloud, body: Received<ClusterReferenceInput>) -> Answer {
    let made = app.dcm.create_reference(&id, body.draft).await?;
    // 200 and not 201: the design says so.
    let answer = ReferenceAnswer::new(&made.value);
    Ok(Reply::ok(&answer).revision(&made.revision).warnings(&body.warnings).into_response())
}

pub(super) async fn list(State(app): State<App>, Cloud(id): Cloud, asked: Asked) -> Answer {
    let listing = match asked {
        Asked::Page(listing) => listing,
        Asked::Watch(watching) => {
            let watch = app.dcm.watch_references(&id, watching.from()).await?;
            return watching.answer(watch);
        }
    };
    let found = app.dcm.references(&id, &listing.page).await?;
    let answers: Vec<_> = found.iter().map(|entry| ReferenceAnswer::new(&entry.value)).collect();
    Ok(listing.answer(&answers, found.len(), found.last().map(|entry| entry.key.last())))
}

pub(super) async fn read(State(app): State<App>, path: Child<ReferenceName>, conditions: Conditions) -> Answer {
    let found = app.dcm.reference(&path.cloud, &path.name).await?;
    conditions.of(&found.revision, || {
        Reply::ok(&ReferenceAnswer::new(&found.value)).revision(&found.revision).into_response()
    })
}

pub(super) async fn update(
    State(app): State<App>,
    Child { cloud, name }: Child<ReferenceName>,
    conditions: Conditions,
    body: Received<ClusterReferenceInput>,
) -> Answer {
    let expected = conditions.expected(async || Ok(app.dcm.reference(&cloud, &name).await?.revision)).await?;
    let made = app.dcm.update_reference(&cloud, &name, body.draft, expected.as_ref()).await?;
    let answer = ReferenceAnswer::new(&made.value);
    Ok(Reply::ok(&answer).revision(&made.revision).warnings(&body.warnings).into_response())
}

pub(super) async fn delete(
    State(app): State<App>,
    Child { cloud, name }: Child<ReferenceName>,
    uri: Uri,
    conditions: Conditions,
) -> Answer {
    let force = Query::is_forced(&uri)?;
    let expected = conditions.expected(async || Ok(app.dcm.reference(&cloud, &name).await?.revision)).await?;
    let status = match app.dcm.delete_reference(&cloud, &name, expected.as_ref(), force).await? {
        Deletion::Gone => StatusCode::NO_CONTENT,
        Deletion::Accepted => StatusCode::ACCEPTED,
    };
    Ok(status.into_response())
}

impl Shown for Entry<ClusterReference> {
    fn revision(&self) -> Option<&Revision> {
        Some(&self.revision)
    }

    fn shown(&self) -> impl Serialize {
        ReferenceAnswer::new(&self.value)
    }
}
