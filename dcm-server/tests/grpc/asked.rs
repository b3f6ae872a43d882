//! Messages from what REST reads.

use std::collections::BTreeMap;

use dcm_proto::v1 as pb;
use serde_json::Value;

fn text(value: &Value) -> Option<String> {
    value.as_str().map(str::to_owned)
}

fn texts(value: &Value) -> Vec<String> {
    value.as_array().map(|list| list.iter().filter_map(text).collect()).unwrap_or_default()
}

fn map(value: &Value) -> BTreeMap<String, String> {
    let entries = value.as_object().into_iter().flatten();
    entries.map(|(key, value)| (key.clone(), text(value).unwrap_or_else(|| value.to_string()))).collect()
}

pub(crate) fn metadata_of(body: &Value) -> Option<pb::Metadata> {
    let metadata = body.get("metadata")?;
    Some(pb::Metadata {
        name: text(&metadata["name"]),
        description: text(&metadata["description"]).unwrap_or_default(),
        user_data1: text(&metadata["userData1"]).unwrap_or_default(),
        user_data2: text(&metadata["userData2"]).unwrap_or_default(),
    })
}

/// The number of a word; one that is none of these stands for itself.
fn number(word: &Value, words: &[&str]) -> i32 {
    let Some(word) = word.as_str() else { return 0 };
    let place = words.iter().position(|known| known.eq_ignore_ascii_case(word));
    place.map_or_else(|| word.parse().unwrap(), |place| i32::try_from(place).unwrap() + 1)
}

pub(crate) fn cloud_of(body: &Value) -> Option<pb::LogicalCloud> {
    let spec = body.get("spec").map(|spec| pb::LogicalCloudSpec {
        namespace: text(&spec["namespace"]),
        level: number(&spec["level"], &["1", "0"]),
        user: spec.get("user").map(|user| pb::User {
            user_name: text(&user["user-name"]),
            r#type: number(&user["type"], &["certificate", "token", "UNPW"]),
            user_permissions: user["user-permissions"]
                .as_array()
                .into_iter()
                .flatten()
                .map(|one| permission_of(one).unwrap())
                .collect(),
        }),
        labels: map(&spec["labels"]),
        mesh: number(&spec["mesh"], &["auto", "required", "none"]),
        trust_domain: text(&spec["trust-domain"]),
        adoption_policy: number(&spec["adoption-policy"], &["never", "if-identical", "always"]),
        delete_policy: number(&spec["delete-policy"], &["delete", "keep"]),
        clusters: Vec::new(),
    });
    Some(pb::LogicalCloud { metadata: metadata_of(body), spec, ..pb::LogicalCloud::default() })
}

pub(crate) fn permission_of(body: &Value) -> Option<pb::UserPermission> {
    Some(pb::UserPermission {
        name: text(&body["name"]).or_else(|| text(&body["permission-name"])),
        api_groups: texts(&body["apiGroups"]),
        resources: texts(&body["resources"]),
        verbs: texts(&body["verbs"]),
        resource_names: texts(&body["resourceNames"]),
        namespace: text(&body["namespace"]),
        etag: String::new(),
    })
}

pub(crate) fn reference_of(body: &Value) -> Option<pb::ClusterReference> {
    let spec = body.get("spec").map(|spec| pb::ClusterReferenceSpec {
        cluster_provider: text(&spec["cluster-provider"]),
        cluster_name: text(&spec["cluster-name"]),
        loadbalancer_ip: text(&spec["loadbalancer-ip"]),
    });
    Some(pb::ClusterReference { metadata: metadata_of(body), spec, ..pb::ClusterReference::default() })
}

pub(crate) fn quota_of(body: &Value) -> Option<pb::Quota> {
    let spec = body.get("spec").map(|spec| pb::QuotaSpec { limits: map(spec) });
    Some(pb::Quota { metadata: metadata_of(body), spec, etag: String::new() })
}

pub(crate) fn kv_pair_of(body: &Value) -> Option<pb::KvPair> {
    let one = |one: &Value| {
        let (key, value) = one.as_object().unwrap().iter().next().unwrap();
        pb::KeyValue { key: key.clone(), json: value.to_string() }
    };
    let spec =
        body.get("spec").map(|spec| pb::KvPairSpec { kv: spec["kv"].as_array().unwrap().iter().map(one).collect() });
    Some(pb::KvPair { metadata: metadata_of(body), spec, etag: String::new() })
}

pub(crate) fn project_of(body: &Value) -> Option<pb::Project> {
    Some(pb::Project { metadata: metadata_of(body), ..pb::Project::default() })
}

pub(crate) fn provider_of(body: &Value) -> Option<pb::ClusterProvider> {
    Some(pb::ClusterProvider { metadata: metadata_of(body), ..pb::ClusterProvider::default() })
}

pub(crate) fn controller_of(body: &Value) -> Option<pb::Controller> {
    let number = |value: &Value| value.as_u64().map(|number| u32::try_from(number).unwrap());
    let spec = body.get("spec").map(|spec| pb::ControllerSpec {
        host: text(&spec["host"]),
        port: number(&spec["port"]),
        r#type: text(&spec["type"]),
        priority: number(&spec["priority"]),
    });
    Some(pb::Controller { metadata: metadata_of(body), spec, etag: String::new() })
}

pub(crate) fn cluster_of(body: &Value) -> Option<pb::Cluster> {
    let spec = body.get("spec").map(|spec| pb::ClusterSpec {
        kubeconfig: spec.get("kubeconfig").map(|config| text(config).unwrap_or_else(|| config.to_string())),
        labels: map(&spec["labels"]),
        ca_certificate: text(&spec["ca-certificate"]),
        ca_key: text(&spec["ca-key"]),
        istio_version: text(&spec["istio-version"]),
        server: String::new(),
    });
    Some(pb::Cluster { metadata: metadata_of(body), spec, ..pb::Cluster::default() })
}

pub(crate) fn label_of(body: &Value) -> Option<pb::ClusterLabel> {
    let value = text(&body["value"]).unwrap_or_default();
    Some(pb::ClusterLabel { label_name: text(&body["label-name"]), value, etag: String::new() })
}
