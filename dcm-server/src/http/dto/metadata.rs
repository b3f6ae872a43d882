use dcm_core::model::{Metadata, MetadataInput};
use serde::Serialize;
use utoipa::ToSchema;

use super::{Input, reader::Object, shapes::NameSchema};

/// Reads `metadata`. Our answers have its name beside it too, as `also`.
pub(super) fn metadata(body: &Object<'_>, also: &[&str]) -> MetadataInput {
    let metadata = body.object_or_empty("metadata");
    body.repeats_name(also, &metadata, &["name"]);
    MetadataInput {
        name: metadata.name(&["name"]),
        description: metadata.text(&["description"]),
        user_data1: metadata.text(&["userData1"]),
        user_data2: metadata.text(&["userData2"]),
    }
}

/// A project or a cluster provider, which are metadata and nothing else.
impl Input for MetadataInput {
    fn read(body: &Object<'_>) -> Self {
        body.read_only(&["uid", "spec"]);
        metadata(body, &[])
    }
}

/// What every record carries beside its spec.
#[derive(ToSchema)]
#[schema(as = Metadata)]
#[expect(dead_code, reason = "describes what the core's type writes")]
pub(crate) struct MetadataSchema {
    /// Unique among its siblings; never changes.
    #[schema(value_type = NameSchema)]
    name: String,
    /// For people.
    #[schema(max_length = 1024)]
    description: Option<String>,
    /// The client's own.
    #[schema(rename = "userData1", max_length = 512)]
    user_data1: Option<String>,
    /// The client's own.
    #[schema(rename = "userData2", max_length = 512)]
    user_data2: Option<String>,
}

/// What every record may carry beside its spec.
#[derive(ToSchema)]
#[schema(as = MetadataInput)]
#[expect(dead_code, reason = "describes what is read")]
pub(crate) struct MetadataBody {
    /// Unique among its siblings. Required to create a record; may be left out where the path has it.
    #[schema(value_type = Option<NameSchema>)]
    name: Option<String>,
    /// For people.
    #[schema(max_length = 1024)]
    description: Option<String>,
    /// The client's own.
    #[schema(rename = "userData1", max_length = 512)]
    user_data1: Option<String>,
    /// The client's own.
    #[schema(rename = "userData2", max_length = 512)]
    user_data2: Option<String>,
}

/// A project or a cluster provider, as it is written.
#[derive(ToSchema)]
#[schema(as = RecordInput)]
#[expect(dead_code, reason = "describes what is read")]
pub(crate) struct RecordBody {
    metadata: Option<MetadataBody>,
}

/// A project or a cluster provider.
#[derive(ToSchema)]
#[schema(as = Record)]
#[expect(dead_code, reason = "describes what is written")]
pub(crate) struct RecordSchema {
    metadata: MetadataSchema,
    /// Tells it from others of its name, before and after.
    uid: String,
}

/// A project or a cluster provider.
#[derive(Serialize)]
pub(crate) struct RecordAnswer<'a, N> {
    pub(crate) metadata: &'a Metadata<N>,
    pub(crate) uid: &'a str,
}
