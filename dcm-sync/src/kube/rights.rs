//! Which rights DCM's credential has on a cluster, feature by feature.

use std::collections::BTreeMap;

use dcm_core::sync::Failure;
use http::Method;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{api::Api, failure::nonsense};

const REVIEWS: &str = "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews";
const RBAC: &str = "rbac.authorization.k8s.io";
const CERTIFICATES: &str = "certificates.k8s.io";

/// A right that a feature needs.
struct Need {
    feature: &'static str,
    group: &'static str,
    resource: &'static str,
    /// The one object of that kind that is meant; any where this is empty.
    name: &'static str,
    verbs: &'static [&'static str],
}

const fn need(
    feature: &'static str,
    group: &'static str,
    resource: &'static str,
    name: &'static str,
    verbs: &'static [&'static str],
) -> Need {
    Need { feature, group, resource, name, verbs }
}

/// What `deploy/cluster-role.yaml` grants, component by component.
const NEEDS: [Need; 14] = [
    need("core", "", "namespaces", "", &["get", "create", "patch", "delete"]),
    need("core", "", "resourcequotas", "", &["get", "list", "create", "patch", "delete"]),
    need("core", "", "serviceaccounts", "", &["list"]),
    need("core", RBAC, "roles", "", &["get", "list", "create", "patch", "delete"]),
    need("core", RBAC, "rolebindings", "", &["get", "list", "create", "patch", "delete"]),
    need("certificates", CERTIFICATES, "certificatesigningrequests", "", &["get", "list", "create", "delete"]),
    need("certificates", CERTIFICATES, "certificatesigningrequests/approval", "", &["update"]),
    need("certificates", CERTIFICATES, "signers", "kubernetes.io/kube-apiserver-client", &["approve"]),
    need("tokens", "", "serviceaccounts", "", &["get", "create", "patch", "delete"]),
    need("tokens", "", "serviceaccounts/token", "", &["create"]),
    need("cluster-wide", RBAC, "clusterroles", "", &["get", "create", "patch", "delete"]),
    need("cluster-wide", RBAC, "clusterrolebindings", "", &["get", "create", "patch", "delete"]),
    need("grant", RBAC, "roles", "", &["escalate", "bind"]),
    need("grant-wide", RBAC, "clusterroles", "", &["escalate", "bind"]),
];

/// A rule of a review: what the credential may do.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Rule {
    #[serde(default)]
    verbs: Vec<String>,
    #[serde(default)]
    api_groups: Vec<String>,
    #[serde(default)]
    resources: Vec<String>,
    #[serde(default)]
    resource_names: Vec<String>,
}

/// What each feature lacks; nothing at all where the cluster's authorizers cannot say.
pub(super) async fn capabilities(api: &Api) -> Result<BTreeMap<String, Vec<String>>, Failure> {
    // Rights in one namespace only are no use: this one has no logical cloud.
    let question = json!({
        "apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectRulesReview",
        "spec": { "namespace": "default" },
    });
    let mut answer = api.call(Method::POST, REVIEWS, "application/json", Some(&question)).await?;
    let status: Value = answer["status"].take();
    if status["incomplete"].as_bool() == Some(true) {
        return Ok(BTreeMap::new());
    }
    let rules: Vec<Rule> = serde_json::from_value(status["resourceRules"].clone())
        .map_err(|_| nonsense("a review of DCM's rights has no rules"))?;
    Ok(judge(&rules))
}

fn judge(rules: &[Rule]) -> BTreeMap<String, Vec<String>> {
    let mut features: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for need in &NEEDS {
        let lacks: Vec<&str> =
            need.verbs.iter().copied().filter(|verb| !rules.iter().any(|rule| rule.allows(need, verb))).collect();
        let feature = features.entry(need.feature.to_owned()).or_default();
        if !lacks.is_empty() {
            let name = if need.name.is_empty() { String::new() } else { format!(" {}", need.name) };
            feature.push(format!("{} {}{name}", lacks.join(", "), need.resource));
        }
    }
    features
}

impl Rule {
    fn allows(&self, need: &Need, verb: &str) -> bool {
        let has = |list: &[String], wanted: &str| list.iter().any(|item| item == "*" || item == wanted);
        let sub = need.resource.split_once('/').map(|(_, sub)| format!("*/{sub}"));
        let resource = has(&self.resources, need.resource) || sub.is_some_and(|sub| self.resources.contains(&sub));
        let named = self.resource_names.is_empty() || self.resource_names.iter().any(|name| name == need.name);
        has(&self.verbs, verb) && has(&self.api_groups, need.group) && resource && named
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use dcm_test_utils::rights;

    use super::*;

    fn rule(group: &str, resources: &[&str], names: &[&str], verbs: &[&str]) -> Rule {
        let texts = |list: &[&str]| list.iter().map(|text| (*text).to_owned()).collect();
        Rule {
            verbs: texts(verbs),
            api_groups: texts(&[group]),
            resources: texts(resources),
            resource_names: texts(names),
        }
    }

    #[test]
    fn who_may_do_all_lacks_nothing() {
        let features = judge(&[rule("*", &["*"], &[], &["*"])]);
        assert_eq!(features.len(), 6);
        assert!(features.values().all(Vec::is_empty), "{features:?}");
    }

    #[test]
    fn what_is_lacking_is_named_feature_by_feature() {
        let signer = ["kubernetes.io/kube-apiserver-client"];
        let features = judge(&[
            rule("", &["namespaces", "resourcequotas"], &[], &["get", "list", "create", "patch"]),
            rule(CERTIFICATES, &["certificatesigningrequests", "*/approval"], &[], &["*"]),
            rule(CERTIFICATES, &["signers"], &signer, &["approve"]),
            rule("", &["serviceaccounts"], &["one"], &["get", "list"]),
        ]);
        assert_eq!(features["certificates"], Vec::<String>::new());
        assert_eq!(features["core"][..2], ["delete namespaces", "delete resourcequotas"]);
        assert_eq!(features["tokens"][0], "get, create, patch, delete serviceaccounts");
        assert_eq!(features["grant"], ["escalate, bind roles"]);
    }

    /// The file that operators apply and what is looked for are one and the same.
    #[test]
    fn the_roles_of_the_file_are_what_is_needed_and_no_more() {
        let objects = rights::objects(rights::CLUSTER_ROLE, "dcm");
        let roles = objects.iter().filter(|object| object["kind"] == "ClusterRole");
        let mut granted = BTreeSet::new();
        for role in roles {
            for rule in role["rules"].as_array().unwrap() {
                let rule: Rule = serde_json::from_value(rule.clone()).unwrap();
                for (resource, verb) in rule.resources.iter().flat_map(|r| rule.verbs.iter().map(move |v| (r, v))) {
                    let names = rule.resource_names.join(" ");
                    let right = [rights::component(role), &rule.api_groups[0], resource, &names, verb];
                    assert!(granted.insert(right.map(str::to_owned)), "{right:?} stands there twice");
                }
            }
        }
        let needed: BTreeSet<[String; 5]> = NEEDS
            .iter()
            .flat_map(|n| n.verbs.iter().map(|verb| [n.feature, n.group, n.resource, n.name, *verb].map(str::to_owned)))
            .collect();
        assert_eq!(granted, needed);
    }
}
