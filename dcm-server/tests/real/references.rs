//! Clusters that are added to an applied logical cloud, taken from it, and gone for good.

use std::time::Duration;

use serde_json::{Value, json};

use crate::{
    clusters::KINDS,
    support::{Fixture, permission},
};

fn own() -> Value {
    json!([permission("p", "", &["configmaps"], &["*"])])
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_is_added_at_the_next_apply_and_taken_away_at_once() {
    let Some(dcm) = Fixture::start("a_cluster_is_added", 2, &[]).await else { return };
    let [first, second] = &dcm.clusters[..] else { panic!("two were asked for") };
    let cloud = dcm.cloud("moving", own()).await;
    let reference = |name: &str| format!("{}/cluster-references/{name}", cloud.path);
    dcm.delete(&reference(&second.name)).await.expect(204);
    cloud.apply().await;
    let before = first.versions(&dcm.installation());

    cloud.refer_to(&second.name).await.expect(200);
    assert_eq!(cloud.status().await["status"], "Created");
    assert_eq!(second.object("namespace", "", &cloud.namespace), None);
    cloud.apply().await;
    assert!(second.object("role", &cloud.namespace, "p").is_some());
    let (user_of_first, user_of_second) = (cloud.user(first).await, cloud.user(second).await);
    user_of_second.kubectl(&["create", "configmap", "mine"]).expect();
    // The generation is another one, and that is all that changed on the first.
    let after = first.versions(&dcm.installation());
    let namespace = |text: &&String| !text.contains("Namespace");
    assert_eq!(after.iter().filter(namespace).collect::<Vec<_>>(), before.iter().filter(namespace).collect::<Vec<_>>());

    dcm.delete(&reference(&first.name)).await.expect(202);
    dcm.wait_until_gone(&reference(&first.name)).await;
    assert_eq!(cloud.status().await["clusters"].as_array().unwrap().len(), 1);
    for kind in KINDS {
        assert_eq!(first.made_by(kind, &dcm.installation()), [Value::Null; 0], "{kind}");
    }
    user_of_first.is_forbidden(&["get", "configmaps"]).await;
    user_of_second.kubectl(&["get", "configmap", "mine"]).expect();
    assert_eq!(cloud.status().await["status"], "Created");
    // And it may come back.
    cloud.refer_to(&first.name).await.expect(200);
    cloud.apply().await;
    cloud.user(first).await.kubectl(&["get", "configmaps"]).expect();
    cloud.terminate().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_that_is_gone_for_good_goes_by_force_and_no_earlier() {
    let options = ["--force-after", "3s", "--resync-period", "1s"];
    let Some(dcm) = Fixture::start("a_cluster_that_is_gone", 2, &options).await else { return };
    let [alive, dead] = &dcm.clusters[..] else { panic!("two were asked for") };
    let cloud = dcm.cloud("bereft", own()).await;
    cloud.apply().await;
    // Nobody listens there.
    let mut kubeconfig = dead.kubeconfig.clone();
    kubeconfig["clusters"][0]["cluster"]["server"] = "https://127.0.0.1:9".into();
    let registration = format!("/v2/cluster-providers/default/clusters/{}", dead.name);
    let body = json!({ "metadata": { "name": dead.name }, "spec": { "kubeconfig": kubeconfig } });
    dcm.put(&registration, &body).await.expect(200);
    let path = format!("{}/cluster-references/{}", cloud.path, dead.name);
    let early = dcm.delete(&format!("{path}?force=true")).await.expect(409);
    assert!(early["detail"].as_str().unwrap().contains("3 s"), "{early:#}");

    dcm.delete(&path).await.expect(202);
    let place = |status: &Value, name: &str| {
        let clusters = status["clusters"].as_array().unwrap();
        clusters.iter().find_map(|cluster| cluster.get(name)).cloned().unwrap_or_default()
    };
    let status = cloud.until("noticed", |status| place(status, &dead.name)["reason"] == "Unreachable").await;
    assert_eq!(place(&status, &dead.name)["connectivity"], "unavailable");
    tokio::time::sleep(Duration::from_secs(4)).await;
    assert_eq!(dcm.delete(&registration).await.status, 409);
    dcm.delete(&format!("{path}?force=true")).await.expect(202);
    dcm.wait_until_gone(&path).await;
    assert_eq!(cloud.status().await["clusters"].as_array().unwrap().len(), 1);
    dcm.delete(&registration).await.expect(204);
    assert_eq!(cloud.status().await["status"], "Created");
    cloud.user(alive).await.kubectl(&["get", "configmaps"]).expect();
    // What it holds stays there: nobody could be asked.
    assert!(dead.object("role", &cloud.namespace, "p").is_some());
    cloud.terminate().await;
    assert_eq!(alive.object("namespace", "", &cloud.namespace), None);
}
