//! A store that is older than the cluster changes nothing there.

use std::{fs, path::Path};

use serde_json::json;

use crate::support::{Fixture, permission};

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).unwrap();
        }
    }
}

/// Stops the server, puts the old copy of its data in place, and starts it.
async fn restore(dcm: &mut Fixture, backup: &Path) {
    dcm.stop_server().await;
    fs::remove_dir_all(dcm.data()).unwrap();
    copy(backup, &dcm.data());
    dcm.start_server().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_backup_of_the_store_changes_nothing_on_the_cluster() {
    let Some(mut dcm) = Fixture::start("an_old_backup", 1, &["--resync-period", "1s"]).await else { return };
    let backup = dcm.folder.path().join("backup");
    let wide = json!([permission("p", "", &["configmaps", "secrets"], &["*"])]);
    let narrow = json!([permission("p", "", &["configmaps"], &["get"])]);
    let path = {
        let cloud = dcm.cloud("backup", wide).await;
        cloud.apply().await;
        cloud.path.clone()
    };
    dcm.stop_server().await;
    copy(&dcm.data(), &backup);
    dcm.start_server().await;
    let cloud = dcm.known("backup");
    dcm.put(&path, &cloud.body(&narrow, &json!({}))).await.expect(200);
    cloud.apply().await;
    let before = dcm.clusters[0].versions(&dcm.installation());
    assert_eq!(before.len(), 3, "{before:#?}");

    restore(&mut dcm, &backup).await;
    let cloud = dcm.known("backup");
    // By itself, looking for drift, it changes nothing and says so.
    let status = cloud.wait_for("Creation Failed").await;
    let cluster = &status["clusters"][0][&dcm.clusters[0].name];
    assert_eq!(cluster["reason"], "StoreOlderThanCluster");
    assert!(cluster["namespace-status"].as_str().unwrap().contains("store is older than the cluster"), "{cluster:#}");
    // Nor by order.
    cloud.order("apply").await.expect(200);
    cloud.wait_for("Creation Failed").await;
    cloud.order("terminate").await.expect(202);
    let status = cloud.wait_for("Deletion Failed").await;
    assert_eq!(status["clusters"][0][&dcm.clusters[0].name]["reason"], "StoreOlderThanCluster");
    assert_eq!(dcm.clusters[0].versions(&dcm.installation()), before);

    // Somebody who knows what he does has the last word.
    cloud.order("apply?force=true").await.expect(200);
    cloud.wait_for("Created").await;
    let role = dcm.clusters[0].object("role", &cloud.namespace, "p").unwrap();
    assert_eq!(role["rules"][0]["resources"], json!(["configmaps", "secrets"]));
    restore(&mut dcm, &backup).await;
    let cloud = dcm.known("backup");
    cloud.order("terminate?force=true").await.expect(202);
    cloud.wait_for("Deleted").await;
    assert_eq!(dcm.clusters[0].object("namespace", "", &cloud.namespace), None);
}

/// Whoever goes on working on the old data, without knowing, must not undo what was done since, above all not
/// what was taken away.
#[tokio::test(flavor = "multi_thread")]
async fn an_edit_of_an_old_backup_does_not_pass_for_a_younger_state() {
    let Some(mut dcm) = Fixture::start("an_edit_of_an_old_backup", 1, &[]).await else { return };
    let backup = dcm.folder.path().join("backup");
    let permissions = json!([permission("p", "", &["configmaps"], &["*"])]);
    let cloud = dcm.cloud("edited", permissions.clone()).await;
    cloud.apply().await;
    let (path, old) = (cloud.path.clone(), cloud.user(&dcm.clusters[0]).await);
    old.kubectl(&["get", "configmaps"]).expect();
    dcm.stop_server().await;
    copy(&dcm.data(), &backup);
    dcm.start_server().await;
    // Another user takes the old one's place, who is cut off.
    let cloud = dcm.known("edited");
    let mut body = cloud.body(&permissions, &json!({}));
    body["spec"]["user"]["user-name"] = "another".into();
    dcm.put(&path, &body).await.expect(200);
    cloud.apply().await;
    old.is_forbidden(&["get", "configmaps"]).await;
    let before = dcm.clusters[0].versions(&dcm.installation());

    restore(&mut dcm, &backup).await;
    let cloud = dcm.known("edited");
    cloud.quota("harmless", json!({ "pods": "5" })).await;
    cloud.order("apply").await.expect(200);
    let settled = |status: &serde_json::Value| ["Created", "Creation Failed"].iter().any(|s| status["status"] == *s);
    let status = cloud.until("settled", settled).await;
    assert_eq!(dcm.clusters[0].versions(&dcm.installation()), before, "{status:#}");
    old.is_forbidden(&["get", "configmaps"]).await;
}
