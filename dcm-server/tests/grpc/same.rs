//! What REST writes, from messages: the same thing in both shapes.

use dcm_proto::v1 as pb;
use serde_json::{Map, Value, json};
use tonic::Status;
use tonic_types::StatusExt as _;

/// A problem without what differs between two requests.
pub(crate) fn problem(problem: &Value) -> Value {
    let errors = problem["errors"].as_array().cloned().unwrap_or_default().into_iter().map(|error| {
        let parameter = error["parameter"].as_str().map(|name| match name {
            "limit" => "page_size".to_owned(),
            "after" => "page_token".to_owned(),
            "labelSelector" => "label_selector".to_owned(),
            name => name.replace('-', "_"),
        });
        let header = error["header"].as_str().map(|name| name.to_ascii_lowercase().replace('-', "_"));
        let field = error["pointer"].as_str().map(str::to_owned).or(parameter).or(header);
        json!({ "field": field, "detail": error["detail"] })
    });
    json!({
        "type": problem["type"], "title": problem["title"], "status": problem["status"], "errors": errors.collect::<Vec<_>>(),
        "detail": detail(problem["detail"].as_str().unwrap()),
    })
}

/// The same of a status.
pub(crate) fn of_status(status: &Status) -> Value {
    let details = status.get_error_details();
    let info = details.error_info().unwrap_or_else(|| panic!("no details: {status:?}"));
    let slug = info.metadata["type"].strip_prefix("https://dcm.onap.org/problems/").unwrap();
    assert_eq!(info.reason, slug.replace('-', "_").to_ascii_uppercase());
    let violations = details.bad_request().map(|bad| bad.field_violations.clone()).unwrap_or_default();
    let errors = violations.iter().map(|one| json!({ "field": one.field, "detail": one.description }));
    json!({
        "type": info.metadata["type"], "title": info.metadata["title"], "errors": errors.collect::<Vec<_>>(),
        "status": info.metadata["status"].parse::<u16>().unwrap(), "detail": detail(status.message()),
    })
}

/// A detail without the name of the parameter, which is spelt in another way.
fn detail(text: &str) -> String {
    let named = text.strip_prefix("the parameter ").or_else(|| text.strip_prefix("the header field "));
    named.map_or_else(|| text.to_owned(), |rest| rest.split_once(' ').unwrap().1.to_owned())
}

fn object(fields: impl IntoIterator<Item = (&'static str, Option<Value>)>) -> Value {
    Value::Object(fields.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?))).collect::<Map<_, _>>())
}

fn filled(text: &str) -> Option<Value> {
    Some(json!(text)).filter(|_| !text.is_empty())
}

fn some<T: serde::Serialize>(value: &Option<T>) -> Option<Value> {
    value.as_ref().map(|value| json!(value))
}

pub(crate) fn metadata(metadata: Option<&pb::Metadata>) -> Value {
    let metadata = metadata.unwrap();
    object([
        ("name", some(&metadata.name)),
        ("description", filled(&metadata.description)),
        ("userData1", filled(&metadata.user_data1)),
        ("userData2", filled(&metadata.user_data2)),
    ])
}

pub(crate) fn cloud(cloud: &pb::LogicalCloud) -> Value {
    let spec = cloud.spec.as_ref().unwrap();
    let name = cloud.metadata.as_ref().unwrap().name.clone();
    let user = spec.user.as_ref().map(|user| {
        let permission = |one: &pb::UserPermission| {
            let mut rule = rule(one);
            rule["permission-name"] = json!(one.name);
            rule
        };
        json!({
            "user-name": user.user_name,
            "type": match user.r#type() { pb::UserType::Certificate => "certificate", pb::UserType::Token => "token", other => panic!("{other:?}") },
            "user-permissions": user.user_permissions.iter().map(permission).collect::<Vec<_>>(),
        })
    });
    let spec_json = object([
        ("namespace", some(&spec.namespace)),
        (
            "level",
            Some(json!(match spec.level() {
                pb::Level::Standard => "1",
                pb::Level::Admin => "0",
                other => panic!("{other:?}"),
            })),
        ),
        ("user", user),
        ("labels", Some(json!(spec.labels)).filter(|_| !spec.labels.is_empty())),
        (
            "mesh",
            Some(json!(match spec.mesh() {
                pb::MeshMode::Auto => "auto",
                pb::MeshMode::Required => "required",
                pb::MeshMode::None => "none",
                other => panic!("{other:?}"),
            })),
        ),
        ("trust-domain", some(&spec.trust_domain)),
        (
            "adoption-policy",
            Some(json!(match spec.adoption_policy() {
                pb::AdoptionPolicy::Never => "never",
                pb::AdoptionPolicy::IfIdentical => "if-identical",
                pb::AdoptionPolicy::Always => "always",
                other => panic!("{other:?}"),
            })),
        ),
        (
            "delete-policy",
            Some(json!(match spec.delete_policy() {
                pb::DeletePolicy::Delete => "delete",
                pb::DeletePolicy::Keep => "keep",
                other => panic!("{other:?}"),
            })),
        ),
        ("clusters", Some(json!(spec.clusters))),
    ]);
    object([
        ("metadata", Some(metadata(cloud.metadata.as_ref()))),
        ("spec", Some(spec_json)),
        ("name", some(&name)),
        ("logical-cloud-name", some(&name)),
        ("namespace", some(&spec.namespace)),
        ("user-name", spec.user.as_ref().and_then(|user| some(&user.user_name))),
        ("generation", Some(json!(cloud.generation))),
        ("applied-generation", Some(json!(cloud.applied_generation))),
        ("uid", Some(json!(cloud.uid))),
    ])
}

fn rule(permission: &pb::UserPermission) -> Value {
    object([
        ("apiGroups", Some(json!(permission.api_groups))),
        ("resources", Some(json!(permission.resources))),
        ("verbs", Some(json!(permission.verbs))),
        ("resourceNames", Some(json!(permission.resource_names)).filter(|_| !permission.resource_names.is_empty())),
        ("namespace", some(&permission.namespace)),
    ])
}

/// As in a list: flat.
pub(crate) fn flat_permission(permission: &pb::UserPermission) -> Value {
    let mut flat = rule(permission);
    flat["name"] = json!(permission.name);
    flat
}

pub(crate) fn permission(permission: &pb::UserPermission) -> Value {
    let mut whole = flat_permission(permission);
    whole["metadata"] = json!({ "name": permission.name });
    whole["spec"] = rule(permission);
    whole
}

pub(crate) fn reference(reference: &pb::ClusterReference) -> Value {
    let spec = reference.spec.as_ref().unwrap();
    object([
        ("metadata", Some(metadata(reference.metadata.as_ref()))),
        (
            "spec",
            Some(
                json!({ "cluster-provider": spec.cluster_provider, "cluster-name": spec.cluster_name, "loadbalancer-ip": spec.loadbalancer_ip }),
            ),
        ),
        ("name", some(&reference.metadata.as_ref().unwrap().name)),
        ("cluster-name", some(&spec.cluster_name)),
        ("loadbalancer-ip", some(&spec.loadbalancer_ip)),
        ("uid", Some(json!(reference.uid))),
        ("deleting", Some(json!(true)).filter(|_| reference.deleting)),
    ])
}

pub(crate) fn quota(quota: &pb::Quota) -> Value {
    json!({ "metadata": metadata(quota.metadata.as_ref()), "spec": quota.spec.as_ref().unwrap().limits })
}

pub(crate) fn kv_pair(pair: &pb::KvPair) -> Value {
    let one = |pair: &pb::KeyValue| {
        let value: Value = serde_json::from_str(&pair.json).unwrap();
        json!({ pair.key.as_str(): value })
    };
    let kv: Vec<Value> = pair.spec.as_ref().unwrap().kv.iter().map(one).collect();
    json!({ "metadata": metadata(pair.metadata.as_ref()), "spec": { "kv": kv } })
}

pub(crate) fn project(project: &pb::Project) -> Value {
    json!({ "metadata": metadata(project.metadata.as_ref()), "uid": project.uid })
}

pub(crate) fn provider(provider: &pb::ClusterProvider) -> Value {
    json!({ "metadata": metadata(provider.metadata.as_ref()), "uid": provider.uid })
}

pub(crate) fn controller(controller: &pb::Controller) -> Value {
    let spec = controller.spec.as_ref().unwrap();
    let spec = object([
        ("host", some(&spec.host)),
        ("port", some(&spec.port)),
        ("type", some(&spec.r#type)),
        ("priority", some(&spec.priority)),
    ]);
    json!({ "metadata": metadata(controller.metadata.as_ref()), "spec": spec })
}

pub(crate) fn label(label: &pb::ClusterLabel) -> Value {
    json!({ "label-name": label.label_name, "value": label.value, "clusterLabel": label.label_name })
}

pub(crate) fn cluster(cluster: &pb::Cluster) -> Value {
    let (spec, health) = (cluster.spec.as_ref().unwrap(), cluster.health.as_ref().unwrap());
    assert_eq!((&spec.kubeconfig, &spec.ca_key), (&None, &None));
    let used = |used: &pb::ClusterUse| json!({ "project": used.project, "logical-cloud": used.logical_cloud, "cluster-reference": used.cluster_reference });
    json!({
        "metadata": metadata(cluster.metadata.as_ref()),
        "spec": object([
            ("server", Some(json!(spec.server))),
            ("labels", Some(json!(spec.labels)).filter(|_| !spec.labels.is_empty())),
            ("ca-certificate", some(&spec.ca_certificate)),
            ("istio-version", some(&spec.istio_version)),
        ]),
        "name": cluster.metadata.as_ref().unwrap().name,
        "provider": cluster.provider,
        "uid": cluster.uid,
        "health": object([
            ("connectivity", Some(json!(connectivity(health.connectivity())))),
            ("identity", some(&health.identity)),
            ("version", some(&health.version)),
            ("reason", some(&health.reason)),
            ("detail", some(&health.detail)),
            ("capabilities", Some(json!(health.capabilities)).filter(|_| !health.capabilities.is_empty())),
            ("checked-at", health.checked_at.as_ref().map(time)),
        ]),
        "used-by": cluster.used_by.iter().map(used).collect::<Vec<_>>(),
    })
}

fn connectivity(connectivity: pb::Connectivity) -> &'static str {
    match connectivity {
        pb::Connectivity::Unspecified => "unknown",
        pb::Connectivity::Available => "available",
        pb::Connectivity::Unavailable => "unavailable",
    }
}

fn time(at: &prost_types::Timestamp) -> Value {
    json!(jiff::Timestamp::new(at.seconds, at.nanos).unwrap().to_string())
}

pub(crate) fn status(status: &pb::LogicalCloudStatus) -> Value {
    let word = match status.status() {
        pb::OverallStatus::Unspecified => panic!("no status"),
        pb::OverallStatus::NotCreated => "Not Created",
        pb::OverallStatus::CreationInProgress => "Creation in Progress",
        pb::OverallStatus::Created => "Created",
        pb::OverallStatus::CreationFailed => "Creation Failed",
        pb::OverallStatus::DeletionInProgress => "Deletion in Progress",
        pb::OverallStatus::Deleted => "Deleted",
        pb::OverallStatus::DeletionFailed => "Deletion Failed",
        pb::OverallStatus::Stopped => "Stopped",
    };
    json!({
        "metadata": { "name": status.name, "description": status.description },
        "clusters": status.clusters.iter().map(cluster_status).collect::<Vec<_>>(),
        "status": word,
    })
}

fn cluster_status(status: &pb::ClusterStatus) -> Value {
    let part = |part: &Option<pb::PartStatus>| {
        let part = part.as_ref().unwrap();
        Some(json!(match part.state() {
            pb::PartState::Unspecified => panic!("no state"),
            pb::PartState::Pending => "Pending".to_owned(),
            pb::PartState::Created => "Created".to_owned(),
            pb::PartState::Deleted => "Deleted".to_owned(),
            pb::PartState::NotAvailable => format!("Not Available: {}", part.reason),
            pb::PartState::Failed => format!("Failed: {}", part.reason),
        }))
    };
    let drift = status.drift.as_ref().map(|drift| {
        let drifted = |one: &pb::DriftedObject| {
            let mut object = object_name(one.object.as_ref());
            object["change"] = json!(change(one.change()));
            object
        };
        json!({
            "seen-at": time(drift.seen_at.as_ref().unwrap()), "repaired": drift.repaired, "count": drift.count,
            "objects": drift.objects.iter().map(drifted).collect::<Vec<_>>(),
        })
    });
    let parts = object([
        ("namespace-status", part(&status.namespace_status)),
        ("role-status", part(&status.role_status)),
        ("role-binding-status", part(&status.role_binding_status)),
        ("quota-status", part(&status.quota_status)),
        ("credential-status", part(&status.credential_status)),
        ("kubeconfig-status", part(&status.kubeconfig_status)),
        ("connectivity", Some(json!(connectivity(status.connectivity())))),
        ("reason", some(&status.reason)),
        ("last-attempt", status.last_attempt.as_ref().map(time)),
        ("next-attempt", status.next_attempt.as_ref().map(time)),
        ("unreachable-since", status.unreachable_since.as_ref().map(time)),
        ("drift", drift),
        ("remarks", Some(json!(status.remarks)).filter(|_| !status.remarks.is_empty())),
    ]);
    json!({ status.cluster_reference.as_str(): parts })
}

pub(crate) fn object_name(name: Option<&pb::ObjectName>) -> Value {
    let name = name.unwrap();
    object([
        ("apiVersion", Some(json!(name.api_version))),
        ("kind", Some(json!(name.kind))),
        ("namespace", some(&name.namespace)),
        ("name", Some(json!(name.name))),
    ])
}

fn change(change: pb::ChangeKind) -> &'static str {
    match change {
        pb::ChangeKind::Unspecified => "other",
        pb::ChangeKind::Create => "create",
        pb::ChangeKind::Update => "update",
        pb::ChangeKind::Replace => "replace",
        pb::ChangeKind::Delete => "delete",
    }
}

pub(crate) fn manifests(answer: &pb::GetManifestsResponse, cloud: &str) -> Value {
    let one = |manifest: &pb::Manifest| {
        let json: Value = serde_json::from_str(&manifest.json).unwrap();
        assert_eq!(json["metadata"]["name"], manifest.object.as_ref().unwrap().name);
        json
    };
    let cluster = |cluster: &pb::ClusterManifests| {
        let items: Vec<Value> = cluster.objects.iter().map(one).collect();
        json!({ cluster.cluster_reference.as_str(): { "apiVersion": "v1", "kind": "List", "items": items } })
    };
    let clusters: Vec<Value> = answer.clusters.iter().map(cluster).collect();
    json!({ "logical-cloud-name": cloud, "generation": answer.generation, "clusters": clusters })
}

pub(crate) fn diff(answer: &pb::DiffResponse, cloud: &str) -> Value {
    let json_of = |text: &Option<String>| text.as_ref().map(|text| serde_json::from_str::<Value>(text).unwrap());
    let field = |field: &pb::FieldDiff| {
        object([
            ("pointer", Some(json!(field.pointer))),
            ("live", json_of(&field.live_json)),
            ("wanted", json_of(&field.wanted_json)),
        ])
    };
    let one = |one: &pb::ObjectDiff| {
        let mut object = object_name(one.object.as_ref());
        object["change"] = json!(change(one.change()));
        if !one.fields.is_empty() {
            object["fields"] = one.fields.iter().map(field).collect();
        }
        if !one.checked_by_cluster {
            object["note"] = json!("not checked by the cluster");
        }
        with_failure(object, one.refusal.as_ref())
    };
    let cluster = |cluster: &pb::ClusterDiff| {
        let mut diff = json!({ "changes": cluster.changes.iter().map(one).collect::<Vec<_>>() });
        if !cluster.remarks.is_empty() {
            diff["remarks"] = json!(cluster.remarks);
        }
        json!({ cluster.cluster_reference.as_str(): with_failure(diff, cluster.failure.as_ref()) })
    };
    let clusters: Vec<Value> = answer.clusters.iter().map(cluster).collect();
    json!({ "logical-cloud-name": cloud, "generation": answer.generation, "clusters": clusters })
}

fn with_failure(mut value: Value, failure: Option<&pb::Failure>) -> Value {
    if let Some(failure) = failure {
        value["reason"] = json!(failure.reason);
        value["detail"] = json!(failure.detail);
    }
    value
}

pub(crate) fn accepted(accepted: &pb::Accepted) -> Value {
    object([
        ("logical-cloud-name", Some(json!(accepted.logical_cloud_name))),
        ("namespace", some(&accepted.namespace)),
        ("description", Some(json!(accepted.description))),
        ("user", some(&accepted.user)),
    ])
}

pub(crate) fn ordered(ordered: &pb::Ordered) -> Value {
    object([
        ("logical-cloud-name", Some(json!(ordered.logical_cloud_name))),
        ("namespace", some(&ordered.namespace)),
        ("description", Some(json!(ordered.description))),
        ("user", some(&ordered.user)),
        ("clusters", Some(json!(ordered.clusters))),
        ("quota-name", some(&ordered.quota_name)),
        ("quotas", Some(json!(ordered.quotas))),
    ])
}

pub(crate) fn revoked(answer: &pb::RevokeUserResponse) -> Value {
    let mut value = accepted(answer.accepted.as_ref().unwrap());
    let still = |still: &pb::StillGrants| {
        let mut object = object_name(still.object.as_ref());
        object["detail"] = json!(still.detail);
        object
    };
    let cluster = |cluster: &pb::RevokedAccess| {
        let mut access = json!({ "access": if cluster.revoked { "Revoked" } else { "Not Revoked Yet" } });
        if !cluster.still_grants_access.is_empty() {
            access["still-grants-access"] = cluster.still_grants_access.iter().map(still).collect();
        }
        json!({ cluster.cluster_reference.as_str(): with_failure(access, cluster.failure.as_ref()) })
    };
    value["clusters"] = answer.clusters.iter().map(cluster).collect();
    value
}

// What REST reads, as messages.
