//! What others change is seen and repaired; what was stopped stays as it is.

use std::time::Duration;

use serde_json::json;

use crate::support::{Fixture, eventually, permission};

#[tokio::test(flavor = "multi_thread")]
async fn drift_is_repaired_until_work_is_stopped_and_again_when_it_goes_on() {
    let Some(dcm) = Fixture::start("drift_is_repaired", 1, &["--resync-period", "1s"]).await else { return };
    let cluster = &dcm.clusters[0];
    let cloud = dcm.cloud("drift", json!([permission("p", "", &["configmaps"], &["*"])])).await;
    cloud.quota("q", json!({ "pods": "5" })).await;
    cloud.apply().await;
    let namespace = cloud.namespace.as_str();
    let damage = || {
        cluster.admin(&["delete", "role", "p", "-n", namespace]).expect();
        let hard = r#"{"spec":{"hard":{"pods":"500","services":"0"}}}"#;
        cluster.admin(&["patch", "quota", "q", "-n", namespace, "--type=merge", "-p", hard]).expect();
        let subjects = r#"[{"op":"add","path":"/subjects/-","value":{"kind":"User","name":"mallory"}}]"#;
        cluster.admin(&["patch", "rolebinding", "p", "-n", namespace, "--type=json", "-p", subjects]).expect();
    };
    let is_whole = || {
        let hard = |quota: serde_json::Value| quota["spec"]["hard"] == json!({ "pods": "5" });
        let one = |binding: serde_json::Value| binding["subjects"].as_array().is_some_and(|list| list.len() == 1);
        cluster.object("role", namespace, "p").is_some_and(|role| role["rules"][0]["verbs"] == json!(["*"]))
            && cluster.object("quota", namespace, "q").is_some_and(hard)
            && cluster.object("rolebinding", namespace, "p").is_some_and(one)
    };
    assert!(is_whole());
    damage();
    eventually("repaired", is_whole).await;
    cluster.admin(&["delete", "namespace", namespace]).expect();
    eventually("made anew", is_whole).await;
    cloud.wait_for("Created").await;
    cloud.user(cluster).await.kubectl(&["get", "configmaps"]).expect();

    cloud.order("stop").await.expect(202);
    cloud.wait_for("Stopped").await;
    let user = cloud.user(cluster).await;
    user.kubectl(&["get", "configmaps"]).expect();
    damage();
    // The cluster's own controllers may not be done yet.
    let mut after = cluster.versions(&dcm.installation());
    eventually("at rest", || std::mem::replace(&mut after, cluster.versions(&dcm.installation())) == after).await;
    tokio::time::sleep(Duration::from_secs(4)).await;
    assert_eq!(cluster.versions(&dcm.installation()), after);
    assert!(!is_whole());
    cloud.order("apply").await.expect(200);
    eventually("repaired again", is_whole).await;
    cloud.wait_for("Created").await;

    // A stopped one can be terminated too.
    cloud.order("stop").await.expect(202);
    cloud.terminate().await;
    assert_eq!(cluster.object("namespace", "", namespace), None);
}

/// Whoever applies and waits for `Created`, as the README does, gets what he was told.
#[tokio::test(flavor = "multi_thread")]
async fn created_means_that_the_clusters_were_looked_at_since_the_apply() {
    let Some(dcm) = Fixture::start("created_means", 1, &["--resync-period", "0s"]).await else { return };
    let cluster = &dcm.clusters[0];
    let cloud = dcm.cloud("looked-at", json!([permission("p", "", &["configmaps"], &["*"])])).await;
    cloud.apply().await;
    for stopped in [false, true, false, true] {
        if stopped {
            cloud.order("stop").await.expect(202);
        }
        cluster.admin(&["delete", "role", "p", "-n", &cloud.namespace]).expect();
        cloud.order("apply").await.expect(200);
        cloud.wait_for("Created").await;
        assert!(cluster.object("role", &cloud.namespace, "p").is_some(), "stopped before: {stopped}");
    }
    cloud.terminate().await;
}
