use dcm_core::{
    model::{ClusterStatus, Connectivity, Drift},
    name::ReferenceName,
    service::CloudStatus,
    sync::{Change, Part, PartState},
};
use jiff::Timestamp;
use serde::{Serialize, Serializer, ser::SerializeMap as _};
use utoipa::ToSchema;

use super::{
    cluster::ConnectivityWord,
    preview::{ChangeWord, ObjectName, change_word},
};

/// How far a logical cloud is.
#[derive(Serialize, ToSchema)]
#[schema(as = Status)]
pub(crate) struct StatusAnswer<'a> {
    metadata: Metadata<'a>,
    /// An object for each cluster reference, whose only key is its name.
    #[schema(value_type = Vec<BTreeMap<String, Parts>>)]
    clusters: Vec<Cluster<'a>>,
    #[schema(value_type = StatusWord)]
    status: &'static str,
}

/// How far it is: of all clusters, the one that is least far counts.
#[derive(ToSchema)]
#[schema(as = StatusWord)]
#[expect(dead_code, reason = "describes a word")]
enum StatusWord {
    #[schema(rename = "Not Created")]
    NotCreated,
    #[schema(rename = "Creation in Progress")]
    CreationInProgress,
    Created,
    #[schema(rename = "Creation Failed")]
    CreationFailed,
    #[schema(rename = "Deletion in Progress")]
    DeletionInProgress,
    Deleted,
    #[schema(rename = "Deletion Failed")]
    DeletionFailed,
    Stopped,
}

#[derive(Serialize, ToSchema)]
#[schema(as = StatusMetadata)]
struct Metadata<'a> {
    name: &'a str,
    description: &'a str,
}

/// One cluster: an object whose only key is the name of its reference.
struct Cluster<'a> {
    reference: &'a ReferenceName,
    status: Option<&'a ClusterStatus>,
}

impl<'a> StatusAnswer<'a> {
    pub(crate) fn new(status: &'a CloudStatus) -> Self {
        let cluster = |(reference, status): &'a (ReferenceName, Option<ClusterStatus>)| Cluster {
            reference,
            status: status.as_ref(),
        };
        Self {
            metadata: Metadata {
                name: status.cloud.metadata.name.as_str(),
                description: &status.cloud.metadata.description,
            },
            clusters: status.clusters.iter().map(cluster).collect(),
            status: status.overall.as_str(),
        }
    }
}

/// One cluster: each part is `Pending`, `Created`, `Deleted`, `Not Available: …` or `Failed: …`.
#[derive(Serialize, ToSchema)]
#[schema(as = ClusterStatus)]
#[serde(rename_all = "kebab-case")]
struct Parts<'a> {
    namespace_status: String,
    role_status: String,
    role_binding_status: String,
    quota_status: String,
    credential_status: String,
    kubeconfig_status: String,
    #[schema(value_type = ConnectivityWord)]
    connectivity: &'static str,
    /// A word for programs.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    #[schema(value_type = Option<String>, format = DateTime)]
    #[serde(skip_serializing_if = "Option::is_none")]
    last_attempt: Option<Timestamp>,
    #[schema(value_type = Option<String>, format = DateTime)]
    #[serde(skip_serializing_if = "Option::is_none")]
    next_attempt: Option<Timestamp>,
    #[schema(value_type = Option<String>, format = DateTime)]
    #[serde(skip_serializing_if = "Option::is_none")]
    unreachable_since: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    drift: Option<DriftAnswer<'a>>,
    /// What is no failure and yet to be known.
    #[schema(required = false)]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    remarks: Vec<&'a str>,
}

/// What others changed of what is ours.
#[derive(Serialize, ToSchema)]
#[schema(as = Drift)]
#[serde(rename_all = "kebab-case")]
struct DriftAnswer<'a> {
    #[schema(value_type = String, format = DateTime)]
    seen_at: Timestamp,
    repaired: bool,
    count: usize,
    objects: Vec<DriftedObject<'a>>,
}

#[derive(Serialize, ToSchema)]
struct DriftedObject<'a> {
    #[schema(value_type = ChangeWord)]
    change: &'static str,
    #[serde(flatten)]
    #[schema(inline)]
    object: ObjectName<'a>,
}

impl<'a> DriftAnswer<'a> {
    fn new(drift: &'a Drift) -> Self {
        let drifted = |change: &'a Change| DriftedObject {
            change: change_word(change.change),
            object: ObjectName::new(&change.id),
        };
        Self {
            seen_at: drift.seen_at,
            repaired: drift.repaired,
            count: drift.count,
            objects: drift.objects.iter().map(drifted).collect(),
        }
    }
}

impl<'a> Parts<'a> {
    fn new(status: Option<&'a ClusterStatus>) -> Self {
        let part = |part: Part| status.map_or(PartState::Pending, |status| status.part(part)).to_string();
        Self {
            namespace_status: part(Part::Namespace),
            role_status: part(Part::Role),
            role_binding_status: part(Part::RoleBinding),
            quota_status: part(Part::Quota),
            credential_status: part(Part::Credential),
            kubeconfig_status: part(Part::Kubeconfig),
            connectivity: status.map_or(Connectivity::Unknown, |status| status.connectivity).as_str(),
            reason: status.and_then(ClusterStatus::reason).map(|reason| reason.as_str()),
            last_attempt: status.and_then(|status| status.last_attempt),
            next_attempt: status.and_then(|status| status.next_attempt),
            unreachable_since: status.and_then(|status| status.unreachable_since),
            drift: status.and_then(|status| status.drift.as_ref()).map(DriftAnswer::new),
            remarks: status.map(|status| status.remarks.iter().map(String::as_str).collect()).unwrap_or_default(),
        }
    }
}

impl Serialize for Cluster<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut map = to.serialize_map(Some(1))?;
        map.serialize_entry(self.reference.as_str(), &Parts::new(self.status))?;
        map.end()
    }
}
