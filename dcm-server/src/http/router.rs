//! Which path leads to which handler.

use super::{
    cloud_status, clusters, encryption, health, kubeconfigs, kv_pairs, logical_clouds, metrics, orders, permissions,
    previews, projects, providers, quotas, references,
    routes::{Routes, get, post},
};

/// All routes. Paths come without a trailing slash.
pub(super) fn router() -> Routes {
    clouds(registry(Routes::default()))
        .route("/healthz", get(health::alive))
        .route("/readyz", get(health::ready))
        .route("/metrics", get(metrics::read))
        .route("/v2/encryption", get(encryption::read))
}

fn registry(router: Routes) -> Routes {
    router
        .route("/v2/projects", get(projects::list).post(projects::create))
        .route("/v2/projects/{project}", get(projects::read).put(projects::update).delete(projects::delete))
        .route("/v2/cluster-providers", get(providers::list).post(providers::create))
        .route(
            "/v2/cluster-providers/{cluster-provider}",
            get(providers::read).put(providers::update).delete(providers::delete),
        )
        .route("/v2/cluster-providers/{cluster-provider}/clusters", get(clusters::list).post(clusters::create))
        .route(
            "/v2/cluster-providers/{cluster-provider}/clusters/{cluster}",
            get(clusters::read).put(clusters::update).delete(clusters::delete),
        )
}

/// Logical clouds and what lies below one.
fn clouds(router: Routes) -> Routes {
    let all = "/v2/projects/{project}/logical-clouds";
    let one = |rest: &str| format!("{all}/{{logical-cloud}}{rest}");
    router
        .route(all, get(logical_clouds::list).post(logical_clouds::create))
        .route(&one(""), get(logical_clouds::read).put(logical_clouds::update).delete(logical_clouds::delete))
        .route(&one("/cluster-references"), get(references::list).post(references::create))
        .route(
            &one("/cluster-references/{cluster-reference}"),
            get(references::read).put(references::update).delete(references::delete),
        )
        .route(&one("/cluster-references/{cluster-reference}/kubeconfig"), get(kubeconfigs::of_reference))
        .route(&one("/user-permissions"), get(permissions::list).post(permissions::create))
        .route(
            &one("/user-permissions/{user-permission}"),
            get(permissions::read).put(permissions::update).delete(permissions::delete),
        )
        .route(&one("/cluster-quotas"), get(quotas::list).post(quotas::create))
        .route(&one("/cluster-quotas/{cluster-quota}"), get(quotas::read).put(quotas::update).delete(quotas::delete))
        .route(&one("/kv-pairs"), get(kv_pairs::list).post(kv_pairs::create))
        .route(&one("/kv-pairs/{kv-pair}"), get(kv_pairs::read).put(kv_pairs::update).delete(kv_pairs::delete))
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
