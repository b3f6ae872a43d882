//! What is asked for, as messages.

use dcm_client::v1 as pb;

fn named(name: &str) -> Option<pb::Metadata> {
    Some(pb::Metadata { name: Some(name.to_owned()), ..Default::default() })
}

pub(crate) fn project(name: &str) -> pb::CreateProjectRequest {
    pb::CreateProjectRequest { project: Some(pb::Project { metadata: named(name), ..Default::default() }) }
}

/// A cluster of the provider `default`. Its kubeconfig is good in form: simulated clusters are found by their names, and it is never dialled.
pub(crate) fn cluster(name: &str) -> pb::CreateClusterRequest {
    let kubeconfig = "
apiVersion: v1
kind: Config
clusters: [{ name: c, cluster: { server: 'https://simulated.invalid' } }]
users: [{ name: u, user: { token: never-dialled } }]
contexts: [{ name: x, context: { cluster: c, user: u } }]
current-context: x
";
    let spec = pb::ClusterSpec { kubeconfig: Some(kubeconfig.to_owned()), ..Default::default() };
    let cluster = pb::Cluster { metadata: named(name), spec: Some(spec), ..Default::default() };
    pb::CreateClusterRequest { cluster_provider: "default".to_owned(), cluster: Some(cluster) }
}

pub(crate) fn logical_cloud(project: &str, name: &str) -> pb::CreateLogicalCloudRequest {
    let user = pb::User { user_name: Some("user-1".to_owned()), ..Default::default() };
    let spec = pb::LogicalCloudSpec { namespace: Some("ns-1".to_owned()), user: Some(user), ..Default::default() };
    let logical_cloud = pb::LogicalCloud { metadata: named(name), spec: Some(spec), ..Default::default() };
    pb::CreateLogicalCloudRequest { project: project.to_owned(), logical_cloud: Some(logical_cloud) }
}

pub(crate) fn reference(project: &str, logical_cloud: &str, cluster: &str) -> pb::CreateClusterReferenceRequest {
    let spec = pb::ClusterReferenceSpec {
        cluster_name: Some(cluster.to_owned()),
        loadbalancer_ip: Some("0.0.0.0".to_owned()),
        ..Default::default()
    };
    let reference = pb::ClusterReference { metadata: named(cluster), spec: Some(spec), ..Default::default() };
    pb::CreateClusterReferenceRequest {
        project: project.to_owned(),
        logical_cloud: logical_cloud.to_owned(),
        cluster_reference: Some(reference),
    }
}

pub(crate) fn permission(project: &str, logical_cloud: &str, verbs: &[&str]) -> pb::CreateUserPermissionRequest {
    let permission = pb::UserPermission {
        name: Some("permission-1".to_owned()),
        api_groups: vec![String::new()],
        resources: vec!["configmaps".to_owned()],
        verbs: verbs.iter().map(|&verb| verb.to_owned()).collect(),
        ..Default::default()
    };
    pb::CreateUserPermissionRequest {
        project: project.to_owned(),
        logical_cloud: logical_cloud.to_owned(),
        user_permission: Some(permission),
    }
}

pub(crate) fn quota(project: &str, logical_cloud: &str) -> pb::CreateQuotaRequest {
    let limits = [("configmaps".to_owned(), "2".to_owned())].into();
    let quota = pb::Quota { metadata: named("quota-1"), spec: Some(pb::QuotaSpec { limits }), ..Default::default() };
    pb::CreateQuotaRequest { project: project.to_owned(), logical_cloud: logical_cloud.to_owned(), quota: Some(quota) }
}
