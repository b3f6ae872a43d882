use dcm_core::{model::LogicalCloud, name::QuotaName, service::Ordered};
use serde::Serialize;

/// An apply that was taken.
#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct AppliedAnswer<'a> {
    #[serde(flatten)]
    cloud: AcceptedAnswer<'a>,
    clusters: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    quota_name: Option<&'a QuotaName>,
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
#[derive(Serialize)]
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
