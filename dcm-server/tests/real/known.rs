//! What is warned of as unknown is not there.

use dcm_core::{
    model::{Metadata, PermissionScope, Quota, UserPermission, permission_warnings, quota_warnings},
    name::{PermissionName, QuotaName},
};
use serde_json::Value;

use crate::clusters::{Cluster, Clusters};

fn read(cluster: &Cluster, path: &str) -> Value {
    serde_json::from_str(&cluster.admin(&["get", "--raw", path]).expect()).unwrap()
}

/// What would be said about a rule for a resource, and about a quota that counts it.
fn said(group: &str, resource: &str, is_countable: bool) -> Vec<String> {
    let permission = UserPermission {
        name: PermissionName::new("p").unwrap(),
        api_groups: vec![group.to_owned()],
        resources: vec![resource.to_owned()],
        verbs: vec!["get".to_owned()],
        resource_names: Vec::new(),
        scope: PermissionScope::Own,
    };
    let dot = if group.is_empty() { "" } else { "." };
    let key = format!("count/{resource}{dot}{group}");
    let quota = Quota { metadata: Metadata::named(QuotaName::new("q").unwrap()), spec: [(key, "1".to_owned())].into() };
    let mut said = permission_warnings(&permission);
    if is_countable {
        said.extend(quota_warnings(&quota));
    }
    said
}

#[test]
fn whatever_an_api_server_serves_is_known() {
    let Some(clusters) = Clusters::find("known", 1) else { return };
    let cluster = clusters.iter().next().unwrap();
    let mut versions = vec![(String::new(), "/api/v1".to_owned())];
    for group in read(cluster, "/apis")["groups"].as_array().unwrap() {
        for version in group["versions"].as_array().unwrap() {
            let path = format!("/apis/{}", version["groupVersion"].as_str().unwrap());
            versions.push((group["name"].as_str().unwrap().to_owned(), path));
        }
    }
    let mut count = 0;
    for (group, path) in versions {
        for resource in read(cluster, &path)["resources"].as_array().unwrap() {
            let name = resource["name"].as_str().unwrap();
            let is_countable = resource["namespaced"] == true && !name.contains('/');
            assert_eq!(said(&group, name, is_countable), [""; 0]);
            count += 1;
        }
    }
    assert!(count > 100, "{count}");
    assert_eq!(said("", "jobs", true).len(), 2);
}
