//! Which fields differ, as pointers into documents (RFC 6901).

use dcm_core::sync::FieldDifference;
use serde_json::{Map, Value};

/// What the cluster keeps for itself, and the type, which objects in lists lack.
const KEPT: [&str; 10] = [
    "/apiVersion",
    "/kind",
    "/metadata/managedFields",
    "/metadata/resourceVersion",
    "/metadata/generation",
    "/metadata/uid",
    "/metadata/creationTimestamp",
    "/metadata/generateName",
    "/metadata/selfLink",
    "/status",
];

/// The fields in which an object would differ from what it is. Of lists of the same length their entries are
/// compared, others as a whole.
pub(super) fn differences(live: &Value, wanted: &Value) -> Vec<FieldDifference> {
    let mut found = Vec::new();
    walk("", Some(live), Some(wanted), &mut found);
    found
}

fn walk(at: &str, live: Option<&Value>, wanted: Option<&Value>, found: &mut Vec<FieldDifference>) {
    if live == wanted || KEPT.contains(&at) {
        return;
    }
    match (live, wanted) {
        (Some(Value::Object(live)), Some(Value::Object(wanted))) => {
            let more = wanted.keys().filter(|key| !live.contains_key(*key));
            for key in live.keys().chain(more) {
                walk(&format!("{at}/{}", escaped(key)), live.get(key), wanted.get(key), found);
            }
        }
        (Some(Value::Array(live)), Some(Value::Array(wanted))) if live.len() == wanted.len() => {
            for (index, (live, wanted)) in live.iter().zip(wanted).enumerate() {
                walk(&format!("{at}/{index}"), Some(live), Some(wanted), found);
            }
        }
        // A map that comes or goes is told by its entries, as far as it has any.
        (None, Some(Value::Object(wanted))) if !wanted.is_empty() => {
            for (key, value) in wanted {
                walk(&format!("{at}/{}", escaped(key)), None, Some(value), found);
            }
        }
        (Some(Value::Object(live)), None) if !live.is_empty() => {
            for (key, value) in live {
                walk(&format!("{at}/{}", escaped(key)), Some(value), None, found);
            }
        }
        _ => found.push(FieldDifference { pointer: at.to_owned(), live: live.cloned(), wanted: wanted.cloned() }),
    }
}

fn escaped(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

/// An object without the fields that a patch takes out.
pub(super) fn take_out(object: &mut Value, patch: &Value) {
    let (Some(object), Some(patch)) = (object.as_object_mut(), patch.as_object()) else {
        return;
    };
    for (key, value) in patch {
        if value.is_null() {
            object.remove(key);
        } else if let Some(inner) = object.get_mut(key) {
            take_out(inner, value);
        }
    }
}

/// An object with a manifest's fields in the place of its own; maps are merged.
pub(super) fn laid_over(live: &Value, manifest: &Value) -> Value {
    match (live, manifest) {
        (Value::Object(live), Value::Object(manifest)) => {
            let mut all: Map<String, Value> = live.clone();
            for (key, value) in manifest {
                let value = laid_over(live.get(key).unwrap_or(&Value::Null), value);
                all.insert(key.clone(), value);
            }
            Value::Object(all)
        }
        _ => manifest.clone(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn shown(live: &Value, wanted: &Value) -> Vec<String> {
        let text = |value: &Option<Value>| value.as_ref().map_or_else(|| "-".to_owned(), ToString::to_string);
        let all = differences(live, wanted);
        all.iter().map(|f| format!("{} {} {}", f.pointer, text(&f.live), text(&f.wanted))).collect()
    }

    #[test]
    fn fields_are_found_wherever_they_are() {
        let live = json!({
            "kind": "Role",
            "metadata": {
                "uid": "a", "resourceVersion": "1", "managedFields": [1], "generation": 1, "creationTimestamp": "x",
                "labels": { "a/b": "1", "c~d": "2", "same": "3" },
            },
            "rules": [{ "verbs": ["get"], "resources": ["pods"] }],
            "spec": { "hard": { "pods": "1" } },
            "status": { "used": 1 },
        });
        let wanted = json!({
            "metadata": {
                "uid": "b", "resourceVersion": "2", "labels": { "a/b": "2", "same": "3" },
                "annotations": { "new": "n" },
            },
            "rules": [{ "verbs": ["get", "list"], "resources": ["secrets"] }],
            "spec": { "hard": {} },
        });
        let mut found = shown(&live, &wanted);
        found.sort();
        assert_eq!(
            found,
            [
                r#"/metadata/annotations/new - "n""#,
                r#"/metadata/labels/a~1b "1" "2""#,
                r#"/metadata/labels/c~0d "2" -"#,
                r#"/rules/0/resources/0 "pods" "secrets""#,
                r#"/rules/0/verbs ["get"] ["get","list"]"#,
                r#"/spec/hard/pods "1" -"#,
            ]
        );
        assert_eq!(shown(&live, &live), [""; 0]);
        for difference in differences(&live, &wanted) {
            assert_eq!(live.pointer(&difference.pointer), difference.live.as_ref());
            assert_eq!(wanted.pointer(&difference.pointer), difference.wanted.as_ref());
        }
    }

    #[test]
    fn what_a_patch_takes_out_is_gone() {
        let mut object = json!({ "spec": { "hard": { "a": "1", "b": "2" } }, "rest": 1 });
        take_out(&mut object, &json!({ "spec": { "hard": { "a": null } }, "none": { "x": null } }));
        assert_eq!(object, json!({ "spec": { "hard": { "b": "2" } }, "rest": 1 }));
    }

    #[test]
    fn a_manifest_is_laid_over_what_is_there() {
        let live = json!({ "metadata": { "uid": "u", "labels": { "a": "1" } }, "roleRef": { "name": "x" } });
        let manifest = json!({ "metadata": { "labels": { "b": "2" } }, "roleRef": { "name": "y" } });
        let expected =
            json!({ "metadata": { "uid": "u", "labels": { "a": "1", "b": "2" } }, "roleRef": { "name": "y" } });
        assert_eq!(laid_over(&live, &manifest), expected);
    }
}
