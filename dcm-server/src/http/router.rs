//! Which path leads to which handler.

use axum::{
    Router,
    routing::{get, post},
};

use super::{
    App, cloud_status, cluster_kv_pairs, cluster_labels, clusters, controllers, encryption, health, kubeconfigs,
    kv_pairs, logical_clouds, orders, permissions, previews, problem::Problem, projects, providers, quotas, references,
};
use crate::status::Kind;

/// All routes. Paths come without a trailing slash.
pub(super) fn router(app: App) -> Router {
    clouds(registry(Router::new()))
        .route("/healthz", get(health::alive))
        .route("/readyz", get(health::ready))
        .route("/v2/encryption", get(encryption::read))
        .fallback(async || Problem::new(Kind::NoSuchPath, "no resource has this path; all of them lie below /v2"))
        .method_not_allowed_fallback(async || {
            Problem::new(Kind::Method, "the header field Allow says which methods are possible here")
        })
        .with_state(app)
}

fn registry(router: Router<App>) -> Router<App> {
    let cluster = |rest: &str| format!("/v2/cluster-providers/{{cluster-provider}}/clusters/{{cluster}}{rest}");
    router
        .route("/v2/projects", get(projects::list).post(projects::create))
        .route(
            "/v2/projects/{project}",
            get(projects::read).put(projects::update).patch(projects::patch).delete(projects::delete),
        )
        .route("/v2/cluster-providers", get(providers::list).post(providers::create))
        .route(
            "/v2/cluster-providers/{cluster-provider}",
            get(providers::read).put(providers::update).patch(providers::patch).delete(providers::delete),
        )
        .route("/v2/cluster-providers/{cluster-provider}/clusters", get(clusters::list).post(clusters::create))
        .route(&cluster(""), get(clusters::read).put(clusters::update).patch(clusters::patch).delete(clusters::delete))
        .route(&cluster("/labels"), get(cluster_labels::list).post(cluster_labels::create))
        .route(
            &cluster("/labels/{label}"),
            get(cluster_labels::read)
                .put(cluster_labels::update)
                .patch(cluster_labels::patch)
                .delete(cluster_labels::delete),
        )
        .route(&cluster("/kv-pairs"), get(cluster_kv_pairs::list).post(cluster_kv_pairs::create))
        .route(
            &cluster("/kv-pairs/{kv-pair}"),
            get(cluster_kv_pairs::read)
                .put(cluster_kv_pairs::update)
                .patch(cluster_kv_pairs::patch)
                .delete(cluster_kv_pairs::delete),
        )
        .route("/v2/controllers", get(controllers::list).post(controllers::create))
        .route(
            "/v2/controllers/{controller}",
            get(controllers::read).put(controllers::update).patch(controllers::patch).delete(controllers::delete),
        )
}

/// Logical clouds and what lies below one. Not nested: a nested router costs every request a new URI, and
/// handlers the path that was asked for.
fn clouds(router: Router<App>) -> Router<App> {
    let all = "/v2/projects/{project}/logical-clouds";
    let one = |rest: &str| format!("{all}/{{logical-cloud}}{rest}");
    router
        .route(all, get(logical_clouds::list).post(logical_clouds::create))
        .route(
            &one(""),
            get(logical_clouds::read)
                .put(logical_clouds::update)
                .patch(logical_clouds::patch)
                .delete(logical_clouds::delete),
        )
        .route(&one("/cluster-references"), get(references::list).post(references::create))
        .route(
            &one("/cluster-references/{cluster-reference}"),
            get(references::read).put(references::update).patch(references::patch).delete(references::delete),
        )
        .route(&one("/cluster-references/{cluster-reference}/kubeconfig"), get(kubeconfigs::of_reference))
        .route(&one("/user-permissions"), get(permissions::list).post(permissions::create))
        .route(
            &one("/user-permissions/{user-permission}"),
            get(permissions::read).put(permissions::update).patch(permissions::patch).delete(permissions::delete),
        )
        .route(&one("/cluster-quotas"), get(quotas::list).post(quotas::create))
        .route(
            &one("/cluster-quotas/{cluster-quota}"),
            get(quotas::read).put(quotas::update).patch(quotas::patch).delete(quotas::delete),
        )
        .route(&one("/kv-pairs"), get(kv_pairs::list).post(kv_pairs::create))
        .route(
            &one("/kv-pairs/{kv-pair}"),
            get(kv_pairs::read).put(kv_pairs::update).patch(kv_pairs::patch).delete(kv_pairs::delete),
        )
        .route(&one("/apply"), post(orders::apply))
        .route(&one("/instantiate"), post(orders::instantiate))
        .route(&one("/update"), post(orders::update))
        .route(&one("/terminate"), post(orders::terminate))
        .route(&one("/stop"), post(orders::stop))
        .route(&one("/user/revoke"), post(orders::revoke))
        .route(&one("/user/renew"), post(orders::renew))
        .route(&one("/manifests"), get(previews::manifests))
        .route(&one("/diff"), get(previews::diff))
        .route(&one("/status"), get(cloud_status::read))
        .route(&one("/kubeconfig"), get(kubeconfigs::of_cloud))
}
