use serde_json::json;

use super::Tenancy;
use crate::{
    model::User,
    name::Namespace,
    sync::{Object, ObjectId, Part},
};

impl Tenancy<'_> {
    /// The ServiceAccount whose tokens a user shows. No pod gets one of them unasked
    /// (<https://kubernetes.io/docs/tasks/configure-pod-container/configure-service-account/>).
    pub(super) fn account(&self, namespace: &Namespace, name: &str, user: &User) -> Object {
        let metadata = self.metadata(name, Some(namespace.as_str()), user.user_name.as_str());
        Object {
            part: Part::Credential,
            id: ObjectId {
                api_version: "v1".to_owned(),
                kind: "ServiceAccount".to_owned(),
                namespace: Some(namespace.to_string()),
                name: name.to_owned(),
            },
            manifest: json!({
                "apiVersion": "v1",
                "kind": "ServiceAccount",
                "metadata": metadata,
                "automountServiceAccountToken": false,
            }),
        }
    }
}
