//! Strategic merge patch, by a list of the lists that are merged: no schema says it here.

use serde_json::Value;

use crate::json;

/// Lists whose elements are told apart by a key, by the name of the list.
const KEYED: [(&str, &str); 14] = [
    ("conditions", "type"),
    ("containers", "name"),
    ("env", "name"),
    ("ephemeralContainers", "name"),
    ("hostAliases", "ip"),
    ("imagePullSecrets", "name"),
    ("initContainers", "name"),
    ("ownerReferences", "uid"),
    ("secrets", "name"),
    ("volumeDevices", "devicePath"),
    ("volumeMounts", "mountPath"),
    ("volumes", "name"),
    ("containerPorts", "containerPort"),
    ("servicePorts", "port"),
];
/// Lists that are sets of words.
const SETS: [&str; 1] = ["finalizers"];
const DELETE: &str = "$deleteFromPrimitiveList/";

/// Merges a patch into an object.
pub(super) fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(entries) = patch else {
        *target = patch.clone();
        return;
    };
    if json::text(patch, &["$patch"]) == "replace" {
        let mut plain = patch.clone();
        json::remove(&mut plain, &["$patch"]);
        *target = plain;
        return;
    }
    let target = json::map(target);
    for (key, value) in entries {
        if let Some(list) = key.strip_prefix(DELETE) {
            let gone = value.as_array().map(Vec::as_slice).unwrap_or_default();
            if let Some(Value::Array(have)) = target.get_mut(list) {
                have.retain(|element| !gone.contains(element));
            }
        } else if key.starts_with('$') {
            // Directives about order change nothing that anybody reads here.
        } else if value.is_null() || json::text(value, &["$patch"]) == "delete" {
            target.remove(key);
        } else {
            let slot = target.entry(key.clone()).or_insert(Value::Null);
            match value {
                Value::Array(elements) => merge_list(key, slot, elements),
                other => merge(slot, other),
            }
        }
    }
}

fn merge_list(name: &str, target: &mut Value, elements: &[Value]) {
    let replaced = elements.iter().any(|element| json::text(element, &["$patch"]) == "replace");
    let key = key_of(name, elements);
    let have = match target {
        Value::Array(have) if !replaced && (key.is_some() || SETS.contains(&name)) => have,
        other => {
            *other = Value::Array(elements.iter().filter(|element| element.get("$patch").is_none()).cloned().collect());
            return;
        }
    };
    for element in elements {
        let same = |other: &Value| match key {
            Some(key) => other.get(key) == element.get(key),
            None => other == element,
        };
        let index = have.iter().position(same);
        match (index, json::text(element, &["$patch"])) {
            (Some(index), "delete") => {
                have.remove(index);
            }
            (None, "delete") => {}
            (Some(index), _) => merge(&mut have[index], element),
            (None, _) => have.push(element.clone()),
        }
    }
}

/// The key that tells a list's elements apart, if they are told apart.
fn key_of(name: &str, elements: &[Value]) -> Option<&'static str> {
    // Ports of a container and of a service share a name and nothing else.
    let name = match name {
        "ports" if elements.iter().any(|port| port.get("containerPort").is_some()) => "containerPorts",
        "ports" => "servicePorts",
        name => name,
    };
    KEYED.iter().find(|(list, _)| *list == name).map(|(_, key)| *key)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn known_lists_are_merged_and_others_replaced() {
        let mut object = json!({"spec": {"containers": [{"name": "a", "image": "1"}], "args": [1, 2]}});
        let patch = json!({"spec": {
            "$setElementOrder/containers": [{"name": "a"}, {"name": "b"}],
            "containers": [{"name": "b", "image": "2"}, {"name": "a", "image": "3"}],
            "args": [9],
        }});
        merge(&mut object, &patch);
        let containers = json!([{"name": "a", "image": "3"}, {"name": "b", "image": "2"}]);
        assert_eq!(object, json!({"spec": {"containers": containers, "args": [9]}}));
    }

    #[test]
    fn directives_delete() {
        let mut object = json!({"metadata": {"finalizers": ["a", "b"]}, "secrets": [{"name": "x"}], "old": 1});
        let patch = json!({
            "metadata": {"$deleteFromPrimitiveList/finalizers": ["a"]},
            "secrets": [{"name": "x", "$patch": "delete"}],
            "old": null,
        });
        merge(&mut object, &patch);
        assert_eq!(object, json!({"metadata": {"finalizers": ["b"]}, "secrets": []}));
    }
}
