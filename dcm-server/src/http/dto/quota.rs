use std::collections::BTreeMap;

use dcm_core::{
    model::{Metadata, Quota, QuotaInput},
    name::QuotaName,
};
use serde::Serialize;

use super::{Input, metadata::metadata, reader::Object};

impl Input for QuotaInput {
    fn read(body: &Object<'_>) -> Self {
        body.read_only(&["name"]);
        Self { metadata: metadata(body), spec: body.map("spec", true) }
    }
}

/// A quota.
#[derive(Serialize)]
pub(crate) struct QuotaAnswer<'a> {
    metadata: &'a Metadata<QuotaName>,
    spec: &'a BTreeMap<String, String>,
}

impl<'a> QuotaAnswer<'a> {
    pub(crate) fn new(quota: &'a Quota) -> Self {
        Self { metadata: &quota.metadata, spec: &quota.spec }
    }
}
