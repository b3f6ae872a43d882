//! Namespaces: what they hold from the start, and that nothing new comes into one that is going.

use serde_json::{Value, json};
use uuid::Uuid;

use crate::clock;
use crate::json;
use crate::kinds::{KindId, NAMESPACES, SERVICEACCOUNTS};
use crate::state::State;
use crate::status::Refusal;

/// The label with a namespace's own name, its finalizer and its phase.
pub(crate) fn defaults(object: &mut Value) {
    let name = json::text(object, &["metadata", "name"]).to_owned();
    json::set(object, &["metadata", "labels", "kubernetes.io/metadata.name"], name);
    let deleting = json::at(object, &["metadata", "deletionTimestamp"]).is_some();
    if !deleting {
        json::set_default(object, &["spec", "finalizers"], json!(["kubernetes"]));
    }
    json::set(object, &["status", "phase"], if deleting { "Terminating" } else { "Active" });
}

/// Makes the `default` ServiceAccount, as a controller of a real cluster does.
pub(crate) fn add_default_account(state: &mut State, namespace: &str) {
    state.put(
        SERVICEACCOUNTS,
        json!({
            "apiVersion": "v1",
            "kind": "ServiceAccount",
            "metadata": {
                "name": "default",
                "namespace": namespace,
                "uid": Uuid::new_v4().to_string(),
                "creationTimestamp": clock::stamp(),
            },
        }),
    );
}

/// Refuses to create something in a namespace that is not there, or going.
pub(crate) fn accepts(state: &State, kind: KindId, namespace: &str, name: &str) -> Result<(), Refusal> {
    if !kind.namespaced {
        return Ok(());
    }
    let Some(live) = state.get(NAMESPACES, "", namespace) else {
        return Err(Refusal::not_found(&NAMESPACES, namespace));
    };
    if json::at(live, &["metadata", "deletionTimestamp"]).is_none() {
        return Ok(());
    }
    let why = format!("unable to create new content in namespace {namespace} because it is being terminated");
    let mut refusal = Refusal::forbidden(&kind, name, &why);
    if let Some(details) = &mut refusal.details {
        details["causes"] = json!([{
            "reason": "NamespaceTerminating",
            "message": format!("namespace {namespace} is being terminated"),
            "field": "metadata.namespace",
        }]);
    }
    Err(refusal)
}
