use std::net::IpAddr;

use dcm_core::{
    model::{ClusterReference, ClusterReferenceInput, Metadata},
    name::ReferenceName,
};
use serde::Serialize;

use super::{Input, metadata::metadata, reader::Object};

/// With `metadata` and `spec`, or in the design's short form.
impl Input for ClusterReferenceInput {
    fn read(body: &Object<'_>) -> Self {
        let short = !body.has(&["spec"]) && body.has(&["cluster-reference", "loadbalancer-ip"]);
        let mut metadata = metadata(body);
        if short {
            metadata.name = metadata.name.or_else(|| body.text(&["name"]));
        }
        let read = |object: &Object<'_>, names: &[&str]| Self {
            cluster_provider: object.text(&["cluster-provider"]),
            cluster_name: object.text(names),
            loadbalancer_ip: object.text(&["loadbalancer-ip"]),
            short,
            ..Self::default()
        };
        body.read_only(&["name", "uid", "deleting"]);
        let input = if short {
            let input = read(body, &["cluster-reference", "cluster-name", "cluster"]);
            // A patch in the short form is of a reference that has a provider, which only the long form shows.
            let provider = || body.object("spec").and_then(|spec| spec.text(&["cluster-provider"]));
            Self { cluster_provider: input.cluster_provider.clone().or_else(provider), ..input }
        } else {
            body.read_only(&["cluster-reference", "cluster-provider", "cluster-name", "cluster", "loadbalancer-ip"]);
            read(&body.object_or_empty("spec"), &["cluster-name", "cluster"])
        };
        Self { metadata, ..input }
    }
}

/// A cluster reference.
#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct ReferenceAnswer<'a> {
    metadata: &'a Metadata<ReferenceName>,
    spec: Spec<'a>,
    name: &'a str,
    cluster_name: &'a str,
    loadbalancer_ip: IpAddr,
    uid: &'a str,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    deleting: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Spec<'a> {
    cluster_provider: &'a str,
    cluster_name: &'a str,
    loadbalancer_ip: IpAddr,
}

impl<'a> ReferenceAnswer<'a> {
    pub(crate) fn new(reference: &'a ClusterReference) -> Self {
        Self {
            metadata: &reference.metadata,
            spec: Spec {
                cluster_provider: reference.cluster_provider.as_str(),
                cluster_name: reference.cluster_name.as_str(),
                loadbalancer_ip: reference.loadbalancer_ip,
            },
            name: reference.metadata.name.as_str(),
            cluster_name: reference.cluster_name.as_str(),
            loadbalancer_ip: reference.loadbalancer_ip,
            uid: reference.uid.as_str(),
            deleting: reference.deleted_at.is_some(),
        }
    }
}
