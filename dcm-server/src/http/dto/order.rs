use dcm_core::{model::LogicalCloud, name::QuotaName, service::Ordered};
use serde::Serialize;
use utoipa::ToSchema;

/// An apply that was taken.
#[derive(Serialize, ToSchema)]
#[schema(as = Applied)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct AppliedAnswer<'a> {
    #[serde(flatten)]
    #[schema(inline)]
    cloud: AcceptedAnswer<'a>,
    /// The names of the clusters.
    clusters: &'a [String],
    /// The first quota by name.
    #[schema(value_type = Option<String>)]
    #[serde(skip_serializing_if = "Option::is_none")]
    quota_name: Option<&'a QuotaName>,
    /// The names of all quotas.
    #[schema(value_type = Vec<String>)]
    quotas: &'a [QuotaName],
}

impl<'a> AppliedAnswer<'a> {
    pub(crate) fn new(ordered: &'a Ordered) -> Self {
        Self {
            cloud: AcceptedAnswer::new(&ordered.cloud),
            clusters: &ordered.clusters,
            quota_name: ordered.quotas.first(),
            quotas: &ordered.quotas,
        }
    }
}

/// Another order that was taken.
#[derive(Serialize, ToSchema)]
#[schema(as = Accepted)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct AcceptedAnswer<'a> {
    logical_cloud_name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    namespace: Option<&'a str>,
    description: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<&'a str>,
}

impl<'a> AcceptedAnswer<'a> {
    pub(crate) fn new(cloud: &'a LogicalCloud) -> Self {
        Self {
            logical_cloud_name: cloud.metadata.name.as_str(),
            namespace: cloud.spec.namespace.as_ref().map(AsRef::as_ref),
            description: &cloud.metadata.description,
            user: cloud.spec.user.as_ref().map(|user| user.user_name.as_str()),
        }
    }
}
