//! Role-based access control, evaluated on the stored roles and bindings at each request.

use serde_json::Value;

use super::User;
use crate::json;
use crate::kinds::{CLUSTERROLEBINDINGS, CLUSTERROLES, ROLEBINDINGS, ROLES};
use crate::state::State;

/// What is asked for.
#[derive(Debug, Clone, Default)]
pub(crate) struct Attributes {
    pub(crate) verb: String,
    pub(crate) group: String,
    pub(crate) resource: String,
    pub(crate) subresource: String,
    pub(crate) namespace: String,
    pub(crate) name: String,
    /// A path that is no resource; the fields between are empty then.
    pub(crate) path: Option<String>,
}

impl Attributes {
    /// The same, for another verb.
    pub(crate) fn with_verb(&self, verb: &str) -> Self {
        Self { verb: verb.to_owned(), ..self.clone() }
    }

    /// What kubectl's users know: `User "x" cannot list resource "pods" in API group "" …`.
    pub(crate) fn refusal(&self, user: &User) -> String {
        if let Some(path) = &self.path {
            return format!("User {:?} cannot {} path {path:?}", user.name, self.verb);
        }
        let resource = match self.subresource.as_str() {
            "" => self.resource.clone(),
            sub => format!("{}/{sub}", self.resource),
        };
        let place = match self.namespace.as_str() {
            "" => "at the cluster scope".to_owned(),
            namespace => format!("in the namespace {namespace:?}"),
        };
        format!("User {:?} cannot {} resource {resource:?} in API group {:?} {place}", user.name, self.verb, self.group)
    }
}

/// A rule of a role, read in place.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rule<'a>(pub(crate) &'a Value);

impl<'a> Rule<'a> {
    pub(crate) fn list(self, key: &str) -> impl Iterator<Item = &'a str> {
        json::list(self.0, &[key]).iter().filter_map(Value::as_str)
    }

    pub(crate) fn has(self, key: &str, wanted: &str) -> bool {
        self.list(key).any(|value| value == "*" || value == wanted)
    }

    /// Whether the rule is about a resource, `pods` or `pods/log`.
    pub(crate) fn has_resource(self, resource: &str) -> bool {
        self.list("resources").any(|value| {
            value == "*"
                || value == resource
                || match (value.strip_prefix("*/"), resource.split_once('/')) {
                    (Some(any), Some((_, sub))) => any == sub,
                    _ => false,
                }
        })
    }

    /// Whether the rule is about a name; a rule without names is about all of them.
    pub(crate) fn has_name(self, name: &str) -> bool {
        let mut names = self.list("resourceNames").peekable();
        names.peek().is_none() || (!name.is_empty() && names.any(|value| value == name))
    }

    pub(crate) fn has_path(self, path: &str) -> bool {
        self.list("nonResourceURLs").any(|value| match value.strip_suffix('*') {
            Some(prefix) => path.starts_with(prefix),
            None => value == path,
        })
    }

    fn allows(self, asked: &Attributes) -> bool {
        if !self.has("verbs", &asked.verb) {
            return false;
        }
        if let Some(path) = &asked.path {
            return self.has_path(path);
        }
        let resource = match asked.subresource.as_str() {
            "" => asked.resource.clone(),
            sub => format!("{}/{sub}", asked.resource),
        };
        self.has("apiGroups", &asked.group) && self.has_resource(&resource) && self.has_name(&asked.name)
    }
}

/// Whether the user may do what is asked for.
pub(crate) fn allowed(state: &State, user: &User, asked: &Attributes) -> bool {
    user.is_master()
        || match &asked.path {
            Some(_) => rules(state, user, "").any(|rule| rule.allows(asked)),
            None => rules(state, user, &asked.namespace).any(|rule| rule.allows(asked)),
        }
}

/// The rules that hold for a user, cluster-wide and in a namespace (none if empty).
pub(crate) fn rules<'a>(state: &'a State, user: &'a User, namespace: &'a str) -> impl Iterator<Item = Rule<'a>> {
    let everywhere = state.range(CLUSTERROLEBINDINGS, None, None);
    let here = state.range(ROLEBINDINGS, Some(namespace), None).filter(move |_| !namespace.is_empty());
    everywhere
        .chain(here)
        .filter(move |((home, _), binding)| {
            json::list(binding, &["subjects"]).iter().any(|subject| is(user, subject, home))
        })
        .flat_map(move |((namespace, _), binding)| rules_of(state, namespace, json::at(binding, &["roleRef"])))
}

/// The rules of the role that a binding refers to, none where the role is missing.
fn rules_of<'a>(state: &'a State, namespace: &'a str, reference: Option<&'a Value>) -> impl Iterator<Item = Rule<'a>> {
    reference
        .and_then(|reference| role(state, namespace, reference))
        .into_iter()
        .flat_map(|role| json::list(role, &["rules"]).iter().map(Rule))
}

/// The role that a binding in a namespace (or at the cluster scope) refers to.
pub(crate) fn role<'a>(state: &'a State, namespace: &str, reference: &Value) -> Option<&'a Value> {
    let name = json::text(reference, &["name"]);
    match json::text(reference, &["kind"]) {
        "ClusterRole" => state.get(CLUSTERROLES, "", name),
        "Role" if !namespace.is_empty() => state.get(ROLES, namespace, name),
        _ => None,
    }
    .map(|role| &**role)
}

/// Whether a binding's subject is this user; an account without a namespace is one of the binding's own.
fn is(user: &User, subject: &Value, home: &str) -> bool {
    let name = json::text(subject, &["name"]);
    match json::text(subject, &["kind"]) {
        "User" => user.name == name,
        "Group" => user.groups.iter().any(|group| group == name),
        "ServiceAccount" => {
            let namespace = match json::text(subject, &["namespace"]) {
                "" => home,
                namespace => namespace,
            };
            user.name
                .strip_prefix("system:serviceaccount:")
                .and_then(|account| account.split_once(':'))
                .is_some_and(|account| account == (namespace, name))
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn asked(verb: &str, group: &str, resource: &str, namespace: &str, name: &str) -> Attributes {
        let (resource, subresource) = resource.split_once('/').unwrap_or((resource, ""));
        Attributes {
            verb: verb.into(),
            group: group.into(),
            resource: resource.into(),
            subresource: subresource.into(),
            namespace: namespace.into(),
            name: name.into(),
            path: None,
        }
    }

    fn state(rules: Value, subject: Value) -> State {
        let mut state = State::new();
        state.put(ROLES, json!({"metadata": {"name": "r", "namespace": "ns"}, "rules": rules}));
        let reference = json!({"kind": "Role", "name": "r"});
        state.put(
            ROLEBINDINGS,
            json!({"metadata": {"name": "b", "namespace": "ns"}, "roleRef": reference, "subjects": [subject]}),
        );
        state
    }

    fn alice() -> User {
        User::authenticated("alice", ["devs".to_owned()])
    }

    #[test]
    fn a_role_grants_what_it_says_and_nothing_else() {
        let rules = json!([{"apiGroups": [""], "resources": ["pods", "pods/log"], "verbs": ["get", "list"]}]);
        let state = state(rules, json!({"kind": "User", "name": "alice"}));
        for (expected, asked) in [
            (true, asked("get", "", "pods", "ns", "x")),
            (true, asked("get", "", "pods/log", "ns", "x")),
            (false, asked("get", "", "pods/exec", "ns", "x")),
            (false, asked("delete", "", "pods", "ns", "x")),
            (false, asked("get", "apps", "pods", "ns", "x")),
            (false, asked("get", "", "pods", "other", "x")),
            (false, asked("list", "", "pods", "", "")),
        ] {
            assert_eq!(allowed(&state, &alice(), &asked), expected, "{asked:?}");
        }
        assert!(!allowed(&state, &User::authenticated("bob", []), &asked("get", "", "pods", "ns", "x")));
    }

    #[test]
    fn stars_and_names_are_understood() {
        let rules = json!([
            {"apiGroups": ["*"], "resources": ["*/status"], "verbs": ["*"]},
            {"apiGroups": ["apps"], "resources": ["*"], "verbs": ["get"], "resourceNames": ["one"]},
        ]);
        let state = state(rules, json!({"kind": "Group", "name": "devs"}));
        assert!(allowed(&state, &alice(), &asked("patch", "x", "things/status", "ns", "")));
        assert!(!allowed(&state, &alice(), &asked("patch", "x", "things", "ns", "")));
        assert!(allowed(&state, &alice(), &asked("get", "apps", "deployments", "ns", "one")));
        assert!(!allowed(&state, &alice(), &asked("get", "apps", "deployments", "ns", "two")));
        assert!(!allowed(&state, &alice(), &asked("get", "apps", "deployments", "ns", "")));
    }

    #[test]
    fn service_accounts_are_matched_by_namespace_and_name() {
        let rules = json!([{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}]);
        let state = state(rules, json!({"kind": "ServiceAccount", "name": "robot", "namespace": "home"}));
        let get = asked("get", "", "pods", "ns", "");
        assert!(allowed(&state, &User::service_account("home", "robot", "u"), &get));
        assert!(!allowed(&state, &User::service_account("ns", "robot", "u"), &get));
    }

    #[test]
    fn paths_are_granted_by_prefix() {
        let rule = json!({"nonResourceURLs": ["/healthz", "/api/*"], "verbs": ["get"]});
        assert!(Rule(&rule).has_path("/healthz") && Rule(&rule).has_path("/api/v1"));
        assert!(!Rule(&rule).has_path("/healthz/ping"));
    }
}
