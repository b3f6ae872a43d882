//! The labels and annotations by which DCM knows its own objects on a cluster.
//!
//! Labels hold ids (a label's value has at most 63 characters), annotations hold names.

use serde_json::{Map, Value, json};

use super::Tenancy;

/// Label: the id of the installation that made the object.
pub const INSTALLATION: &str = "dcm.onap.org/installation";
/// Label: the uid of the logical cloud that the object belongs to.
pub const CLOUD_UID: &str = "dcm.onap.org/logical-cloud-uid";
/// Annotation on the namespace: the generation that was last carried out there.
pub const GENERATION: &str = "dcm.onap.org/generation";
/// Annotation on the namespace: the frozen state ([`Applied::snapshot`](crate::model::Applied::snapshot)) of that generation.
pub const STATE: &str = "dcm.onap.org/state";
/// Annotation on the namespace: it was there before DCM and was adopted, so it is never deleted.
pub const ADOPTED: &str = "dcm.onap.org/adopted";
/// Annotation: the logical cloud's project.
pub const PROJECT: &str = "dcm.onap.org/project";
/// Annotation: the logical cloud's name.
pub const CLOUD: &str = "dcm.onap.org/logical-cloud";
/// Annotation: the name of the record that the object was made of.
pub const RECORD: &str = "dcm.onap.org/name";

impl Tenancy<'_> {
    /// The metadata of an object made of the named record.
    pub(super) fn metadata(&self, name: &str, namespace: Option<&str>, record: &str) -> Map<String, Value> {
        let mut metadata = Map::new();
        metadata.insert("name".to_owned(), name.into());
        if let Some(namespace) = namespace {
            metadata.insert("namespace".to_owned(), namespace.into());
        }
        let labels = json!({ INSTALLATION: self.installation.as_str(), CLOUD_UID: self.applied.cloud.as_str() });
        let annotations =
            json!({ PROJECT: self.applied.project.as_str(), CLOUD: self.applied.name.as_str(), RECORD: record });
        metadata.insert("labels".to_owned(), labels);
        metadata.insert("annotations".to_owned(), annotations);
        metadata
    }
}
