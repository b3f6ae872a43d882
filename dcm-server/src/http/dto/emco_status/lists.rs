use dcm_core::service::{CloudObjects, ClusterObjects, ObjectStatus};
use serde::{Serialize, Serializer};
use utoipa::ToSchema;

use super::{EmcoQuery, Gvk, GvkSchema};

/// What EMCO calls the only application of a logical cloud.
const APP: &str = "logical-cloud";

#[derive(Serialize, ToSchema)]
#[schema(as = EmcoClusters)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ClustersResult<'a> {
    project: &'a str,
    name: &'a str,
    clusters_by_app: Vec<ClustersOfApp<'a>>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = EmcoClustersOfApp)]
struct ClustersOfApp<'a> {
    app: &'static str,
    clusters: Vec<ClusterEntry<'a>>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = EmcoClusterEntry)]
#[serde(rename_all = "camelCase")]
struct ClusterEntry<'a> {
    cluster_provider: &'a str,
    cluster: &'a str,
}

impl<'a> ClusterEntry<'a> {
    fn new(cluster: &ClusterObjects<'a>) -> Self {
        Self { cluster_provider: cluster.provider.as_str(), cluster: cluster.cluster.as_str() }
    }
}

impl<'a> ClustersResult<'a> {
    pub(super) fn new(all: &'a CloudObjects) -> Self {
        let cloud = &all.status.cloud;
        let mut clusters = all.clusters().map(|cluster| ClusterEntry::new(&cluster)).peekable();
        let clusters_by_app = match clusters.peek() {
            Some(_) => vec![ClustersOfApp { app: APP, clusters: clusters.collect() }],
            None => Vec::new(),
        };
        Self { project: cloud.project.as_str(), name: cloud.metadata.name.as_str(), clusters_by_app }
    }
}

#[derive(Serialize, ToSchema)]
#[schema(as = EmcoResources)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ResourcesResult<'a> {
    project: &'a str,
    name: &'a str,
    #[schema(value_type = Vec<ResourcesOfCluster>)]
    resources_by_app: ResourcesByApp<'a>,
}

/// Made while it is written, cluster by cluster: there may be many.
struct ResourcesByApp<'a> {
    all: &'a CloudObjects,
    query: &'a EmcoQuery,
}

#[derive(Serialize, ToSchema)]
#[schema(as = EmcoResourcesOfCluster)]
struct ResourcesOfCluster<'a> {
    app: &'static str,
    #[serde(flatten)]
    #[schema(inline)]
    cluster: ClusterEntry<'a>,
    resources: Vec<ResourceEntry<'a>>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = EmcoResourceEntry)]
struct ResourceEntry<'a> {
    name: &'a str,
    #[schema(value_type = GvkSchema)]
    #[serde(rename = "GVK")]
    gvk: Gvk<'a>,
}

impl<'a> ResourcesResult<'a> {
    pub(super) fn new(all: &'a CloudObjects, query: &'a EmcoQuery) -> Self {
        let cloud = &all.status.cloud;
        let resources_by_app = ResourcesByApp { all, query };
        Self { project: cloud.project.as_str(), name: cloud.metadata.name.as_str(), resources_by_app }
    }
}

impl Serialize for ResourcesByApp<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let clusters = self.all.clusters().filter(|cluster| self.query.keeps_cluster(cluster));
        to.collect_seq(clusters.map(|cluster| ResourcesOfCluster::new(&cluster)))
    }
}

impl<'a> ResourcesOfCluster<'a> {
    fn new(cluster: &ClusterObjects<'a>) -> Self {
        let entry = |object: ObjectStatus<'a>| ResourceEntry { name: &object.id.name, gvk: Gvk(object.id) };
        let resources = cluster.objects().map(entry).collect();
        Self { app: APP, cluster: ClusterEntry::new(cluster), resources }
    }
}
