//! DCM inside a program: no server and no port of its own, everything in memory.
//!
//! ```text
//! cargo run --example embed_in_memory
//! ```
//!
//! The clusters are simulated, and reached as real ones are: register real kubeconfigs, and it works on those.

#![allow(clippy::print_stdout, reason = "printing is what it is for")]

mod machine;
mod user;

use std::{num::NonZeroUsize, sync::Arc, time::Duration};

use anyhow::{Context as _, Result, bail, ensure};
use dcm_core::{
    lifecycle::Event,
    model::{
        ClusterInput, ClusterReferenceInput, LogicalCloudInput, MetadataInput, PermissionInput, QuotaInput, UserInput,
    },
    service::{CloudId, Dcm, NoWake, Overall, Ports, Settings},
};
use dcm_mesh::credential::UserCredentials;
use dcm_sim::{Cluster, ClusterOptions};
use dcm_store::{
    encryption::{AeadSealer, Keyring},
    memory::MemoryStore,
};
use dcm_sync::kube::{KubeOptions, KubeSynchronizer};

/// So many clusters are worked on side by side.
const SIDE_BY_SIDE: NonZeroUsize = NonZeroUsize::new(8).unwrap();

#[tokio::main]
async fn main() -> Result<()> {
    println!("== Put DCM together: each port is a choice");
    let ports = Ports {
        store: Arc::new(MemoryStore::new()),
        sealer: Arc::new(AeadSealer::new(Keyring::random()?)?),
        credentials: Arc::new(UserCredentials),
        synchronizer: Arc::new(KubeSynchronizer::new(KubeOptions::default())),
        clock: Arc::new(machine::SystemClock),
        entropy: Arc::new(machine::OsEntropy),
        wake: Arc::new(NoWake),
    };
    let dcm = Dcm::open(ports, Settings::default()).await?;

    println!("== Register two clusters");
    let clusters = [start("edge-1").await?, start("edge-2").await?];
    let provider = "edge".parse()?;
    dcm.create_provider(named("edge").into()).await?;
    for (name, cluster) in ["edge-1", "edge-2"].into_iter().zip(&clusters) {
        let kubeconfig = Some(cluster.admin_kubeconfig());
        let input = ClusterInput { metadata: named(name), kubeconfig, ..ClusterInput::default() };
        let registered = dcm.create_cluster(&provider, input.into()).await?.cluster;
        println!("   {name} at {}", registered.server);
    }

    println!("== Describe a logical cloud");
    let id = CloudId { project: "walmart".parse()?, name: "lc-1".parse()? };
    describe(&dcm, &id).await?;

    println!("== Apply it");
    dcm.apply(&id, Event::Apply, false).await?;
    carry_out(&dcm, &id).await?;
    let status = dcm.status(&id).await?;
    for (name, cluster) in &status.clusters {
        let cluster = cluster.as_ref().context("a cluster that was worked on")?;
        println!("   {name}: {}", if cluster.reached { "as ordered" } else { "not yet" });
    }
    println!("   as a whole: {}", status.overall.as_str());
    ensure!(status.overall == Overall::Created, "it is not created: {status:#?}");

    println!("== Be its user, by the kubeconfig that DCM hands out");
    let kubeconfig = dcm.merged_kubeconfig(&id).await?;
    user::try_out(kubeconfig.expose_json()).await?;

    println!("== Terminate it");
    dcm.terminate(&id, false).await?;
    carry_out(&dcm, &id).await?;
    let overall = dcm.status(&id).await?.overall;
    println!("   as a whole: {}", overall.as_str());
    ensure!(overall == Overall::Deleted, "it is not deleted");
    for cluster in &clusters {
        ensure!(cluster.objects().get("namespaces", "", "ns-1").is_none(), "its namespace is still there");
    }
    Ok(())
}

/// Carries out what waits until nothing does. A program that runs for long does this in a task, and waits for
/// its `Wake` between two calls; see `embed_in_axum`.
async fn carry_out(dcm: &Dcm, id: &CloudId) -> Result<()> {
    let until_done = async {
        while let Some(again) = dcm.carry_out_waiting(SIDE_BY_SIDE).await? {
            tokio::time::sleep(dcm.time_until(again)).await;
        }
        Ok(())
    };
    if let Ok(done) = tokio::time::timeout(Duration::from_secs(30), until_done).await {
        return done;
    }
    // The status says of each cluster what stands in the way.
    let clusters = dcm.status(id).await?.clusters;
    let why = clusters.iter().filter_map(|(_, cluster)| cluster.as_ref()?.failure.as_ref());
    bail!("not done within half a minute: {}", why.map(ToString::to_string).collect::<Vec<_>>().join("; "))
}

/// A project with a logical cloud: its user and namespace, two permissions, a quota, on both clusters.
async fn describe(dcm: &Dcm, id: &CloudId) -> Result<()> {
    dcm.create_project(named("walmart").into()).await?;
    let user = UserInput {
        user_name: Some("user-1".to_owned()),
        user_type: Some("certificate".to_owned()),
        permissions: vec![may("permission-1", "", "configmaps", &["*"])],
    };
    let cloud = LogicalCloudInput {
        metadata: named("lc-1"),
        namespace: Some("ns-1".to_owned()),
        user: Some(user),
        ..LogicalCloudInput::default()
    };
    dcm.create_logical_cloud(&id.project, cloud.into()).await?;
    dcm.create_permission(id, may("permission-2", "apps", "deployments", &["get", "list"]).into()).await?;
    let limits = [("configmaps".to_owned(), "2".to_owned())];
    dcm.create_quota(id, QuotaInput { metadata: named("quota-1"), spec: Some(limits.into()) }.into()).await?;
    for cluster in ["edge-1", "edge-2"] {
        let reference = ClusterReferenceInput {
            metadata: named(cluster),
            cluster_provider: Some("edge".to_owned()),
            cluster_name: Some(cluster.to_owned()),
            loadbalancer_ip: Some("0.0.0.0".to_owned()),
            ..ClusterReferenceInput::default()
        };
        dcm.create_reference(id, reference.into()).await?;
    }
    // What is wrong is told field by field, and changes nothing.
    let wrong = LogicalCloudInput {
        metadata: named("lc-2"),
        namespace: Some("Not a label".to_owned()),
        ..LogicalCloudInput::default()
    };
    let refused = dcm.create_logical_cloud(&id.project, wrong.into()).await.err().context("a refusal")?;
    println!("   a wrong one is refused: {refused}");
    Ok(())
}

async fn start(name: &str) -> Result<Cluster> {
    Cluster::start(ClusterOptions::named(name)).await.context("starting a simulated cluster")
}

fn named(name: &str) -> MetadataInput {
    MetadataInput { name: Some(name.to_owned()), ..MetadataInput::default() }
}

fn may(name: &str, group: &str, resource: &str, verbs: &[&str]) -> PermissionInput {
    PermissionInput {
        name: Some(name.to_owned()),
        api_groups: Some(vec![group.to_owned()]),
        resources: Some(vec![resource.to_owned()]),
        verbs: Some(verbs.iter().map(|&verb| verb.to_owned()).collect()),
        ..PermissionInput::default()
    }
}
