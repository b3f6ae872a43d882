//! What Kubernetes itself serves: a name that is not there is a slip, and a rule or a limit for it does nothing.
//!
//! Groups that are not Kubernetes' own cannot be known, and nothing is said about them.

use std::sync::LazyLock;

/// The groups and resources of kube-apiserver 1.36.3 with every API and feature on (its `/api/v1` and `/apis/…`); `!` is
/// after one that lies in no namespace, its subresources are behind the slash. Added to that is what has no path of its
/// own and is asked for all the same: in the built-in roles, by the kubelet, and for impersonation.
const KNOWN: [(&str, &str); 23] = [
    (
        "",
        "bindings componentstatuses! configmaps endpoints/restricted events groups! limitranges namespaces!/finalize,status \
         nodes!/checkpoint,configz,healthz,log,metrics,pods,proxy,spec,stats,status persistentvolumeclaims/status \
         persistentvolumes!/status pods/attach,binding,ephemeralcontainers,eviction,exec,log,portforward,proxy,resize,status \
         podtemplates replicationcontrollers/scale,status resourcequotas/status secrets serviceaccounts/token \
         services/proxy,status users!",
    ),
    (
        "admissionregistration.k8s.io",
        "mutatingadmissionpolicies! mutatingadmissionpolicybindings! mutatingwebhookconfigurations! \
         validatingadmissionpolicies!/status validatingadmissionpolicybindings! validatingwebhookconfigurations!",
    ),
    ("apiextensions.k8s.io", "customresourcedefinitions!/status"),
    ("apiregistration.k8s.io", "apiservices!/status"),
    (
        "apps",
        "controllerrevisions daemonsets/status deployments/scale,status replicasets/scale,status statefulsets/scale,status",
    ),
    ("authentication.k8s.io", "selfsubjectreviews! tokenreviews! uids! userextras!/*"),
    (
        "authorization.k8s.io",
        "localsubjectaccessreviews selfsubjectaccessreviews! selfsubjectrulesreviews! subjectaccessreviews!",
    ),
    ("autoscaling", "horizontalpodautoscalers/status"),
    ("batch", "cronjobs/status jobs/status"),
    (
        "certificates.k8s.io",
        "certificatesigningrequests!/approval,nodeclient,selfnodeclient,status clustertrustbundles! \
         podcertificaterequests/status signers!",
    ),
    ("coordination.k8s.io", "leasecandidates leases"),
    ("discovery.k8s.io", "endpointslices"),
    ("events.k8s.io", "events"),
    // Gone since 1.22; the design's quota names it.
    ("extensions", ""),
    ("flowcontrol.apiserver.k8s.io", "flowschemas!/status prioritylevelconfigurations!/status"),
    ("internal.apiserver.k8s.io", "storageversions!/status"),
    ("networking.k8s.io", "ingressclasses! ingresses/status ipaddresses! networkpolicies servicecidrs!/status"),
    ("node.k8s.io", "runtimeclasses!"),
    ("policy", "poddisruptionbudgets/status"),
    ("rbac.authorization.k8s.io", "clusterrolebindings! clusterroles! rolebindings roles"),
    (
        "resource.k8s.io",
        "deviceclasses! devicetaintrules!/status resourceclaims/binding,driver,status resourceclaimtemplates \
         resourcepoolstatusrequests!/status resourceslices!",
    ),
    ("scheduling.k8s.io", "podgroups/status priorityclasses! workloads"),
    (
        "storage.k8s.io",
        "csidrivers! csinodes! csistoragecapacities storageclasses! volumeattachments!/status volumeattributesclasses!",
    ),
];

/// The release that [`KNOWN`] is of.
const RELEASE: &str = "Kubernetes 1.36";

/// `kubectl`'s short names, from the same discovery.
const SHORT: [(&str, &str); 29] = [
    ("cj", "cronjobs"),
    ("cm", "configmaps"),
    ("crd", "customresourcedefinitions"),
    ("cs", "componentstatuses"),
    ("csr", "certificatesigningrequests"),
    ("deploy", "deployments"),
    ("ds", "daemonsets"),
    ("ep", "endpoints"),
    ("ev", "events"),
    ("hpa", "horizontalpodautoscalers"),
    ("ing", "ingresses"),
    ("ip", "ipaddresses"),
    ("limits", "limitranges"),
    ("netpol", "networkpolicies"),
    ("no", "nodes"),
    ("ns", "namespaces"),
    ("pc", "priorityclasses"),
    ("pdb", "poddisruptionbudgets"),
    ("po", "pods"),
    ("pv", "persistentvolumes"),
    ("pvc", "persistentvolumeclaims"),
    ("quota", "resourcequotas"),
    ("rc", "replicationcontrollers"),
    ("rs", "replicasets"),
    ("sa", "serviceaccounts"),
    ("sc", "storageclasses"),
    ("sts", "statefulsets"),
    ("svc", "services"),
    ("vac", "volumeattributesclasses"),
];

/// Of every resource, for owner references (admission plugin `OwnerReferencesPermissionEnforcement`).
const FINALIZERS: &str = "finalizers";

/// One entry of [`KNOWN`].
#[derive(Clone, Copy)]
struct Resource {
    group: &'static str,
    name: &'static str,
    namespaced: bool,
    subresources: &'static str,
}

impl Resource {
    fn has(&self, subresource: &str) -> bool {
        subresource == FINALIZERS || self.subresources == "*" || self.subresources.split(',').any(|s| s == subresource)
    }
}

/// [`KNOWN`], read once: it is asked for each entry of each permission that is written.
static GROUPS: LazyLock<Vec<(&str, Vec<Resource>)>> = LazyLock::new(|| {
    let read = |group: &'static str, resources: &'static str| {
        let resource = |entry: &'static str| {
            let (name, subresources) = entry.split_once('/').unwrap_or((entry, ""));
            let namespaced = !name.ends_with('!');
            Resource { group, name: name.trim_end_matches('!'), namespaced, subresources }
        };
        resources.split_whitespace().map(resource).collect()
    };
    KNOWN.iter().map(|(group, resources)| (*group, read(group, resources))).collect()
});

fn all() -> impl Iterator<Item = Resource> {
    GROUPS.iter().flat_map(|(_, resources)| resources).copied()
}

/// The resources of these groups.
fn of(groups: &[String]) -> impl Iterator<Item = Resource> {
    let asked = |own: &&(&str, Vec<Resource>)| groups.iter().any(|group| group == own.0);
    GROUPS.iter().filter(asked).flat_map(|(_, resources)| resources).copied()
}

fn is_own(group: &str) -> bool {
    KNOWN.iter().any(|(own, _)| *own == group)
}

/// Why a rule for these API groups and this resource grants nothing, where it is known that it does.
pub(super) fn rule_for_nothing(groups: &[String], entry: &str) -> Option<String> {
    if entry == "*" || !groups.iter().all(|group| is_own(group)) {
        return None;
    }
    let (name, subresource) = entry.split_once('/').map_or((entry, None), |(name, sub)| (name, Some(sub)));
    let mut same = of(groups).filter(|resource| name == "*" || resource.name == name).peekable();
    let hint = if same.peek().is_none() {
        place_of(groups, name)
    } else {
        let subresource = subresource?;
        if same.any(|resource| resource.has(subresource)) {
            return None;
        }
        let subresources = of(groups).filter(|resource| name == "*" || resource.name == name);
        let subresources = subresources.flat_map(|resource| resource.subresources.split(','));
        nearest(subresource, subresources).map(|known| format!("did you mean \"{name}/{known}\"?"))
    };
    let groups = groups.iter().map(|group| format!("{group:?}")).collect::<Vec<_>>().join(", ");
    Some(said(&format!("no resource {entry:?} in the API group {groups}"), "grants nothing", hint))
}

/// Why a quota's key `count/<counted>` limits nothing, where it is known that it does.
pub(super) fn count_of_nothing(counted: &str) -> Option<String> {
    let (name, group) = counted.split_once('.').unwrap_or((counted, ""));
    if !is_own(group) {
        return None;
    }
    let what = match all().find(|resource| (resource.group, resource.name) == (group, name)) {
        Some(resource) if resource.namespaced => return None,
        Some(_) => return Some(format!("{name:?} lie in no namespace, so no quota counts them")),
        None => format!("no resource {name:?} in the API group {group:?}"),
    };
    Some(said(&what, "limits nothing", place_of(&[group.to_owned()], name)))
}

fn said(what: &str, so: &str, hint: Option<String>) -> String {
    let hint = hint.map(|hint| format!("; {hint}")).unwrap_or_default();
    format!("{RELEASE} knows {what}, so it {so}{hint}")
}

/// Which resource may have been meant, best of these groups.
fn place_of(groups: &[String], name: &str) -> Option<String> {
    let is_here = |resource: &Resource| groups.iter().any(|group| group == resource.group);
    let wanted = plural(name);
    let found = all().find(|resource| is_here(resource) && resource.name == wanted);
    let found = found.or_else(|| all().find(|resource| resource.name == wanted));
    let found = found.or_else(|| {
        let near = nearest(&wanted, all().filter(is_here).map(|resource| resource.name));
        let near = near.or_else(|| nearest(&wanted, all().map(|resource| resource.name)))?;
        let named = |resource: &Resource| resource.name == near;
        all().find(|resource| named(resource) && is_here(resource)).or_else(|| all().find(named))
    })?;
    Some(match is_here(&found) {
        true => format!("did you mean {:?}?", found.name),
        false => format!("did you mean {:?} in the API group {:?}?", found.name, found.group),
    })
}

/// The name as Kubernetes would write it: of a kind, a singular or a short name too.
fn plural(name: &str) -> String {
    let lower = name.to_ascii_lowercase();
    if let Some((_, long)) = SHORT.iter().find(|(short, _)| *short == lower) {
        return (*long).to_owned();
    }
    let ies = lower.strip_suffix('y').map(|stem| format!("{stem}ies"));
    let forms = [Some(lower.clone()), Some(format!("{lower}s")), Some(format!("{lower}es")), ies];
    let known = |form: &String| all().any(|resource| resource.name == form);
    forms.into_iter().flatten().find(known).unwrap_or(lower)
}

/// The nearest of some names, if it is near: at most two letters off, and less than half of them.
fn nearest(name: &str, names: impl Iterator<Item = &'static str>) -> Option<&'static str> {
    let near = names.filter(|known| known.len().abs_diff(name.len()) <= 2 && !known.is_empty());
    let near =
        near.map(|known| (distance(name, known), known)).filter(|(off, known)| *off <= 2 && off * 2 < known.len());
    near.min().map(|(_, known)| known)
}

/// How many letters must be put in, left out, changed or swapped with their neighbour (optimal string alignment).
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut last: Vec<usize> = (0..=b.len()).collect();
    let mut before = last.clone();
    for (i, from) in a.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, to) in b.iter().enumerate() {
            let changed = last[j] + usize::from(from != to);
            let mut least = changed.min(last[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && a[i - 1] == *to && b[j - 1] == *from {
                least = least.min(before[j - 1] + 1);
            }
            row.push(least);
        }
        before = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(groups: &[&str], entry: &str) -> Option<String> {
        let groups: Vec<String> = groups.iter().map(ToString::to_string).collect();
        rule_for_nothing(&groups, entry)
    }

    #[test]
    fn what_kubernetes_serves_is_known() {
        for (group, entry) in [
            ("", "pods"),
            ("", "pods/log"),
            ("", "*"),
            ("", "*/status"),
            ("", "nodes/metrics"),
            ("", "serviceaccounts/finalizers"),
            ("apps", "*/scale"),
            ("apps", "deployments/finalizers"),
            ("authentication.k8s.io", "userextras/scopes"),
            ("batch", "jobs"),
            ("certificates.k8s.io", "signers"),
            ("resource.k8s.io", "resourceclaims/binding"),
        ] {
            assert_eq!(rule(&[group], entry), None, "{group} {entry}");
        }
        // It is enough that one of the groups has it, and a group of others may.
        assert_eq!(rule(&["extensions", "networking.k8s.io"], "ingresses"), None);
        assert_eq!(rule(&["", "stable.example.com"], "crontabs"), None);
        assert_eq!(rule(&["*"], "crontabs"), None);
    }

    #[test]
    fn what_it_does_not_serve_is_named_with_what_may_be_meant() {
        for (group, entry, meant) in [
            ("", "jobs", "did you mean \"jobs\" in the API group \"batch\"?"),
            ("", "pvc", "did you mean \"persistentvolumeclaims\"?"),
            ("", "Pod", "did you mean \"pods\"?"),
            ("", "secert", "did you mean \"secrets\"?"),
            ("apps", "deploymnets", "did you mean \"deployments\"?"),
            ("networking.k8s.io", "networkpolicy", "did you mean \"networkpolicies\"?"),
            ("extensions", "deployments", "did you mean \"deployments\" in the API group \"apps\"?"),
            ("", "pods/logs", "did you mean \"pods/log\"?"),
            ("apps", "*/scales", "did you mean \"*/scale\"?"),
        ] {
            let said = rule(&[group], entry).unwrap();
            assert!(said.starts_with("Kubernetes 1.36 knows no resource") && said.ends_with(meant), "{said}");
        }
        // RBAC has no such pattern.
        assert!(rule(&[""], "pods/*").is_some());
        let said = rule(&["", "apps"], "quarks").unwrap();
        assert_eq!(
            said,
            "Kubernetes 1.36 knows no resource \"quarks\" in the API group \"\", \"apps\", so it grants nothing"
        );
    }

    #[test]
    fn a_count_of_what_is_not_there_is_dead() {
        for counted in ["pods", "deployments.apps", "roles.rbac.authorization.k8s.io", "widgets.example.com"] {
            assert_eq!(count_of_nothing(counted), None, "{counted}");
        }
        let dead = count_of_nothing("deployments.extensions").unwrap();
        assert!(dead.ends_with("it limits nothing; did you mean \"deployments\" in the API group \"apps\"?"), "{dead}");
        assert!(count_of_nothing("deployments").is_some());
        assert!(count_of_nothing("clusterroles.rbac.authorization.k8s.io").unwrap().contains("in no namespace"));
    }

    #[test]
    fn distances_are_right() {
        for (a, b, off) in [("", "abc", 3), ("kitten", "sitting", 3), ("same", "same", 0), ("pods", "pdos", 1)] {
            assert_eq!(distance(a, b), off, "{a} {b}");
        }
    }
}
