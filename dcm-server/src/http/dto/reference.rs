use std::net::IpAddr;

use dcm_core::{
    model::{ClusterReference, ClusterReferenceInput, Metadata},
    name::ReferenceName,
};
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    Input,
    metadata::{MetadataBody, MetadataSchema, metadata},
    reader::Object,
    shapes::any_of,
};

/// With `metadata` and `spec`, or in the design's short form.
impl Input for ClusterReferenceInput {
    fn read(body: &Object<'_>) -> Self {
        let short = !body.has(&["spec"]) && body.has(&["cluster-reference", "loadbalancer-ip"]);
        let mut metadata = metadata(body, &["name"]);
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
        body.read_only(&["uid", "deleting"]);
        let input = if short {
            let input = read(body, &["cluster-reference", "cluster-name", "cluster"]);
            // A patch in the short form is of a reference that has a provider, which only the long form shows.
            let provider = || body.object("spec").and_then(|spec| spec.text(&["cluster-provider"]));
            Self { cluster_provider: input.cluster_provider.clone().or_else(provider), ..input }
        } else {
            let (spec, names) = (body.object_or_empty("spec"), ["cluster-name", "cluster"]);
            body.repeats(&["cluster-reference", "cluster-name", "cluster"], &spec, &names);
            body.repeats(&["cluster-provider"], &spec, &["cluster-provider"]);
            body.repeats(&["loadbalancer-ip"], &spec, &["loadbalancer-ip"]);
            read(&spec, &names)
        };
        Self { metadata, ..input }
    }
}

/// A cluster reference, as it is written. What is whole may repeat the fields of the short form.
#[expect(dead_code, reason = "describes what is read")]
pub(crate) enum ReferenceBody {
    Whole(WholeReferenceBody),
    Short(ShortReferenceBody),
}

any_of!(
    ReferenceBody,
    "ClusterReferenceInput",
    "A cluster reference, as it is written: whole, or in the short form.",
    WholeReferenceBody,
    ShortReferenceBody
);

#[derive(ToSchema)]
#[schema(as = ClusterReferenceInputWhole)]
#[expect(dead_code, reason = "describes what is read")]
pub(crate) struct WholeReferenceBody {
    metadata: Option<MetadataBody>,
    spec: ReferenceSpecBody,
}

/// A reference that is called as its cluster, of the provider `default`, unless it says otherwise.
#[derive(ToSchema)]
#[schema(as = ClusterReferenceInputShort)]
#[serde(rename_all = "kebab-case")]
#[expect(dead_code, reason = "describes what is read")]
pub(crate) struct ShortReferenceBody {
    /// The cluster's name; `cluster-name` is the same.
    cluster_reference: Option<String>,
    /// The cluster's name; `cluster-reference` is the same.
    cluster_name: Option<String>,
    /// The reference's name; the cluster's where it is left out.
    name: Option<String>,
    /// `default` where it is left out.
    cluster_provider: Option<String>,
    /// The address of the Istio control plane's load balancer there.
    #[schema(value_type = String, example = "0.0.0.0")]
    loadbalancer_ip: (),
}

#[derive(ToSchema)]
#[schema(as = ClusterReferenceInputSpec)]
#[serde(rename_all = "kebab-case")]
#[expect(dead_code, reason = "describes what is read")]
struct ReferenceSpecBody {
    /// `default` where it is left out.
    cluster_provider: Option<String>,
    cluster_name: String,
    /// The address of the Istio control plane's load balancer there: IPv4 or IPv6.
    #[schema(value_type = String, example = "0.0.0.0")]
    loadbalancer_ip: (),
}

/// A logical cloud's use of a cluster.
#[derive(Serialize, ToSchema)]
#[schema(as = ClusterReference)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct ReferenceAnswer<'a> {
    #[schema(value_type = MetadataSchema)]
    metadata: &'a Metadata<ReferenceName>,
    spec: Spec<'a>,
    name: &'a str,
    cluster_name: &'a str,
    #[schema(value_type = String)]
    loadbalancer_ip: IpAddr,
    uid: &'a str,
    /// Whether it goes when its cluster is clean.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    deleting: bool,
}

#[derive(Serialize, ToSchema)]
#[schema(as = ClusterReferenceSpec)]
#[serde(rename_all = "kebab-case")]
struct Spec<'a> {
    cluster_provider: &'a str,
    cluster_name: &'a str,
    /// The address of the Istio control plane's load balancer there.
    #[schema(value_type = String)]
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
