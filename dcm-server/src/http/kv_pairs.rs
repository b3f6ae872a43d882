use axum::{extract::State, response::IntoResponse as _};
use dcm_core::{
    model::{KvPair, KvPairInput},
    name::KvPairName,
    service::Expected,
    store::{Entry, Revision},
};
use http::StatusCode;
use serde::Serialize;
use serde_json::json;

use super::{
    Answer, App,
    api::{Api, Noun, of_cloud},
    body::Received,
    condition::Conditions,
    dto::{KvPairAnswer, KvPairBody},
    patch::{Patch, Present},
    path::{Child, Cloud},
    reply::Reply,
    watch::{Asked, Shown},
};

pub(super) fn routes(api: Api) -> Api {
    let pair = Noun::new("KvPair", "a kv-pair of a logical cloud", "a logical cloud's kv-pairs");
    api.tag("Kv-pairs", "Named lists of key-value pairs of a logical cloud.")
        .path(of_cloud("/kv-pairs"), |path| {
            path.get(list, pair.list::<KvPairAnswer>().watched()).post(
                create,
                pair.create::<KvPairBody, KvPairAnswer>(StatusCode::CREATED)
                    .named()
                    .about("A logical cloud has at most 1,000. Values are any JSON.")
                    .example(json!({"metadata": {"name": "kv-1"}, "spec": {"kv": [{"key1": "val1"}, {"key2": 2}]}})),
            )
        })
        .path(of_cloud("/kv-pairs/{kv-pair}"), |path| {
            path.get(read, pair.read::<KvPairAnswer>())
                .put(update, pair.replace::<KvPairBody, KvPairAnswer>(StatusCode::CREATED))
                .patch(patch, pair.patch::<KvPairAnswer>(StatusCode::CREATED))
                .delete(delete, pair.delete())
        })
}

pub(super) async fn create(State(app): State<App>, Cloud(id): Cloud, body: Received<KvPairInput>) -> Answer {
    let made = app.dcm.create_kv_pair(&id, body.draft).await?;
    let answer = KvPairAnswer::new(&made.value);
    Ok(Reply::created(&answer)
        .revision(&made.revision)
        .made(made.value.metadata.name.as_str())
        .warnings(&body.warnings)
        .into_response())
}

pub(super) async fn list(State(app): State<App>, Cloud(id): Cloud, asked: Asked) -> Answer {
    let listing = match asked {
        Asked::Page(listing) => listing,
        Asked::Watch(watching) => {
            let watch = app.dcm.watch_kv_pairs(&id, watching.from()).await?;
            return watching.answer(watch);
        }
    };
    let found = app.dcm.kv_pairs(&id, &listing.page).await?;
    let answers: Vec<_> = found.entries.iter().map(|entry| KvPairAnswer::new(&entry.value)).collect();
    Ok(listing.answer(&answers, found.next.as_deref()))
}

pub(super) async fn read(State(app): State<App>, path: Child<KvPairName>, conditions: Conditions) -> Answer {
    let found = app.dcm.kv_pair(&path.cloud, &path.name).await?;
    conditions
        .of(&found.revision, || Reply::ok(&KvPairAnswer::new(&found.value)).revision(&found.revision).into_response())
}

pub(super) async fn update(
    State(app): State<App>,
    path: Child<KvPairName>,
    conditions: Conditions,
    body: Received<KvPairInput>,
) -> Answer {
    let expected = conditions.expected(async || Ok(app.dcm.kv_pair(&path.cloud, &path.name).await?.revision)).await?;
    put(&app, &path, body, expected.as_ref()).await
}

pub(super) async fn patch(
    State(app): State<App>,
    path: Child<KvPairName>,
    conditions: Conditions,
    patch: Patch,
) -> Answer {
    let read = async || {
        let found = app.dcm.kv_pair(&path.cloud, &path.name).await?;
        Present::new(&KvPairAnswer::new(&found.value), &found.revision)
    };
    let write = async |body, present| put(&app, &path, body, Some(&present)).await;
    patch.carry_out(&conditions, StatusCode::CREATED, read, write).await
}

async fn put(app: &App, path: &Child<KvPairName>, body: Received<KvPairInput>, expected: Expected<'_>) -> Answer {
    let made = app.dcm.update_kv_pair(&path.cloud, &path.name, body.draft, expected).await?;
    // 201 and not 200: the design says so.
    let answer = KvPairAnswer::new(&made.value);
    Ok(Reply::created(&answer).revision(&made.revision).warnings(&body.warnings).into_response())
}

pub(super) async fn delete(
    State(app): State<App>,
    Child { cloud, name }: Child<KvPairName>,
    conditions: Conditions,
) -> Answer {
    let expected = conditions.expected(async || Ok(app.dcm.kv_pair(&cloud, &name).await?.revision)).await?;
    app.dcm.delete_kv_pair(&cloud, &name, expected.as_ref()).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

impl Shown for Entry<KvPair> {
    fn revision(&self) -> Option<&Revision> {
        Some(&self.revision)
    }

    fn shown(&self) -> impl Serialize {
        KvPairAnswer::new(&self.value)
    }
}
