//! How a client wants to see objects: whole, or their metadata only.

use std::borrow::Cow;
use std::sync::Arc;

use serde_json::{Value, json};

use crate::kinds::Kind;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum View {
    Full,
    Metadata,
}

impl View {
    /// What an `Accept` header asks for first that is served here; tables are not, and kubectl prints without them.
    pub(super) fn wanted(accept: &str) -> Self {
        for offer in accept.split(',') {
            if offer.contains("as=PartialObjectMetadata") {
                return Self::Metadata;
            }
            if !offer.contains("as=") && (offer.contains("json") || offer.contains("*/*")) {
                break;
            }
        }
        Self::Full
    }

    pub(super) fn object<'a>(self, object: &'a Arc<Value>) -> Cow<'a, Value> {
        match self {
            Self::Full => Cow::Borrowed(object),
            Self::Metadata => Cow::Owned(json!({
                "kind": "PartialObjectMetadata",
                "apiVersion": "meta.k8s.io/v1",
                "metadata": object.get("metadata"),
            })),
        }
    }

    /// Kind and API version of a list.
    pub(super) fn list_type(self, kind: &Kind) -> (String, &'static str) {
        match self {
            Self::Full => (format!("{}List", kind.kind), kind.api_version),
            Self::Metadata => ("PartialObjectMetadataList".to_owned(), "meta.k8s.io/v1"),
        }
    }
}
