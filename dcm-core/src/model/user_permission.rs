use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::{Policy, known_resources};
use crate::{
    fault::Faults,
    name::{Namespace, PermissionName},
};

/// One RBAC rule set of a logical cloud's user.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct UserPermission {
    /// Its name, unique in the logical cloud.
    pub name: PermissionName,
    /// Kubernetes API groups; `""` is the core group.
    pub api_groups: Vec<String>,
    /// Kubernetes resources, as `resource` or `resource/subresource`.
    pub resources: Vec<String>,
    /// Kubernetes verbs.
    pub verbs: Vec<String>,
    /// The only objects that it is for; empty means all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub resource_names: Vec<String>,
    /// Where it holds.
    #[serde(default, skip_serializing_if = "PermissionScope::is_own")]
    pub scope: PermissionScope,
}

impl UserPermission {
    /// At most so many per logical cloud.
    pub const MOST: usize = 256;
}

/// Where a permission holds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PermissionScope {
    /// In the logical cloud's own namespace.
    #[default]
    Own,
    /// In another namespace.
    Namespace(Namespace),
    /// In the whole cluster.
    Cluster,
}

impl PermissionScope {
    fn is_own(&self) -> bool {
        *self == Self::Own
    }
}

/// A permission as a client wrote it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PermissionInput {
    /// See [`UserPermission::name`].
    pub name: Option<String>,
    /// See [`UserPermission::api_groups`].
    pub api_groups: Option<Vec<String>>,
    /// See [`UserPermission::resources`].
    pub resources: Option<Vec<String>>,
    /// See [`UserPermission::verbs`].
    pub verbs: Option<Vec<String>>,
    /// See [`UserPermission::resource_names`].
    pub resource_names: Option<Vec<String>>,
    /// `None` is the cloud's own namespace, `""` the whole cluster.
    pub namespace: Option<String>,
}

/// At most so many entries in one list of a permission.
const MOST_ENTRIES: usize = 256;

impl PermissionInput {
    /// Checks all of it. `pointer` is where it lies; `name_field` how its name is spelt there; `known` the
    /// name that an update's path gives; `own` the logical cloud's namespace, where that is known.
    pub fn check(
        self,
        pointer: &str,
        name_field: &str,
        known: Option<&PermissionName>,
        own: Option<&Namespace>,
        policy: &Policy,
        faults: &mut Faults,
    ) -> Option<UserPermission> {
        let at = |field: &str| format!("{pointer}/{field}");
        let name = match (self.name, known) {
            (None, Some(known)) => Some(known.clone()),
            (None, None) => {
                faults.add(at(name_field), "is required");
                None
            }
            (Some(text), known) => {
                let name = faults.check(&at(name_field), PermissionName::new(&text));
                if let (Some(name), Some(known)) = (&name, known)
                    && name != known
                {
                    faults.add(at(name_field), format!("must be \"{known}\", as in the path, or absent"));
                }
                name
            }
        };
        let mut list = |field: &str, value: Option<Vec<String>>, blank: bool| {
            let at = at(field);
            let Some(value) = value.filter(|list| !list.is_empty()) else {
                faults.add(at, "is required: an array with at least one text");
                return None;
            };
            check_list(&at, &value, blank, faults);
            Some(value)
        };
        let api_groups = list("apiGroups", self.api_groups, true);
        let resources = list("resources", self.resources, false);
        let verbs = list("verbs", self.verbs, false);
        let resource_names = self.resource_names.unwrap_or_default();
        check_list(&at("resourceNames"), &resource_names, false, faults);
        let scope = self
            .namespace
            .map_or(Some(PermissionScope::Own), |text| check_scope(&at("namespace"), &text, own, policy, faults));
        let permission = UserPermission {
            name: name?,
            api_groups: api_groups?,
            resources: resources?,
            verbs: verbs?,
            resource_names,
            scope: scope?,
        };
        if !policy.privileged_permissions
            && let Some(escalation) = escalation(&permission)
        {
            faults.add(at(escalation.field), escalation.detail);
        }
        Some(permission)
    }
}

impl UserPermission {
    /// Whether the operator allows it still.
    pub(super) fn check_policy(&self, policy: &Policy) -> Result<(), String> {
        match &self.scope {
            PermissionScope::Cluster if !policy.cluster_wide_permissions => return Err(NOT_CLUSTER_WIDE.to_owned()),
            PermissionScope::Namespace(_) if !policy.foreign_namespace_permissions => {
                return Err(NOT_ELSEWHERE.to_owned());
            }
            PermissionScope::Namespace(namespace) => policy.check_namespace(namespace)?,
            PermissionScope::Cluster | PermissionScope::Own => {}
        }
        match escalation(self).filter(|_| !policy.privileged_permissions) {
            Some(escalation) => Err(escalation.detail),
            None => Ok(()),
        }
    }
}

const NOT_CLUSTER_WIDE: &str = "\"\" (the whole cluster) is not allowed here; leave it out for the logical cloud's own namespace, or ask the operator";
const NOT_ELSEWHERE: &str =
    "another namespace is not allowed here; leave it out for the logical cloud's own namespace, or ask the operator";

fn check_list(at: &str, list: &[String], blank: bool, faults: &mut Faults) {
    if list.len() > MOST_ENTRIES {
        faults.add(at, format!("has {} entries; at most {MOST_ENTRIES} are allowed", list.len()));
        return;
    }
    let mut seen = BTreeSet::new();
    for (i, text) in list.iter().enumerate() {
        if text.is_empty() && !blank {
            faults.add(format!("{at}/{i}"), "must not be empty");
        } else if text.len() > 253 || text.chars().any(|c| c.is_whitespace() || c.is_control()) {
            faults.add(format!("{at}/{i}"), "must be at most 253 characters without blanks");
        } else if !seen.insert(text) {
            faults.add(format!("{at}/{i}"), "stands here twice");
        }
    }
}

fn check_scope(
    at: &str,
    text: &str,
    own: Option<&Namespace>,
    policy: &Policy,
    faults: &mut Faults,
) -> Option<PermissionScope> {
    if text.is_empty() {
        if !policy.cluster_wide_permissions {
            faults.add(at, NOT_CLUSTER_WIDE);
        }
        return Some(PermissionScope::Cluster);
    }
    let namespace = faults.check(at, Namespace::new(text))?;
    if own == Some(&namespace) {
        return Some(PermissionScope::Own);
    }
    faults.check(at, policy.check_namespace(&namespace));
    if !policy.foreign_namespace_permissions {
        faults.add(at, NOT_ELSEWHERE);
    }
    Some(PermissionScope::Namespace(namespace))
}

struct Escalation {
    field: &'static str,
    detail: String,
}

/// What lets its holder widen his own rights or limits: a rule of Kubernetes' RBAC
/// (<https://kubernetes.io/docs/concepts/security/rbac-good-practices/>) and of DCM's quotas.
fn escalation(permission: &UserPermission) -> Option<Escalation> {
    let covers = |list: &[String], one: &str| list.iter().any(|entry| entry == "*" || entry == one);
    for verb in ["escalate", "bind", "impersonate"] {
        if permission.verbs.iter().any(|v| v == verb) {
            let detail =
                format!("{verb:?} lets its holder act with rights that he was not given; ask the operator to allow it");
            return Some(Escalation { field: "verbs", detail });
        }
    }
    // The kubelet's API runs commands in every pod of the node, whatever the verb. Nodes lie in no namespace.
    let proxies = |entry: &String| {
        entry == "nodes/proxy" || permission.scope == PermissionScope::Cluster && reaches(entry, "nodes/proxy")
    };
    if covers(&permission.api_groups, "") && permission.resources.iter().any(proxies) {
        let detail = "\"nodes/proxy\" reaches every pod of a node, and '*' for the whole cluster reaches it too; name the \
                      resources that are needed, or ask the operator to allow it";
        return Some(Escalation { field: "resources", detail: detail.to_owned() });
    }
    let writes = permission.verbs.iter().any(|verb| !matches!(verb.as_str(), "get" | "list" | "watch"));
    if !writes {
        return None;
    }
    let all_verbs = permission.verbs.iter().any(|verb| verb == "*");
    for (group, resource, only_all_verbs) in GUARDED {
        if only_all_verbs && !all_verbs {
            continue;
        }
        if covers(&permission.api_groups, group) && permission.resources.iter().any(|entry| reaches(entry, resource)) {
            let detail = format!(
                "together with the verbs this reaches writing {resource:?}, which lets its holder widen his own rights or limits; \
                 name the resources that are needed ('*' reaches them all), or ask the operator to allow it"
            );
            return Some(Escalation { field: "resources", detail });
        }
    }
    None
}

/// Group, resource, and whether only the verb `*` is too much (it holds `impersonate`).
const GUARDED: [(&str, &str, bool); 21] = [
    ("", "namespaces", false),
    ("", "resourcequotas", false),
    ("", "limitranges", false),
    ("", "serviceaccounts/token", false),
    ("rbac.authorization.k8s.io", "roles", false),
    ("rbac.authorization.k8s.io", "rolebindings", false),
    ("rbac.authorization.k8s.io", "clusterroles", false),
    ("rbac.authorization.k8s.io", "clusterrolebindings", false),
    // Whoever approves a certificate can become anybody.
    ("certificates.k8s.io", "certificatesigningrequests/approval", false),
    ("certificates.k8s.io", "signers", false),
    // A webhook sees and changes everybody's objects.
    ("admissionregistration.k8s.io", "mutatingwebhookconfigurations", false),
    ("admissionregistration.k8s.io", "validatingwebhookconfigurations", false),
    ("admissionregistration.k8s.io", "mutatingadmissionpolicies", false),
    ("admissionregistration.k8s.io", "mutatingadmissionpolicybindings", false),
    ("admissionregistration.k8s.io", "validatingadmissionpolicies", false),
    ("admissionregistration.k8s.io", "validatingadmissionpolicybindings", false),
    ("apiregistration.k8s.io", "apiservices", false),
    ("", "serviceaccounts", true),
    ("", "users", true),
    ("", "groups", true),
    ("authentication.k8s.io", "uids", true),
];

/// Whether a rule's resource entry reaches the resource or one of its subresources.
fn reaches(entry: &str, resource: &str) -> bool {
    if entry == "*" || entry == resource {
        return true;
    }
    match (entry.split_once('/'), resource.split_once('/')) {
        // `*/token` reaches `serviceaccounts/token`; `*/status` reaches `namespaces/status`.
        (Some(("*", sub)), Some((_, guarded))) => sub == guarded || sub == "*",
        (Some(("*", _)), None) => true,
        (Some((parent, _)), None) => parent == resource,
        _ => false,
    }
}

/// What a permission holds that Kubernetes knows nothing of: it is accepted there and grants nothing.
pub fn warnings(permission: &UserPermission) -> Vec<String> {
    const VERBS: [&str; 17] = [
        "*",
        "approve",
        "attest",
        "bind",
        "create",
        "delete",
        "deletecollection",
        "escalate",
        "get",
        "impersonate",
        "list",
        "patch",
        "proxy",
        "sign",
        "update",
        "use",
        "watch",
    ];
    let unknown = permission.verbs.iter().filter(|verb| !VERBS.contains(&verb.as_str()));
    let verbs = unknown.map(|verb| format!("Kubernetes knows no verb {verb:?}; it grants nothing"));
    let resources = permission.resources.iter();
    let resources = resources.filter_map(|entry| known_resources::rule_for_nothing(&permission.api_groups, entry));
    verbs.chain(resources).map(|text| format!("permission {}: {text}", permission.name)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(groups: &[&str], resources: &[&str], verbs: &[&str]) -> Vec<String> {
        let texts = |list: &[&str]| Some(list.iter().map(|t| (*t).to_owned()).collect());
        let input = PermissionInput {
            name: Some("p".to_owned()),
            api_groups: texts(groups),
            resources: texts(resources),
            verbs: texts(verbs),
            ..PermissionInput::default()
        };
        let mut faults = Faults::new();
        input.check("", "name", None, None, &Policy::default(), &mut faults);
        faults.as_slice().iter().map(|f| f.pointer.clone()).collect()
    }

    #[test]
    fn takes_the_designs_examples() {
        assert_eq!(check(&["stable.example.com"], &["secrets", "pods"], &["get", "watch", "list", "create"]), [""; 0]);
        assert_eq!(check(&[""], &["configmaps"], &["*"]), [""; 0]);
        assert_eq!(check(&[""], &["*"], &["get", "list"]), [""; 0]);
    }

    #[test]
    fn refuses_what_widens_rights_or_limits() {
        for verb in ["escalate", "bind", "impersonate"] {
            assert_eq!(check(&["rbac.authorization.k8s.io"], &["roles"], &[verb]), ["/verbs"]);
        }
        for (group, resource, verb) in [
            ("", "namespaces", "patch"),
            ("*", "resourcequotas", "delete"),
            ("", "namespaces/finalize", "update"),
            ("", "*/status", "update"),
            ("", "serviceaccounts/token", "create"),
            ("", "*/token", "create"),
            ("", "serviceaccounts", "*"),
            ("*", "*", "*"),
            ("rbac.authorization.k8s.io", "rolebindings", "create"),
            ("", "limitranges", "deletecollection"),
            ("", "nodes/proxy", "get"),
            ("certificates.k8s.io", "certificatesigningrequests/approval", "update"),
            ("*", "signers", "approve"),
            ("admissionregistration.k8s.io", "*", "create"),
        ] {
            assert_eq!(check(&[group], &[resource], &[verb]), ["/resources"], "{group} {resource} {verb}");
        }
        assert_eq!(check(&[""], &["serviceaccounts"], &["create"]), [""; 0]);
        assert_eq!(check(&["apps"], &["*"], &["*"]), [""; 0]);
    }

    #[test]
    fn names_every_bad_field_at_once() {
        assert_eq!(check(&[], &[""], &["get", "get"]), ["/apiGroups", "/resources/0", "/verbs/1"]);
    }

    #[test]
    fn a_wider_scope_is_the_operators_to_allow() {
        let input = |namespace: &str| PermissionInput {
            name: Some("p".to_owned()),
            api_groups: Some(vec![String::new()]),
            resources: Some(vec!["pods".to_owned()]),
            verbs: Some(vec!["get".to_owned()]),
            namespace: Some(namespace.to_owned()),
            ..PermissionInput::default()
        };
        let own = Namespace::new("ns-1").unwrap();
        let check = |namespace: &str, policy: &Policy| {
            let mut faults = Faults::new();
            let permission = input(namespace).check("", "name", None, Some(&own), policy, &mut faults);
            faults.into_result().map(|()| permission.unwrap().scope).map_err(|f| f.to_string())
        };
        let strict = Policy::default();
        assert_eq!(check("ns-1", &strict), Ok(PermissionScope::Own));
        assert!(check("", &strict).is_err());
        assert!(check("other", &strict).is_err());
        assert!(check("kube-system", &Policy { foreign_namespace_permissions: true, ..strict.clone() }).is_err());
        let open = Policy { cluster_wide_permissions: true, foreign_namespace_permissions: true, ..strict };
        assert_eq!(check("", &open), Ok(PermissionScope::Cluster));
        assert_eq!(check("other", &open), Ok(PermissionScope::Namespace(Namespace::new("other").unwrap())));
    }
}
