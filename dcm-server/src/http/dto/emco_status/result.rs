use std::collections::BTreeMap;

use dcm_core::{
    lifecycle::{Action, ActionKind, Phase},
    model::{Connectivity, LogicalCloud},
    service::{CloudObjects, ClusterObjects, ObjectState, ObjectStatus, Overall},
    sync::ChangeKind,
};
use jiff::Timestamp;
use serde::{Serialize, Serializer};
use serde_json::Value;
use utoipa::ToSchema;

use super::{EmcoQuery, Gvk, GvkSchema, Output, Source, instance};

#[derive(Serialize, ToSchema)]
#[schema(as = EmcoStatus)]
#[serde(rename_all = "camelCase")]
pub(crate) struct StatusResult<'a> {
    project: &'a str,
    name: &'a str,
    states: States<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    deployed_status: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ready_status: Option<&'static str>,
    #[schema(value_type = Option<BTreeMap<String, usize>>)]
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    deployed_counts: BTreeMap<&'static str, usize>,
    #[schema(value_type = Option<BTreeMap<String, usize>>)]
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    ready_counts: BTreeMap<&'static str, usize>,
    #[schema(value_type = Option<Vec<Cluster>>)]
    #[serde(skip_serializing_if = "Option::is_none")]
    clusters: Option<Clusters<'a>>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = EmcoStates)]
struct States<'a> {
    statusctxid: &'a str,
    actions: Vec<State<'a>>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = EmcoState)]
struct State<'a> {
    state: &'static str,
    instance: &'a str,
    #[schema(value_type = String, format = DateTime)]
    time: Timestamp,
    revision: u64,
}

impl<'a> States<'a> {
    fn new(cloud: &'a LogicalCloud) -> Self {
        let created = State { state: "Created", instance: "", time: cloud.created_at, revision: 0 };
        let ordered = |action: &'a Action| State {
            state: match action.kind {
                ActionKind::Applied => "Instantiated",
                ActionKind::Updated => "Updated",
                ActionKind::Terminated => "Terminated",
                ActionKind::ApplyStopped => "InstantiateStopped",
                ActionKind::TerminateStopped => "TerminateStopped",
                ActionKind::Other => "Undefined",
            },
            instance: action.state.as_ref().map_or("", |state| state.as_str()),
            time: action.at,
            revision: action.number,
        };
        let actions = std::iter::once(created).chain(cloud.lifecycle.actions.iter().map(ordered)).collect();
        Self { statusctxid: instance(cloud), actions }
    }
}

impl<'a> StatusResult<'a> {
    pub(super) fn new(all: &'a CloudObjects, query: &'a EmcoQuery) -> Self {
        let cloud = &all.status.cloud;
        let mut result = Self {
            project: cloud.project.as_str(),
            name: cloud.metadata.name.as_str(),
            states: States::new(cloud),
            deployed_status: deployed_status(all),
            ready_status: None,
            deployed_counts: BTreeMap::new(),
            ready_counts: BTreeMap::new(),
            clusters: None,
        };
        if cloud.lifecycle.phase == Phase::NotCreated {
            return result;
        }
        let (mut met, mut reached) = (false, true);
        for cluster in all.clusters().filter(|cluster| query.keeps_cluster(cluster)) {
            let resources = kept_objects(&cluster, query);
            for object in &resources {
                match query.source {
                    Source::Deployed => *result.deployed_counts.entry(deployed(object)).or_default() += 1,
                    Source::Ready => *result.ready_counts.entry(ready(object)).or_default() += 1,
                }
            }
            // A credential is no object, and a cloud without objects may be ready all the same.
            let is_asked_for = query.resources.is_empty() || !resources.is_empty();
            met |= is_asked_for;
            reached &= !is_asked_for || !query.resources.is_empty() || cluster.is_reached;
            if query.output != Output::Summary && !resources.is_empty() {
                result.clusters = Some(Clusters { all, query });
            }
        }
        if query.source == Source::Ready {
            let all_ready = result.ready_counts.keys().all(|word| *word == READY);
            result.ready_status = Some(if met && reached && all_ready { READY } else { NOT_READY });
        }
        result
    }
}

/// Whether everything was carried out that was ordered.
pub(crate) fn is_deployed(all: &CloudObjects) -> bool {
    deployed_status(all) == Some(INSTANTIATED)
}

/// Whether it was carried out that an object be there.
pub(crate) fn is_object_deployed(object: &ObjectStatus<'_>) -> bool {
    deployed(object) == APPLIED
}

/// Whether an object is there and as it should be.
pub(crate) fn is_object_ready(object: &ObjectStatus<'_>) -> bool {
    ready(object) == READY
}

/// How far the whole is; `None` before it is applied, as EMCO has it.
fn deployed_status(all: &CloudObjects) -> Option<&'static str> {
    Some(match all.status.overall {
        Overall::NotCreated => return None,
        Overall::CreationInProgress => "Instantiating",
        Overall::Created => INSTANTIATED,
        Overall::CreationFailed => "InstantiateFailed",
        Overall::DeletionInProgress => "Terminating",
        Overall::Deleted => "Terminated",
        Overall::DeletionFailed => "TerminateFailed",
        // What was stopped in its midst has failed, for EMCO.
        Overall::Stopped if all.clusters().all(|cluster| cluster.is_reached) => INSTANTIATED,
        Overall::Stopped => {
            let last = all.status.cloud.lifecycle.actions.last();
            let terminating = last.is_some_and(|action| action.kind == ActionKind::TerminateStopped);
            if terminating { "TerminateFailed" } else { "InstantiateFailed" }
        }
    })
}

/// EMCO's word for what became of carrying an object to a cluster. A cluster that is away is `Retrying`, its objects
/// keep the word that they have.
const fn deployed(object: &ObjectStatus<'_>) -> &'static str {
    match object.state {
        ObjectState::Created => APPLIED,
        ObjectState::Deleted => "Deleted",
        ObjectState::Pending | ObjectState::NotAvailable => "Pending",
        ObjectState::Failed => "Failed",
    }
}

const INSTANTIATED: &str = "Instantiated";
const APPLIED: &str = "Applied";
const READY: &str = "Ready";
const NOT_READY: &str = "NotReady";
const NOT_PRESENT: &str = "NotPresent";

/// EMCO's word for whether an object is there, as far as DCM knows.
const fn ready(object: &ObjectStatus<'_>) -> &'static str {
    match (object.state, object.drifted) {
        _ if !object.is_there => NOT_PRESENT,
        (_, Some(ChangeKind::Create)) => NOT_PRESENT,
        (ObjectState::Created, None) => READY,
        _ => NOT_READY,
    }
}

fn kept_objects<'a>(cluster: &ClusterObjects<'a>, query: &EmcoQuery) -> Vec<ObjectStatus<'a>> {
    cluster.objects().filter(|object| query.keeps_object(object)).collect()
}

/// The clusters that have something to show. Made while they are written: there may be many.
struct Clusters<'a> {
    all: &'a CloudObjects,
    query: &'a EmcoQuery,
}

impl Serialize for Clusters<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let kept = self.all.clusters().filter(|cluster| self.query.keeps_cluster(cluster));
        to.collect_seq(kept.filter_map(|cluster| {
            let objects = kept_objects(&cluster, self.query);
            (!objects.is_empty()).then(|| Cluster::new(&cluster, objects, self.query))
        }))
    }
}

#[derive(Serialize, ToSchema)]
#[schema(as = EmcoCluster)]
#[serde(rename_all = "camelCase")]
struct Cluster<'a> {
    cluster_provider: &'a str,
    cluster: &'a str,
    connectivity: &'static str,
    resources: Vec<Resource<'a>>,
}

impl<'a> Cluster<'a> {
    fn new(cluster: &ClusterObjects<'a>, objects: Vec<ObjectStatus<'a>>, query: &EmcoQuery) -> Self {
        Self {
            cluster_provider: cluster.provider.as_str(),
            cluster: cluster.cluster.as_str(),
            connectivity: match cluster.status.map_or(Connectivity::Unknown, |status| status.connectivity) {
                Connectivity::Unknown => "Unknown",
                Connectivity::Available => "Available",
                Connectivity::Unavailable => "Retrying",
            },
            resources: objects.into_iter().map(|object| Resource::new(object, query)).collect(),
        }
    }
}

#[derive(Serialize, ToSchema)]
#[schema(as = EmcoResource)]
#[serde(rename_all = "camelCase")]
struct Resource<'a> {
    #[schema(value_type = GvkSchema)]
    #[serde(rename = "GVK")]
    gvk: Gvk<'a>,
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<&'a Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    deployed_status: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ready_status: Option<&'static str>,
}

impl<'a> Resource<'a> {
    fn new(object: ObjectStatus<'a>, query: &EmcoQuery) -> Self {
        Self {
            gvk: Gvk(object.id),
            name: &object.id.name,
            detail: object.manifest.filter(|_| query.output == Output::Detail),
            deployed_status: (query.source == Source::Deployed).then(|| deployed(&object)),
            ready_status: (query.source == Source::Ready).then(|| ready(&object)),
        }
    }
}
