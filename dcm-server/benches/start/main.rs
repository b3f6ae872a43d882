//! How long the server takes from its start until it is ready, with nothing stored and with 10,000 logical clouds
//! on 100 clusters each: `cargo bench -p dcm-server --bench start [-- --quick | -- <clouds> <clusters>]`.
//!
//! What is stored was written by the server itself, for one logical cloud, and then copied with other names and ids;
//! users' keys and kubeconfigs are sealed anew for each. The server is a process of its own. The full size takes
//! some 15 GB of disk below the target directory and several minutes to write.
//!
//! `-- --many [<clouds>]` asks for logical clouds over HTTP instead: out of 1,000,000 that are not applied, and out of 1,000.

#![allow(clippy::print_stdout, reason = "a benchmark prints its figures")]

#[path = "../../src/allocator.rs"]
mod allocator;
mod copies;
mod many;
mod server;
mod template;

use std::{path::Path, time::Duration};

use anyhow::{Result, bail};

use server::Server;

const CLOUDS: usize = 10_000;
const CLUSTERS: usize = 100;
const QUICK: usize = 100;
const MANY: usize = 1_000_000;
const ROUNDS: usize = 3;
const TARGET: Duration = Duration::from_secs(5);

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        [server::SERVE, directory] => runtime.block_on(server::serve(Path::new(directory))),
        [server::FILL, directory, clouds, clusters] => {
            runtime.block_on(copies::fill(Path::new(directory), clouds.parse()?, clusters.parse()?))
        }
        [] => compare(CLOUDS, CLUSTERS),
        ["--many"] => many::compare(MANY),
        ["--many", clouds] => many::compare(clouds.parse()?),
        ["--quick"] => compare(QUICK, CLUSTERS),
        [clouds, clusters] => compare(clouds.parse()?, clusters.parse()?),
        _ => bail!("give --quick, --many, or the numbers of logical clouds and of clusters, or nothing"),
    }
}

fn compare(clouds: usize, clusters: usize) -> Result<()> {
    let place = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
    let (empty, full) = (place.path().join("empty"), place.path().join("full"));
    println!("{clouds} logical clouds on {clusters} clusters each");
    server::run(&[server::FILL, &full.to_string_lossy(), &clouds.to_string(), &clusters.to_string()])?;
    println!("{:<44} {:>8} {:>12}", "", "ready in", "resident MiB");
    // Makes the empty store.
    Server::start(&empty)?.stop()?;
    let replayed = start("full, all that was written still in the log", &full)?;
    let (mut empties, mut fulls) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        empties.push(start("empty", &empty)?);
        fulls.push(start("full", &full)?);
    }
    let empty = median(empties);
    for (what, full) in [("after all was written", replayed), ("otherwise (median)", median(fulls))] {
        let more = full.saturating_sub(empty);
        let verdict = if more <= TARGET { "PASS" } else { "BELOW" };
        println!("{what}: {more:.2?} more than empty, target {TARGET:?}: {verdict}");
    }
    Ok(())
}

fn start(what: &str, directory: &Path) -> Result<Duration> {
    let server = Server::start(directory)?;
    let (took, resident) = (server.ready_after, server.resident()?);
    println!("{what:<44} {took:>8.2?} {:>12}", resident / 1024);
    server.stop()?;
    Ok(took)
}

fn median(mut all: Vec<Duration>) -> Duration {
    all.sort();
    all[all.len() / 2]
}
