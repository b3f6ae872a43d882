//! What the gRPC benchmarks fill DCM with.

use anyhow::{Context as _, Result, bail};
use dcm_proto::v1::{self as pb, clusters_client::ClustersClient, logical_clouds_client::LogicalCloudsClient};
use tonic::transport::Channel;

pub(crate) const PROJECT: &str = "walmart";
pub(crate) const CLOUD: &str = "lc-1";

fn named(name: &str) -> Option<pb::Metadata> {
    Some(pb::Metadata {
        name: Some(name.to_owned()),
        description: "logical cloud for walmart finance department".to_owned(),
        user_data1: "x".to_owned(),
        user_data2: "y".to_owned(),
    })
}

/// A logical cloud as in the design.
pub(crate) fn logical_cloud(name: &str, namespace: &str) -> pb::LogicalCloud {
    let texts = |texts: &[&str]| texts.iter().map(|&text| text.to_owned()).collect();
    let permission = |name: &str, resource: &str| pb::UserPermission {
        name: Some(name.to_owned()),
        api_groups: texts(&[""]),
        resources: texts(&[resource, "pods"]),
        verbs: texts(&["get", "watch", "list"]),
        ..Default::default()
    };
    let user = pb::User {
        user_name: Some("user-1".to_owned()),
        user_permissions: vec![permission("permission-1", "secrets"), permission("permission-2", "configmaps")],
        ..Default::default()
    };
    let spec = pb::LogicalCloudSpec { namespace: Some(namespace.to_owned()), user: Some(user), ..Default::default() };
    pb::LogicalCloud { metadata: named(name), spec: Some(spec), ..Default::default() }
}

/// Makes a logical cloud as in the design, and applies it to one simulated cluster.
#[allow(dead_code, reason = "not every benchmark applies one")]
pub(crate) async fn one_cloud(channel: Channel) -> Result<()> {
    const KUBECONFIG: &str = "{current-context: c, clusters: [{name: k, cluster: {server: 'https://127.0.0.1:1'}}], \
        users: [{name: u, user: {token: t}}], contexts: [{name: c, context: {cluster: k, user: u}}]}";
    let of = || (PROJECT.to_owned(), CLOUD.to_owned());
    let mut clusters = ClustersClient::new(channel.clone());
    let spec = pb::ClusterSpec { kubeconfig: Some(KUBECONFIG.to_owned()), ..Default::default() };
    let cluster = pb::Cluster { metadata: named("cluster-1"), spec: Some(spec), ..Default::default() };
    let cluster_provider = "default".to_owned();
    clusters.create_cluster(pb::CreateClusterRequest { cluster_provider, cluster: Some(cluster) }).await?;
    let mut clouds = LogicalCloudsClient::new(channel);
    let logical_cloud = Some(logical_cloud(CLOUD, "ns-1"));
    clouds.create_logical_cloud(pb::CreateLogicalCloudRequest { project: of().0, logical_cloud }).await?;
    let spec = pb::ClusterReferenceSpec {
        cluster_name: Some("cluster-1".to_owned()),
        loadbalancer_ip: Some("0.0.0.0".to_owned()),
        ..Default::default()
    };
    let reference = pb::ClusterReference { metadata: named("cluster-1"), spec: Some(spec), ..Default::default() };
    let (project, logical_cloud) = of();
    let cluster_reference = Some(reference);
    clouds
        .create_cluster_reference(pb::CreateClusterReferenceRequest { project, logical_cloud, cluster_reference })
        .await?;
    let limits = [("pods".to_owned(), "10".to_owned())].into();
    let (project, logical_cloud) = of();
    let quota = Some(pb::Quota { metadata: named("q"), spec: Some(pb::QuotaSpec { limits }), ..Default::default() });
    clouds.create_quota(pb::CreateQuotaRequest { project, logical_cloud, quota }).await?;
    let (project, logical_cloud) = of();
    clouds.apply(pb::ApplyRequest { project, logical_cloud, ..Default::default() }).await?;
    for _ in 0..500 {
        let (project, logical_cloud) = of();
        let answer = clouds.get_status(pb::GetStatusRequest { project, logical_cloud, ..Default::default() }).await?;
        if answer.into_inner().status.context("no status")?.status() == pb::OverallStatus::Created {
            return Ok(());
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    bail!("the logical cloud was not created in time")
}
