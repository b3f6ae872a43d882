use dcm_core::{
    error::Error,
    model::{ClusterProvider, MetadataInput},
    name::ProviderName,
    service::{Dcm, Draft, Expected, Listed, Page, Watch, WatchPosition},
    store::Entry,
};
use http::StatusCode;
use serde::Serialize;
use serde_json::json;

use super::{
    api::{Api, Noun},
    dto::{RecordAnswer, RecordBody, RecordSchema},
    path::{All, Named},
    record::{Kept, Record, create, delete, list, patch, read, update},
};

pub(super) fn routes(api: Api) -> Api {
    let provider = Noun::new("ClusterProvider", "a cluster provider", "cluster providers");
    api.tag("Cluster providers", "Groups of clusters; `default` is there from the start.")
        .path("/v2/cluster-providers", |path| {
            path.get(list::<Providers>, provider.list::<RecordSchema>().watched()).post(
                create::<Providers>,
                provider
                    .create::<RecordBody, RecordSchema>(StatusCode::CREATED)
                    .named()
                    .example(json!({"metadata": {"name": "provider-1"}})),
            )
        })
        .path("/v2/cluster-providers/{cluster-provider}", |path| {
            path.get(read::<Providers>, provider.read::<RecordSchema>())
                .put(update::<Providers>, provider.replace::<RecordBody, RecordSchema>(StatusCode::OK))
                .patch(patch::<Providers>, provider.patch::<RecordSchema>(StatusCode::OK))
                .delete(
                    delete::<Providers>,
                    provider.delete().about("A provider that has clusters stays (409, naming some of them)."),
                )
        })
}

impl Kept for ClusterProvider {
    fn name(&self) -> &str {
        self.metadata.name.as_str()
    }

    fn answer(&self) -> impl Serialize {
        RecordAnswer { metadata: &self.metadata, uid: self.uid.as_str() }
    }
}

/// Groups of clusters.
struct Providers;

impl Record for Providers {
    type Stored = ClusterProvider;
    type Input = MetadataInput;
    type Of = All;
    type One = Named<ProviderName>;

    async fn create(dcm: &Dcm, _: &All, draft: Draft<MetadataInput>) -> Result<Entry<ClusterProvider>, Error> {
        dcm.create_provider(draft).await
    }

    async fn page(dcm: &Dcm, _: &All, page: &Page) -> Result<Listed<Entry<ClusterProvider>>, Error> {
        dcm.providers(page).await
    }

    async fn watch(dcm: &Dcm, _: &All, from: Option<&WatchPosition>) -> Result<Watch<Entry<ClusterProvider>>, Error> {
        dcm.watch_providers(from).await
    }

    async fn find(dcm: &Dcm, one: &Named<ProviderName>) -> Result<Entry<ClusterProvider>, Error> {
        dcm.provider(&one.0).await
    }

    async fn replace(
        dcm: &Dcm,
        one: &Named<ProviderName>,
        draft: Draft<MetadataInput>,
        expected: Expected<'_>,
    ) -> Result<Entry<ClusterProvider>, Error> {
        dcm.update_provider(&one.0, draft, expected).await
    }

    async fn delete(dcm: &Dcm, one: &Named<ProviderName>, expected: Expected<'_>) -> Result<(), Error> {
        dcm.delete_provider(&one.0, expected).await
    }
}
