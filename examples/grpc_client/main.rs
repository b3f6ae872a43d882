//! DCM's main job over gRPC, with the typed client: from a project to a user's kubeconfig, and back.
//!
//! ```text
//! cargo run --example grpc_client
//! ```
//!
//! The server is in this program, keeps everything in memory, and its clusters are simulated; the client would be the same for any other.

#![allow(clippy::print_stdout, reason = "printing is what it is for")]

mod records;

use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use dcm_client::{
    Client, Event, Kind, LogicalClouds,
    v1::{self as pb, OverallStatus, watch_response::Event as Told},
};
use futures_util::{StreamExt as _, TryStreamExt as _};
use tokio::time::timeout;

const PROJECT: &str = "walmart";
const CLOUD: &str = "lc-1";
const CLUSTERS: [&str; 2] = ["north", "south"];

/// How long the clusters may take.
const PATIENCE: Duration = Duration::from_secs(60);

#[tokio::main]
async fn main() -> Result<()> {
    println!("== Start the server, and connect");
    dcm_server::install_crypto_provider();
    let options =
        ["--http", "127.0.0.1:0", "--grpc", "127.0.0.1:0", "--store", "memory:", "--synchronizer", "simulated"];
    let server = dcm_server::start(dcm_server::Config::from_options(options)?).await?;
    let dcm = Client::connect(format!("http://{}", server.grpc_addr())).await?;
    let clouds = dcm.logical_clouds();

    println!("== Register a project and two clusters");
    dcm.projects().create_project(records::project(PROJECT)).await?;
    for name in CLUSTERS {
        let made = dcm.clusters().create_cluster(records::cluster(name)).await?.into_message();
        let health = made.cluster.and_then(|cluster| cluster.health).context("no word of its health")?;
        println!("   {name}: {:?}, Kubernetes {}", health.connectivity(), health.version());
    }

    println!("== Describe a logical cloud: what is wrong is named field by field, and changes nothing");
    refused(&clouds).await?;
    describe(&clouds).await?;

    println!("== Apply it, and watch how far it is");
    let order = pb::ApplyRequest { project: PROJECT.to_owned(), logical_cloud: CLOUD.to_owned(), ..Default::default() };
    let ordered = clouds.apply(order).await?.into_message().ordered.context("no order")?;
    println!("   ordered for {}", ordered.clusters.join(" and "));
    ensure!(ordered.clusters == CLUSTERS, "it was ordered for other clusters");
    wait_for(&clouds, OverallStatus::Created).await?;

    println!("== Fetch the user's kubeconfig");
    let asked =
        pb::GetKubeconfigRequest { project: PROJECT.to_owned(), logical_cloud: CLOUD.to_owned(), ..Default::default() };
    let kubeconfig: serde_json::Value = serde_json::from_str(&clouds.get_kubeconfig(asked).await?.kubeconfig)?;
    let contexts = kubeconfig["contexts"].as_array().context("a kubeconfig without contexts")?;
    for context in contexts {
        println!("   context {}, namespace {}", context["name"], context["context"]["namespace"]);
    }
    ensure!(contexts.len() == CLUSTERS.len(), "not a context for each cluster");

    println!("== Terminate it");
    let order =
        pb::TerminateRequest { project: PROJECT.to_owned(), logical_cloud: CLOUD.to_owned(), ..Default::default() };
    clouds.terminate(order).await?;
    wait_for(&clouds, OverallStatus::Deleted).await?;
    drop((dcm, clouds));
    server.stop().await;
    Ok(())
}

/// Asks for a logical cloud that cannot be.
async fn refused(clouds: &LogicalClouds) -> Result<()> {
    let mut wrong = records::logical_cloud(PROJECT, "lc-2");
    if let Some(spec) = wrong.logical_cloud.as_mut().and_then(|cloud| cloud.spec.as_mut()) {
        spec.namespace = Some("Not a label".to_owned());
        spec.user = None;
    }
    let Err(error) = clouds.create_logical_cloud(wrong).await else { bail!("it should have been refused") };
    let problem = error.problem().context("a refusal of DCM")?;
    println!("   {} ({:?}, {} over REST, request {})", problem.title, problem.code, problem.status, problem.request_id);
    for fault in error.faults() {
        println!("   {} {}", fault.place, fault.detail);
    }
    ensure!(problem.kind == Kind::Invalid, "refused for another reason");
    ensure!(error.faults().iter().any(|fault| fault.place == "/spec/namespace"), "the namespace is not named");
    Ok(())
}

/// A logical cloud with its user, a permission, a quota, and a reference to each cluster.
async fn describe(clouds: &LogicalClouds) -> Result<()> {
    clouds.create_logical_cloud(records::logical_cloud(PROJECT, CLOUD)).await?;
    for cluster in CLUSTERS {
        clouds.create_cluster_reference(records::reference(PROJECT, CLOUD, cluster)).await?;
    }
    // A verb that Kubernetes does not know is no fault, and worth a word.
    let made = clouds.create_user_permission(records::permission(PROJECT, CLOUD, &["get", "listt"])).await?;
    println!("   a warning: {}", made.warnings().first().context("no warning")?);
    let mut permission = made.into_message().user_permission.context("no permission")?;
    permission.verbs = vec!["get".to_owned(), "list".to_owned()];
    // Only if nobody has changed it meanwhile; so this may be tried again if the connection breaks.
    let update = pb::UpdateUserPermissionRequest {
        project: PROJECT.to_owned(),
        logical_cloud: CLOUD.to_owned(),
        name: permission.name().to_owned(),
        if_match: permission.etag.clone(),
        user_permission: Some(permission),
        ..Default::default()
    };
    clouds.update_user_permission(update).await?;
    clouds.create_quota(records::quota(PROJECT, CLOUD)).await?;
    let list = pb::ListClusterReferencesRequest {
        project: PROJECT.to_owned(),
        logical_cloud: CLOUD.to_owned(),
        page_size: 1,
        ..Default::default()
    };
    let references: Vec<_> = clouds.list_all_cluster_references(list).try_collect().await?;
    ensure!(references.len() == CLUSTERS.len(), "not a reference to each cluster");
    println!("   {CLOUD} in the project {PROJECT}, on {} clusters", references.len());
    Ok(())
}

/// Watches the status until it is this one, and shows each change on the way.
async fn wait_for(clouds: &LogicalClouds, wanted: OverallStatus) -> Result<()> {
    let mut watch = clouds.watch(pb::WatchRequest {
        project: PROJECT.to_owned(),
        logical_cloud: CLOUD.to_owned(),
        watched: pb::Watched::Status.into(),
        ..Default::default()
    });
    let until = async {
        while let Some(event) = watch.next().await {
            let Event::Told(pb::WatchResponse { event: Some(Told::Status(update)), .. }) = event? else { continue };
            // Whole, however many clusters there are: the client puts parts together.
            let status = update.status.context("an update without a status")?;
            println!("   {}", status.status().as_str_name());
            if status.status() == wanted {
                return Ok(());
            }
            ensure!(status.status() != OverallStatus::CreationFailed, "the clusters refused: {status:?}");
        }
        bail!("the watch has ended")
    };
    timeout(PATIENCE, until).await.context("it takes too long")?
}
