use axum::{extract::State, response::IntoResponse as _};
use dcm_core::{
    model::{Quota, QuotaInput, quota_warnings},
    name::QuotaName,
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
    dto::{QuotaAnswer, QuotaBody},
    patch::{Patch, Present},
    path::{Child, Cloud},
    reply::Reply,
    watch::{Asked, Shown},
};

pub(super) fn routes(api: Api) -> Api {
    let quota = Noun::new("Quota", "a quota of a logical cloud", "a logical cloud's quotas");
    api.tag("Quotas", "What every cluster of a logical cloud limits it to.")
        .path(of_cloud("/cluster-quotas"), |path| {
            path.get(list, quota.list::<QuotaAnswer>().watched()).post(
                create,
                quota
                    .create::<QuotaBody, QuotaAnswer>(StatusCode::CREATED)
                    .named()
                    .about("A logical cloud has at most 32. Clusters get it with the next apply.")
                    .example(json!({"metadata": {"name": "quota-1"}, "spec": {"limits.cpu": "400", "pods": "500"}})),
            )
        })
        .path(of_cloud("/cluster-quotas/{cluster-quota}"), |path| {
            path.get(read, quota.read::<QuotaAnswer>())
                .put(update, quota.replace::<QuotaBody, QuotaAnswer>(StatusCode::CREATED))
                .patch(patch, quota.patch::<QuotaAnswer>(StatusCode::CREATED))
                .delete(delete, quota.delete())
        })
}

pub(super) async fn create(State(app): State<App>, Cloud(id): Cloud, mut body: Received<QuotaInput>) -> Answer {
    let made = app.dcm.create_quota(&id, body.draft).await?;
    body.warnings.extend(quota_warnings(&made.value));
    let answer = QuotaAnswer::new(&made.value);
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
            let watch = app.dcm.watch_quotas(&id, watching.from()).await?;
            return watching.answer(watch);
        }
    };
    let found = app.dcm.quotas(&id, &listing.page).await?;
    let answers: Vec<_> = found.entries.iter().map(|entry| QuotaAnswer::new(&entry.value)).collect();
    Ok(listing.answer(&answers, found.next.as_deref()))
}

pub(super) async fn read(State(app): State<App>, path: Child<QuotaName>, conditions: Conditions) -> Answer {
    let found = app.dcm.quota(&path.cloud, &path.name).await?;
    conditions
        .of(&found.revision, || Reply::ok(&QuotaAnswer::new(&found.value)).revision(&found.revision).into_response())
}

pub(super) async fn update(
    State(app): State<App>,
    path: Child<QuotaName>,
    conditions: Conditions,
    body: Received<QuotaInput>,
) -> Answer {
    let expected = conditions.expected(async || Ok(app.dcm.quota(&path.cloud, &path.name).await?.revision)).await?;
    put(&app, &path, body, expected.as_ref()).await
}

pub(super) async fn patch(
    State(app): State<App>,
    path: Child<QuotaName>,
    conditions: Conditions,
    patch: Patch,
) -> Answer {
    let read = async || {
        let found = app.dcm.quota(&path.cloud, &path.name).await?;
        Present::new(&QuotaAnswer::new(&found.value), &found.revision)
    };
    let write = async |body, present| put(&app, &path, body, Some(&present)).await;
    patch.carry_out(&conditions, StatusCode::CREATED, read, write).await
}

async fn put(app: &App, path: &Child<QuotaName>, mut body: Received<QuotaInput>, expected: Expected<'_>) -> Answer {
    let made = app.dcm.update_quota(&path.cloud, &path.name, body.draft, expected).await?;
    body.warnings.extend(quota_warnings(&made.value));
    // 201 and not 200: the design says so.
    let answer = QuotaAnswer::new(&made.value);
    Ok(Reply::created(&answer).revision(&made.revision).warnings(&body.warnings).into_response())
}

pub(super) async fn delete(
    State(app): State<App>,
    Child { cloud, name }: Child<QuotaName>,
    conditions: Conditions,
) -> Answer {
    let expected = conditions.expected(async || Ok(app.dcm.quota(&cloud, &name).await?.revision)).await?;
    app.dcm.delete_quota(&cloud, &name, expected.as_ref()).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

impl Shown for Entry<Quota> {
    fn revision(&self) -> Option<&Revision> {
        Some(&self.revision)
    }

    fn shown(&self) -> impl Serialize {
        QuotaAnswer::new(&self.value)
    }
}
