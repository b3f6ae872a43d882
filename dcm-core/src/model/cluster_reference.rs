use std::net::IpAddr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Metadata, MetadataInput, Uid};
use crate::{
    fault::Faults,
    name::{ClusterName, ProviderName, ReferenceName},
    store::Stored,
};

/// A logical cloud's use of a cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct ClusterReference {
    /// Its id for life: a reference that was deleted and made again is another one.
    pub uid: Uid,
    /// Its name and description.
    pub metadata: Metadata<ReferenceName>,
    /// The cluster's provider.
    pub cluster_provider: ProviderName,
    /// The cluster.
    pub cluster_name: ClusterName,
    /// Where the load balancer of the cloud's Istio control plane listens there. `0.0.0.0` is valid.
    pub loadbalancer_ip: IpAddr,
    /// Since when the reference is on its way out: it goes once the cluster is clean.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deleted_at: Option<Timestamp>,
    /// Whether it goes although its cluster cannot be cleaned: the cluster is gone for good.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub forced: bool,
}

impl ClusterReference {
    /// At most so many per logical cloud.
    pub const MOST: usize = 10_000;

    /// The provider that the short form means; it exists from the start.
    pub const DEFAULT_PROVIDER: &'static str = "default";
}

impl Stored for ClusterReference {
    const KIND: &'static str = "ClusterReference";
    const VERSION: u32 = 1;
}

/// A cluster reference as a client wrote it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClusterReferenceInput {
    /// See [`ClusterReference::metadata`].
    pub metadata: MetadataInput,
    /// See [`ClusterReference::cluster_provider`]; `default` where absent.
    pub cluster_provider: Option<String>,
    /// See [`ClusterReference::cluster_name`].
    pub cluster_name: Option<String>,
    /// See [`ClusterReference::loadbalancer_ip`].
    pub loadbalancer_ip: Option<String>,
    /// Whether the design's short form was used: fields lie at the top, and the reference is named after
    /// its cluster.
    pub short: bool,
}

impl ClusterReferenceInput {
    /// Checks all of it; see [`MetadataInput::check`] for `known`. `uid` becomes the reference's.
    pub fn check(mut self, uid: Uid, known: Option<&ReferenceName>, faults: &mut Faults) -> Option<ClusterReference> {
        let (spec, cluster_field) = if self.short { ("", "cluster-reference") } else { ("/spec", "cluster-name") };
        if self.short && self.metadata.name.is_none() && known.is_none() {
            self.metadata.name.clone_from(&self.cluster_name);
        }
        let name_missing = self.short && self.metadata.name.is_none() && known.is_none();
        let metadata = if name_missing { None } else { self.metadata.check("/metadata", known, faults) };
        let provider = self.cluster_provider.unwrap_or_else(|| ClusterReference::DEFAULT_PROVIDER.to_owned());
        let cluster_provider = faults.check(&format!("{spec}/cluster-provider"), ProviderName::new(&provider));
        let at = format!("{spec}/{cluster_field}");
        let cluster_name = match self.cluster_name {
            Some(text) => faults.check(&at, ClusterName::new(&text)),
            None => {
                faults.add(at, "is required: the name of a registered cluster");
                None
            }
        };
        let at = format!("{spec}/loadbalancer-ip");
        let loadbalancer_ip = match self.loadbalancer_ip {
            Some(text) => {
                let parsed = text.parse::<IpAddr>().map_err(|_| "must be an IPv4 or IPv6 address");
                faults.check(&at, parsed)
            }
            None => {
                faults.add(at, "is required: the IP address of the Istio load balancer (0.0.0.0 if there is none)");
                None
            }
        };
        Some(ClusterReference {
            uid,
            metadata: metadata?,
            cluster_provider: cluster_provider?,
            cluster_name: cluster_name?,
            loadbalancer_ip: loadbalancer_ip?,
            deleted_at: None,
            forced: false,
        })
    }
}
