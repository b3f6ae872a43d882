//! POST, and the creating half of server-side apply.

use std::sync::Arc;

use serde_json::{Value, json};
use uuid::Uuid;

use super::{Call, body};
use crate::admission::{self, namespace, quota, shape, signing, validate};
use crate::clock;
use crate::fields::{Managers, Operation};
use crate::json;
use crate::kinds::{NAMESPACES, PODS, SIGNINGREQUESTS};
use crate::state::State;
use crate::status::Refusal;

const SUFFIX_LENGTH: usize = 5;

/// Creates the object of a POST.
pub(crate) fn create(state: &mut State, call: &Call<'_>) -> Result<Arc<Value>, Refusal> {
    let mut object = body::object(call.content_type, call.body)?;
    call.check_address(&mut object)?;
    if !json::text(&object, &["metadata", "resourceVersion"]).is_empty() {
        return Err(Refusal::internal("resourceVersion should not be set on objects to be created"));
    }
    insert(state, call, object, None)
}

/// Stores a new object. The managers are those of an apply; without them the writer owns what it sends.
pub(crate) fn insert(
    state: &mut State,
    call: &Call<'_>,
    mut object: Value,
    applied: Option<Managers>,
) -> Result<Arc<Value>, Refusal> {
    json::drop_nulls(&mut object);
    name(&mut object);
    let name = json::text(&object, &["metadata", "name"]).to_owned();
    strip(call, &mut object);
    admission::defaults(call.kind, &mut object);
    shape::decode(call.kind, &object)?;
    namespace::accepts(state, call.kind, call.namespace, &name)?;
    if call.kind == SIGNINGREQUESTS {
        signing::stamp_requester(&mut object, call.user);
        signing::refuse_masters(&object)?;
    }
    admission::escalation(state, call.user, call.kind, None, &object)?;
    validate::check(call.kind, None, &object)?;
    quota::admit(state, call.kind, call.namespace, &object)?;
    if state.get(call.kind, call.namespace, &name).is_some() {
        return Err(already_exists(state, call, &name));
    }

    json::set(&mut object, &["metadata", "uid"], Uuid::new_v4().to_string());
    json::set(&mut object, &["metadata", "creationTimestamp"], clock::stamp());
    if call.kind.generation {
        json::set(&mut object, &["metadata", "generation"], 1);
    }
    applied
        .unwrap_or_else(|| {
            let writer = call.writer(Operation::Update);
            let managers = Managers::default().updated(&admission::nothing(), &object, &writer);
            managers.disown(&["status"]).disown(&["spec", "finalizers"])
        })
        .write_to(&mut object);
    if call.dry_run {
        return Ok(Arc::new(object));
    }
    let stored = state.put(call.kind, object);
    if call.kind == NAMESPACES {
        namespace::add_default_account(state, &name);
    }
    quota::refresh(state, call.namespace);
    Ok(state.get(call.kind, call.namespace, &name).cloned().unwrap_or(stored))
}

fn already_exists(state: &State, call: &Call<'_>, name: &str) -> Refusal {
    let mut refusal = Refusal::already_exists(&call.kind, name);
    let live = state.get(call.kind, call.namespace, name);
    if live.is_some_and(|live| json::at(live, &["metadata", "deletionTimestamp"]).is_some()) {
        refusal.message = format!("object is being deleted: {}", refusal.message);
    }
    refusal
}

/// Takes away what only the server writes.
fn strip(call: &Call<'_>, object: &mut Value) {
    for key in [
        "uid",
        "resourceVersion",
        "creationTimestamp",
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
        "generation",
        "managedFields",
        "selfLink",
    ] {
        json::remove(object, &["metadata", key]);
    }
    if call.kind.status {
        json::set(object, &["status"], json!({}));
    }
    if call.kind == PODS {
        json::set_default(object, &["spec", "serviceAccountName"], "default");
    }
    if call.kind == NAMESPACES {
        json::set(object, &["spec", "finalizers"], json!(["kubernetes"]));
    }
}

/// Makes up a name from `generateName` where there is none.
fn name(object: &mut Value) {
    let prefix = json::text(object, &["metadata", "generateName"]);
    if json::text(object, &["metadata", "name"]).is_empty() && !prefix.is_empty() {
        let random = Uuid::new_v4().simple().to_string();
        let name = format!("{prefix}{}", &random[..SUFFIX_LENGTH]);
        json::set(object, &["metadata", "name"], name);
    }
}
