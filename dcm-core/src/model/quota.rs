use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Metadata, MetadataInput, known_resources, quantity};
use crate::{
    fault::Faults,
    name::{QuotaName, is_dns_label, is_dns_subdomain, is_label_name},
    store::Stored,
};

/// A resource quota that each cluster of a logical cloud gets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Quota {
    /// Its name and description.
    pub metadata: Metadata<QuotaName>,
    /// The limits by resource, as the client wrote them: a blank value means "not set".
    pub spec: BTreeMap<String, String>,
}

impl Quota {
    /// At most so many per logical cloud.
    pub const MOST: usize = 32;

    /// The limits that are set, as they go to clusters.
    pub fn limits(&self) -> impl Iterator<Item = (&str, &str)> {
        let set = self.spec.iter().map(|(key, value)| (key.as_str(), value.trim()));
        set.filter(|(_, value)| !value.is_empty())
    }
}

impl Stored for Quota {
    const KIND: &'static str = "Quota";
    const VERSION: u32 = 1;
}

/// A quota as a client wrote it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct QuotaInput {
    /// See [`Quota::metadata`].
    pub metadata: MetadataInput,
    /// See [`Quota::spec`].
    pub spec: Option<BTreeMap<String, String>>,
}

impl QuotaInput {
    /// Checks all of it; see [`MetadataInput::check`] for `known`.
    pub fn check(self, known: Option<&QuotaName>, faults: &mut Faults) -> Option<Quota> {
        let metadata = self.metadata.check("/metadata", known, faults);
        let Some(spec) = self.spec else {
            faults.add("/spec", "is required: an object of resource and quantity, such as {\"pods\": \"10\"}");
            return None;
        };
        for (key, value) in &spec {
            let pointer = format!("/spec/{}", escape(key));
            if let Err(detail) = check_limit(key, value.trim()) {
                faults.add(pointer, detail);
            }
        }
        Some(Quota { metadata: metadata?, spec })
    }
}

/// Which of a quota's limits Kubernetes takes and does nothing for: what they count is not there.
pub fn warnings(quota: &Quota) -> Vec<String> {
    let counts = quota.limits().filter_map(|(key, _)| Some((key, key.strip_prefix("count/")?)));
    let dead = counts.filter_map(|(key, counted)| Some((key, known_resources::count_of_nothing(counted)?)));
    dead.map(|(key, text)| format!("quota {}: {key}: {text}", quota.metadata.name)).collect()
}

/// A JSON pointer's reference token (RFC 6901, section 4).
pub(crate) fn escape(token: &str) -> String {
    token.replace('~', "~0").replace('/', "~1")
}

/// What a resource name limits.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Limits {
    /// A number of objects or devices: whole.
    Count,
    /// An amount: any quantity.
    Amount,
}

fn check_limit(key: &str, value: &str) -> Result<(), String> {
    let limits = classify(key).ok_or_else(|| {
        "is not a resource that a Kubernetes quota can limit; allowed are cpu, memory, ephemeral-storage and these with \
         'requests.' or 'limits.', requests.storage, hugepages, pods, services, services.loadbalancers, services.nodeports, \
         configmaps, secrets, persistentvolumeclaims, replicationcontrollers, resourcequotas, count/<resource>[.<group>], \
         <class>.storageclass.storage.k8s.io/…, and requests.<domain>/<device>"
            .to_owned()
    })?;
    if value.is_empty() {
        return Ok(());
    }
    let quantity = quantity::parse(value)?;
    if quantity.negative {
        return Err("must not be negative".to_owned());
    }
    if limits == Limits::Count && !quantity.whole {
        return Err("counts objects, so it must be a whole number".to_owned());
    }
    if limits == Limits::Count && quantity.value > HIGHEST_COUNT {
        return Err(format!("counts objects, so it must be at most {HIGHEST_COUNT}"));
    }
    Ok(())
}

/// Kubernetes looks for fractions of counts in thousandths, which overflow above some 9.2 × 10¹⁵: it then takes some whole
/// numbers for fractions, and refuses them.
const HIGHEST_COUNT: f64 = 9e15;

/// The resource names of <https://kubernetes.io/docs/concepts/policy/resource-quotas/>.
fn classify(key: &str) -> Option<Limits> {
    const COUNTS: [&str; 9] = [
        "configmaps",
        "persistentvolumeclaims",
        "pods",
        "replicationcontrollers",
        "resourcequotas",
        "secrets",
        "services",
        "services.loadbalancers",
        "services.nodeports",
    ];
    if COUNTS.contains(&key) {
        return Some(Limits::Count);
    }
    if let Some(counted) = key.strip_prefix("count/") {
        let (resource, group) = counted.split_once('.').unwrap_or((counted, "x"));
        // What follows the slash is a qualified name's name: at most 63 characters.
        let fits = counted.len() <= 63;
        return (fits && is_dns_label(resource) && is_dns_subdomain(group)).then_some(Limits::Count);
    }
    // What stands before a slash is one DNS name, and all of it counts for its length.
    let domain = key.split_once('/').map(|(domain, _)| domain);
    if domain.is_some_and(|domain| !is_dns_subdomain(domain)) {
        return None;
    }
    if let Some((class, rest)) = key.split_once(".storageclass.storage.k8s.io/") {
        return match rest {
            _ if !is_dns_subdomain(class) => None,
            "requests.storage" => Some(Limits::Amount),
            "persistentvolumeclaims" => Some(Limits::Count),
            _ => None,
        };
    }
    if key == "requests.storage" {
        return Some(Limits::Amount);
    }
    if let Some(device) = key.strip_prefix("requests.")
        && let Some((domain, name)) = device.split_once('/')
    {
        let qualified = is_dns_subdomain(domain) && is_label_name(name);
        return (qualified && !is_kubernetes_domain(domain)).then_some(Limits::Count);
    }
    let bare = key.strip_prefix("requests.").or_else(|| key.strip_prefix("limits.")).unwrap_or(key);
    if let Some(size) = bare.strip_prefix("hugepages-") {
        // What follows is part of a qualified name, which no quantity with a sign or a point at its end can be.
        let is_name = is_label_name(key);
        let ok = is_name && !key.starts_with("limits.") && quantity::parse(size).is_ok_and(|q| !q.negative);
        return ok.then_some(Limits::Amount);
    }
    matches!(bare, "cpu" | "memory" | "ephemeral-storage").then_some(Limits::Amount)
}

fn is_kubernetes_domain(domain: &str) -> bool {
    domain == "kubernetes.io" || domain.ends_with(".kubernetes.io")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn details(spec: &[(&str, &str)]) -> Vec<String> {
        let spec = spec.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        let mut faults = Faults::new();
        let metadata = MetadataInput { name: Some("q".to_owned()), ..MetadataInput::default() };
        QuotaInput { metadata, spec: Some(spec) }.check(None, &mut faults);
        faults.as_slice().iter().map(|f| f.pointer.clone()).collect()
    }

    #[test]
    fn takes_every_key_of_the_design() {
        let spec = [
            ("limits.cpu", "400"),
            ("limits.memory", "1000Gi"),
            ("requests.cpu", "300"),
            ("requests.memory", "900Gi"),
            ("requests.storage", "500Gi"),
            ("requests.ephemeral-storage", ""),
            ("limits.ephemeral-storage", ""),
            ("persistentvolumeclaims", " "),
            ("pods", "500"),
            ("configmaps", ""),
            ("replicationcontrollers", ""),
            ("resourcequotas", ""),
            ("services", ""),
            ("services.loadbalancers", ""),
            ("services.nodeports", ""),
            ("secrets", ""),
            ("count/replicationcontrollers", ""),
            ("count/deployments.apps", ""),
            ("count/deployments.extensions", ""),
            ("cpu", "400"),
            ("memory", "1000Gi"),
            ("requests.nvidia.com/gpu", "4"),
            ("gold.storageclass.storage.k8s.io/requests.storage", "1Ti"),
            ("requests.hugepages-2Mi", "1Gi"),
        ];
        assert_eq!(details(&spec), [""; 0]);
    }

    #[test]
    fn names_every_bad_key_and_value() {
        let spec = [
            ("Pods", "1"),
            ("count/", "1"),
            ("cpu", "much"),
            ("limits.gpu", "1"),
            ("memory", "-1Gi"),
            ("nodes", "1"),
            ("pods", "1.5"),
            ("storage", "1Gi"),
        ];
        let all: Vec<String> = spec.iter().map(|(key, _)| format!("/spec/{}", escape(key))).collect();
        assert_eq!(details(&spec), all);
    }

    #[test]
    fn what_stands_before_a_slash_is_no_longer_than_a_dns_name() {
        let domain = |length: usize| format!("{}.com", vec!["d"; (length - 3) / 2].join("."));
        for (key, rest, fits) in
            [("requests.", "/gpu", domain(243)), ("", ".storageclass.storage.k8s.io/requests.storage", domain(225))]
        {
            assert_eq!(details(&[(&format!("{key}{fits}{rest}"), "1")]), [""; 0]);
            let long = format!("{key}x{fits}{rest}").replace("xd", "dd.d");
            assert_eq!(details(&[(&long, "1")]).len(), 1, "{long}");
        }
    }

    #[test]
    fn a_size_of_hugepages_is_part_of_a_name() {
        let long = format!("hugepages-{}1", "0".repeat(34));
        let spec = [("hugepages-+1Gi", "1"), ("hugepages-1.", "1"), ("requests.hugepages-.5Gi", "1")];
        assert_eq!(details(&spec), ["/spec/hugepages-+1Gi", "/spec/hugepages-1."]);
        assert_eq!(details(&[("hugepages-2Mi", "1Gi"), (&long, "1")]), [""; 0]);
    }

    #[test]
    fn a_count_that_overflows_in_kubernetes_is_refused() {
        let refused = [("pods", "9223372036854776"), ("secrets", "1Ei"), ("services", "1e127")];
        assert_eq!(details(&refused), ["/spec/pods", "/spec/secrets", "/spec/services"]);
        assert_eq!(details(&[("pods", "9P"), ("memory", "1Ei")]), [""; 0]);
    }

    #[test]
    fn a_blank_value_is_kept_and_not_set() {
        let spec = BTreeMap::from([("pods".to_owned(), " ".to_owned()), ("cpu".to_owned(), " 4 ".to_owned())]);
        let quota = Quota { metadata: Metadata::named(QuotaName::new("q").unwrap()), spec };
        assert_eq!(quota.limits().collect::<Vec<_>>(), [("cpu", "4")]);
        assert_eq!(quota.spec["pods"], " ");
    }
}
