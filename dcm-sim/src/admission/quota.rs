//! Resource quotas: what a namespace uses, and that nothing goes over what is allowed.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::json;
use crate::kinds::{
    CONFIGMAPS, KindId, PERSISTENTVOLUMECLAIMS, PODS, REPLICATIONCONTROLLERS, RESOURCEQUOTAS, SECRETS, SERVICES,
};
use crate::quantity::Quantity;
use crate::state::State;
use crate::status::Refusal;

/// What pods have to say something about where a quota limits it.
const COMPUTE: [&str; 6] = ["cpu", "memory", "requests.cpu", "requests.memory", "limits.cpu", "limits.memory"];

type Amounts = BTreeMap<String, Quantity>;

/// Refuses an object that does not fit into what its namespace has left.
pub(crate) fn admit(state: &State, kind: KindId, namespace: &str, object: &Value) -> Result<(), Refusal> {
    if !kind.namespaced {
        return Ok(());
    }
    for quota in state.inside(RESOURCEQUOTAS, namespace).filter(|_| kind == PODS) {
        must_specify(quota, object)?;
    }
    for quota in state.inside(RESOURCEQUOTAS, namespace) {
        let (mut requested, mut used, mut limited) = (Vec::new(), Vec::new(), Vec::new());
        for (key, hard) in amounts(json::at(quota, &["spec", "hard"])) {
            let more = usage(kind, object, &key);
            if more == Quantity::ZERO {
                continue;
            }
            let now = used_of(state, namespace, &key);
            if now.plus(more) > hard {
                requested.push(format!("{key}={}", more.canonical()));
                used.push(format!("{key}={}", now.canonical()));
                limited.push(format!("{key}={}", hard.canonical()));
            }
        }
        if !requested.is_empty() {
            let why = format!(
                "exceeded quota: {}, requested: {}, used: {}, limited: {}",
                json::text(quota, &["metadata", "name"]),
                requested.join(","),
                used.join(","),
                limited.join(",")
            );
            return Err(Refusal::forbidden(&kind, json::text(object, &["metadata", "name"]), &why));
        }
    }
    Ok(())
}

/// A quota on what pods ask for takes no pod that does not say it.
fn must_specify(quota: &Value, pod: &Value) -> Result<(), Refusal> {
    let missing: Vec<String> = amounts(json::at(quota, &["spec", "hard"]))
        .into_keys()
        .filter(|key| COMPUTE.contains(&key.as_str()))
        .filter_map(|key| {
            let silent: Vec<&str> = json::list(pod, &["spec", "containers"])
                .iter()
                .filter(|container| container_usage(container, &key).is_none())
                .map(|container| json::text(container, &["name"]))
                .collect();
            (!silent.is_empty()).then(|| format!("{key} for: {}", silent.join(",")))
        })
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    let quota = json::text(quota, &["metadata", "name"]);
    let why = format!("failed quota: {quota}: must specify {}", missing.join("; "));
    Err(Refusal::forbidden(&PODS, json::text(pod, &["metadata", "name"]), &why))
}

/// Brings the status of a namespace's quotas up to date.
pub(crate) fn refresh(state: &mut State, namespace: &str) {
    let stale: Vec<Value> = state
        .inside(RESOURCEQUOTAS, namespace)
        .filter_map(|quota| {
            let hard = json::at(quota, &["spec", "hard"]).cloned().unwrap_or_else(|| Value::Object(Map::new()));
            let used: Map<String, Value> = amounts(Some(&hard))
                .into_keys()
                .map(|key| {
                    let used = used_of(state, namespace, &key).canonical();
                    (key, Value::String(used))
                })
                .collect();
            let used = Value::Object(used);
            let current = json::at(quota, &["status", "hard"]) == Some(&hard)
                && json::at(quota, &["status", "used"]) == Some(&used);
            (!current).then(|| {
                let mut quota = Value::clone(quota);
                json::set(&mut quota, &["status", "hard"], hard);
                json::set(&mut quota, &["status", "used"], used);
                quota
            })
        })
        .collect();
    for quota in stale {
        state.put(RESOURCEQUOTAS, quota);
    }
}

fn amounts(map: Option<&Value>) -> Amounts {
    map.and_then(Value::as_object)
        .into_iter()
        .flatten()
        .filter_map(|(key, value)| Some((key.clone(), Quantity::parse(value.as_str()?)?)))
        .collect()
}

fn used_of(state: &State, namespace: &str, key: &str) -> Quantity {
    kinds_of(key)
        .into_iter()
        .flat_map(|kind| state.inside(kind, namespace).map(move |object| usage(kind, object, key)))
        .fold(Quantity::ZERO, Quantity::plus)
}

/// The kind whose objects a key is about, if any.
fn kinds_of(key: &str) -> Option<KindId> {
    if let Some(counted) = key.strip_prefix("count/") {
        return KindId::named(counted).filter(|kind| kind.namespaced);
    }
    match key {
        "pods" => Some(PODS),
        "configmaps" => Some(CONFIGMAPS),
        "secrets" => Some(SECRETS),
        "resourcequotas" => Some(RESOURCEQUOTAS),
        "replicationcontrollers" => Some(REPLICATIONCONTROLLERS),
        "services" | "services.loadbalancers" | "services.nodeports" => Some(SERVICES),
        "persistentvolumeclaims" | "requests.storage" => Some(PERSISTENTVOLUMECLAIMS),
        key if key.contains(".storageclass.storage.k8s.io/") => Some(PERSISTENTVOLUMECLAIMS),
        _ => Some(PODS),
    }
}

/// What one object uses of what a key is about.
fn usage(kind: KindId, object: &Value, key: &str) -> Quantity {
    if kinds_of(key) != Some(kind) {
        return Quantity::ZERO;
    }
    let one = Quantity::whole(1);
    match key {
        "services.loadbalancers" | "services.nodeports" => {
            let ports = json::list(object, &["spec", "ports"]).len();
            match (json::text(object, &["spec", "type"]), key) {
                ("LoadBalancer", "services.loadbalancers") => one,
                ("NodePort" | "LoadBalancer", "services.nodeports") => {
                    Quantity::whole(i64::try_from(ports).unwrap_or(i64::MAX))
                }
                _ => Quantity::ZERO,
            }
        }
        "requests.storage" => storage(object),
        _ if key.contains(".storageclass.storage.k8s.io/") => class_usage(object, key),
        _ if kind == PODS && key != "pods" && !key.starts_with("count/") => pod_usage(object, key),
        _ => one,
    }
}

fn storage(claim: &Value) -> Quantity {
    Quantity::parse(json::text(claim, &["spec", "resources", "requests", "storage"])).unwrap_or(Quantity::ZERO)
}

fn class_usage(claim: &Value, key: &str) -> Quantity {
    match key.split_once(".storageclass.storage.k8s.io/") {
        Some((class, what)) if json::text(claim, &["spec", "storageClassName"]) == class => match what {
            "requests.storage" => storage(claim),
            _ => Quantity::whole(1),
        },
        _ => Quantity::ZERO,
    }
}

/// The sum over a pod's containers; a pod that has ended uses nothing.
fn pod_usage(pod: &Value, key: &str) -> Quantity {
    if matches!(json::text(pod, &["status", "phase"]), "Succeeded" | "Failed") {
        return Quantity::ZERO;
    }
    json::list(pod, &["spec", "containers"])
        .iter()
        .filter_map(|container| container_usage(container, key))
        .fold(Quantity::ZERO, Quantity::plus)
}

fn container_usage(container: &Value, key: &str) -> Option<Quantity> {
    let (side, resource) = match key.split_once('.') {
        Some((side @ ("requests" | "limits"), resource)) => (side, resource),
        _ => ("requests", key),
    };
    let amount = |side: &str| json::at(container, &["resources", side, resource])?.as_str();
    // A request that is not given is what the limit is.
    Quantity::parse(amount(side).or_else(|| amount("limits"))?)
}
