//! Servers in processes of their own on one MongoDB, which are killed and paused in the middle of their work.
//!
//! `DCM_TEST_KILLS` sets how often.

use std::{path::Path, time::Duration};

use dcm_sim::Cluster;
use dcm_test_utils::{mongodb::fresh_database, patience::until_so};
use rustix::process::Signal;
use tokio::time::Instant;

#[path = "../common/process.rs"]
#[allow(dead_code, reason = "shared with other suites")]
mod process;

use crate::bed::{Api, clusters};
use process::{Process, kills};

const LEASE: Duration = Duration::from_secs(2);

/// How long a cluster takes for each request: an apply of all of them takes a second or two.
const LATENCY: Duration = Duration::from_millis(60);

/// How long the work itself may take that is left, on a busy machine.
const WORK: Duration = Duration::from_secs(8);

/// A server that can be killed and paused.
struct Server {
    process: Process,
    api: Api,
}

impl Server {
    async fn start(uri: &str, folder: &Path) -> Self {
        let process = Process::on_store(uri, folder).env("DCM_LEASE", &format!("{}s", LEASE.as_secs()));
        let mut process = process.env("DCM_RESYNC_PERIOD", "0").env("DCM_CLUSTER_CONCURRENCY", "4");
        process.start().await;
        let api = Api::of(process.base());
        Self { process, api }
    }

    async fn are_members(&self, count: u64) {
        until_so(LEASE * 4, "all are members", async || self.api.counted("members").await == count).await;
    }
}

fn holds(cluster: &Cluster, cloud: &str) -> bool {
    cluster.objects().get("roles.rbac.authorization.k8s.io", cloud, "p-1").is_some()
}

/// Different moments in every round, the same in every run.
fn moment(round: u32) -> Duration {
    Duration::from_millis(u64::from(round.wrapping_mul(2_654_435_761) >> 16) % 1_500)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_killed_server_had_in_hand_is_taken_over_within_twice_the_lease() {
    let Some(uri) = fresh_database("what_a_killed_server_had_in_hand") else { return };
    let clusters = clusters(10, LATENCY).await;
    let folder = tempfile::tempdir().unwrap();
    let mut servers = [Server::start(&uri, folder.path()).await, Server::start(&uri, folder.path()).await];
    servers[0].api.register(&clusters).await;
    let (mut longest, mut takeovers) = (Duration::ZERO, 0);
    for round in 0..kills(4) {
        let (victim, witness) = ((round % 2) as usize, ((round + 1) % 2) as usize);
        servers[witness].are_members(2).await;
        let before = servers[witness].api.counted("takeovers_total").await;
        let claims = servers[victim].api.counted("claims_total").await;
        let name = format!("lc-{round}");
        let cloud = servers[victim].api.create(&name, &clusters).await;
        servers[victim].api.apply(&cloud).await;
        let begun = async || servers[victim].api.counted("claims_total").await > claims;
        until_so(Duration::from_secs(60), "begun", begun).await;
        tokio::time::sleep(moment(round)).await;
        servers[victim].process.kill();
        let killed = Instant::now();
        servers[witness].api.wait_for(&cloud, "Created").await;
        longest = longest.max(killed.elapsed());
        assert!(clusters.iter().all(|cluster| holds(cluster, &name)), "round {round}");
        assert!(killed.elapsed() < LEASE * 2 + WORK, "round {round}: {:?}", killed.elapsed());
        takeovers += servers[witness].api.counted("takeovers_total").await - before;
        servers[victim].process.start().await;
    }
    println!("{} kills, {takeovers} claims taken over; all was as ordered after {longest:?} at most", kills(4));
    assert!(takeovers > 0, "nothing was in hand when a server was killed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_server_that_wakes_after_its_lease_touches_nothing_under_its_old_claims() {
    let Some(uri) = fresh_database("a_paused_server_that_wakes") else { return };
    let clusters = clusters(10, LATENCY).await;
    let folder = tempfile::tempdir().unwrap();
    let servers = [Server::start(&uri, folder.path()).await, Server::start(&uri, folder.path()).await];
    servers[0].api.register(&clusters).await;
    for round in 0..kills(4).min(20) {
        let (victim, witness) = (&servers[(round % 2) as usize], &servers[((round + 1) % 2) as usize]);
        witness.are_members(2).await;
        let lost = victim.api.counted("lost_leases_total").await;
        let name = format!("lc-{round}");
        let cloud = victim.api.create(&name, &clusters).await;
        victim.api.apply(&cloud).await;
        tokio::time::sleep(moment(round)).await;
        victim.process.signal(Signal::STOP);
        let paused = Instant::now();
        witness.api.wait_for(&cloud, "Created").await;
        assert!(paused.elapsed() < LEASE * 2 + WORK, "round {round}: {:?}", paused.elapsed());
        witness.api.terminate(&cloud).await;
        witness.api.wait_for(&cloud, "Deleted").await;
        // The one that sleeps has claims, and thinks that the logical cloud is applied.
        tokio::time::sleep((LEASE * 3).saturating_sub(paused.elapsed())).await;
        clusters.iter().for_each(Cluster::clear_requests);
        victim.process.signal(Signal::CONT);
        until_so(LEASE * 4, "noticed", async || victim.api.counted("lost_leases_total").await > lost).await;
        witness.are_members(2).await;
        for cluster in &clusters {
            let asked = cluster.requests();
            assert!(asked.is_empty(), "round {round}: {asked:#?}");
            assert!(cluster.objects().get("namespaces", "", &name).is_none(), "round {round}: {}", cluster.name());
        }
        victim.api.wait_for(&cloud, "Deleted").await;
    }
}
