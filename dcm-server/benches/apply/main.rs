//! Apply of a logical cloud, against bare kube clients that send the same requests with the same concurrency.
//!
//! The clusters are simulated, all in one process; DCM is another process, the bare clients a third. What they
//! send is recorded from DCM's own apply on one cluster, and sent in the same order: a request goes out as soon
//! as those have ended that had ended when DCM sent it. Every round has fresh clusters and a fresh server, and
//! connections are made anew by both; medians are compared.
//!
//! `cargo bench -p dcm-server --bench apply [-- [--quick] [part…]]`, parts: `ratio` (and memory), `repeat`,
//! `dead`, `latency`, `away`, `real` (only where `DCM_TEST_KUBECONFIGS` names a folder of kubeconfigs).

#![allow(clippy::print_stdout, reason = "a benchmark prints its figures")]

#[path = "../../src/allocator.rs"]
mod allocator;
mod clusters;
mod part;
mod real;
mod recording;
mod server;
mod yardstick;

use std::{env, time::Duration};

use anyhow::Result;
use dcm_sim::{Cluster, ClusterOptions};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use clusters::Clusters;
use part::{Part, number, play};
use recording::{Recorder, Step};
use server::Server;
use yardstick::Yardstick;

/// How many clusters are worked on side by side; DCM's default.
const CONCURRENCY: usize = 64;
/// The objects of the measured logical cloud on each cluster: namespace, two roles, two bindings, a quota.
const OBJECTS: usize = 6;
const STORES: [&str; 2] = ["memory:", "sled:"];
const PARTS: [&str; 6] = ["ratio", "repeat", "dead", "latency", "away", "real"];

fn main() -> Result<()> {
    dcm_server::install_crypto_provider();
    let arguments: Vec<String> = env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let runtime = Runtime::new()?;
    match arguments.as_slice() {
        ["play-clusters"] => return play(&runtime, Clusters::default()),
        ["play-yardstick"] => return play(&runtime, Yardstick),
        ["play-server", store] => {
            let server = runtime.block_on(Server::start(store))?;
            return play(&runtime, server);
        }
        _ => {}
    }
    let quick = arguments.contains(&"--quick");
    let wanted: Vec<&str> = arguments.iter().copied().filter(|argument| *argument != "--quick").collect();
    for part in &wanted {
        anyhow::ensure!(PARTS.contains(part), "there is no {part}; there are {PARTS:?}");
    }
    let wants = |part: &str| wanted.is_empty() || wanted.contains(&part);
    let mut bench = Bench { clusters: Part::start(&["play-clusters"])?, quick };
    if wants("ratio") {
        bench.ratio(&runtime)?;
    }
    if wants("repeat") {
        bench.repeat()?;
    }
    if wants("dead") {
        bench.dead()?;
    }
    if wants("latency") {
        bench.latency()?;
    }
    if wants("away") {
        bench.away()?;
    }
    if wants("real") {
        real::apply(&runtime, if quick { 1 } else { 5 })?;
    }
    Ok(())
}

struct Bench {
    clusters: Part,
    quick: bool,
}

/// One apply.
struct Measured {
    seconds: f64,
    /// Processor time of who asked.
    cpu: f64,
    /// … and of the clusters with it: the time that it takes where nobody else uses the machine.
    all: f64,
    /// Growth of the resident memory meanwhile, in KiB.
    grown: f64,
    requests: f64,
}

/// What is compared of two applies.
const FIELDS: [fn(&Measured) -> f64; 3] = [|m| m.seconds, |m| m.cpu, |m| m.all];

fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn seconds(answer: &Value) -> f64 {
    number(answer, "micros") as f64 / 1e6
}

/// Has DCM apply to one cluster and writes down what it sends.
fn record(runtime: &Runtime) -> Result<Vec<Step>> {
    let options = ClusterOptions::named("recorded").signing_delay(Duration::ZERO);
    let (_cluster, recorder, kubeconfig) = runtime.block_on(async {
        let cluster = Cluster::start(options).await?;
        let (recorder, kubeconfig) = Recorder::start(&cluster).await?;
        anyhow::Ok((cluster, recorder, kubeconfig))
    })?;
    let mut server = Server::part("memory:")?;
    server.ask(&json!({ "do": "register", "kubeconfigs": [kubeconfig] }))?;
    server.ask(&json!({ "do": "create", "to": 1 }))?;
    recorder.take();
    server.tell("apply")?;
    Ok(recorder.take())
}

impl Bench {
    /// DCM against bare clients, by the number of clusters.
    fn ratio(&mut self, runtime: &Runtime) -> Result<()> {
        let steps = record(runtime)?;
        println!(
            "apply on N clusters, {} requests on each, {CONCURRENCY} clusters side by side\n\
             {:>5} {:<12} {:>9} {:>6} {:>9} {:>6} {:>15} {:>6} {:>9} {:>10}",
            steps.len(),
            "N",
            "",
            "ms",
            "ratio",
            "cpu ms",
            "ratio",
            "+ clusters' cpu",
            "ratio",
            "requests",
            "grown KiB"
        );
        let sizes: &[(usize, usize)] =
            if self.quick { &[(1, 3), (20, 1)] } else { &[(1, 9), (10, 7), (100, 5), (1000, 3)] };
        for &(size, rounds) in sizes {
            let mut results = [const { Vec::new() }; 3];
            for _ in 0..rounds {
                results[0].push(self.bare(&steps, size)?);
                for (results, store) in results[1..].iter_mut().zip(STORES) {
                    results.push(self.round(store, size)?);
                }
            }
            let of = |results: &[Measured], field: fn(&Measured) -> f64| median(results.iter().map(field));
            let yardstick = FIELDS.map(|field| of(&results[0], field));
            for (name, results) in ["bare clients", "DCM memory:", "DCM sled:"].iter().zip(&results) {
                let [time, cpu, all] = FIELDS.map(|field| of(results, field));
                println!(
                    "{size:>5} {name:<12} {:>9.1} {:>6.2} {:>9.0} {:>6.2} {:>15.0} {:>6.2} {:>9.0} {:>10.0}",
                    time * 1e3,
                    time / yardstick[0],
                    cpu * 1e3,
                    cpu / yardstick[1],
                    all * 1e3,
                    all / yardstick[2],
                    of(results, |m| m.requests),
                    of(results, |m| m.grown)
                );
            }
        }
        Ok(())
    }

    fn bare(&mut self, steps: &[Step], size: usize) -> Result<Measured> {
        let kubeconfigs = self.fresh(size, 0)?;
        let mut yardstick = Part::start(&["play-yardstick"])?;
        let before = (yardstick.cpu()?, self.clusters.cpu()?);
        let question = json!({ "steps": steps, "kubeconfigs": kubeconfigs, "concurrency": CONCURRENCY });
        let answer = yardstick.ask(&question)?;
        self.measured(&answer, &yardstick, before)
    }

    fn round(&mut self, store: &str, size: usize) -> Result<Measured> {
        let mut server = self.filled(store, size, 0)?;
        let before = (server.cpu()?, self.clusters.cpu()?);
        let answer = server.tell("apply")?;
        self.measured(&answer, &server, before)
    }

    fn measured(&mut self, answer: &Value, asker: &Part, before: (f64, f64)) -> Result<Measured> {
        let cpu = asker.cpu()? - before.0;
        let all = cpu + self.clusters.cpu()? - before.1;
        let requests = self.clusters.tell("requests")?;
        let requests = requests.as_object().into_iter().flat_map(serde_json::Map::values).filter_map(Value::as_f64);
        Ok(Measured {
            seconds: seconds(answer),
            cpu,
            all,
            grown: number(answer, "grown") as f64,
            requests: requests.sum(),
        })
    }

    fn fresh(&mut self, size: usize, latency: usize) -> Result<Value> {
        Ok(self.clusters.ask(&json!({ "do": "start", "count": size, "latency": latency }))?["kubeconfigs"].take())
    }

    /// A server that knows fresh clusters, with a logical cloud on all of them, and has no connection to any.
    fn filled(&mut self, store: &str, size: usize, latency: usize) -> Result<Part> {
        let kubeconfigs = self.fresh(size, latency)?;
        let mut server = Server::part(store)?;
        server.ask(&json!({ "do": "register", "kubeconfigs": kubeconfigs }))?;
        server.ask(&json!({ "do": "create", "to": size }))?;
        self.clusters.tell("break connections")?;
        Ok(server)
    }

    /// An apply that changes nothing.
    fn repeat(&mut self) -> Result<()> {
        let size = if self.quick { 10 } else { 100 };
        let mut server = self.filled("memory:", size, 0)?;
        server.tell("apply")?;
        self.clusters.tell("requests")?;
        let answer = server.tell("apply")?;
        let requests = self.clusters.tell("requests")?;
        let sum: f64 =
            requests.as_object().into_iter().flat_map(serde_json::Map::values).filter_map(Value::as_f64).sum();
        println!(
            "a repeat that changes nothing, on {size} clusters: {:.1} ms, {requests}: {:.2} requests for each of {OBJECTS} objects",
            seconds(&answer) * 1e3,
            sum / (size * OBJECTS) as f64
        );
        Ok(())
    }

    /// A tenth of the clusters dead: until the living ones are as they should be.
    fn dead(&mut self) -> Result<()> {
        println!("a tenth of the clusters dead, until all living are as they should be");
        let sizes: &[(usize, usize)] = if self.quick { &[(20, 1)] } else { &[(100, 5), (300, 3)] };
        for &(size, rounds) in sizes {
            let living = size - size / 10;
            let mut times = [const { Vec::new() }; 3];
            for _ in 0..rounds {
                for (times, how) in times.iter_mut().zip(["", "refuse", "hang"]) {
                    let all = if how.is_empty() { living } else { size };
                    let mut server = self.filled("memory:", all, 0)?;
                    if !how.is_empty() {
                        self.clusters.ask(&json!({ "do": how, "every": 10 }))?;
                    }
                    times.push(seconds(&server.ask(&json!({ "do": "apply", "living": living }))?));
                }
            }
            let [none, refuse, hang] = times.map(median);
            println!(
                "{size:>5} none dead, {living} living {:.0} ms; connections refused {:.0} ms ({:.2}); no answers {:.0} ms ({:.2})",
                none * 1e3,
                refuse * 1e3,
                refuse / none,
                hang * 1e3,
                hang / none
            );
        }
        Ok(())
    }

    /// From apply accepted to applied, where every answer takes 5 ms.
    fn latency(&mut self) -> Result<()> {
        let (size, clouds) = if self.quick { (20, 3) } else { (100, 20) };
        let mut server = self.filled("sled:", size, 5)?;
        let mut times = Vec::new();
        for cloud in 0..clouds {
            let name = format!("late-{cloud}");
            server.ask(&json!({ "do": "create", "name": name, "to": size }))?;
            let answer = server.ask(&json!({ "do": "apply", "name": name }))?;
            times.push(seconds(&answer) - number(&answer, "accepted") as f64 / 1e6);
        }
        times.sort_by(f64::total_cmp);
        println!(
            "accepted to applied on {size} clusters with 5 ms latency, {clouds} times: median {:.0} ms, longest {:.0} ms",
            times[clouds / 2] * 1e3,
            times[clouds - 1] * 1e3
        );
        Ok(())
    }

    /// Many logical clouds on a cluster that stays away and one that comes back: until the latter is served.
    fn away(&mut self) -> Result<()> {
        let (clouds, absence) = if self.quick { (10, 1) } else { (100, 5) };
        // Those that hang are noticed when requests run out of time: too long for a quick look.
        let ways: &[&str] = if self.quick { &["refuse"] } else { &["refuse", "hang"] };
        for how in ways {
            let mut server = self.filled("memory:", 2, 0)?;
            for number in 0..clouds {
                server.ask(&json!({ "do": "create", "name": format!("lc-{number}a"), "to": 2 }))?;
            }
            self.clusters.ask(&json!({ "do": how, "from": 0, "to": 2 }))?;
            for number in 0..clouds {
                server.ask(&json!({ "do": "order", "name": format!("lc-{number}a") }))?;
            }
            std::thread::sleep(Duration::from_secs(absence));
            self.clusters.ask(&json!({ "do": "serve", "from": 1, "to": 2 }))?;
            let answer = server.ask(&json!({ "do": "await", "clouds": clouds, "reference": "c1" }))?;
            println!(
                "{clouds} logical clouds on a cluster that is away ({how}) and one that was for {absence} s: served {:.1} s after it is back, {}",
                seconds(&answer),
                self.clusters.tell("requests")?
            );
        }
        Ok(())
    }
}
