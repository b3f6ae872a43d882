//! Certificates that DCM signs itself, where a cluster was registered with its CA.

use std::fs;

use serde_json::{Value, json};

use crate::{
    clusters::Cluster,
    support::{Fixture, permission},
};

/// The CA's certificate and key, where the kubeconfigs are a testbed's.
fn ca(cluster: &Cluster) -> Option<(String, String)> {
    let number = cluster.name.rsplit('-').next()?;
    let folder = cluster.file.parent()?.parent()?.join(format!("cluster-{number}"));
    let read = |name: &str| fs::read_to_string(folder.join(name)).ok();
    Some((read("ca.crt")?, read("ca.key")?))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_with_its_ca_key_is_asked_for_no_certificate() {
    let Some(dcm) = Fixture::start("a_cluster_with_its_ca_key", 1, &[]).await else { return };
    let cluster = &dcm.clusters[0];
    let Some((certificate, key)) = ca(cluster) else {
        println!("SKIPPED (no CA key beside the kubeconfigs): start testbed/cluster to run a_cluster_with_its_ca_key");
        return;
    };
    // Without the right to ask for a certificate.
    cluster.admin(&["delete", "clusterrolebinding", &format!("{}-certificates", dcm.clusters.id)]).expect();
    let account = format!("--as=system:serviceaccount:kube-system:{}", dcm.clusters.id);
    let asks = || cluster.admin(&["auth", "can-i", "create", "certificatesigningrequests", &account]).ok;
    crate::support::eventually("forbidden", || !asks()).await;
    let cloud = dcm.cloud("signed", json!([permission("p", "", &["configmaps"], &["*"])])).await;
    cloud.order("apply").await.expect(200);
    let status = cloud.wait_for("Creation Failed").await;
    let place = &status["clusters"][0][&cluster.name];
    assert_eq!(place["reason"], "Forbidden");
    assert_eq!(place["role-binding-status"], "Created");
    assert!(place["credential-status"].as_str().unwrap().contains("certificatesigningrequests"), "{place:#}");

    let path = format!("/v2/cluster-providers/default/clusters/{}", cluster.name);
    let with = |certificate: &str, key: &str| {
        let spec = json!({ "ca-certificate": certificate, "ca-key": key });
        json!({ "metadata": { "name": cluster.name }, "spec": spec })
    };
    dcm.put(&path, &with(&certificate, "no key")).await.expect(400);
    let answer = dcm.put(&path, &with(&certificate, &key)).await.expect(200);
    assert!(!answer.to_string().contains("PRIVATE KEY"));
    assert!(!dcm.get(&path).await.expect(200).to_string().contains("PRIVATE KEY"));
    cloud.apply().await;
    let user = cloud.user(cluster).await;
    user.kubectl(&["create", "configmap", "mine"]).expect();
    let who: Value = serde_json::from_str(&user.kubectl(&["auth", "whoami", "-o", "json"]).expect()).unwrap();
    let info = &who["status"]["userInfo"];
    assert!(info["username"].as_str().unwrap().starts_with("dcm:p:signed:user-1:"), "{info:#}");
    let groups = json!([format!("dcm:{}", cloud.uid().await), "system:authenticated"]);
    assert_eq!(info["groups"], groups);
    cloud.terminate().await;
    user.is_forbidden(&["get", "configmaps"]).await;
}
