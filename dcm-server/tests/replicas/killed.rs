//! Processes that are killed at random, and what becomes of the work that was acknowledged.

use std::time::{Duration, Instant};

use dcm_test_utils::patience::{until, until_so};
use reqwest::Method;
use serde_json::json;

use crate::{
    clusters::{Cluster, Clusters},
    fleet::{Fleet, LEASE, PATIENCE, call},
    process::kills,
};

/// How many processes are killed where `DCM_TEST_KILLS` does not say.
const KILLS: u32 = 8;

/// Registers real clusters; answers their names.
pub(crate) async fn register(fleet: &Fleet, clusters: &Clusters) -> Vec<String> {
    for cluster in clusters.iter() {
        let body = json!({ "metadata": { "name": cluster.name }, "spec": { "kubeconfig": cluster.kubeconfig } });
        fleet.post("/v2/cluster-providers/default/clusters", &body).await.expect(201);
    }
    clusters.iter().map(|cluster| cluster.name.clone()).collect()
}

pub(crate) fn has_namespace(cluster: &Cluster, namespace: &str) -> bool {
    !cluster.admin(&["get", "namespace", namespace, "--ignore-not-found", "-o", "name"]).expect().is_empty()
}

/// One logical cloud that is applied and terminated again and again, until it is told to stop; answers how many orders were acknowledged,
/// and whether the last one was an apply.
async fn orders(client: reqwest::Client, bases: Vec<String>, cloud: String, until: Instant) -> (usize, bool) {
    let (mut acknowledged, mut applied) = (0, false);
    while Instant::now() < until {
        let (order, taken) = if applied { ("terminate", 202) } else { ("apply", 200) };
        let answer = call(&client, &bases, Method::POST, &format!("{cloud}/{order}"), None).await;
        assert_eq!(answer.status.as_u16(), taken, "{order}: {}", answer.body);
        (acknowledged, applied) = (acknowledged + 1, !applied);
        tokio::time::sleep(Duration::from_millis(fastrand::u64(200..1500))).await;
    }
    (acknowledged, applied)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_is_finished_whoever_is_killed() {
    let Some(clusters) = Clusters::find("killed processes", 3) else { return };
    let lease = format!("--resync-period={}s", 60);
    let Some(mut fleet) = Fleet::start("killed processes", &[&lease]).await else { return };
    let names = register(&fleet, &clusters).await;
    let mut clouds = Vec::new();
    for number in 1..=4 {
        let namespace = clusters.namespace(&format!("killed-{number}"));
        clouds.push((fleet.cloud(&format!("killed-{number}"), &namespace, &names).await, namespace));
    }
    let kills = kills(KILLS);
    let every = Duration::from_millis(1500);
    let end = Instant::now() + every * kills;
    let bases = fleet.bases();
    let streams: Vec<_> = clouds
        .iter()
        .map(|(cloud, _)| tokio::spawn(orders(fleet.client().clone(), bases.clone(), cloud.clone(), end)))
        .collect();
    for _ in 0..kills {
        // Never both main servers at once: a client behind a load balancer always finds one.
        let at = fastrand::usize(0..5);
        let process = fleet.all().nth(at).unwrap();
        process.kill();
        tokio::time::sleep(every / 2).await;
        process.spawn();
        tokio::time::sleep(every / 2).await;
    }
    let mut acknowledged = 0;
    let quiet = Instant::now();
    for (stream, (cloud, namespace)) in streams.into_iter().zip(&clouds) {
        let (taken, applied) = stream.await.unwrap();
        acknowledged += taken;
        fleet.wait_for(cloud, if applied { "Created" } else { "Deleted" }).await;
        for cluster in clusters.iter() {
            assert_eq!(has_namespace(cluster, namespace), applied, "{cloud} on {}", cluster.name);
        }
    }
    println!(
        "{acknowledged} orders acknowledged, {kills} processes killed; all finished {:?} after the last one",
        quiet.elapsed()
    );
    for (cloud, namespace) in &clouds {
        fleet.post(&format!("{cloud}/terminate"), &json!({})).await;
        fleet.wait_for(cloud, "Deleted").await;
        assert!(clusters.iter().all(|cluster| !has_namespace(cluster, namespace)), "{cloud}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_synchronizers_work_is_taken_over_within_two_leases() {
    let Some(clusters) = Clusters::find("a take-over", 3) else { return };
    let Some(mut fleet) = Fleet::start("a take-over", &[]).await else { return };
    let names = register(&fleet, &clusters).await;
    let namespace = clusters.namespace("over");
    let cloud = fleet.cloud("over", &namespace, &names).await;
    // The other one cannot help before this one is dead.
    fleet.synchronizers[1].signal(rustix::process::Signal::STOP);
    fleet.post(&format!("{cloud}/apply"), &json!({})).await.expect(200);
    // It has begun: some cluster is claimed, or done.
    until_so(PATIENCE, "begun", async || clusters.iter().any(|cluster| has_namespace(cluster, &namespace))).await;
    fleet.synchronizers[0].kill();
    let dead = Instant::now();
    fleet.synchronizers[1].signal(rustix::process::Signal::CONT);
    until(PATIENCE, "created", async || {
        let status = fleet.get(&format!("{cloud}/status")).await.expect(200);
        if status["status"] == "Created" { Ok(()) } else { Err(status) }
    })
    .await;
    let took = dead.elapsed();
    println!("taken over and finished after {took:?}, with a lease of {LEASE:?}");
    // Beside the take-over there is the work itself.
    assert!(took < LEASE * 2 + Duration::from_secs(10), "{took:?}");
    fleet.post(&format!("{cloud}/terminate"), &json!({})).await.expect(202);
    fleet.wait_for(&cloud, "Deleted").await;
}
