//! Kubernetes objects as JSON: where they lie, whose they are.

use ::kube::core::{ApiResource, GroupVersionKind};
use dcm_core::{
    sync::{Object, ObjectId, Owner},
    tenancy::marks,
};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};

use super::api::Version;

const RBAC: &str = "rbac.authorization.k8s.io/v1";
/// What may stand in a path segment as it is.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// An API version and a kind in it.
pub(super) type Kind = (&'static str, &'static str);

pub(super) const BINDING: Kind = (RBAC, "RoleBinding");
/// What only clouds have whose users show tokens.
pub(super) const ACCOUNT: Kind = ("v1", "ServiceAccount");
/// The kinds of the objects that every logical cloud has in its own namespace.
pub(super) const KINDS: [Kind; 3] = [BINDING, (RBAC, "Role"), ("v1", "ResourceQuota")];

pub(super) fn encoded(text: &str) -> String {
    utf8_percent_encode(text, SEGMENT).to_string()
}

/// The path of the objects of one kind, in one namespace where they have one.
pub(super) fn collection_of(api_version: &str, kind: &str, namespace: Option<&str>) -> String {
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    let plural = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind)).plural;
    let root = if group.is_empty() { "api" } else { "apis" };
    match namespace {
        Some(namespace) => format!("/{root}/{api_version}/namespaces/{}/{plural}", encoded(namespace)),
        None => format!("/{root}/{api_version}/{plural}"),
    }
}

pub(super) fn collection(id: &ObjectId) -> String {
    collection_of(&id.api_version, &id.kind, id.namespace.as_deref())
}

pub(super) fn path(id: &ObjectId) -> String {
    format!("{}/{}", collection(id), encoded(&id.name))
}

pub(super) fn namespace_id(name: &str) -> ObjectId {
    ObjectId { api_version: "v1".to_owned(), kind: "Namespace".to_owned(), namespace: None, name: name.to_owned() }
}

pub(super) fn account_id(namespace: &str, name: &str) -> ObjectId {
    let (api_version, kind) = ACCOUNT;
    ObjectId {
        api_version: api_version.to_owned(),
        kind: kind.to_owned(),
        namespace: Some(namespace.to_owned()),
        name: name.to_owned(),
    }
}

pub(super) fn is_account(id: &ObjectId) -> bool {
    (id.api_version.as_str(), id.kind.as_str()) == ACCOUNT
}

pub(super) fn uid(object: &Value) -> &str {
    object["metadata"]["uid"].as_str().unwrap_or_default()
}

pub(super) fn version(object: &Value) -> Version {
    Version {
        uid: uid(object).to_owned(),
        resource_version: object["metadata"]["resourceVersion"].as_str().map(str::to_owned),
    }
}

pub(super) fn is_terminating(object: &Value) -> bool {
    object["metadata"]["deletionTimestamp"].is_string()
}

/// What an object that is deleted waits for, those of a namespace itself included.
pub(super) fn finalizers(object: &Value) -> Vec<&str> {
    let lists = [&object["metadata"]["finalizers"], &object["spec"]["finalizers"]];
    lists.into_iter().filter_map(Value::as_array).flatten().filter_map(Value::as_str).collect()
}

pub(super) fn label<'a>(object: &'a Value, key: &str) -> Option<&'a str> {
    object["metadata"]["labels"][key].as_str()
}

pub(super) fn annotation<'a>(object: &'a Value, key: &str) -> Option<&'a str> {
    object["metadata"]["annotations"][key].as_str()
}

/// Whether an object carries the marks of this installation and this logical cloud.
pub(super) fn is_marked(object: &Value, owner: &Owner) -> bool {
    label(object, marks::INSTALLATION) == Some(&owner.store_id)
        && label(object, marks::CLOUD_UID) == Some(owner.cloud.as_str())
}

/// The generation that was carried out there last.
pub(super) fn generation(namespace: &Value) -> u64 {
    annotation(namespace, marks::GENERATION).and_then(|text| text.parse().ok()).unwrap_or(0)
}

/// The selector of the logical cloud's objects.
pub(super) fn selector(owner: &Owner) -> String {
    let text = format!("{}={},{}={}", marks::INSTALLATION, owner.store_id, marks::CLOUD_UID, owner.cloud);
    encoded(&text)
}

/// The name under which server-side apply notes what is ours.
pub(super) fn manager(owner: &Owner) -> String {
    format!("dcm-{}", owner.store_id)
}

/// What is posted: whatever stands in it is never taken away by a later apply, so as little as possible.
pub(super) fn seed(object: &Object, owner: &Owner) -> Value {
    let id = &object.id;
    let mut seed = json!({
        "apiVersion": id.api_version,
        "kind": id.kind,
        "metadata": {
            "name": id.name,
            "labels": { (marks::INSTALLATION): owner.store_id, (marks::CLOUD_UID): owner.cloud.as_str() },
        },
    });
    if let Some(namespace) = &id.namespace {
        seed["metadata"]["namespace"] = namespace.as_str().into();
    }
    if let Some(role_ref) = object.manifest.get("roleRef") {
        seed["roleRef"] = role_ref.clone();
    }
    seed
}

#[cfg(test)]
mod tests {
    use dcm_core::model::Uid;

    use super::*;

    fn id(api_version: &str, kind: &str, namespace: Option<&str>, name: &str) -> ObjectId {
        ObjectId {
            api_version: api_version.to_owned(),
            kind: kind.to_owned(),
            namespace: namespace.map(str::to_owned),
            name: name.to_owned(),
        }
    }

    #[test]
    fn objects_lie_where_kubernetes_has_them() {
        for (id, expected) in [
            (namespace_id("ns-1"), "/api/v1/namespaces/ns-1"),
            (id("v1", "ResourceQuota", Some("ns-1"), "q"), "/api/v1/namespaces/ns-1/resourcequotas/q"),
            (id(RBAC, "Role", Some("ns-1"), "P_1"), "/apis/rbac.authorization.k8s.io/v1/namespaces/ns-1/roles/P_1"),
            (id(RBAC, "ClusterRoleBinding", None, "a"), "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings/a"),
            (id("v1", "ServiceAccount", Some("n"), "../x?y"), "/api/v1/namespaces/n/serviceaccounts/..%2Fx%3Fy"),
        ] {
            assert_eq!(path(&id), expected);
        }
    }

    #[test]
    fn only_both_marks_together_make_an_object_ours() {
        let cloud = Uid::from_random([1; 16]);
        let owner = Owner { store_id: "store-1".to_owned(), cloud: cloud.clone(), generation: 1, history: Vec::new() };
        let object = |installation: &str, cloud: &str| json!({ "metadata": { "labels": { (marks::INSTALLATION): installation, (marks::CLOUD_UID): cloud } } });
        assert!(is_marked(&object("store-1", cloud.as_str()), &owner));
        assert!(!is_marked(&object("store-2", cloud.as_str()), &owner));
        assert!(!is_marked(&object("store-1", "another"), &owner));
        assert!(!is_marked(&json!({ "metadata": {} }), &owner));
    }
}
