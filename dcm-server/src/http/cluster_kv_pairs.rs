use axum::{extract::State, response::IntoResponse as _};
use dcm_core::{
    error::{Error, ErrorKind},
    model::{KvPair, KvPairInput},
    name::KvPairName,
    service::{Dcm, Draft, Expected, Listed, Page, Watch, WatchPosition},
    store::Entry,
};
use http::{StatusCode, Uri};
use serde_json::json;

use super::{
    Answer, App,
    api::{Api, Noun, of_cluster},
    condition::Conditions,
    dto::{KvPairAnswer, KvPairBody, KvPairOrValueSchema, KvValueAnswer},
    path::{ClusterChild, ClusterPath},
    problem::Problem,
    query::Query,
    record::{Record, create, delete, list, patch, update},
    reply::Reply,
};
use crate::status::Kind;

pub(super) fn routes(api: Api) -> Api {
    let pair = Noun::new("ClusterKvPair", "a kv-pair of a cluster", "a cluster's kv-pairs");
    api.tag("Kv-pairs of clusters", "Named lists of key-value pairs of a cluster.")
        .path(of_cluster("/kv-pairs"), |path| {
            path.get(list::<ClusterKvPairs>, pair.list::<KvPairAnswer>().watched()).post(
                create::<ClusterKvPairs>,
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
            .put(update::<ClusterKvPairs>, pair.replace::<KvPairBody, KvPairAnswer>(StatusCode::OK))
            .patch(patch::<ClusterKvPairs>, pair.patch::<KvPairAnswer>(StatusCode::OK))
            .delete(delete::<ClusterKvPairs>, pair.delete())
        })
}

/// A cluster's kv-pairs.
struct ClusterKvPairs;

impl Record for ClusterKvPairs {
    type Stored = KvPair;
    type Input = KvPairInput;
    type Of = ClusterPath;
    type One = ClusterChild<KvPairName>;

    async fn create(dcm: &Dcm, of: &ClusterPath, draft: Draft<KvPairInput>) -> Result<Entry<KvPair>, Error> {
        dcm.create_cluster_kv_pair(of.of(), draft).await
    }

    async fn page(dcm: &Dcm, of: &ClusterPath, page: &Page) -> Result<Listed<Entry<KvPair>>, Error> {
        dcm.cluster_kv_pairs(of.of(), page).await
    }

    async fn watch(dcm: &Dcm, of: &ClusterPath, from: Option<&WatchPosition>) -> Result<Watch<Entry<KvPair>>, Error> {
        dcm.watch_cluster_kv_pairs(of.of(), from).await
    }

    async fn find(dcm: &Dcm, one: &ClusterChild<KvPairName>) -> Result<Entry<KvPair>, Error> {
        dcm.cluster_kv_pair(one.cluster.of(), &one.name).await
    }

    async fn replace(
        dcm: &Dcm,
        one: &ClusterChild<KvPairName>,
        draft: Draft<KvPairInput>,
        expected: Expected<'_>,
    ) -> Result<Entry<KvPair>, Error> {
        dcm.update_cluster_kv_pair(one.cluster.of(), &one.name, draft, expected).await
    }

    async fn delete(dcm: &Dcm, one: &ClusterChild<KvPairName>, expected: Expected<'_>) -> Result<(), Error> {
        dcm.delete_cluster_kv_pair(one.cluster.of(), &one.name, expected).await
    }
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

fn value_of<'a>(pair: &'a KvPair, key: &str) -> Result<KvValueAnswer<'a>, Problem> {
    let found = pair.kv.iter().find(|(name, _)| name == key);
    let missing = || Problem::new(Kind::Core(ErrorKind::NotFound), "the kv-pair has no such key");
    found.map(|(_, value)| KvValueAnswer { value }).ok_or_else(missing)
}
