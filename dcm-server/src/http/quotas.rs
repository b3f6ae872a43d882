use dcm_core::{
    error::Error,
    model::{Quota, QuotaInput, quota_warnings},
    name::QuotaName,
    service::{Dcm, Draft, Expected, Listed, Page, Watch, WatchPosition},
    store::Entry,
};
use http::StatusCode;
use serde::Serialize;
use serde_json::json;

use super::{
    api::{Api, Noun, of_cloud},
    dto::{QuotaAnswer, QuotaBody},
    path::{Child, Cloud},
    record::{Kept, Record, create, delete, list, patch, read, update},
};

pub(super) fn routes(api: Api) -> Api {
    let quota = Noun::new("Quota", "a quota of a logical cloud", "a logical cloud's quotas");
    api.tag("Quotas", "What every cluster of a logical cloud limits it to.")
        .path(of_cloud("/cluster-quotas"), |path| {
            path.get(list::<Quotas>, quota.list::<QuotaAnswer>().watched()).post(
                create::<Quotas>,
                quota
                    .create::<QuotaBody, QuotaAnswer>(StatusCode::CREATED)
                    .named()
                    .about("A logical cloud has at most 32. Clusters get it with the next apply.")
                    .example(json!({"metadata": {"name": "quota-1"}, "spec": {"limits.cpu": "400", "pods": "500"}})),
            )
        })
        .path(of_cloud("/cluster-quotas/{cluster-quota}"), |path| {
            path.get(read::<Quotas>, quota.read::<QuotaAnswer>())
                .put(update::<Quotas>, quota.replace::<QuotaBody, QuotaAnswer>(StatusCode::CREATED))
                .patch(patch::<Quotas>, quota.patch::<QuotaAnswer>(StatusCode::CREATED))
                .delete(delete::<Quotas>, quota.delete())
        })
}

impl Kept for Quota {
    fn name(&self) -> &str {
        self.metadata.name.as_str()
    }

    fn answer(&self) -> impl Serialize {
        QuotaAnswer::new(self)
    }

    fn warnings(&self) -> Vec<String> {
        quota_warnings(self)
    }
}

/// A logical cloud's quotas.
struct Quotas;

impl Record for Quotas {
    type Stored = Quota;
    type Input = QuotaInput;
    type Of = Cloud;
    type One = Child<QuotaName>;

    // 201 and not 200: the design says so.
    const REPLACED: StatusCode = StatusCode::CREATED;

    async fn create(dcm: &Dcm, of: &Cloud, draft: Draft<QuotaInput>) -> Result<Entry<Quota>, Error> {
        dcm.create_quota(&of.0, draft).await
    }

    async fn page(dcm: &Dcm, of: &Cloud, page: &Page) -> Result<Listed<Entry<Quota>>, Error> {
        dcm.quotas(&of.0, page).await
    }

    async fn watch(dcm: &Dcm, of: &Cloud, from: Option<&WatchPosition>) -> Result<Watch<Entry<Quota>>, Error> {
        dcm.watch_quotas(&of.0, from).await
    }

    async fn find(dcm: &Dcm, one: &Child<QuotaName>) -> Result<Entry<Quota>, Error> {
        dcm.quota(&one.cloud, &one.name).await
    }

    async fn replace(
        dcm: &Dcm,
        one: &Child<QuotaName>,
        draft: Draft<QuotaInput>,
        expected: Expected<'_>,
    ) -> Result<Entry<Quota>, Error> {
        dcm.update_quota(&one.cloud, &one.name, draft, expected).await
    }

    async fn delete(dcm: &Dcm, one: &Child<QuotaName>, expected: Expected<'_>) -> Result<(), Error> {
        dcm.delete_quota(&one.cloud, &one.name, expected).await
    }
}
