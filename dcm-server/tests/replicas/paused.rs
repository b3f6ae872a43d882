//! A synchronizer that is frozen past its lease, and woken when another one has its work.

use dcm_test_utils::patience::until_so;
use rustix::process::Signal;
use serde_json::json;

use crate::{
    clusters::Clusters,
    fleet::{Fleet, LEASE, PATIENCE},
    killed::{has_namespace, register},
};

#[tokio::test(flavor = "multi_thread")]
async fn who_wakes_after_his_lease_changes_nothing_that_another_one_has() {
    let Some(clusters) = Clusters::find("a frozen synchronizer", 3) else { return };
    let Some(fleet) = Fleet::start("a frozen synchronizer", &[]).await else { return };
    let names = register(&fleet, &clusters).await;
    let namespace = clusters.namespace("frozen");
    let cloud = fleet.cloud("frozen", &namespace, &names).await;
    fleet.post(&format!("{cloud}/apply"), &json!({})).await.expect(200);
    // In the middle of it, wherever that is.
    tokio::time::sleep(std::time::Duration::from_millis(fastrand::u64(0..400))).await;
    fleet.synchronizers[0].signal(Signal::STOP);
    fleet.wait_for(&cloud, "Created").await;
    // The other one carries on with another order, which the frozen one knows nothing of.
    fleet.post(&format!("{cloud}/terminate"), &json!({})).await.expect(202);
    fleet.wait_for(&cloud, "Deleted").await;
    tokio::time::sleep(LEASE * 2).await;
    fleet.synchronizers[0].signal(Signal::CONT);
    // It comes to know that it was given up, and goes on as another one.
    until_so(PATIENCE, "joined anew", async || fleet.synchronizers[0].readiness().await.is_ok()).await;
    tokio::time::sleep(LEASE).await;
    let status = fleet.get(&format!("{cloud}/status")).await.expect(200);
    assert_eq!(status["status"], "Deleted", "{status:#}");
    for cluster in clusters.iter() {
        assert!(!has_namespace(cluster, &namespace), "{} has it again", cluster.name);
    }
    // And it still works.
    fleet.post(&format!("{cloud}/apply"), &json!({})).await.expect(200);
    fleet.wait_for(&cloud, "Created").await;
    fleet.post(&format!("{cloud}/terminate"), &json!({})).await.expect(202);
    fleet.wait_for(&cloud, "Deleted").await;
}
