//! Which path leads to which handler, and what the description says of it.

use axum::Router;

use super::{
    App, api::Api, cloud_status, cluster_kv_pairs, cluster_labels, clusters, controllers, docs, encryption, health,
    kubeconfigs, kv_pairs, logical_clouds, orders, permissions, previews, problem::Problem, projects, providers,
    quotas, references,
};
use crate::status::Kind;

/// All routes. Paths come without a trailing slash.
pub(super) fn router(app: App) -> Router {
    let (router, description) = api().into_parts();
    router
        .merge(docs::router(&description))
        .fallback(async || Problem::new(Kind::NoSuchPath, "no resource has this path; all of them lie below /v2"))
        .method_not_allowed_fallback(async || {
            Problem::new(Kind::Method, "the header field Allow says which methods are possible here")
        })
        .with_state(app)
}

/// The routes of all resources, in the order in which a reader of the description meets them.
fn api() -> Api {
    let api = Api::new();
    let api = logical_clouds::routes(api);
    let api = references::routes(api);
    let api = permissions::routes(api);
    let api = quotas::routes(api);
    let api = kv_pairs::routes(api);
    let api = orders::routes(api);
    let api = cloud_status::routes(api);
    let api = kubeconfigs::routes(api);
    let api = previews::routes(api);
    let api = projects::routes(api);
    let api = providers::routes(api);
    let api = clusters::routes(api);
    let api = cluster_labels::routes(api);
    let api = cluster_kv_pairs::routes(api);
    let api = controllers::routes(api);
    let api = encryption::routes(api);
    health::routes(api)
}
