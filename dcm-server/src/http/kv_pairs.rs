use dcm_core::{
    error::Error,
    model::{KvPair, KvPairInput},
    name::KvPairName,
    service::{Dcm, Draft, Expected, Listed, Page, Watch, WatchPosition},
    store::Entry,
};
use http::StatusCode;
use serde::Serialize;
use serde_json::json;

use super::{
    api::{Api, Noun, of_cloud},
    dto::{KvPairAnswer, KvPairBody},
    path::{Child, Cloud},
    record::{Kept, Record, create, delete, list, patch, read, update},
};

pub(super) fn routes(api: Api) -> Api {
    let pair = Noun::new("KvPair", "a kv-pair of a logical cloud", "a logical cloud's kv-pairs");
    api.tag("Kv-pairs", "Named lists of key-value pairs of a logical cloud.")
        .path(of_cloud("/kv-pairs"), |path| {
            path.get(list::<KvPairs>, pair.list::<KvPairAnswer>().watched()).post(
                create::<KvPairs>,
                pair.create::<KvPairBody, KvPairAnswer>(StatusCode::CREATED)
                    .named()
                    .about("A logical cloud has at most 1,000. Values are any JSON.")
                    .example(json!({"metadata": {"name": "kv-1"}, "spec": {"kv": [{"key1": "val1"}, {"key2": 2}]}})),
            )
        })
        .path(of_cloud("/kv-pairs/{kv-pair}"), |path| {
            path.get(read::<KvPairs>, pair.read::<KvPairAnswer>())
                .put(update::<KvPairs>, pair.replace::<KvPairBody, KvPairAnswer>(StatusCode::CREATED))
                .patch(patch::<KvPairs>, pair.patch::<KvPairAnswer>(StatusCode::CREATED))
                .delete(delete::<KvPairs>, pair.delete())
        })
}

impl Kept for KvPair {
    fn name(&self) -> &str {
        self.metadata.name.as_str()
    }

    fn answer(&self) -> impl Serialize {
        KvPairAnswer::new(self)
    }
}

/// A logical cloud's kv-pairs.
struct KvPairs;

impl Record for KvPairs {
    type Stored = KvPair;
    type Input = KvPairInput;
    type Of = Cloud;
    type One = Child<KvPairName>;

    // 201 and not 200: the design says so.
    const REPLACED: StatusCode = StatusCode::CREATED;

    async fn create(dcm: &Dcm, of: &Cloud, draft: Draft<KvPairInput>) -> Result<Entry<KvPair>, Error> {
        dcm.create_kv_pair(&of.0, draft).await
    }

    async fn page(dcm: &Dcm, of: &Cloud, page: &Page) -> Result<Listed<Entry<KvPair>>, Error> {
        dcm.kv_pairs(&of.0, page).await
    }

    async fn watch(dcm: &Dcm, of: &Cloud, from: Option<&WatchPosition>) -> Result<Watch<Entry<KvPair>>, Error> {
        dcm.watch_kv_pairs(&of.0, from).await
    }

    async fn find(dcm: &Dcm, one: &Child<KvPairName>) -> Result<Entry<KvPair>, Error> {
        dcm.kv_pair(&one.cloud, &one.name).await
    }

    async fn replace(
        dcm: &Dcm,
        one: &Child<KvPairName>,
        draft: Draft<KvPairInput>,
        expected: Expected<'_>,
    ) -> Result<Entry<KvPair>, Error> {
        dcm.update_kv_pair(&one.cloud, &one.name, draft, expected).await
    }

    async fn delete(dcm: &Dcm, one: &Child<KvPairName>, expected: Expected<'_>) -> Result<(), Error> {
        dcm.delete_kv_pair(&one.cloud, &one.name, expected).await
    }
}
