//! PUT, and what every change of a stored object has in common.

use std::sync::Arc;

use serde_json::{Value, json};

use super::{Call, body};
use crate::admission::{self, quota, shape, signing, validate};
use crate::controller;
use crate::fields::{Managers, Operation};
use crate::json;
use crate::kinds::{NAMESPACES, SIGNINGREQUESTS};
use crate::state::{State, Task};
use crate::status::Refusal;

/// What the server keeps, whatever a client sends.
const KEPT: [&str; 5] =
    ["creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds", "generation", "managedFields"];

/// Replaces an object (or one of its parts) by the object of a PUT.
pub(crate) fn replace(state: &mut State, call: &Call<'_>) -> Result<Arc<Value>, Refusal> {
    let mut object = body::object(call.content_type, call.body)?;
    call.check_address(&mut object)?;
    json::drop_nulls(&mut object);
    let live = live(state, call)?;
    let (sent, current) = (json::text(&object, &["metadata", "uid"]), json::text(&live, &["metadata", "uid"]));
    if !sent.is_empty() && sent != current {
        let why = format!("Precondition failed: UID in precondition: {sent}, UID in object meta: {current}");
        return Err(Refusal::conflict(&call.kind, call.name, &why));
    }
    store(state, call, &live, object, None)
}

/// The object that a call is about.
pub(crate) fn live(state: &State, call: &Call<'_>) -> Result<Arc<Value>, Refusal> {
    state.get(call.kind, call.namespace, call.name).cloned().ok_or_else(|| Refusal::not_found(&call.kind, call.name))
}

/// Stores a changed object. The managers are those of an apply; without them the writer owns what it changes.
pub(crate) fn store(
    state: &mut State,
    call: &Call<'_>,
    live: &Arc<Value>,
    sent: Value,
    applied: Option<Managers>,
) -> Result<Arc<Value>, Refusal> {
    let version = json::text(&sent, &["metadata", "resourceVersion"]);
    if !version.is_empty() && version != json::text(live, &["metadata", "resourceVersion"]) {
        return Err(Refusal::modified(&call.kind, call.name));
    }
    let mut object = part(call, live, sent);
    admission::defaults(call.kind, &mut object);
    shape::decode(call.kind, &object)?;
    admission::escalation(state, call.user, call.kind, Some(live), &object)?;
    validate::check(call.kind, Some(live), &object)?;

    let before = Managers::of(live);
    let managers = match applied {
        Some(managers) => managers,
        None => before.clone().updated(live, &object, &call.writer(Operation::Update)),
    };
    let same = managers.own_the_same(&before);
    if same {
        json::carry(live, &mut object, &["metadata", "managedFields"]);
    } else {
        managers.write_to(&mut object);
    }
    json::carry(live, &mut object, &["metadata", "resourceVersion"]);
    if same && **live == object {
        return Ok(Arc::clone(live));
    }
    if call.kind.generation && live.get("spec") != object.get("spec") {
        let generation = json::at(live, &["metadata", "generation"]).and_then(Value::as_i64).unwrap_or(0);
        json::set(&mut object, &["metadata", "generation"], generation + 1);
    }
    if call.dry_run {
        return Ok(Arc::new(object));
    }
    if is_released(call, &object) {
        let gone = state.take(call.kind, call.namespace, call.name);
        quota::refresh(state, call.namespace);
        return Ok(gone.unwrap_or_else(|| Arc::new(object)));
    }
    let stored = state.put(call.kind, object);
    if call.kind == SIGNINGREQUESTS && signing::waits_for_signer(&stored) {
        state
            .tasks
            .push(Task::Sign { name: call.name.to_owned(), uid: json::text(&stored, &["metadata", "uid"]).to_owned() });
    }
    quota::refresh(state, call.namespace);
    Ok(state.get(call.kind, call.namespace, call.name).cloned().unwrap_or(stored))
}

/// Whether an object that is being deleted has nothing left that holds it.
fn is_released(call: &Call<'_>, object: &Value) -> bool {
    json::at(object, &["metadata", "deletionTimestamp"]).is_some()
        && match call.kind {
            NAMESPACES => controller::is_released(object),
            _ => json::list(object, &["metadata", "finalizers"]).is_empty(),
        }
}

/// What a call may change: the part of its subresource, or everything but those parts.
fn part(call: &Call<'_>, live: &Value, mut sent: Value) -> Value {
    match call.subresource {
        "" => {
            for key in KEPT {
                json::carry(live, &mut sent, &["metadata", key]);
            }
            json::set_default(&mut sent, &["metadata", "uid"], json::text(live, &["metadata", "uid"]));
            if call.kind.status {
                json::carry(live, &mut sent, &["status"]);
            }
            match call.kind {
                NAMESPACES => json::carry(live, &mut sent, &["spec", "finalizers"]),
                // A request is what it was when it came; other content is ignored, not refused.
                SIGNINGREQUESTS => json::carry(live, &mut sent, &["spec"]),
                _ => {}
            }
            sent
        }
        subresource => {
            let mut object = live.clone();
            match subresource {
                "finalize" => json::set(
                    &mut object,
                    &["spec", "finalizers"],
                    json::at(&sent, &["spec", "finalizers"]).cloned().unwrap_or(json!([])),
                ),
                "approval" => {
                    json::carry(&sent, &mut object, &["status", "conditions"]);
                    signing::stamp_conditions(&mut object);
                }
                _ => json::carry(&sent, &mut object, &["status"]),
            }
            object
        }
    }
}
