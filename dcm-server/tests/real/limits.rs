//! What the REST API takes, real API servers take too.

use std::{collections::BTreeMap, fs};

use dcm_test_utils::patience::until;
use serde_json::{Value, json};

use crate::{
    clusters::kubectl_with,
    support::{Fixture, RIGHTS_CACHE, permission},
};

#[tokio::test(flavor = "multi_thread")]
async fn the_longest_and_oddest_names_work() {
    let Some(dcm) = Fixture::start("the_longest_and_oddest_names", 1, &["--allow-cluster-wide-permissions"]).await
    else {
        return;
    };
    let cluster = &dcm.clusters[0];
    let long = |first: &str, length: usize| format!("{first}{}", "x".repeat(length - first.len()));
    let (project, name, user) = (long("P", 128), long("C.c_c-", 128), long("u.U_u-@", 63));
    let namespace = dcm.namespace(&"n".repeat(63 - dcm.clusters.id.len() - 1));
    let names = [long("R", 128), "a".to_owned(), "A".to_owned(), "a_b.C-d".to_owned(), "9".to_owned()];
    let mut permissions: Vec<Value> =
        names.iter().map(|name| permission(name, "", &["configmaps"], &["get", "create"])).collect();
    for n in 0..names.len() {
        let mut wide = permission(&format!("{}.wide", &names[n][..names[n].len().min(123)]), "", &["nodes"], &["get"]);
        wide["namespace"] = "".into();
        permissions.push(wide);
    }
    let key = format!("{}.example/{}", long("a", 60), long("K", 63));
    let body = json!({ "metadata": { "name": name, "description": "d".repeat(1024) }, "spec": {
        "namespace": namespace,
        "labels": { key.as_str(): long("V", 63), "empty": "" },
        "user": { "user-name": user, "user-permissions": permissions },
    }});
    let clouds = format!("/v2/projects/{project}/logical-clouds");
    dcm.post(&clouds, &body).await.expect(201);
    let cloud = dcm.at(&format!("{clouds}/{name}"), &namespace);
    cloud.refer_to(&cluster.name).await.expect(200);
    for quota in &names {
        cloud.quota(quota, json!({ "pods": "5" })).await;
    }
    cloud.apply().await;
    for kind in ["roles", "rolebindings", "resourcequotas"] {
        assert_eq!(cluster.made_by(kind, &dcm.clusters.installation()).len(), names.len(), "{kind}");
    }
    for kind in ["clusterroles", "clusterrolebindings"] {
        assert_eq!(cluster.made_by(kind, &dcm.clusters.installation()).len(), names.len(), "{kind}");
    }
    cloud.user(cluster).await.kubectl(&["create", "configmap", "mine"]).expect();
    // A repeat finds nothing to do.
    let before = cluster.versions(&dcm.installation());
    cloud.apply().await;
    assert_eq!(cluster.versions(&dcm.installation()), before);
    cloud.terminate().await;
    assert_eq!(cluster.versions(&dcm.installation()), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_quota_of_the_design_is_taken_as_it_is_meant() {
    let Some(dcm) = Fixture::start("every_quota_of_the_design", 1, &[]).await else { return };
    let limits: BTreeMap<&str, &str> = [
        ("limits.cpu", "400"),
        ("limits.memory", "1000Gi"),
        ("limits.ephemeral-storage", "1.5Ti"),
        ("requests.cpu", "300"),
        ("requests.memory", "900Gi"),
        ("requests.storage", "500Gi"),
        ("requests.ephemeral-storage", "0.5"),
        ("cpu", "100m"),
        ("memory", "1e9"),
        ("persistentvolumeclaims", "500"),
        ("pods", "500"),
        ("configmaps", "1k"),
        ("replicationcontrollers", "500"),
        ("resourcequotas", "500"),
        ("services", "0"),
        ("services.loadbalancers", "500"),
        ("services.nodeports", "500"),
        ("secrets", " 7 "),
        ("count/replicationcontrollers", "500"),
        ("count/deployments.apps", "500"),
        ("count/deployments.extensions", "500"),
        ("count/roles.rbac.authorization.k8s.io", "500"),
        ("count/widgets.example.com", "5"),
        ("requests.nvidia.com/gpu", "4"),
        ("gold.storageclass.storage.k8s.io/requests.storage", "1Ti"),
        ("gold.storageclass.storage.k8s.io/persistentvolumeclaims", "3"),
        ("requests.hugepages-2Mi", "1Gi"),
    ]
    .into();
    let cloud = dcm.cloud("quotas", json!([permission("p", "", &["pods"], &["get"])])).await;
    let mut spec: BTreeMap<&str, &str> = limits.clone();
    spec.extend([("count/pods", ""), ("count/services", " ")]);
    cloud.quota("all", json!(spec)).await;
    cloud.apply().await;
    let cluster = &dcm.clusters[0];
    let quota = cluster.object("quota", &cloud.namespace, "all").unwrap();
    let hard: BTreeMap<String, String> = serde_json::from_value(quota["spec"]["hard"].clone()).unwrap();
    assert_eq!(hard.keys().map(String::as_str).collect::<Vec<_>>(), limits.keys().copied().collect::<Vec<_>>());
    assert_eq!((hard["secrets"].as_str(), hard["configmaps"].as_str()), ("7", "1k"));
    cloud.terminate().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_kubeconfig_serves_all_clusters() {
    let Some(dcm) = Fixture::start("one_kubeconfig_serves_all", 2, &[]).await else { return };
    let cloud = dcm.cloud("merged", json!([permission("p", "", &["configmaps"], &["*"])])).await;
    cloud.apply().await;
    let merged = dcm.get(&format!("{}/kubeconfig", cloud.path)).await.expect(200);
    assert_eq!(merged["contexts"].as_array().unwrap().len(), 2);
    let file = dcm.folder.path().join("merged");
    fs::write(&file, merged.to_string()).unwrap();
    for cluster in dcm.clusters.iter() {
        let context = format!("user-1@{}", cluster.name);
        let args = ["--context", &context, "create", "configmap", "mine"];
        let made = async || kubectl_with(&file, dcm.folder.path(), &args, None).allowed();
        until(RIGHTS_CACHE, format_args!("let in on {}", cluster.name), made).await;
        assert!(cluster.object("configmap", &cloud.namespace, "mine").is_some(), "{}", cluster.name);
    }
    kubectl_with(&file, dcm.folder.path(), &["get", "configmap", "mine"], None).expect();
    cloud.terminate().await;
}
