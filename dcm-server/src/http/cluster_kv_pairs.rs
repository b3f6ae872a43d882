use axum::{extract::State, response::IntoResponse as _};
use dcm_core::{
    error::ErrorKind,
    model::{KvPair, KvPairInput},
    name::KvPairName,
    service::Expected,
};
use http::{StatusCode, Uri};
use serde_json::json;

use super::{
    Answer, App,
    api::{Api, Noun, of_cluster},
    body::Received,
    condition::Conditions,
    dto::{KvPairAnswer, KvPairBody, KvPairOrValueSchema, KvValueAnswer},
    patch::{Patch, Present},
    path::{ClusterChild, ClusterPath},
    problem::Problem,
    query::Query,
    reply::Reply,
    watch::Asked,
};
use crate::status::Kind;

pub(super) fn routes(api: Api) -> Api {
    let pair = Noun::new("ClusterKvPair", "a kv-pair of a cluster", "a cluster's kv-pairs");
    api.tag("Kv-pairs of clusters", "Named lists of key-value pairs of a cluster.")
        .path(of_cluster("/kv-pairs"), |path| {
            path.get(list, pair.list::<KvPairAnswer>().watched()).post(
                create,
                pair.create::<KvPairBody, KvPairAnswer>(StatusCode::CREATED)
                    .named()
                    .about("A cluster has at most 1,000; they go with it.")
                    .example(json!({"metadata": {"name": "kv-1"}, "spec": {"kv": [{"site": "edge-7"}]}})),
            )
        })
        .path(of_cluster("/kv-pairs/{kv-pair}"), |path| {
            path.get(
                read,
                pair.read::<KvPairOrValueSchema>().query("key", "Answer only the first value of this key, as `value`."),
            )
            .put(update, pair.replace::<KvPairBody, KvPairAnswer>(StatusCode::OK))
            .patch(patch, pair.patch::<KvPairAnswer>(StatusCode::OK))
            .delete(delete, pair.delete())
        })
}

pub(super) async fn create(State(app): State<App>, path: ClusterPath, body: Received<KvPairInput>) -> Answer {
    let made = app.dcm.create_cluster_kv_pair(path.of(), body.draft).await?;
    let answer = KvPairAnswer::new(&made.value);
    Ok(Reply::created(&answer)
        .revision(&made.revision)
        .made(made.value.metadata.name.as_str())
        .warnings(&body.warnings)
        .into_response())
}

pub(super) async fn list(State(app): State<App>, path: ClusterPath, asked: Asked) -> Answer {
    let listing = match asked {
        Asked::Page(listing) => listing,
        Asked::Watch(watching) => {
            let watch = app.dcm.watch_cluster_kv_pairs(path.of(), watching.from()).await?;
            return watching.answer(watch);
        }
    };
    let found = app.dcm.cluster_kv_pairs(path.of(), &listing.page).await?;
    let answers: Vec<_> = found.entries.iter().map(|entry| KvPairAnswer::new(&entry.value)).collect();
    Ok(listing.answer(&answers, found.next.as_deref()))
}

/// With `?key=` only the value of that key, as in EMCO.
pub(super) async fn read(
    State(app): State<App>,
    path: ClusterChild<KvPairName>,
    uri: Uri,
    conditions: Conditions,
) -> Answer {
    let query = Query::parse(uri.query())?;
    let found = app.dcm.cluster_kv_pair(path.cluster.of(), &path.name).await?;
    let reply = match query.one("key")? {
        Some(key) => Reply::ok(&value_of(&found.value, key)?),
        None => Reply::ok(&KvPairAnswer::new(&found.value)),
    };
    conditions.of(&found.revision, || reply.revision(&found.revision).into_response())
}

pub(super) async fn update(
    State(app): State<App>,
    path: ClusterChild<KvPairName>,
    conditions: Conditions,
    body: Received<KvPairInput>,
) -> Answer {
    let present = async || Ok(app.dcm.cluster_kv_pair(path.cluster.of(), &path.name).await?.revision);
    let expected = conditions.expected(present).await?;
    put(&app, &path, body, expected.as_ref()).await
}

pub(super) async fn patch(
    State(app): State<App>,
    path: ClusterChild<KvPairName>,
    conditions: Conditions,
    patch: Patch,
) -> Answer {
    let read = async || {
        let found = app.dcm.cluster_kv_pair(path.cluster.of(), &path.name).await?;
        Present::new(&KvPairAnswer::new(&found.value), &found.revision)
    };
    let write = async |body, present| put(&app, &path, body, Some(&present)).await;
    patch.carry_out(&conditions, StatusCode::OK, read, write).await
}

async fn put(
    app: &App,
    path: &ClusterChild<KvPairName>,
    body: Received<KvPairInput>,
    expected: Expected<'_>,
) -> Answer {
    let made = app.dcm.update_cluster_kv_pair(path.cluster.of(), &path.name, body.draft, expected).await?;
    let answer = KvPairAnswer::new(&made.value);
    Ok(Reply::ok(&answer).revision(&made.revision).warnings(&body.warnings).into_response())
}

pub(super) async fn delete(
    State(app): State<App>,
    ClusterChild { cluster, name }: ClusterChild<KvPairName>,
    conditions: Conditions,
) -> Answer {
    let present = async || Ok(app.dcm.cluster_kv_pair(cluster.of(), &name).await?.revision);
    let expected = conditions.expected(present).await?;
    app.dcm.delete_cluster_kv_pair(cluster.of(), &name, expected.as_ref()).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

fn value_of<'a>(pair: &'a KvPair, key: &str) -> Result<KvValueAnswer<'a>, Problem> {
    let found = pair.kv.iter().find(|(name, _)| name == key);
    let missing = || Problem::new(Kind::Core(ErrorKind::NotFound), "the kv-pair has no such key");
    found.map(|(_, value)| KvValueAnswer { value }).ok_or_else(missing)
}
