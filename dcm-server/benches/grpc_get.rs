//! `GetLogicalCloud` against two yardsticks that answer a constant message of the same size: tonic, and tonic with the same kind of
//! layers.
//!
//! Each server is a process of its own with one thread, so that it has one core at most; this process makes the load on a thread of
//! its own, with some connections and many calls at once on each. The rounds alternate, and the medians are compared: by the clock,
//! which the load's own cost blurs, and by the processor time that the servers used.
//!
//! `cargo bench -p dcm-server --bench grpc_get [-- <calls at once>…]`

#![allow(clippy::print_stdout, reason = "a benchmark prints its figures")]

#[path = "http/compared.rs"]
mod compared;
#[path = "grpc/constant.rs"]
mod constant;
#[path = "grpc/fill.rs"]
mod fill;
#[path = "http/layered.rs"]
mod layered;
#[path = "http/load.rs"]
#[allow(dead_code, reason = "its load is HTTP/1.1")]
mod load;

use std::{
    env,
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};
use data_encoding::HEXLOWER;
use dcm_proto::v1::{self as pb, logical_clouds_client::LogicalCloudsClient};
use dcm_server::Running;
use load::{Measured, Server, nanos_since};
use prost::Message as _;
use tokio::task::JoinSet;
use tonic::transport::{Channel, Endpoint};

const ROUND: Duration = Duration::from_secs(2);
const ROUNDS: usize = 7;
/// Over so many connections.
const CONNECTIONS: usize = 8;

fn main() -> Result<()> {
    let arguments: Vec<String> = env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["serve-dcm", store] => runtime.block_on(load::serve_dcm(store, &[], Running::grpc_addr)),
        ["serve-tonic", message] => runtime.block_on(constant::serve(&HEXLOWER.decode(message.as_bytes())?)),
        ["serve-layered", message] => {
            let routes = constant::routes(&HEXLOWER.decode(message.as_bytes())?)?;
            runtime.block_on(layered::listen(routes.into_axum_router()))
        }
        [] => runtime.block_on(compare(&[32, 256])),
        calls => {
            let calls = calls.iter().map(|count| count.parse()).collect::<Result<Vec<usize>, _>>()?;
            runtime.block_on(compare(&calls))
        }
    }
}

async fn compare(calls: &[usize]) -> Result<()> {
    let directory = tempfile::tempdir()?;
    let sled = Server::start(&["serve-dcm", &format!("sled:{}", directory.path().join("data").display())])?;
    let memory = Server::start(&["serve-dcm", "memory:"])?;
    let mut messages = Vec::new();
    for server in [&sled, &memory] {
        fill::one_cloud(channel(server).await?).await?;
        let read = LogicalCloudsClient::new(channel(server).await?).get_logical_cloud(asked()).await?;
        messages.push(read.into_inner().encode_to_vec());
    }
    // Their etags are not of one length.
    let [of_sled, of_memory] = [messages[0].len(), messages[1].len()];
    ensure!(of_sled.abs_diff(of_memory) <= 64, "the stores answer differently: {of_sled} and {of_memory} bytes");
    let message = HEXLOWER.encode(&messages[0]);
    let tonic = Server::start(&["serve-tonic", &message])?;
    let layered = Server::start(&["serve-layered", &message])?;
    let servers =
        [("tonic, constant", &tonic), ("tonic, layers", &layered), ("DCM on sled", &sled), ("DCM on memory", &memory)];
    for &calls in calls {
        println!(
            "GetLogicalCloud: {} bytes, {calls} calls at once over {} connections, {ROUNDS} rounds of {ROUND:?}",
            messages[0].len(),
            CONNECTIONS.min(calls)
        );
        let results = compared::in_turn(&servers, ROUNDS, async |_, server| round(server, calls).await).await?;
        compared::print("calls", &servers, &results);
    }
    Ok(())
}

async fn channel(server: &Server) -> Result<Channel> {
    Ok(Endpoint::from_shared(format!("http://{}", server.address))?.connect().await?)
}

fn asked() -> pb::GetLogicalCloudRequest {
    let (project, name) = (fill::PROJECT.to_owned(), fill::CLOUD.to_owned());
    pb::GetLogicalCloudRequest { project, name, ..Default::default() }
}

/// Loads one server for a while, with so many calls at once.
async fn round(server: &Server, calls: usize) -> Result<Measured> {
    let mut channels = Vec::new();
    for _ in 0..CONNECTIONS.min(calls) {
        channels.push(channel(server).await?);
    }
    let (started, cpu) = (Instant::now(), server.cpu()?);
    let mut callers = JoinSet::new();
    for channel in channels.iter().cycle().take(calls) {
        let mut client = LogicalCloudsClient::new(channel.clone());
        callers.spawn(async move {
            let mut latencies = Vec::new();
            while started.elapsed() < ROUND {
                let begun = Instant::now();
                client.get_logical_cloud(asked()).await?;
                latencies.push(nanos_since(begun));
            }
            Ok::<_, tonic::Status>(latencies)
        });
    }
    let mut latencies = Vec::new();
    while let Some(ended) = callers.join_next().await {
        latencies.extend(ended??);
    }
    Ok(Measured::of(latencies, started.elapsed().as_secs_f64(), server.cpu()? - cpu))
}
