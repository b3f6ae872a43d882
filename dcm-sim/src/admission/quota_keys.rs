//! Which keys and values a resource quota may have.

use serde_json::Value;

use super::names;
use crate::json;
use crate::quantity::Quantity;
use crate::status::Cause;

/// Keys that count objects.
const COUNTS: [&str; 9] = [
    "pods",
    "services",
    "replicationcontrollers",
    "resourcequotas",
    "secrets",
    "configmaps",
    "persistentvolumeclaims",
    "services.nodeports",
    "services.loadbalancers",
];
/// Keys that add up amounts.
const AMOUNTS: [&str; 10] = [
    "cpu",
    "memory",
    "ephemeral-storage",
    "requests.cpu",
    "requests.memory",
    "requests.storage",
    "requests.ephemeral-storage",
    "limits.cpu",
    "limits.memory",
    "limits.ephemeral-storage",
];
const STORAGE_CLASS: &str = ".storageclass.storage.k8s.io/";

/// Whether a key counts whole objects.
fn counts_objects(key: &str) -> bool {
    COUNTS.contains(&key)
        || key.starts_with("count/")
        || key.split_once(STORAGE_CLASS).is_some_and(|(_, what)| what == "persistentvolumeclaims")
}

fn is_known(key: &str) -> bool {
    if COUNTS.contains(&key) || AMOUNTS.contains(&key) {
        return true;
    }
    let bare = key.strip_prefix("requests.").unwrap_or(key);
    bare.starts_with("hugepages-") || (bare.contains('/') && names::is_qualified(bare))
}

pub(super) fn check(object: &Value, causes: &mut Vec<Cause>) {
    let hard = json::at(object, &["spec", "hard"]).and_then(Value::as_object);
    for (key, value) in hard.into_iter().flatten() {
        let field = format!("spec.hard[{key}]");
        if !is_known(key) {
            let why = "must be a standard resource for quota";
            causes.push(Cause::invalid(&field, &key.as_str().into(), why));
        }
        match value.as_str().and_then(Quantity::parse) {
            None => causes.push(Cause::invalid(&field, value, "must be a quantity")),
            Some(quantity) if quantity.is_negative() => {
                causes.push(Cause::invalid(&field, value, "must be greater than or equal to 0"));
            }
            Some(quantity) if counts_objects(key) && !quantity.is_whole() => {
                causes.push(Cause::invalid(&field, value, "must be an integer"));
            }
            Some(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn accepts(key: &str, value: &str) -> bool {
        let mut causes = Vec::new();
        check(&json!({"spec": {"hard": {key: value}}}), &mut causes);
        causes.is_empty()
    }

    #[test]
    fn keys_of_the_design_are_accepted() {
        for key in [
            "limits.cpu",
            "limits.memory",
            "requests.cpu",
            "requests.memory",
            "requests.storage",
            "requests.ephemeral-storage",
            "limits.ephemeral-storage",
            "persistentvolumeclaims",
            "pods",
            "configmaps",
            "replicationcontrollers",
            "resourcequotas",
            "services",
            "services.loadbalancers",
            "services.nodeports",
            "secrets",
            "count/replicationcontrollers",
            "count/deployments.apps",
            "count/deployments.extensions",
            "count/jobs.batch",
            "cpu",
            "memory",
            "gold.storageclass.storage.k8s.io/requests.storage",
            "requests.nvidia.com/gpu",
        ] {
            assert!(accepts(key, "5"), "{key}");
        }
    }

    #[test]
    fn other_keys_and_values_are_refused() {
        for (key, value) in [
            ("storage", "1"),
            ("nodes", "1"),
            ("colour", "1"),
            ("Pods", "1"),
            ("limits.gpu", "1"),
            ("pods", "1500m"),
            ("pods", "-1"),
            ("cpu", "-1"),
            ("cpu", ""),
            ("cpu", "much"),
        ] {
            assert!(!accepts(key, value), "{key}={value}");
        }
        assert!(accepts("cpu", "500m"));
    }
}
