//! Terminate leaves nothing of ours, and everything of others alone.

use serde_json::{Value, json};

use crate::{
    clusters::{Cluster, KINDS},
    support::{Fixture, permission},
};

/// Objects of somebody else's, as they are now.
fn others(cluster: &Cluster, namespaces: &[&String]) -> Vec<Value> {
    let mut all = Vec::new();
    for namespace in namespaces {
        for (kind, name) in
            [("configmap", "theirs"), ("role", "theirs"), ("rolebinding", "theirs"), ("quota", "theirs")]
        {
            all.push(cluster.object(kind, namespace, name).unwrap_or_else(|| panic!("{namespace} lacks its {kind}")));
        }
    }
    for object in &mut all {
        // What is in a quota is counted by the cluster, whenever it likes.
        object["metadata"]["managedFields"].take();
        if object["kind"] == "ResourceQuota" {
            object["metadata"]["resourceVersion"].take();
            object["status"].take();
        }
    }
    all
}

fn settle(cluster: &Cluster, namespace: &str) {
    cluster.admin(&["create", "configmap", "theirs", "-n", namespace]).expect();
    cluster.admin(&["create", "role", "theirs", "--verb=get", "--resource=pods", "-n", namespace]).expect();
    cluster.admin(&["create", "rolebinding", "theirs", "--role=theirs", "--user=them", "-n", namespace]).expect();
    cluster.admin(&["create", "quota", "theirs", "--hard=pods=7", "-n", namespace]).expect();
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_of_ours_is_left_and_everything_of_others_stays() {
    let options = ["--allow-foreign-namespace-permissions", "--allow-cluster-wide-permissions"];
    let Some(dcm) = Fixture::start("nothing_of_ours_is_left", 2, &options).await else { return };
    let (elsewhere, adopted) = (dcm.namespace("elsewhere"), dcm.namespace("adopted"));
    for cluster in dcm.clusters.iter() {
        for namespace in [&elsewhere, &adopted] {
            cluster.admin(&["create", "namespace", namespace]).expect();
            settle(cluster, namespace);
        }
        cluster.admin(&["label", "namespace", &adopted, "team=theirs", "their.example/label=1"]).expect();
    }
    let before: Vec<_> = dcm.clusters.iter().map(|cluster| others(cluster, &[&elsewhere, &adopted])).collect();

    let own = permission("own", "", &["configmaps"], &["*"]);
    let (mut there, mut wide) = (own.clone(), own.clone());
    (there["permission-name"], there["namespace"]) = ("there".into(), elsewhere.as_str().into());
    (wide["permission-name"], wide["namespace"]) = ("wide".into(), "".into());
    let permissions = json!([own, there, wide]);
    let plain = dcm.cloud("plain", permissions.clone()).await;
    let adopting = json!({ "adoption-policy": "always", "labels": { "team": "ours" } });
    let taking = dcm.cloud_with("adopted", permissions.clone(), adopting).await;
    let keeping = dcm.cloud_with("kept", permissions, json!({ "delete-policy": "keep" })).await;
    for cloud in [&plain, &taking, &keeping] {
        cloud.quota("own", json!({ "pods": "5" })).await;
        cloud.apply().await;
    }
    for cluster in dcm.clusters.iter() {
        assert_eq!(cluster.made_by("clusterroles", &dcm.installation()).len(), 3);
        assert_eq!(cluster.made_by("roles", &dcm.installation()).len(), 6);
        assert_eq!(cluster.object("namespace", "", &adopted).unwrap()["metadata"]["labels"]["team"], "ours");
        // What the tenant himself made.
        for cloud in [&plain, &keeping] {
            cloud.user(cluster).await.kubectl(&["create", "configmap", "mine"]).expect();
        }
    }

    for cloud in [&plain, &taking, &keeping] {
        cloud.terminate().await;
    }
    for (cluster, before) in dcm.clusters.iter().zip(before) {
        for kind in KINDS {
            assert_eq!(cluster.made_by(kind, &dcm.installation()), [Value::Null; 0], "{kind} on {}", cluster.name);
        }
        assert_eq!(cluster.object("namespace", "", &plain.namespace), None);
        assert_eq!(others(cluster, &[&elsewhere, &adopted]), before);
        assert!(cluster.object("configmap", &keeping.namespace, "mine").is_some());
        for namespace in [&elsewhere, &adopted, &keeping.namespace] {
            let namespace = cluster.object("namespace", "", namespace).unwrap();
            assert_eq!(namespace["status"]["phase"], "Active");
            for map in ["labels", "annotations"] {
                assert!(!namespace["metadata"][map].to_string().contains("dcm.onap.org"), "{namespace:#}");
            }
        }
        let labels = &cluster.object("namespace", "", &adopted).unwrap()["metadata"]["labels"];
        assert_eq!(labels["their.example/label"], "1");
    }
    // And the records can go too.
    for cloud in [&plain, &taking, &keeping] {
        dcm.delete(&cloud.path).await.expect(204);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kubeconfig_from_before_a_terminate_never_works_again() {
    let Some(dcm) = Fixture::start("a_kubeconfig_from_before", 1, &[]).await else { return };
    let cluster = &dcm.clusters[0];
    let permissions = json!([permission("own", "", &["configmaps"], &["*"])]);
    let cloud = dcm.cloud("again", permissions.clone()).await;
    cloud.apply().await;
    let first = cloud.user(cluster).await;
    first.kubectl(&["get", "configmaps"]).expect();
    cloud.terminate().await;
    let kubeconfig = format!("{}/kubeconfig?cluster-reference={}", cloud.path, cluster.name);
    dcm.get(&kubeconfig).await.expect(409);
    cloud.apply().await;
    let second = cloud.user(cluster).await;
    second.kubectl(&["get", "configmaps"]).expect();
    first.is_forbidden(&["get", "configmaps"]).await;

    // Nor does it where the record itself was made anew.
    dcm.delete(&cloud.path).await.expect(202);
    dcm.wait_until_gone(&cloud.path).await;
    let cloud = dcm.cloud("again", permissions).await;
    cloud.apply().await;
    cloud.user(cluster).await.kubectl(&["get", "configmaps"]).expect();
    for old in [&first, &second] {
        old.is_forbidden(&["get", "configmaps"]).await;
    }
    cloud.terminate().await;
}
