use dcm_core::model::{Metadata, MetadataInput};
use serde::Serialize;

use super::{Input, reader::Object};

/// Reads `metadata`.
pub(super) fn metadata(body: &Object<'_>) -> MetadataInput {
    let metadata = body.object_or_empty("metadata");
    MetadataInput {
        name: metadata.text(&["name"]),
        description: metadata.text(&["description"]),
        user_data1: metadata.text(&["userData1"]),
        user_data2: metadata.text(&["userData2"]),
    }
}

/// A project or a cluster provider, which are metadata and nothing else.
impl Input for MetadataInput {
    fn read(body: &Object<'_>) -> Self {
        body.read_only(&["uid", "spec"]);
        metadata(body)
    }
}

/// A project or a cluster provider.
#[derive(Serialize)]
pub(crate) struct RecordAnswer<'a, N> {
    pub(crate) metadata: &'a Metadata<N>,
    pub(crate) uid: &'a str,
}
