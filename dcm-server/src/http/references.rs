use axum::{extract::State, response::IntoResponse as _};
use dcm_core::{
    model::{ClusterReference, ClusterReferenceInput},
    name::ReferenceName,
    service::{Deletion, Expected},
    store::{Entry, Revision},
};
use http::{StatusCode, Uri};
use serde::Serialize;
use serde_json::json;

use super::{
    Answer, App,
    api::{Api, Noun, of_cloud},
    body::Received,
    condition::Conditions,
    dto::{ReferenceAnswer, ReferenceBody},
    patch::{Patch, Present},
    path::{Child, Cloud},
    query::Query,
    reply::Reply,
    watch::{Asked, Shown},
};

pub(super) fn routes(api: Api) -> Api {
    let reference = Noun::new(
        "ClusterReference",
        "a reference of a logical cloud to a cluster",
        "a logical cloud's cluster references",
    );
    let deletion = reference
        .delete()
        .about(
            "Where something of the logical cloud is on the cluster it is removed first, and the reference goes when \
                the cluster is clean.",
        )
        .forced("Let it go although its cluster has been away for long; what is there stays there.")
        .answers_nothing(StatusCode::ACCEPTED, "It goes when its cluster is clean.");
    api.tag("Cluster references", "Which clusters a logical cloud is on.")
        .path(of_cloud("/cluster-references"), |path| {
            path.get(list, reference.list::<ReferenceAnswer>().watched()).post(
                create,
                reference
                    .create::<ReferenceBody, ReferenceAnswer>(StatusCode::OK)
                    .about("At most 10,000 of a logical cloud. In the short form the reference is called as the cluster, of \
                            the provider `default`. A cluster that is not registered is a 400.")
                    .example(json!({"cluster-reference": "cluster-1", "loadbalancer-ip": "0.0.0.0"})),
            )
        })
        .path(of_cloud("/cluster-references/{cluster-reference}"), |path| {
            path.get(
                read,
                reference
                    .read::<ReferenceAnswer>()
                    .about("By its name, or else the only reference to a cluster of that name."),
            )
            .put(update, reference.replace::<ReferenceBody, ReferenceAnswer>(StatusCode::OK))
            .patch(patch, reference.patch::<ReferenceAnswer>(StatusCode::OK))
.delete(delete, deletion)
        })
}

pub(super) async fn create(State(app): State<App>, Cloud(id): Cloud, body: Received<ClusterReferenceInput>) -> Answer {
    let made = app.dcm.create_reference(&id, body.draft).await?;
    // 200 and not 201: the design says so.
    let answer = ReferenceAnswer::new(&made.value);
    Ok(Reply::ok(&answer)
        .revision(&made.revision)
        .made(made.value.metadata.name.as_str())
        .warnings(&body.warnings)
        .into_response())
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
    let answers: Vec<_> = found.entries.iter().map(|entry| ReferenceAnswer::new(&entry.value)).collect();
    Ok(listing.answer(&answers, found.next.as_deref()))
}

pub(super) async fn read(State(app): State<App>, path: Child<ReferenceName>, conditions: Conditions) -> Answer {
    let found = app.dcm.reference(&path.cloud, &path.name).await?;
    conditions.of(&found.revision, || {
        Reply::ok(&ReferenceAnswer::new(&found.value)).revision(&found.revision).into_response()
    })
}

pub(super) async fn update(
    State(app): State<App>,
    path: Child<ReferenceName>,
    conditions: Conditions,
    body: Received<ClusterReferenceInput>,
) -> Answer {
    let expected = conditions.expected(async || Ok(app.dcm.reference(&path.cloud, &path.name).await?.revision)).await?;
    put(&app, &path, body, expected.as_ref()).await
}

pub(super) async fn patch(
    State(app): State<App>,
    path: Child<ReferenceName>,
    conditions: Conditions,
    patch: Patch,
) -> Answer {
    let read = async || {
        let found = app.dcm.reference(&path.cloud, &path.name).await?;
        Present::new(&ReferenceAnswer::new(&found.value), &found.revision)
    };
    let write = async |body, present| put(&app, &path, body, Some(&present)).await;
    patch.carry_out(&conditions, StatusCode::OK, read, write).await
}

async fn put(
    app: &App,
    path: &Child<ReferenceName>,
    body: Received<ClusterReferenceInput>,
    expected: Expected<'_>,
) -> Answer {
    let made = app.dcm.update_reference(&path.cloud, &path.name, body.draft, expected).await?;
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
