use serde_json::json;

use super::{Tenancy, identity::object_name};
use crate::{
    name::{Namespace, is_dns_subdomain},
    sync::{Object, ObjectId, Part},
};

impl Tenancy<'_> {
    pub(super) fn quotas(&self, namespace: &Namespace) -> Vec<Object> {
        let applied = self.applied;
        let quota = |(record, limits): (&crate::name::QuotaName, &std::collections::BTreeMap<String, String>)| {
            // One that is called like those that are made up here gets such a name, too: they never meet.
            let name = if is_dns_subdomain(record.as_str()) && !record.as_str().starts_with("dcm-") {
                record.to_string()
            } else {
                object_name(&applied.name, record.as_str(), &applied.cloud)
            };
            let metadata = self.metadata(&name, Some(namespace.as_str()), record.as_str());
            Object {
                part: Part::Quota,
                id: ObjectId {
                    api_version: "v1".to_owned(),
                    kind: "ResourceQuota".to_owned(),
                    namespace: Some(namespace.to_string()),
                    name,
                },
                manifest: json!({
                    "apiVersion": "v1",
                    "kind": "ResourceQuota",
                    "metadata": metadata,
                    "spec": { "hard": limits },
                }),
            }
        };
        applied.quotas.iter().map(quota).collect()
    }
}
