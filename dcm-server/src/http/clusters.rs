use axum::{extract::State, response::IntoResponse as _};
use dcm_core::{
    model::ClusterInput,
    name::ProviderName,
    service::{ClusterView, Expected},
    store::Revision,
};
use http::StatusCode;
use serde::Serialize;
use serde_json::{Value, json};

use super::{
    Answer, App,
    api::{Api, Noun, of_cluster},
    body::{Received, ReceivedOrForm},
    condition::Conditions,
    dto::{ClusterAnswer, ClusterBody, ClusterOrNameSchema},
    page::SelectingClusters,
    patch::{Patch, Present},
    path::{ClusterPath, Named},
    reply::Reply,
    watch::{Asked, Shown},
};

pub(super) fn routes(api: Api) -> Api {
    let cluster = Noun::new("Cluster", "a registered cluster", "a provider's clusters");
    let form = [("metadata", "The registration as JSON."), ("file", "The kubeconfig.")];
    let every = cluster
        .list_selected::<ClusterOrNameSchema>()
        .watched()
        .query("label", "EMCO: answer the names of the clusters that have a label with this key.");
    api.tag("Clusters", "Kubernetes clusters that logical clouds may refer to.")
        .path("/v2/cluster-providers/{cluster-provider}/clusters", |path| {
            path.get(list, every).post(
                create,
                cluster.create::<ClusterBody, ClusterAnswer>(StatusCode::CREATED).named().or_form(&form, 2).example(example()).about(
                    "The kubeconfig must hold its credentials itself; it may not run programs or name files. A cluster \
                            that cannot be reached is registered all the same.",
                ),
            )
        })
        .path(of_cluster(""), |path| {
            path.get(
                read,
                cluster.read::<ClusterAnswer>().about("With its health and who uses it; without credentials."),
            )
            .put(update, cluster.replace::<ClusterBody, ClusterAnswer>(StatusCode::OK).or_form(&form, 1))
            .patch(patch, cluster.patch::<ClusterAnswer>(StatusCode::OK))
.delete(delete, cluster.delete().about("A cluster that logical clouds refer to stays (409)."))
        })
}

fn example() -> Value {
    json!({
        "metadata": { "name": "cluster-1" },
        "spec": {
            "labels": { "region": "north" },
            "kubeconfig": {
                "apiVersion": "v1",
                "kind": "Config",
                "current-context": "dcm",
                "clusters": [{ "name": "cluster-1", "cluster": { "server": "https://cluster-1.example.com:6443" } }],
                "users": [{ "name": "dcm", "user": { "token": "a-token-of-dcm" } }],
                "contexts": [{ "name": "dcm", "context": { "cluster": "cluster-1", "user": "dcm" } }],
            },
        },
    })
}

pub(super) async fn create(
    State(app): State<App>,
    Named(provider): Named<ProviderName>,
    ReceivedOrForm(body): ReceivedOrForm<ClusterInput>,
) -> Answer {
    let made = app.dcm.create_cluster(&provider, body.draft).await?;
    Ok(Reply::created(&ClusterAnswer::new(&made))
        .revision(&made.revision)
        .made(made.cluster.metadata.name.as_str())
        .warnings(&body.warnings)
        .into_response())
}

pub(super) async fn list(
    State(app): State<App>,
    Named(provider): Named<ProviderName>,
    asked: Asked<SelectingClusters>,
) -> Answer {
    let query = match asked {
        Asked::Page(query) => query,
        Asked::Watch(watching) => {
            let watch = app.dcm.watch_clusters(&provider, watching.selector(), watching.from()).await?;
            return watching.answer(watch);
        }
    };
    let SelectingClusters { listing, selector, names_only } = query;
    let found = app.dcm.clusters(&provider, &selector, &listing.page).await?;
    if names_only {
        let names: Vec<_> = found.entries.iter().map(|view| view.cluster.metadata.name.as_str()).collect();
        return Ok(listing.answer(&names, found.next.as_deref()));
    }
    let answers: Vec<_> = found.entries.iter().map(ClusterAnswer::new).collect();
    Ok(listing.answer(&answers, found.next.as_deref()))
}

pub(super) async fn read(State(app): State<App>, path: ClusterPath, conditions: Conditions) -> Answer {
    let found = app.dcm.cluster(&path.provider, &path.cluster).await?;
    conditions.of(&found.revision, || Reply::ok(&ClusterAnswer::new(&found)).revision(&found.revision).into_response())
}

pub(super) async fn update(
    State(app): State<App>,
    path: ClusterPath,
    conditions: Conditions,
    ReceivedOrForm(body): ReceivedOrForm<ClusterInput>,
) -> Answer {
    let present = async || Ok(app.dcm.cluster(&path.provider, &path.cluster).await?.revision);
    let expected = conditions.expected(present).await?;
    put(&app, &path, body, expected.as_ref()).await
}

pub(super) async fn patch(State(app): State<App>, path: ClusterPath, conditions: Conditions, patch: Patch) -> Answer {
    let read = async || {
        let found = app.dcm.cluster(&path.provider, &path.cluster).await?;
        Present::new(&ClusterAnswer::new(&found), &found.revision)
    };
    let write = async |body, present| put(&app, &path, body, Some(&present)).await;
    patch.carry_out(&conditions, StatusCode::OK, read, write).await
}

async fn put(app: &App, path: &ClusterPath, body: Received<ClusterInput>, expected: Expected<'_>) -> Answer {
    let made = app.dcm.update_cluster(&path.provider, &path.cluster, body.draft, expected).await?;
    Ok(Reply::ok(&ClusterAnswer::new(&made)).revision(&made.revision).warnings(&body.warnings).into_response())
}

pub(super) async fn delete(State(app): State<App>, path: ClusterPath, conditions: Conditions) -> Answer {
    let ClusterPath { provider, cluster } = path;
    let present = async || Ok(app.dcm.cluster(&provider, &cluster).await?.revision);
    let expected = conditions.expected(present).await?;
    app.dcm.delete_cluster(&provider, &cluster, expected.as_ref()).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

impl Shown for ClusterView {
    fn revision(&self) -> Option<&Revision> {
        Some(&self.revision)
    }

    fn shown(&self) -> impl Serialize {
        ClusterAnswer::new(self)
    }
}
