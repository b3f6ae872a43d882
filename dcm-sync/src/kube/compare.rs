//! What is there against what should be there.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

/// Whether an apply of the manifest by this manager would change nothing.
///
/// A yes is certain; a no may be a value that is written in another way, and costs an apply that changes
/// nothing.
pub(super) fn is_as_desired(live: &Value, manifest: &Value, manager: &str) -> bool {
    let Some(owned) = owned_metadata(live, manager) else {
        return false;
    };
    ["labels", "annotations"].into_iter().all(|map| {
        let wanted = &manifest["metadata"][map];
        is_part_of(wanted, &live["metadata"][map]) && keys(wanted) == owned.keys_of(map)
    }) && rest(manifest).all(|(field, wanted)| is_part_of(wanted, &live[field]))
        && foreign(live, manifest).is_none()
}

fn rest(manifest: &Value) -> impl Iterator<Item = (&String, &Value)> {
    let fields = manifest.as_object().into_iter().flatten();
    fields.filter(|(field, _)| !matches!(field.as_str(), "apiVersion" | "kind" | "metadata"))
}

/// Whether all that is wanted is there: of maps, their entries; of all else, the whole.
fn is_part_of(wanted: &Value, live: &Value) -> bool {
    match wanted {
        Value::Null => true,
        Value::Object(wanted) => wanted.iter().all(|(key, value)| is_part_of(value, &live[key])),
        _ => wanted == live,
    }
}

fn keys(map: &Value) -> BTreeSet<&str> {
    map.as_object().into_iter().flat_map(Map::keys).map(String::as_str).collect()
}

/// The fields of the metadata that an object's manager got by server-side apply.
struct Owned<'a>(&'a Value);

impl<'a> Owned<'a> {
    fn keys_of(&self, map: &str) -> BTreeSet<&'a str> {
        keys(&self.0[format!("f:{map}")]).into_iter().filter_map(|key| key.strip_prefix("f:")).collect()
    }
}

fn owned_metadata<'a>(live: &'a Value, manager: &str) -> Option<Owned<'a>> {
    let entries = live["metadata"]["managedFields"].as_array()?;
    let entry = entries.iter().find(|entry| {
        entry["manager"] == manager
            && entry["operation"] == "Apply"
            && entry["subresource"].as_str().is_none_or(str::is_empty)
    })?;
    Some(Owned(&entry["fieldsV1"]["f:metadata"]))
}

/// The merge patch that takes out what others have put where everything is ours: an apply leaves that in
/// place. `None` where there is nothing of the kind.
pub(super) fn foreign(live: &Value, manifest: &Value) -> Option<Value> {
    if let Some(wanted) = manifest["spec"]["hard"].as_object() {
        let foreign: Map<String, Value> = keys(&live["spec"]["hard"])
            .into_iter()
            .filter(|key| !wanted.contains_key(*key))
            .map(|key| (key.to_owned(), Value::Null))
            .collect();
        return (!foreign.is_empty()).then(|| json!({ "spec": { "hard": foreign } }));
    }
    // A controller writes the rules of an aggregated role anew.
    let aggregated = manifest.get("rules").is_some() && live["aggregationRule"].is_object();
    aggregated.then(|| json!({ "aggregationRule": null }))
}

/// Whether a binding is for another role: that cannot be changed, only made anew.
pub(super) fn binds_another_role(live: &Value, manifest: &Value) -> bool {
    manifest.get("roleRef").is_some_and(|wanted| !is_part_of(wanted, &live["roleRef"]))
}

/// The labels of a namespace that taking it over would change, ownership marks aside.
pub(super) fn label_differences(live: &Value, manifest: &Value) -> Vec<String> {
    let wanted = manifest["metadata"]["labels"].as_object().into_iter().flatten();
    wanted
        .filter(|(key, _)| !key.starts_with("dcm.onap.org/"))
        .filter(|(key, value)| live["metadata"]["labels"][key.as_str()] != **value)
        .map(|(key, _)| key.clone())
        .collect()
}

/// Whether a quota limits how many quotas there may be: it comes after the others.
pub(super) fn limits_quotas(manifest: &Value) -> bool {
    keys(&manifest["spec"]["hard"]).iter().any(|key| matches!(*key, "resourcequotas" | "count/resourcequotas"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quota(hard: &Value) -> Value {
        json!({
            "metadata": { "name": "q", "labels": { "a": "1" } },
            "spec": { "hard": hard },
        })
    }

    fn live(hard: &Value, labels: &[&str]) -> Value {
        let owned: Map<String, Value> = labels.iter().map(|l| (format!("f:{l}"), json!({}))).collect();
        let mut live = quota(hard);
        live["metadata"]["managedFields"] = json!([
            { "manager": "m", "operation": "Update", "fieldsV1": {} },
            { "manager": "m", "operation": "Apply", "fieldsV1": { "f:metadata": { "f:labels": owned } } },
        ]);
        live
    }

    #[test]
    fn the_same_is_as_desired() {
        let hard = json!({ "pods": "5" });
        assert!(is_as_desired(&live(&hard, &["a"]), &quota(&hard), "m"));
    }

    #[test]
    fn any_difference_is_seen() {
        let hard = json!({ "pods": "5" });
        let wanted = quota(&hard);
        assert!(!is_as_desired(&live(&json!({ "pods": "6" }), &["a"]), &wanted, "m"));
        assert!(!is_as_desired(&live(&json!({}), &["a"]), &wanted, "m"));
        assert!(!is_as_desired(&live(&json!({ "pods": "5", "cpu": "1" }), &["a"]), &wanted, "m"));
        // A label that was ours and is no longer wanted.
        assert!(!is_as_desired(&live(&hard, &["a", "old"]), &wanted, "m"));
        // Another manager's apply, or none, says nothing about what is ours.
        assert!(!is_as_desired(&live(&hard, &["a"]), &wanted, "other"));
        assert!(!is_as_desired(&wanted, &wanted, "m"));
    }

    #[test]
    fn foreign_keys_of_a_quota_are_taken_out() {
        let wanted = quota(&json!({ "pods": "5" }));
        let now = quota(&json!({ "pods": "5", "cpu": "1" }));
        assert_eq!(foreign(&now, &wanted), Some(json!({ "spec": { "hard": { "cpu": null } } })));
        assert_eq!(foreign(&wanted, &wanted), None);
    }

    #[test]
    fn another_role_is_seen_in_kind_or_name() {
        let binding = |kind: &str, name: &str| json!({ "roleRef": { "apiGroup": "g", "kind": kind, "name": name } });
        let wanted = binding("Role", "a");
        assert!(!binds_another_role(&binding("Role", "a"), &wanted));
        assert!(binds_another_role(&binding("Role", "b"), &wanted));
        assert!(binds_another_role(&binding("ClusterRole", "a"), &wanted));
        assert!(!binds_another_role(&json!({}), &json!({ "rules": [] })));
    }

    #[test]
    fn marks_are_no_difference_for_adoption() {
        let manifest = json!({ "metadata": { "labels": { "dcm.onap.org/installation": "x", "team": "a" } } });
        let with = |team: &str| json!({ "metadata": { "labels": { "team": team, "more": "b" } } });
        assert!(label_differences(&with("a"), &manifest).is_empty());
        assert_eq!(label_differences(&with("b"), &manifest), ["team"]);
    }
}
