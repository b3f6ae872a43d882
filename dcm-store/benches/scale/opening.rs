//! How long it takes to open a large store of sled, in a process of its own: after the one that wrote it was killed
//! or closed, and again.

use std::{
    io::{BufRead as _, BufReader, Read as _},
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use dcm_store::{Config, SledConfig};
use tokio::runtime::Runtime;

use crate::documents::{self, Shape};

pub(crate) const FILL: &str = "--fill";
pub(crate) const OPEN: &str = "--open";

const TARGET: Duration = Duration::from_secs(5);
const AGAIN: usize = 3;

/// Fills a store, says so, and ends in good order once nobody writes to it any more.
pub(crate) fn fill_and_wait(runtime: &Runtime, path: &str, shape: Shape, count: u64) {
    let store = runtime.block_on(dcm_store::open(Config::Sled(SledConfig::new(path)))).unwrap();
    let start = Instant::now();
    runtime.block_on(documents::fill(&store, shape, count));
    println!("written in {:.1?}, then {} MiB resident", start.elapsed(), resident() / 1024);
    std::io::stdin().read_to_end(&mut Vec::new()).unwrap();
    let start = Instant::now();
    drop(store);
    println!("closed in {:.1?}", start.elapsed());
}

/// Opens a store, and says how long that took.
pub(crate) fn open_and_tell(runtime: &Runtime, path: &str) {
    let start = Instant::now();
    let store = runtime.block_on(dcm_store::open(Config::Sled(SledConfig::new(path)))).unwrap();
    let took = start.elapsed();
    let verdict = if took <= TARGET { "PASS" } else { "BELOW" };
    println!("opened in {took:.2?} (target {TARGET:?}: {verdict}), then {} MiB resident", resident() / 1024);
    drop(store);
}

/// Fills the store `many` in a directory, ends the process that did, and opens it several times.
pub(crate) fn measure(place: &Path, shape: Shape, count: u64, killed: bool) {
    let (me, many) = (std::env::current_exe().unwrap(), place.join("many"));
    let mut filling = Command::new(&me)
        .args([FILL, many.to_str().unwrap(), shape.name(), &count.to_string()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = BufReader::new(filling.stdout.take().unwrap()).lines();
    println!("{}", said.next().unwrap().unwrap());
    if killed {
        filling.kill().unwrap();
    } else {
        drop(filling.stdin.take());
        println!("{}", said.next().unwrap().unwrap());
    }
    filling.wait().unwrap();
    println!("{} MiB on the disk", size_of(&many) / 1024 / 1024);
    for when in std::iter::once(if killed { "after kill -9" } else { "after a clean end" })
        .chain(std::iter::repeat_n("once more", AGAIN))
    {
        print!("{when}: ");
        // What was not printed yet must come before what the other process prints.
        std::io::Write::flush(&mut std::io::stdout()).unwrap();
        assert!(Command::new(&me).arg(OPEN).arg(&many).status().unwrap().success());
    }
}

fn size_of(directory: &Path) -> u64 {
    let files = std::fs::read_dir(directory).unwrap();
    files.map(|file| file.unwrap().metadata().unwrap()).filter(|file| file.is_file()).map(|file| file.len()).sum()
}

/// The resident memory of this process in KiB, or 0 where the system does not say.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(0)
}
