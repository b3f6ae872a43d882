use axum::{extract::State, response::IntoResponse as _};
use dcm_core::{
    model::{ClusterLabel, ClusterLabelInput},
    name::LabelKey,
    service::Expected,
};
use http::StatusCode;
use serde_json::json;

use super::{
    Answer, App,
    api::{Api, Noun, of_cluster},
    body::Received,
    condition::Conditions,
    dto::{ClusterLabelAnswer, ClusterLabelBody},
    page::KeyListing,
    patch::{Patch, Present},
    path::{ClusterChild, ClusterPath},
    reply::Reply,
};

pub(super) fn routes(api: Api) -> Api {
    let label = Noun::new("ClusterLabel", "a label of a cluster", "a cluster's labels");
    api.tag("Labels of clusters", "The map `spec.labels` of a cluster's registration, entry by entry.")
        .path(of_cluster("/labels"), |path| {
            path.get(list, label.list::<ClusterLabelAnswer>().after_keys()).post(
                create,
                label
                    .create::<ClusterLabelBody, ClusterLabelAnswer>(StatusCode::CREATED)
                    .about("A cluster has at most 256. A label has its cluster's `ETag`.")
                    .example(json!({"label-name": "site", "value": "edge-7"})),
            )
        })
        .path(of_cluster("/labels/{label}"), |path| {
            path.get(read, label.read::<ClusterLabelAnswer>().about("A slash in a key is written `%2F`."))
                .put(update, label.replace::<ClusterLabelBody, ClusterLabelAnswer>(StatusCode::OK))
                .patch(patch, label.patch::<ClusterLabelAnswer>(StatusCode::OK))
                .delete(delete, label.delete())
        })
}

pub(super) async fn create(State(app): State<App>, path: ClusterPath, body: Received<ClusterLabelInput>) -> Answer {
    let (made, revision) = app.dcm.create_cluster_label(path.of(), body.draft).await?;
    Ok(Reply::created(&answer(&made))
        .revision(&revision)
        .made(made.key.as_str())
        .warnings(&body.warnings)
        .into_response())
}

pub(super) async fn list(State(app): State<App>, path: ClusterPath, KeyListing(listing): KeyListing) -> Answer {
    let (labels, _) = app.dcm.cluster_labels(path.of()).await?;
    let after = listing.page.after.as_deref().unwrap_or_default();
    let mut rest = labels.iter().filter(|(key, _)| key.as_str() > after);
    let page: Vec<_> =
        rest.by_ref().take(listing.page.limit).map(|(key, value)| ClusterLabelAnswer::new(key, value)).collect();
    let next = page.last().filter(|_| rest.next().is_some()).map(ClusterLabelAnswer::key);
    Ok(listing.answer(&page, next))
}

pub(super) async fn read(State(app): State<App>, path: ClusterChild<LabelKey>, conditions: Conditions) -> Answer {
    let (found, revision) = app.dcm.cluster_label(path.cluster.of(), &path.name).await?;
    conditions.of(&revision, || Reply::ok(&answer(&found)).revision(&revision).into_response())
}

pub(super) async fn update(
    State(app): State<App>,
    path: ClusterChild<LabelKey>,
    conditions: Conditions,
    body: Received<ClusterLabelInput>,
) -> Answer {
    let expected =
        conditions.expected(async || Ok(app.dcm.cluster_label(path.cluster.of(), &path.name).await?.1)).await?;
    put(&app, &path, body, expected.as_ref()).await
}

pub(super) async fn patch(
    State(app): State<App>,
    path: ClusterChild<LabelKey>,
    conditions: Conditions,
    patch: Patch,
) -> Answer {
    let read = async || {
        let (found, revision) = app.dcm.cluster_label(path.cluster.of(), &path.name).await?;
        Present::new(&answer(&found), &revision)
    };
    let write = async |body, present| put(&app, &path, body, Some(&present)).await;
    patch.carry_out(&conditions, StatusCode::OK, read, write).await
}

async fn put(
    app: &App,
    path: &ClusterChild<LabelKey>,
    body: Received<ClusterLabelInput>,
    expected: Expected<'_>,
) -> Answer {
    let (made, revision) = app.dcm.update_cluster_label(path.cluster.of(), &path.name, body.draft, expected).await?;
    Ok(Reply::ok(&answer(&made)).revision(&revision).warnings(&body.warnings).into_response())
}

pub(super) async fn delete(
    State(app): State<App>,
    ClusterChild { cluster, name }: ClusterChild<LabelKey>,
    conditions: Conditions,
) -> Answer {
    let expected = conditions.expected(async || Ok(app.dcm.cluster_label(cluster.of(), &name).await?.1)).await?;
    app.dcm.delete_cluster_label(cluster.of(), &name, expected.as_ref()).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

fn answer(label: &ClusterLabel) -> ClusterLabelAnswer<'_> {
    ClusterLabelAnswer::new(label.key.as_str(), &label.value)
}
