use std::collections::BTreeMap;

use dcm_core::{
    model::{Metadata, Quota, QuotaInput},
    name::QuotaName,
};
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    Input,
    metadata::{MetadataBody, MetadataSchema, metadata},
    reader::Object,
};

impl Input for QuotaInput {
    fn read(body: &Object<'_>) -> Self {
        Self { metadata: metadata(body, &["name"]), spec: body.map("spec", true) }
    }
}

/// A quota, as it is written.
#[derive(ToSchema)]
#[schema(as = QuotaInput)]
#[expect(dead_code, reason = "describes what is read")]
pub(crate) struct QuotaBody {
    metadata: Option<MetadataBody>,
    /// What a ResourceQuota holds (`limits.cpu`, `pods`, `count/jobs.batch`, …) and Kubernetes quantities; a blank one
    /// is not set.
    #[schema(value_type = BTreeMap<String, QuantityBody>)]
    spec: (),
}

/// A Kubernetes quantity, or an integer that stands for one.
#[derive(ToSchema)]
#[schema(as = Quantity)]
#[serde(untagged)]
#[expect(dead_code, reason = "describes what is read")]
enum QuantityBody {
    Text(String),
    Integer(i64),
}

/// A quota: each cluster of the logical cloud gets it as a ResourceQuota.
#[derive(Serialize, ToSchema)]
#[schema(as = Quota)]
pub(crate) struct QuotaAnswer<'a> {
    #[schema(value_type = MetadataSchema)]
    metadata: &'a Metadata<QuotaName>,
    /// Resources and quantities; a blank one is not set.
    #[schema(value_type = BTreeMap<String, String>)]
    spec: &'a BTreeMap<String, String>,
}

impl<'a> QuotaAnswer<'a> {
    pub(crate) fn new(quota: &'a Quota) -> Self {
        Self { metadata: &quota.metadata, spec: &quota.spec }
    }
}
