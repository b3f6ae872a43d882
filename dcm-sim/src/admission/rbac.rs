//! Checks of roles and bindings.

use serde_json::Value;

use super::RBAC;
use crate::json;
use crate::kinds::{CLUSTERROLES, KindId, ROLEBINDINGS};
use crate::status::Cause;

pub(super) fn check_role(kind: KindId, object: &Value, causes: &mut Vec<Cause>) {
    for (i, rule) in json::list(object, &["rules"]).iter().enumerate() {
        let empty = |key: &str| json::list(rule, &[key]).is_empty();
        let field = |key: &str| format!("rules[{i}].{key}");
        if empty("verbs") {
            causes.push(Cause::required(field("verbs"), "verbs must contain at least one value"));
        }
        if empty("nonResourceURLs") {
            if empty("apiGroups") {
                causes.push(Cause::required(field("apiGroups"), "resource rules must supply at least one api group"));
            }
            if empty("resources") {
                causes.push(Cause::required(field("resources"), "resource rules must supply at least one resource"));
            }
        } else {
            let urls = json::at(rule, &["nonResourceURLs"]).unwrap_or(&Value::Null);
            if kind != CLUSTERROLES {
                let why = "namespaced rules cannot apply to non-resource URLs";
                causes.push(Cause::invalid(field("nonResourceURLs"), urls, why));
            } else if !empty("apiGroups") || !empty("resources") || !empty("resourceNames") {
                let why = "a rule is about resources or about non-resource URLs";
                causes.push(Cause::invalid(field("nonResourceURLs"), urls, why));
            }
        }
    }
}

pub(super) fn check_binding(kind: KindId, live: Option<&Value>, object: &Value, causes: &mut Vec<Cause>) {
    let role_kinds: &[&str] = match kind {
        ROLEBINDINGS => &["Role", "ClusterRole"],
        _ => &["ClusterRole"],
    };
    let group = json::text(object, &["roleRef", "apiGroup"]);
    if group != RBAC {
        causes.push(Cause::unsupported("roleRef.apiGroup", group, &[RBAC]));
    }
    let role_kind = json::text(object, &["roleRef", "kind"]);
    if !role_kinds.contains(&role_kind) {
        causes.push(Cause::unsupported("roleRef.kind", role_kind, role_kinds));
    }
    if json::text(object, &["roleRef", "name"]).is_empty() {
        causes.push(Cause::required("roleRef.name", ""));
    }
    for (i, subject) in json::list(object, &["subjects"]).iter().enumerate() {
        check_subject(kind, i, subject, causes);
    }
    if let Some(live) = live
        && live.get("roleRef") != object.get("roleRef")
    {
        let reference = object.get("roleRef").unwrap_or(&Value::Null);
        causes.push(Cause::invalid("roleRef", reference, "cannot change roleRef"));
    }
}

fn check_subject(kind: KindId, i: usize, subject: &Value, causes: &mut Vec<Cause>) {
    let field = |key: &str| format!("subjects[{i}].{key}");
    let group = json::text(subject, &["apiGroup"]);
    if json::text(subject, &["name"]).is_empty() {
        causes.push(Cause::required(field("name"), ""));
    }
    match json::text(subject, &["kind"]) {
        "ServiceAccount" => {
            if !group.is_empty() {
                causes.push(Cause::unsupported(field("apiGroup"), group, &[""]));
            }
            // Inside a namespace, the binding's own is meant.
            if kind != ROLEBINDINGS && json::text(subject, &["namespace"]).is_empty() {
                causes.push(Cause::required(field("namespace"), ""));
            }
        }
        "User" | "Group" => {
            if group != RBAC {
                causes.push(Cause::unsupported(field("apiGroup"), group, &[RBAC]));
            }
        }
        other => causes.push(Cause::unsupported(field("kind"), other, &["ServiceAccount", "User", "Group"])),
    }
}
