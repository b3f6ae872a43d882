//! Nobody grants what they do not hold themselves.

use std::collections::BTreeMap;

use serde_json::Value;

use super::User;
use super::rbac::{Attributes, Rule, allowed, role, rules};
use crate::json;
use crate::kinds::{CLUSTERROLES, KindId, ROLES};
use crate::state::State;
use crate::status::Refusal;

/// Checks a (cluster) role that is to be written: its writer holds all of it, or may escalate.
pub(crate) fn check_role(state: &State, user: &User, kind: KindId, object: &Value) -> Result<(), Refusal> {
    let namespace = json::text(object, &["metadata", "namespace"]);
    let name = json::text(object, &["metadata", "name"]);
    if may(state, user, "escalate", kind, namespace, name) {
        return Ok(());
    }
    let granted: Vec<Rule> = json::list(object, &["rules"]).iter().map(Rule).collect();
    let missing = missing(state, user, namespace, &granted);
    refuse(user, kind, name, &missing)
}

/// Checks a (cluster) role binding that is to be written: its writer may bind the role, or holds all of it.
pub(crate) fn check_binding(state: &State, user: &User, kind: KindId, object: &Value) -> Result<(), Refusal> {
    let namespace = json::text(object, &["metadata", "namespace"]);
    let Some(reference) = object.get("roleRef") else {
        return Ok(());
    };
    let role_name = json::text(reference, &["name"]);
    let role_kind = match json::text(reference, &["kind"]) {
        "ClusterRole" => CLUSTERROLES,
        _ => ROLES,
    };
    if may(state, user, "bind", role_kind, namespace, role_name) {
        return Ok(());
    }
    let role = role(state, namespace, reference).ok_or_else(|| Refusal::not_found(&kind, role_name))?;
    let granted: Vec<Rule> = json::list(role, &["rules"]).iter().map(Rule).collect();
    let missing = missing(state, user, namespace, &granted);
    refuse(user, kind, json::text(object, &["metadata", "name"]), &missing)
}

fn may(state: &State, user: &User, verb: &str, kind: KindId, namespace: &str, name: &str) -> bool {
    let asked = Attributes {
        verb: verb.to_owned(),
        group: kind.group().to_owned(),
        resource: kind.plural.to_owned(),
        namespace: namespace.to_owned(),
        name: name.to_owned(),
        ..Attributes::default()
    };
    allowed(state, user, &asked)
}

fn refuse(user: &User, kind: KindId, name: &str, missing: &[String]) -> Result<(), Refusal> {
    if missing.is_empty() {
        return Ok(());
    }
    let why = format!(
        "user {:?} (groups={:?}) is attempting to grant RBAC permissions not currently held:\n{}",
        user.name,
        user.groups,
        missing.join("\n")
    );
    Err(Refusal::forbidden(&kind, name, &why))
}

/// The parts of rules that a user does not hold: for each resource or path, the verbs that are missing.
fn missing(state: &State, user: &User, namespace: &str, granted: &[Rule]) -> Vec<String> {
    let held: Vec<Rule> = rules(state, user, namespace).collect();
    let mut missing: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for rule in granted {
        for verb in rule.list("verbs") {
            let mut lacks = |what: String, covered: &dyn Fn(&Rule) -> bool| {
                if !held.iter().any(|held| held.has("verbs", verb) && covered(held)) {
                    missing.entry(what).or_default().push(verb);
                }
            };
            for path in rule.list("nonResourceURLs") {
                lacks(format!("NonResourceURLs:[{path:?}]"), &|held| {
                    held.list("nonResourceURLs").any(|own| covers_path(own, path))
                });
            }
            for group in rule.list("apiGroups") {
                for resource in rule.list("resources") {
                    for name in names(*rule) {
                        lacks(part(group, resource, name), &|held| {
                            held.has("apiGroups", group) && held.has_resource(resource) && held.has_name(name)
                        });
                    }
                }
            }
        }
    }
    missing
        .into_iter()
        .map(|(what, verbs)| {
            let verbs: Vec<String> = verbs.iter().map(|verb| format!("{verb:?}")).collect();
            format!("{{{what}, Verbs:[{}]}}", verbs.join(" "))
        })
        .collect()
}

/// The names of a rule, or the empty one for "all of them".
fn names<'a>(rule: Rule<'a>) -> Vec<&'a str> {
    let names: Vec<&str> = rule.list("resourceNames").collect();
    if names.is_empty() { vec![""] } else { names }
}

fn covers_path(own: &str, path: &str) -> bool {
    match own.strip_suffix('*') {
        Some(prefix) => path.trim_end_matches('*').starts_with(prefix),
        None => own == path,
    }
}

fn part(group: &str, resource: &str, name: &str) -> String {
    let names = match name {
        "" => String::new(),
        name => format!(", ResourceNames:[{name:?}]"),
    };
    format!("APIGroups:[{group:?}], Resources:[{resource:?}]{names}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds::{ROLEBINDINGS, ROLES};
    use serde_json::json;

    fn state(held: Value) -> State {
        let mut state = State::new();
        state.put(ROLES, json!({"metadata": {"name": "held", "namespace": "ns"}, "rules": held}));
        state.put(
            ROLEBINDINGS,
            json!({
                "metadata": {"name": "held", "namespace": "ns"},
                "roleRef": {"kind": "Role", "name": "held"},
                "subjects": [{"kind": "User", "name": "alice"}],
            }),
        );
        state
    }

    fn grants(held: Value, granted: Value) -> bool {
        let role = json!({"metadata": {"name": "new", "namespace": "ns"}, "rules": granted});
        check_role(&state(held), &User::authenticated("alice", []), ROLES, &role).is_ok()
    }

    #[test]
    fn what_is_held_can_be_granted_and_no_more() {
        let held = json!([{"apiGroups": [""], "resources": ["pods", "secrets"], "verbs": ["get", "list"]}]);
        assert!(grants(held.clone(), json!([{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}])));
        assert!(!grants(held.clone(), json!([{"apiGroups": [""], "resources": ["pods"], "verbs": ["delete"]}])));
        assert!(!grants(held.clone(), json!([{"apiGroups": [""], "resources": ["*"], "verbs": ["get"]}])));
        assert!(!grants(held, json!([{"apiGroups": [""], "resources": ["pods/log"], "verbs": ["get"]}])));
    }

    #[test]
    fn rights_on_one_name_do_not_grant_all_names() {
        let held = json!([{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"], "resourceNames": ["one"]}]);
        let one = json!([{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"], "resourceNames": ["one"]}]);
        assert!(grants(held.clone(), one));
        assert!(!grants(held, json!([{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}])));
    }

    #[test]
    fn who_may_escalate_grants_anything() {
        let held = json!([{"apiGroups": ["rbac.authorization.k8s.io"], "resources": ["roles"], "verbs": ["escalate"]}]);
        assert!(grants(held, json!([{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}])));
    }

    #[test]
    fn a_binding_needs_the_role_or_the_right_to_bind() {
        let binding = json!({
            "metadata": {"name": "new", "namespace": "ns"},
            "roleRef": {"kind": "ClusterRole", "name": "big"},
        });
        let check = |held: Value| {
            let mut state = state(held);
            let rules = json!([{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}]);
            state.put(CLUSTERROLES, json!({"metadata": {"name": "big"}, "rules": rules}));
            check_binding(&state, &User::authenticated("alice", []), ROLEBINDINGS, &binding)
        };
        assert_eq!(check(json!([])).unwrap_err().code, 403);
        assert!(check(json!([{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}])).is_ok());
        let bind = json!([{"apiGroups": ["rbac.authorization.k8s.io"], "resources": ["clusterroles"],
            "verbs": ["bind"], "resourceNames": ["big"]}]);
        assert!(check(bind).is_ok());
    }
}
