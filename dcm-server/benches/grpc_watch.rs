//! What a watch over gRPC costs the server: many of them over few connections, and what each takes of its memory.
//!
//! The server is a process of its own, on the memory store. All watches are of one list; when all have told what is there, its memory is
//! compared with that before the first one, and again when all have told some changes.
//!
//! `cargo bench -p dcm-server --bench grpc_watch [-- <watches>]`

#![allow(clippy::print_stdout, reason = "a benchmark prints its figures")]

#[path = "grpc/fill.rs"]
mod fill;
#[path = "http/load.rs"]
#[allow(dead_code, reason = "its load is HTTP/1.1")]
mod load;

use std::{env, time::Duration};

use anyhow::{Context as _, Result, bail, ensure};
use dcm_proto::v1::{self as pb, logical_clouds_client::LogicalCloudsClient, watch_response::Event};
use dcm_server::Running;
use load::Server;
use tokio::time::timeout;
use tonic::{Streaming, transport::Endpoint};

const CONNECTIONS: usize = 10;
/// How many logical clouds the list has, and how many changes are made.
const CLOUDS: usize = 100;
const CHANGES: usize = 20;
/// A watch may take no more of the server's memory.
const MOST_KIB: f64 = 20.0;
const PATIENCE: Duration = Duration::from_secs(60);

fn main() -> Result<()> {
    let arguments: Vec<String> = env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["serve"] => runtime.block_on(load::serve_dcm("memory:", &["--max-watches", "1000000"], Running::grpc_addr)),
        [] => runtime.block_on(measure(1000)),
        [watches] => runtime.block_on(measure(watches.parse()?)),
        _ => bail!("give the number of watches, or nothing"),
    }
}

async fn measure(watches: usize) -> Result<()> {
    let server = Server::start(&["serve"])?;
    let mut clients = Vec::new();
    for _ in 0..CONNECTIONS {
        // Many quiet streams on one connection: h2 ends it where its window is small.
        let endpoint = Endpoint::from_shared(format!("http://{}", server.address))?;
        let channel = endpoint.initial_connection_window_size(16 * 1024 * 1024).connect().await?;
        clients.push(LogicalCloudsClient::new(channel));
    }
    let mut writer = clients[0].clone();
    for number in 0..CLOUDS {
        let logical_cloud = Some(fill::logical_cloud(&format!("lc-{number}"), &format!("ns-{number}")));
        let project = fill::PROJECT.to_owned();
        writer.create_logical_cloud(pb::CreateLogicalCloudRequest { project, logical_cloud }).await?;
    }
    // What a first watch on each connection makes is not a watch's.
    for client in &mut clients {
        synced(&mut client.watch(asked()).await?.into_inner()).await?;
    }
    let before = server.resident()?;
    let mut open = Vec::with_capacity(watches);
    for number in 0..watches {
        let mut watch = clients[number % CONNECTIONS].watch(asked()).await?.into_inner();
        synced(&mut watch).await?;
        open.push(watch);
    }
    let opened = server.resident()?;
    for number in 0..CHANGES {
        let name = format!("lc-{}", number % CLOUDS);
        let mut cloud = fill::logical_cloud(&name, &format!("ns-{}", number % CLOUDS));
        cloud.metadata.get_or_insert_default().description = format!("change-{number}");
        let project = fill::PROJECT.to_owned();
        let update = pb::UpdateLogicalCloudRequest { project, name, logical_cloud: Some(cloud), ..Default::default() };
        writer.update_logical_cloud(update).await?;
        for watch in &mut open {
            let Event::LogicalCloud(told) = next(watch).await? else { bail!("something else was told") };
            let description = told.metadata.context("no metadata")?.description;
            ensure!(description == format!("change-{number}"), "{description} was told");
        }
    }
    let told = server.resident()?;
    let each = |kib: u64| kib.saturating_sub(before) as f64 / watches as f64;
    println!("{watches} watches of one list of {CLOUDS} logical clouds, over {CONNECTIONS} connections:");
    println!(
        "  {:.1} KiB of the server's memory for each, and {:.1} KiB after {CHANGES} changes",
        each(opened),
        each(told)
    );
    println!("  {MOST_KIB} KiB are allowed");
    ensure!(each(told) <= MOST_KIB, "that is too much");
    Ok(())
}

fn asked() -> pb::WatchRequest {
    let (project, watched) = (fill::PROJECT.to_owned(), pb::Watched::LogicalClouds.into());
    pb::WatchRequest { project, watched, ..Default::default() }
}

async fn next(watch: &mut Streaming<pb::WatchResponse>) -> Result<Event> {
    let told = timeout(PATIENCE, watch.message()).await.context("nothing was told")??;
    told.and_then(|told| told.event).context("the watch has ended")
}

/// Reads until all that is there was told.
async fn synced(watch: &mut Streaming<pb::WatchResponse>) -> Result<()> {
    while !matches!(next(watch).await?, Event::Synced(_)) {}
    Ok(())
}
