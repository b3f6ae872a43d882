//! What controllers of a real cluster do: end namespaces, sign approved requests.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::admission::{quota, signing};
use crate::clock;
use crate::json;
use crate::kinds::{KindId, NAMESPACES, SIGNINGREQUESTS};
use crate::shared::Shared;
use crate::state::{State, Task};

/// Starts a task in the background. It ends by itself when its object is gone, or with the runtime.
pub(crate) fn start(shared: &Arc<Shared>, task: Task) {
    let weak = Arc::downgrade(shared);
    match task {
        // Some providers' clusters approve and never sign.
        Task::Sign { .. } if !shared.options.signs_client_certificates => {}
        Task::Sign { name, uid } => {
            let delay = shared.options.signing_delay;
            tokio::spawn(async move {
                tokio::time::sleep(delay).await;
                if let Some(shared) = weak.upgrade() {
                    sign(&shared, &name, &uid);
                }
            });
        }
        Task::Terminate { namespace, uid } => {
            let delay = shared.options.namespace_termination;
            let mut changes = shared.changes();
            tokio::spawn(async move {
                if let Some(shared) = weak.upgrade() {
                    shared.write(|state| empty(state, &namespace));
                }
                tokio::time::sleep(delay).await;
                loop {
                    changes.mark_unchanged();
                    match weak.upgrade() {
                        Some(shared) if !shared.write(|state| finish(state, &namespace, &uid)) => {}
                        _ => return,
                    }
                    if changes.changed().await.is_err() {
                        return;
                    }
                }
            });
        }
    }
}

fn sign(shared: &Arc<Shared>, name: &str, uid: &str) {
    shared.write(|state| {
        let Some(live) = state.get(SIGNINGREQUESTS, "", name) else {
            return;
        };
        if json::text(live, &["metadata", "uid"]) != uid || !signing::waits_for_signer(live) {
            return;
        }
        let mut object = Value::clone(live);
        signing::sign(&shared.ca, &mut object, shared.longest_certificate());
        state.put(SIGNINGREQUESTS, object);
    });
}

/// Deletes what a namespace holds; objects with finalizers are only marked.
fn empty(state: &mut State, namespace: &str) {
    for kind in KindId::all(true).filter(|kind| kind.namespaced) {
        let objects: Vec<Value> = state.inside(kind, namespace).map(|object| Value::clone(object)).collect();
        for mut object in objects {
            let name = json::text(&object, &["metadata", "name"]).to_owned();
            if json::list(&object, &["metadata", "finalizers"]).is_empty() {
                state.take(kind, namespace, &name);
            } else if json::at(&object, &["metadata", "deletionTimestamp"]).is_none() {
                json::set(&mut object, &["metadata", "deletionTimestamp"], clock::stamp());
                json::set(&mut object, &["metadata", "deletionGracePeriodSeconds"], 0);
                state.put(kind, object);
            }
        }
    }
    quota::refresh(state, namespace);
}

/// Takes an empty terminating namespace away; tells whether there is nothing left to do.
fn finish(state: &mut State, namespace: &str, uid: &str) -> bool {
    empty(state, namespace);
    let Some(live) = state.get(NAMESPACES, "", namespace) else {
        return true;
    };
    if json::text(live, &["metadata", "uid"]) != uid {
        return true;
    }
    let mut object = Value::clone(live);
    let left = left_over(state, namespace);
    if left.is_empty() {
        let finalizers = json::slot(&mut object, &["spec", "finalizers"]);
        if let Value::Array(finalizers) = finalizers {
            finalizers.retain(|finalizer| finalizer != "kubernetes");
        }
        if is_released(&object) {
            state.take(NAMESPACES, "", namespace);
            return true;
        }
    }
    let conditions = conditions(&object, &left);
    json::set(&mut object, &["status", "conditions"], conditions);
    if *state.get(NAMESPACES, "", namespace).map_or(&Value::Null, |live| live) != object {
        state.put(NAMESPACES, object);
    }
    false
}

/// Whether no finalizer of either sort holds a namespace.
pub(crate) fn is_released(namespace: &Value) -> bool {
    json::list(namespace, &["spec", "finalizers"]).is_empty()
        && json::list(namespace, &["metadata", "finalizers"]).is_empty()
}

/// What still stands in a namespace: kind, number, and the finalizers that hold it.
fn left_over(state: &State, namespace: &str) -> Vec<(KindId, usize, Vec<String>)> {
    KindId::all(true)
        .filter(|kind| kind.namespaced)
        .filter_map(|kind| {
            let finalizers: Vec<Vec<String>> =
                state.inside(kind, namespace).map(|object| json::texts(object, &["metadata", "finalizers"])).collect();
            (!finalizers.is_empty()).then(|| (kind, finalizers.len(), finalizers.concat()))
        })
        .collect()
}

fn conditions(namespace: &Value, left: &[(KindId, usize, Vec<String>)]) -> Value {
    let remaining: Vec<String> = left
        .iter()
        .map(|(kind, count, _)| format!("{}.{} has {count} resource instances", kind.plural, kind.group()))
        .collect();
    let mut finalizers: Vec<&String> = left.iter().flat_map(|(_, _, finalizers)| finalizers).collect();
    finalizers.sort();
    let held: Vec<String> = finalizers
        .chunk_by(|one, other| one == other)
        .map(|same| format!("{} in {} resource instances", same[0], same.len()))
        .collect();
    let (content, waits) = match remaining.is_empty() {
        true => (
            ("False", "ContentRemoved", "All content successfully removed".to_owned()),
            ("False", "ContentHasNoFinalizers", "All content-preserving finalizers finished".to_owned()),
        ),
        false => (
            ("True", "SomeResourcesRemain", format!("Some resources are remaining: {}", remaining.join(", "))),
            (
                "True",
                "SomeFinalizersRemain",
                format!("Some content in the namespace has finalizers remaining: {}", held.join(", ")),
            ),
        ),
    };
    let condition = |kind: &str, (status, reason, message): (&str, &str, String)| {
        let known = json::list(namespace, &["status", "conditions"])
            .iter()
            .find(|known| json::text(known, &["type"]) == kind && json::text(known, &["status"]) == status);
        let since = known.map_or_else(clock::stamp, |known| json::text(known, &["lastTransitionTime"]).to_owned());
        json!({"type": kind, "status": status, "reason": reason, "message": message, "lastTransitionTime": since})
    };
    let fine = |reason: &'static str, message: &str| ("False", reason, message.to_owned());
    json!([
        condition(
            "NamespaceDeletionDiscoveryFailure",
            fine("ResourcesDiscovered", "All resources successfully discovered"),
        ),
        condition(
            "NamespaceDeletionGroupVersionParsingFailure",
            fine("ParsedGroupVersions", "All legacy kube types successfully parsed"),
        ),
        condition(
            "NamespaceDeletionContentFailure",
            fine("ContentDeleted", "All content successfully deleted, may be waiting on finalization"),
        ),
        condition("NamespaceContentRemaining", content),
        condition("NamespaceFinalizersRemaining", waits),
    ])
}
