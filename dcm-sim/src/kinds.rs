//! The kinds of object that a simulated cluster serves: one table that routing, discovery, validation and storage read.

use std::ops::Deref;

mod table;

pub(crate) use table::*;

/// How an object of a kind may be called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Naming {
    /// At most 63 lower case letters, digits and hyphens.
    Label,
    /// The same, and the first one is a letter.
    Service,
    /// Labels with dots between them, at most 253 characters.
    Subdomain,
    /// Whatever can stand in a path.
    PathSegment,
}

/// A path below an object.
#[derive(Debug)]
pub(crate) struct Subresource {
    pub(crate) name: &'static str,
    pub(crate) kind: &'static str,
    /// The API version of that kind where it is not the object's own.
    pub(crate) api_version: Option<&'static str>,
    pub(crate) verbs: &'static [&'static str],
}

/// A row of the table.
#[derive(Debug)]
pub(crate) struct Kind {
    pub(crate) api_version: &'static str,
    pub(crate) kind: &'static str,
    pub(crate) plural: &'static str,
    pub(crate) short: &'static [&'static str],
    pub(crate) namespaced: bool,
    pub(crate) naming: Naming,
    /// Whether `status` is written through a path of its own only.
    pub(crate) status: bool,
    /// Whether `metadata.generation` counts the changes of `spec`.
    pub(crate) generation: bool,
    pub(crate) in_all: bool,
    /// Whether it is there only where the cluster is started with Istio's custom resources.
    pub(crate) istio: bool,
    pub(crate) subresources: &'static [Subresource],
}

impl Kind {
    /// The API group, empty for the core group.
    pub(crate) fn group(&self) -> &'static str {
        self.api_version.split_once('/').map_or("", |(group, _)| group)
    }

    /// The version inside the group.
    pub(crate) fn version(&self) -> &'static str {
        self.api_version.split_once('/').map_or(self.api_version, |(_, version)| version)
    }

    /// `roles.rbac.authorization.k8s.io`.
    pub(crate) fn qualified(&self) -> String {
        qualify(self.plural, self.group())
    }

    pub(crate) fn subresource(&self, name: &str) -> Option<&'static Subresource> {
        self.subresources.iter().find(|sub| sub.name == name)
    }
}

pub(crate) fn qualify(name: &str, group: &str) -> String {
    match group {
        "" => name.to_owned(),
        group => format!("{name}.{group}"),
    }
}

/// A row of the table by its number; cheap to copy and to compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct KindId(usize);

impl KindId {
    pub(crate) fn index(self) -> usize {
        self.0
    }

    /// Every row that a cluster with these options serves.
    pub(crate) fn all(istio: bool) -> impl Iterator<Item = Self> {
        (0..KINDS.len()).map(Self).filter(move |id| istio || !id.istio)
    }

    /// The row of a group, version and plural name.
    pub(crate) fn find(istio: bool, group: &str, version: &str, plural: &str) -> Option<Self> {
        Self::all(istio).find(|id| id.plural == plural && id.group() == group && id.version() == version)
    }

    /// The row of `plural` or `plural.group`, with or without Istio.
    pub(crate) fn named(qualified: &str) -> Option<Self> {
        let (plural, group) = qualified.split_once('.').unwrap_or((qualified, ""));
        Self::all(true).find(|id| id.plural == plural && id.group() == group)
    }
}

impl Deref for KindId {
    type Target = Kind;

    fn deref(&self) -> &Kind {
        &KINDS[self.0]
    }
}

/// A kind that is answered and never stored.
#[derive(Debug)]
pub(crate) struct Review {
    pub(crate) api_version: &'static str,
    pub(crate) kind: &'static str,
    pub(crate) plural: &'static str,
    pub(crate) namespaced: bool,
}

impl Review {
    pub(crate) fn find(group: &str, version: &str, plural: &str) -> Option<&'static Self> {
        REVIEWS
            .iter()
            .find(|review| review.plural == plural && review.api_version.split_once('/') == Some((group, version)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn named_rows_are_the_rows_they_name() {
        for (id, plural) in [
            (NAMESPACES, "namespaces"),
            (CONFIGMAPS, "configmaps"),
            (SECRETS, "secrets"),
            (PODS, "pods"),
            (SERVICEACCOUNTS, "serviceaccounts"),
            (RESOURCEQUOTAS, "resourcequotas"),
            (SERVICES, "services"),
            (PERSISTENTVOLUMECLAIMS, "persistentvolumeclaims"),
            (REPLICATIONCONTROLLERS, "replicationcontrollers"),
            (ROLES, "roles"),
            (ROLEBINDINGS, "rolebindings"),
            (CLUSTERROLES, "clusterroles"),
            (CLUSTERROLEBINDINGS, "clusterrolebindings"),
            (SIGNINGREQUESTS, "certificatesigningrequests"),
        ] {
            assert_eq!(id.plural, plural);
        }
    }

    #[test]
    fn no_two_rows_share_a_path() {
        for (i, one) in KINDS.iter().enumerate() {
            for other in &KINDS[i + 1..] {
                assert!(one.plural != other.plural || one.api_version != other.api_version, "{}", one.plural);
            }
        }
    }
}
