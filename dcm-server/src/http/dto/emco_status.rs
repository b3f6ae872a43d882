//! A status as EMCO's DCM answers it (`docs/rest.md`, "EMCO's clients"): names, words and counts are EMCO's.

mod lists;
mod result;

use dcm_core::{
    model::LogicalCloud,
    service::{CloudObjects, ClusterObjects, ObjectStatus},
    sync::ObjectId,
};
use serde::{Serialize, Serializer, ser::SerializeMap as _};
use utoipa::ToSchema;

use super::status::StatusAnswer;
use lists::{ClustersResult, ResourcesResult};
use result::StatusResult;
pub(crate) use result::{is_deployed, is_object_deployed, is_object_ready};

/// What a client asked for.
#[derive(Clone, Debug, Default)]
pub(crate) struct EmcoQuery {
    pub(crate) source: Source,
    pub(crate) output: Output,
    pub(crate) list: Option<List>,
    /// Providers and clusters; all where there is none.
    pub(crate) clusters: Vec<(String, String)>,
    /// Names of objects; all where there is none.
    pub(crate) resources: Vec<String>,
}

/// Whose word about an object counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Source {
    /// Whether it was carried out what was ordered.
    Deployed,
    /// Whether it is there and as it should be.
    #[default]
    Ready,
}

/// How much is told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Output {
    /// Counts only.
    Summary,
    /// Each object.
    #[default]
    All,
    /// Each object with what it is to be.
    Detail,
}

/// What is listed in place of a status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum List {
    Clusters,
    Resources,
}

impl EmcoQuery {
    fn keeps_cluster(&self, cluster: &ClusterObjects<'_>) -> bool {
        let is_it = |(provider, name): &(String, String)| {
            provider == cluster.provider.as_str() && name == cluster.cluster.as_str()
        };
        self.clusters.is_empty() || self.clusters.iter().any(is_it)
    }

    fn keeps_object(&self, object: &ObjectStatus<'_>) -> bool {
        self.resources.is_empty() || self.resources.contains(&object.id.name)
    }
}

/// The frozen state that an `instance` may name: the one that clusters are to be, or were last.
pub(crate) fn instance(cloud: &LogicalCloud) -> &str {
    cloud.lifecycle.history.last().map_or("", |state| state.as_str())
}

/// What is answered.
#[derive(Serialize)]
#[serde(transparent)]
pub(crate) struct EmcoStatus<'a>(Answer<'a>);

#[derive(Serialize)]
#[serde(untagged)]
enum Answer<'a> {
    Status(Box<StatusResult<'a>>),
    Clusters(ClustersResult<'a>),
    Resources(ResourcesResult<'a>),
}

impl<'a> EmcoStatus<'a> {
    pub(crate) fn new(all: &'a CloudObjects, query: &'a EmcoQuery) -> Self {
        Self(match query.list {
            None => Answer::Status(Box::new(StatusResult::new(all, query))),
            Some(List::Clusters) => Answer::Clusters(ClustersResult::new(all)),
            Some(List::Resources) => Answer::Resources(ResourcesResult::new(all, query)),
        })
    }
}

/// A status: DCM's own, or in one of EMCO's forms.
#[derive(ToSchema)]
#[schema(as = StatusOfAnyForm)]
#[serde(untagged)]
#[expect(dead_code, reason = "describes what is written")]
pub(crate) enum StatusSchema {
    Dcm(StatusAnswer<'static>),
    Emco(StatusResult<'static>),
    EmcoClusters(ClustersResult<'static>),
    EmcoResources(ResourcesResult<'static>),
}

#[derive(ToSchema)]
#[schema(as = GroupVersionKind)]
#[serde(rename_all = "PascalCase")]
#[expect(dead_code, reason = "describes what is written")]
struct GvkSchema {
    group: String,
    version: String,
    kind: String,
}

/// An object's group, version and kind.
struct Gvk<'a>(&'a ObjectId);

impl Serialize for Gvk<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let (group, version) = self.0.api_version.rsplit_once('/').unwrap_or(("", &self.0.api_version));
        let mut map = to.serialize_map(Some(3))?;
        map.serialize_entry("Group", group)?;
        map.serialize_entry("Version", version)?;
        map.serialize_entry("Kind", &self.0.kind)?;
        map.end()
    }
}
