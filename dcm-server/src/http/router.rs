//! Which path leads to which handler, and what the description says of it.

use super::{
    api::Api, cloud_status, cluster_kv_pairs, cluster_labels, clusters, controllers, docs, encryption, health,
    kubeconfigs, kv_pairs, logical_clouds, metrics, orders, permissions, previews, projects, providers, quotas,
    references, routes::Routes,
};

/// How much of the API a process serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Surface {
    /// All of it.
    Clients,
    /// What tells how the process is.
    Probes,
}

/// All routes. Paths come without a trailing slash.
pub(super) fn router(surface: Surface) -> Routes {
    let api = match surface {
        Surface::Clients => api(),
        Surface::Probes => metrics::routes(health::routes(Api::new())),
    };
    let (routes, description) = api.into_parts();
    docs::routes(routes, &description)
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
    let api = health::routes(api);
    metrics::routes(api)
}
