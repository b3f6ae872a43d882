//! The names in a request, checked.

use std::{fmt::Display, str::FromStr};

use dcm_core::{
    name::{ClusterName, ProviderName},
    service::CloudId,
};

use crate::http::Problem;

/// A name; `field` is the field that has it.
pub(super) fn name<N>(field: &str, text: &str) -> Result<N, Problem>
where
    N: FromStr,
    N::Err: Display,
{
    text.parse().map_err(|error| Problem::parameter(field, error))
}

/// The logical cloud that something belongs to.
pub(super) fn cloud(project: &str, logical_cloud: &str) -> Result<CloudId, Problem> {
    Ok(CloudId { project: name("project", project)?, name: name("logical_cloud", logical_cloud)? })
}

/// The cluster that something belongs to.
pub(super) fn cluster(provider: &str, cluster: &str) -> Result<(ProviderName, ClusterName), Problem> {
    Ok((name("cluster_provider", provider)?, name("cluster", cluster)?))
}
