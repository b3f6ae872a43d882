use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{AdoptionPolicy, ClusterReference, DeletePolicy, Level, LogicalCloudSpec, Quota, Uid, User};
use crate::{
    name::{ClusterName, LogicalCloudName, Namespace, ProjectName, ProviderName, QuotaName, ReferenceName},
    store::Stored,
};

/// What an apply froze: the only thing that is ever carried to clusters. Never changed once written.
///
/// The references lie in pages of their own ([`ReferencePage`]), so that no document grows with the
/// number of clusters.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Applied {
    /// The logical cloud's uid.
    pub cloud: Uid,
    /// Its project.
    pub project: ProjectName,
    /// Its name.
    pub name: LogicalCloudName,
    /// Which apply this is.
    pub generation: u64,
    /// What its tenant wanted then.
    pub spec: LogicalCloudSpec,
    /// The limits of its quotas then; those that are set.
    pub quotas: BTreeMap<QuotaName, BTreeMap<String, String>>,
    /// The credential epoch then.
    pub credential_epoch: u64,
    /// How many pages of references there are.
    pub pages: usize,
    /// Which frozen state this is: written on clusters beside the generation, since two stores that went
    /// different ways have the same numbers. `None` only where an earlier release wrote it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snapshot: Option<Uid>,
}

impl Stored for Applied {
    const KIND: &'static str = "Applied";
    const VERSION: u32 = 1;
}

impl Applied {
    /// The namespace and user that clusters get; `None` for an admin cloud, which uses the clusters' own
    /// credentials and gets nothing there.
    #[must_use]
    pub const fn tenant(&self) -> Option<(&Namespace, &User)> {
        match (self.spec.level, &self.spec.namespace, &self.spec.user) {
            (Level::Standard, Some(namespace), Some(user)) => Some((namespace, user)),
            _ => None,
        }
    }

    /// What to do with a namespace that is there already.
    #[must_use]
    pub const fn adoption(&self) -> AdoptionPolicy {
        self.spec.adoption_policy
    }

    /// What becomes of the namespace at terminate.
    #[must_use]
    pub const fn deletion(&self) -> DeletePolicy {
        self.spec.delete_policy
    }

    /// The quotas as they are frozen.
    pub fn freeze_quotas<'a>(
        quotas: impl IntoIterator<Item = &'a Quota>,
    ) -> BTreeMap<QuotaName, BTreeMap<String, String>> {
        let limits = |quota: &Quota| quota.limits().map(|(k, v)| (k.to_owned(), v.to_owned())).collect();
        quotas.into_iter().map(|quota| (quota.metadata.name.clone(), limits(quota))).collect()
    }
}

/// A page of an applied state's references.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct ReferencePage {
    /// At most [`ReferencePage::MOST`], ordered by name over all pages.
    pub references: Vec<AppliedReference>,
}

impl ReferencePage {
    /// At most so many references in one page.
    pub const MOST: usize = 1000;
}

impl Stored for ReferencePage {
    const KIND: &'static str = "AppliedReferences";
    const VERSION: u32 = 1;
}

/// A cluster reference as it was frozen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct AppliedReference {
    /// Its uid.
    pub uid: Uid,
    /// Its name.
    pub name: ReferenceName,
    /// The cluster's provider.
    pub cluster_provider: ProviderName,
    /// The cluster.
    pub cluster_name: ClusterName,
    /// See [`ClusterReference::loadbalancer_ip`].
    pub loadbalancer_ip: std::net::IpAddr,
}

impl From<&ClusterReference> for AppliedReference {
    fn from(reference: &ClusterReference) -> Self {
        Self {
            uid: reference.uid.clone(),
            name: reference.metadata.name.clone(),
            cluster_provider: reference.cluster_provider.clone(),
            cluster_name: reference.cluster_name.clone(),
            loadbalancer_ip: reference.loadbalancer_ip,
        }
    }
}
