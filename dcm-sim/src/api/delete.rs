//! DELETE, of one object and of collections.

use std::sync::Arc;

use serde_json::{Value, json};

use super::{Call, body, read, update};
use crate::admission::quota;
use crate::clock;
use crate::controller;
use crate::json;
use crate::kinds::{KindId, NAMESPACES, PERSISTENTVOLUMECLAIMS, PODS, RESOURCEQUOTAS, SERVICEACCOUNTS, SERVICES};
use crate::state::{Key, State, Task};
use crate::status::Refusal;

/// Kinds whose objects are the answer to their deletion, and not a `Status`.
const ANSWERED: [KindId; 6] = [NAMESPACES, PODS, SERVICEACCOUNTS, RESOURCEQUOTAS, SERVICES, PERSISTENTVOLUMECLAIMS];

/// Deletes an object; the answer is a `Status` where it is gone, and the object where something still holds it
/// or its kind has it so.
pub(crate) fn delete(state: &mut State, call: &Call<'_>) -> Result<Arc<Value>, Refusal> {
    let options = options(call)?;
    let dry_run = dry_run(call, &options)?;
    let live = update::live(state, call)?;
    preconditions(call, &live, &options)?;
    let (gone, last) = remove(state, call, &live, dry_run);
    if !dry_run {
        quota::refresh(state, call.namespace);
    }
    if !gone || ANSWERED.contains(&call.kind) {
        return Ok(last);
    }
    let mut details = json!({
        "name": call.name,
        "kind": call.kind.plural,
        "uid": json::text(&live, &["metadata", "uid"]),
    });
    if !call.kind.group().is_empty() {
        details["group"] = call.kind.group().into();
    }
    Ok(Arc::new(json!({
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Success",
        "details": details,
    })))
}

/// Deletes what a list would show, and answers with it.
pub(crate) fn delete_collection(state: &mut State, call: &Call<'_>) -> Result<read::List, Refusal> {
    let options = options(call)?;
    let dry_run = dry_run(call, &options)?;
    let list = read::list(state, call)?;
    for live in &list.items {
        let (namespace, name) = key(live);
        let one = Call { namespace: &namespace, name: &name, ..*call };
        remove(state, &one, live, dry_run);
        quota::refresh(state, &namespace);
    }
    Ok(list)
}

fn key(object: &Value) -> Key {
    let text = |key| json::text(object, &["metadata", key]).to_owned();
    (text("namespace"), text("name"))
}

fn options(call: &Call<'_>) -> Result<Value, Refusal> {
    if call.body.is_empty() {
        return Ok(json!({}));
    }
    body::object(call.content_type, call.body)
}

fn dry_run(call: &Call<'_>, options: &Value) -> Result<bool, Refusal> {
    let values = json::texts(options, &["dryRun"]);
    let in_body = super::dry_run("DeleteOptions", &values.iter().map(String::as_str).collect::<Vec<_>>())?;
    Ok(call.dry_run || in_body)
}

fn preconditions(call: &Call<'_>, live: &Value, options: &Value) -> Result<(), Refusal> {
    let happened = [("uid", "UID", "deleted and then recreated"), ("resourceVersion", "ResourceVersion", "modified")];
    for (key, label, what) in happened {
        let wanted = json::text(options, &["preconditions", key]);
        let current = json::text(live, &["metadata", key]);
        if !wanted.is_empty() && wanted != current {
            let why = format!(
                "the {label} in the precondition ({wanted}) does not match the {label} in record ({current}). \
                 The object might have been {what}"
            );
            return Err(Refusal::unmet(&call.kind, call.name, &why));
        }
    }
    Ok(())
}

/// Takes an object away, or marks it where something holds it. Tells whether it is gone.
fn remove(state: &mut State, call: &Call<'_>, live: &Arc<Value>, dry_run: bool) -> (bool, Arc<Value>) {
    let held = match call.kind {
        NAMESPACES => !controller::is_released(live),
        _ => !json::list(live, &["metadata", "finalizers"]).is_empty(),
    };
    if !held {
        let last = match dry_run {
            true => None,
            false => state.take(call.kind, call.namespace, call.name),
        };
        return (true, last.unwrap_or_else(|| Arc::clone(live)));
    }
    if json::at(live, &["metadata", "deletionTimestamp"]).is_some() {
        return (false, Arc::clone(live));
    }
    let mut object = Value::clone(live);
    json::set(&mut object, &["metadata", "deletionTimestamp"], clock::stamp());
    if call.kind == NAMESPACES {
        json::set(&mut object, &["status", "phase"], "Terminating");
    } else {
        json::set(&mut object, &["metadata", "deletionGracePeriodSeconds"], 0);
    }
    if dry_run {
        return (false, Arc::new(object));
    }
    if call.kind == NAMESPACES {
        state.tasks.push(Task::Terminate {
            namespace: call.name.to_owned(),
            uid: json::text(live, &["metadata", "uid"]).to_owned(),
        });
    }
    (false, state.put(call.kind, object))
}
