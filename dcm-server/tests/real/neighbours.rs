//! Two logical clouds never share a namespace on one cluster.

use serde_json::{Value, json};

use crate::support::{Fixture, permission};

#[tokio::test(flavor = "multi_thread")]
async fn a_namespace_has_one_logical_cloud_on_a_cluster_however_that_is_registered() {
    let Some(dcm) = Fixture::start("a_namespace_has_one_logical_cloud", 1, &[]).await else { return };
    let cluster = &dcm.clusters[0];
    let permissions = json!([permission("p", "", &["configmaps"], &["*"])]);
    let first = dcm.cloud("first", permissions.clone()).await;
    first.apply().await;
    let before = cluster.versions(&dcm.installation());

    let same = json!({ "namespace": first.namespace, "adoption-policy": "always" });
    let second = dcm.cloud_with("second", permissions.clone(), same.clone()).await;
    let refused = |answer: &Value| {
        let detail = answer["detail"].as_str().unwrap();
        assert!(detail.contains(&first.namespace) && detail.contains("p/first"), "{detail}");
    };
    refused(&second.order("apply").await.expect(409));

    // The same API server under another name.
    dcm.register("again", json!({ "kubeconfig": cluster.kubeconfig })).await.expect(201);
    let third = dcm.cloud_with("third", permissions, same).await;
    dcm.delete(&format!("{}/cluster-references/{}", third.path, cluster.name)).await.expect(204);
    third.refer_to("again").await.expect(200);
    refused(&third.order("apply").await.expect(409));
    assert_eq!(cluster.versions(&dcm.installation()), before);

    // Those that have nothing there are deleted, and that harms nobody.
    dcm.delete(&third.path).await.expect(204);
    assert_eq!(cluster.versions(&dcm.installation()), before);
    // And when the first has gone, the next may have it.
    first.terminate().await;
    second.apply().await;
    second.user(cluster).await.kubectl(&["get", "configmaps"]).expect();
    second.terminate().await;
}
