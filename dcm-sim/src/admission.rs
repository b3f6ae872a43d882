//! What happens to an object between the request and the store: defaults, checks, quotas.

use serde_json::{Value, json};

use crate::auth::{User, escalation};
use crate::json;
use crate::kinds::{
    CLUSTERROLEBINDINGS, CLUSTERROLES, KindId, NAMESPACES, PODS, RESOURCEQUOTAS, ROLEBINDINGS, ROLES, SECRETS, SERVICES,
};
use crate::quantity::Quantity;
use crate::state::State;
use crate::status::Refusal;

pub(crate) mod names;
pub(crate) mod namespace;
pub(crate) mod quota;
mod quota_keys;
mod rbac;
pub(crate) mod shape;
pub(crate) mod signing;
pub(crate) mod validate;

const RBAC: &str = "rbac.authorization.k8s.io";

/// Puts in what a client may leave out.
pub(crate) fn defaults(kind: KindId, object: &mut Value) {
    json::set(object, &["apiVersion"], kind.api_version);
    json::set(object, &["kind"], kind.kind);
    match kind {
        NAMESPACES => namespace::defaults(object),
        SECRETS => secret_defaults(object),
        SERVICES => json::set_default(object, &["spec", "type"], "ClusterIP"),
        PODS => {
            json::set_default(object, &["status", "phase"], "Pending");
            json::set_default(object, &["status", "qosClass"], "BestEffort");
        }
        RESOURCEQUOTAS => canonical(object, &["spec", "hard"]),
        ROLEBINDINGS | CLUSTERROLEBINDINGS => binding_defaults(object),
        _ => {}
    }
}

/// Writes the quantities of a map in their canonical form; what is none stays, for validation to find.
pub(crate) fn canonical(object: &mut Value, path: &[&str]) {
    if json::at(object, path).is_none() {
        return;
    }
    for value in json::map(json::slot(object, path)).values_mut() {
        let text = match &*value {
            Value::String(text) => text.trim().to_owned(),
            Value::Number(number) => number.to_string(),
            Value::Null => "0".to_owned(),
            _ => continue,
        };
        if let Some(quantity) = Quantity::parse(&text) {
            *value = quantity.canonical().into();
        }
    }
}

fn secret_defaults(object: &mut Value) {
    json::set_default(object, &["type"], "Opaque");
    if let Some(Value::Object(plain)) = json::remove(object, &["stringData"]) {
        for (key, value) in plain {
            let encoded = data_encoding::BASE64.encode(value.as_str().unwrap_or_default().as_bytes());
            json::set(object, &["data", &key], encoded);
        }
    }
}

fn binding_defaults(object: &mut Value) {
    json::set_default(object, &["roleRef", "apiGroup"], RBAC);
    if let Some(subjects) = object.get_mut("subjects").and_then(Value::as_array_mut) {
        for subject in subjects {
            if matches!(json::text(subject, &["kind"]), "User" | "Group") {
                json::set_default(subject, &["apiGroup"], RBAC);
            }
        }
    }
}

/// What an object looks like before anybody has written it.
pub(crate) fn nothing() -> Value {
    json!({})
}

/// Checks that the writer of a role or binding does not grant more than it holds; an unchanged one grants nothing new.
pub(crate) fn escalation(
    state: &State,
    user: &User,
    kind: KindId,
    live: Option<&Value>,
    object: &Value,
) -> Result<(), Refusal> {
    let changed = |key: &str| live.is_none_or(|live| live.get(key) != object.get(key));
    match kind {
        ROLES | CLUSTERROLES if changed("rules") => escalation::check_role(state, user, kind, object),
        ROLEBINDINGS | CLUSTERROLEBINDINGS if changed("roleRef") || changed("subjects") => {
            escalation::check_binding(state, user, kind, object)
        }
        _ => Ok(()),
    }
}
