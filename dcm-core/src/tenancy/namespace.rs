use serde_json::json;

use super::{Tenancy, marks};
use crate::{
    name::Namespace,
    sync::{Object, ObjectId, Part},
};

impl Tenancy<'_> {
    pub(super) fn namespace(&self, namespace: &Namespace) -> Object {
        let applied = self.applied;
        let mut metadata = self.metadata(namespace.as_str(), None, applied.name.as_str());
        for (key, value) in &applied.spec.labels {
            metadata["labels"][key] = value.as_str().into();
        }
        metadata["annotations"][marks::GENERATION] = applied.generation.to_string().into();
        if let Some(snapshot) = &applied.snapshot {
            metadata["annotations"][marks::STATE] = snapshot.as_str().into();
        }
        Object {
            part: Part::Namespace,
            id: ObjectId {
                api_version: "v1".to_owned(),
                kind: "Namespace".to_owned(),
                namespace: None,
                name: namespace.to_string(),
            },
            manifest: json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": metadata }),
        }
    }
}
