//! Checks of whole objects: metadata of every kind, and what DCM's kinds ask for beyond.

use serde_json::Value;

use super::{names, quota_keys, rbac, signing};
use crate::json;
use crate::kinds::{
    CLUSTERROLEBINDINGS, CLUSTERROLES, CONFIGMAPS, KindId, RESOURCEQUOTAS, ROLEBINDINGS, ROLES, SECRETS,
    SIGNINGREQUESTS,
};
use crate::status::{Cause, Refusal};

/// Checks an object that is to be stored, and its changes where there is one already.
pub(crate) fn check(kind: KindId, live: Option<&Value>, object: &Value) -> Result<(), Refusal> {
    let name = json::text(object, &["metadata", "name"]);
    let mut causes: Vec<Cause> = names::check(kind.naming, name).into_iter().collect();
    metadata(object, &mut causes);
    match kind {
        CONFIGMAPS | SECRETS => data(object, &mut causes),
        RESOURCEQUOTAS => quota_keys::check(object, &mut causes),
        ROLES | CLUSTERROLES => rbac::check_role(kind, object, &mut causes),
        ROLEBINDINGS | CLUSTERROLEBINDINGS => rbac::check_binding(kind, live, object, &mut causes),
        SIGNINGREQUESTS => signing::check(live, object, &mut causes),
        _ => {}
    }
    if let Some(live) = live {
        immutable(kind, live, object, &mut causes);
    }
    if causes.is_empty() { Ok(()) } else { Err(Refusal::invalid(&kind, name, &causes)) }
}

const STANDARD_FINALIZERS: [&str; 3] = ["orphan", "foregroundDeletion", "kubernetes"];

fn metadata(object: &Value, causes: &mut Vec<Cause>) {
    for key in ["labels", "annotations"] {
        let field = format!("metadata.{key}");
        let entries = json::at(object, &["metadata", key]).and_then(Value::as_object);
        for (name, value) in entries.into_iter().flatten() {
            let qualified = match key {
                // The prefix of an annotation may be of any case.
                "annotations" => names::is_qualified(&name.to_lowercase()),
                _ => names::is_qualified(name),
            };
            if !qualified {
                causes.push(Cause::invalid(&field, &name.as_str().into(), "a qualified name is needed"));
            }
            if key == "labels" && !value.as_str().is_some_and(names::is_label_value) {
                causes.push(Cause::invalid(&field, value, "a valid label value is needed"));
            }
        }
    }
    for (i, finalizer) in json::list(object, &["metadata", "finalizers"]).iter().enumerate() {
        let good =
            |name: &str| STANDARD_FINALIZERS.contains(&name) || (name.contains('/') && names::is_qualified(name));
        if !finalizer.as_str().is_some_and(good) {
            let why = "name is neither a standard finalizer name nor is it fully qualified";
            causes.push(Cause::invalid(format!("metadata.finalizers[{i}]"), finalizer, why));
        }
    }
}

fn data(object: &Value, causes: &mut Vec<Cause>) {
    let secret = json::text(object, &["kind"]) == "Secret";
    for (key, value) in object.get("data").and_then(Value::as_object).into_iter().flatten() {
        let allowed = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        if key.is_empty() || key.len() > 253 || !key.chars().all(allowed) {
            causes.push(Cause::invalid(
                format!("data[{key}]"),
                &key.as_str().into(),
                "a key holds alphanumeric characters, '-', '_' or '.'",
            ));
        }
        let encoded = value.as_str().map(|value| data_encoding::BASE64.decode(value.as_bytes()));
        if secret && !matches!(encoded, Some(Ok(_))) {
            causes.push(Cause::invalid(format!("data[{key}]"), &Value::Null, "base64 is needed"));
        }
    }
}

fn immutable(kind: KindId, live: &Value, object: &Value, causes: &mut Vec<Cause>) {
    if json::at(live, &["metadata", "deletionTimestamp"]).is_some() {
        let known = json::list(live, &["metadata", "finalizers"]);
        let mut sent = json::list(object, &["metadata", "finalizers"]).iter();
        if let Some(new) = sent.find(|finalizer| !known.contains(finalizer)) {
            let why = format!("no new finalizers can be added if the object is being deleted, found {new}");
            causes.push(Cause::forbidden("metadata.finalizers", &why));
        }
    }
    let mut fixed: Vec<&[&str]> = vec![&["metadata", "uid"]];
    match kind {
        SECRETS => fixed.push(&["type"]),
        RESOURCEQUOTAS => fixed.push(&["spec", "scopes"]),
        _ => {}
    }
    if live.get("immutable") == Some(&Value::Bool(true)) {
        fixed.extend([&["data"] as &[&str], &["immutable"]]);
    }
    for path in fixed {
        if json::at(live, path) != json::at(object, path) {
            let value = json::at(object, path).unwrap_or(&Value::Null);
            causes.push(Cause::invalid(path.join("."), value, "field is immutable"));
        }
    }
}
