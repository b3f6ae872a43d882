//! PATCH: server-side apply, merge patch, strategic merge patch, JSON patch.

use std::sync::Arc;

use serde_json::{Value, json};

use super::{Call, body, create, json_patch, strategic, update};
use crate::admission::{self, shape};
use crate::fields::{self, Conflict, Managers, Operation};
use crate::json;
use crate::kinds::RESOURCEQUOTAS;
use crate::state::State;
use crate::status::{Cause, Refusal};

pub(crate) const APPLY: &str = "application/apply-patch+yaml";

/// Patches an object; an apply may create it. Tells whether it did.
pub(crate) fn patch(
    state: &mut State,
    call: &Call<'_>,
    may_create: impl FnOnce(&State) -> Result<(), Refusal>,
) -> Result<(bool, Arc<Value>), Refusal> {
    let kind = body::essence(call.content_type);
    if kind == APPLY {
        return apply(state, call, may_create);
    }
    let live = update::live(state, call)?;
    let mut object = Value::clone(&live);
    match kind {
        "application/merge-patch+json" => json::merge(&mut object, &body::json(call.body)?),
        "application/strategic-merge-patch+json" => strategic::merge(&mut object, &body::json(call.body)?),
        "application/json-patch+json" => json_patch::apply(&mut object, &body::json(call.body)?)?,
        other => return Err(Refusal::unsupported_media(other)),
    }
    call.check_address(&mut object)?;
    json::drop_nulls(&mut object);
    let stored = update::store(state, call, &live, object, None)?;
    Ok((false, stored))
}

fn apply(
    state: &mut State,
    call: &Call<'_>,
    may_create: impl FnOnce(&State) -> Result<(), Refusal>,
) -> Result<(bool, Arc<Value>), Refusal> {
    if call.query.get("fieldManager").is_none_or(str::is_empty) {
        let cause = Cause::required("fieldManager", "is required for apply patch");
        return Err(Refusal::invalid_as("meta.k8s.io", "PatchOptions", "", &[cause]));
    }
    let mut wanted = wanted(call)?;
    let uid = json::text(&wanted, &["metadata", "uid"]).to_owned();
    let version = json::text(&wanted, &["metadata", "resourceVersion"]).to_owned();
    let writer = call.writer(Operation::Apply);
    let force = call.query.flag("force");
    let Some(live) = state.get(call.kind, call.namespace, call.name).cloned() else {
        if !call.subresource.is_empty() {
            return Err(Refusal::not_found(&call.kind, call.name));
        }
        if !uid.is_empty() {
            let why =
                format!("uid mismatch: the provided object specified uid {uid}, and no existing object was found");
            return Err(Refusal::conflict(&call.kind, call.name, &why));
        }
        may_create(state)?;
        let (object, managers) = fields::apply(&admission::nothing(), Managers::default(), &wanted, &writer, force)
            .map_err(|conflicts| conflict(&conflicts))?;
        let stored = create::insert(state, call, object, Some(managers))?;
        return Ok((true, stored));
    };
    if !version.is_empty() && version != json::text(&live, &["metadata", "resourceVersion"]) {
        return Err(Refusal::modified(&call.kind, call.name));
    }
    owned_part(call, &mut wanted);
    let (mut object, managers) =
        fields::apply(&live, Managers::of(&live), &wanted, &writer, force).map_err(|conflicts| conflict(&conflicts))?;
    if !uid.is_empty() {
        json::set(&mut object, &["metadata", "uid"], uid);
    }
    let stored = update::store(state, call, &live, object, Some(managers))?;
    Ok((false, stored))
}

/// The configuration of an apply, checked and with canonical quantities.
fn wanted(call: &Call<'_>) -> Result<Value, Refusal> {
    let mut wanted = body::yaml(call.body)?;
    if !wanted.is_object()
        || json::text(&wanted, &["kind"]).is_empty()
        || json::text(&wanted, &["apiVersion"]).is_empty()
    {
        return Err(Refusal::bad_request("an apply needs an object with apiVersion and kind"));
    }
    if json::at(&wanted, &["metadata", "managedFields"]).is_some_and(|fields| !fields.is_null()) {
        return Err(Refusal::bad_request("metadata.managedFields must be nil"));
    }
    call.check_address(&mut wanted)?;
    if call.kind == RESOURCEQUOTAS {
        check_quota_schema(&wanted)?;
        admission::canonical(&mut wanted, &["spec", "hard"]);
    }
    json::drop_nulls(&mut wanted);
    shape::check(call.kind, &wanted).map_err(|why| {
        let kind = call.kind.kind;
        Refusal::internal(format!("failed to create typed patch object ({}; {kind}): {why}", call.name))
    })?;
    Ok(wanted)
}

/// What an apply can't convert is answered as an internal error, and is permanent all the same.
fn check_quota_schema(wanted: &Value) -> Result<(), Refusal> {
    let refuse = |why: String| {
        let name = json::text(wanted, &["metadata", "name"]);
        let message = format!("failed to create typed patch object ({name}; /v1, Kind=ResourceQuota): {why}");
        Err(Refusal::internal(message))
    };
    for (key, value) in json::at(wanted, &["spec"]).and_then(Value::as_object).into_iter().flatten() {
        match key.as_str() {
            "hard" => {}
            "scopes" | "scopeSelector" => continue,
            other => return refuse(format!(".spec.{other}: field not declared in schema")),
        }
        for (key, value) in value.as_object().into_iter().flatten() {
            match value {
                Value::Null => {}
                Value::String(text) if !text.trim().is_empty() => {}
                Value::String(_) => {
                    return refuse(format!("unable to convert .spec.hard.{key}: it is blank"));
                }
                other => return refuse(format!(".spec.hard.{key}: expected string, got {other}")),
            }
        }
    }
    Ok(())
}

/// Only the part that a call may write becomes the applier's own.
fn owned_part(call: &Call<'_>, wanted: &mut Value) {
    match call.subresource {
        "" if call.kind.status => {
            json::remove(wanted, &["status"]);
        }
        "" => {}
        _ => {
            let status = wanted.get("status").cloned().unwrap_or_else(|| json!({}));
            *wanted = json!({"status": status});
        }
    }
}

fn conflict(conflicts: &[Conflict]) -> Refusal {
    let described: Vec<(String, &str)> = conflicts
        .iter()
        .map(|conflict| {
            let how = match conflict.operation {
                Operation::Apply => String::new(),
                Operation::Update => format!(" using {}", conflict.api_version),
            };
            (format!("conflict with {:?}{how}", conflict.manager), conflict.field.as_str())
        })
        .collect();
    let message = match described.as_slice() {
        [(what, field)] => format!("Apply failed with 1 conflict: {what}: {field}"),
        many => {
            let groups: Vec<String> = many
                .chunk_by(|(one, _), (other, _)| one == other)
                .map(|group| {
                    let fields: Vec<String> = group.iter().map(|(_, field)| format!("- {field}")).collect();
                    format!("{}:\n{}", group[0].0.replacen("conflict", "conflicts", 1), fields.join("\n"))
                })
                .collect();
            format!("Apply failed with {} conflicts: {}", many.len(), groups.join("\n"))
        }
    };
    let causes: Vec<Value> = described
        .iter()
        .map(|(what, field)| json!({"reason": "FieldManagerConflict", "message": what, "field": field}))
        .collect();
    Refusal::new(409, "Conflict", message).with_details(json!({"causes": causes}))
}
