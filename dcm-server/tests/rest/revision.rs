//! What the later revision of the design changed.

use serde_json::{Value, json};

use crate::{
    design::{self, example},
    on_every_store,
    support::{Dcm, LC, kubeconfig},
};

async fn with_c1(dcm: &Dcm) {
    dcm.post("/v2/cluster-providers", &json!({ "metadata": { "name": "cp-1" } })).await.expect(201);
    let cluster = json!({ "metadata": { "name": "c1" }, "spec": { "kubeconfig": kubeconfig() } });
    dcm.post("/v2/cluster-providers/cp-1/clusters", &cluster).await.expect(201);
    dcm.with_cloud().await;
}

on_every_store! {
    async fn a_logical_cloud_may_be_put_with_its_name(dcm) {
        dcm.with_cloud().await;
        let made = dcm.put(LC, &design::logical_cloud()).await.expect(200);
        assert_eq!((&made["name"], &made["user"]), (&json!("lc-1"), &json!("user-1")));
    }

    async fn a_cluster_reference_has_metadata_and_spec(dcm) {
        with_c1(dcm).await;
        let body = example(design::CLUSTER_REFERENCE_LONG);
        let made = dcm.post(&format!("{LC}/cluster-references/"), &body).await.expect(200);
        assert_eq!((&made["metadata"], &made["spec"]), (&body["metadata"], &body["spec"]));
        assert_eq!(
            (&made["name"], &made["cluster-name"], &made["loadbalancer-ip"]),
            (&json!("lc-cl-1"), &json!("c1"), &json!("0.0.0.0"))
        );
        assert_eq!(dcm.get(&format!("{LC}/cluster-references")).await.expect(200), json!([made]));
    }

    async fn a_cluster_reference_is_found_by_its_name_or_its_clusters(dcm) {
        with_c1(dcm).await;
        let made = dcm.post(&format!("{LC}/cluster-references"), &example(design::CLUSTER_REFERENCE_LONG)).await.expect(200);
        for name in ["lc-cl-1", "c1"] {
            assert_eq!(dcm.get(&format!("{LC}/cluster-references/{name}")).await.expect(200), made);
        }
        dcm.get(&format!("{LC}/cluster-references/c2")).await.expect_problem(404, &[]);
    }

    async fn a_cluster_reference_is_changed_and_deleted(dcm) {
        with_c1(dcm).await;
        let mut body = example(design::CLUSTER_REFERENCE_LONG);
        dcm.post(&format!("{LC}/cluster-references"), &body).await.expect(200);
        let path = format!("{LC}/cluster-references/lc-cl-1");
        body["spec"]["loadbalancer-ip"] = json!("192.0.2.7");
        assert_eq!(dcm.put(&path, &body).await.expect(200)["loadbalancer-ip"], "192.0.2.7");
        assert_eq!(dcm.delete(&path).await.expect(204), Value::Null);
        dcm.get(&path).await.expect_problem(404, &[]);
    }

    async fn a_reference_of_an_applied_cloud_goes_when_its_cluster_is_clean(dcm) {
        dcm.with_applied_cloud().await;
        let path = format!("{LC}/cluster-references/cluster-1");
        dcm.delete(&format!("{path}?force=perhaps")).await.expect_problem(400, &[]);
        // The cluster is there and can be cleaned: that is not forced.
        dcm.delete(&format!("{path}?force=true")).await.expect_problem(409, &[]);
        dcm.delete(&path).await.expect(202);
        dcm.wait_until_gone(&path).await;
    }

    async fn the_whole_kubeconfig_has_a_context_for_each_cluster(dcm) {
        dcm.with_reference().await;
        dcm.with_cluster("cluster-2").await;
        let second = json!({ "cluster-reference": "cluster-2", "loadbalancer-ip": "0.0.0.0" });
        dcm.post(&format!("{LC}/cluster-references"), &second).await.expect(200);
        dcm.order(&format!("{LC}/apply")).await.expect(200);
        dcm.wait_for("Created").await;
        let reply = dcm.get(&format!("{LC}/kubeconfig")).await;
        let config = reply.expect(200);
        assert_eq!(reply.header("cache-control"), "no-store");
        assert_eq!(config["contexts"].as_array().map(Vec::len), Some(2));
        let path = format!("{LC}/cluster-references/cluster-2/kubeconfig");
        let yaml = dcm.get(&path).await;
        assert_eq!((yaml.status, yaml.header("content-type")), (200, "application/yaml"));
        assert_eq!(yaml.header("cache-control"), "no-store");
        assert!(yaml.text().contains("current-context:"), "not YAML");
        let json = dcm.send(dcm.request(reqwest::Method::GET, &path).header("accept", "application/json")).await;
        assert_eq!(json.expect(200)["contexts"][0], config["contexts"][1]);
        let html = dcm.send(dcm.request(reqwest::Method::GET, &path).header("accept", "text/html")).await;
        html.expect_problem(406, &[]);
    }

    async fn the_lifecycle_has_its_own_calls(dcm) {
        dcm.with_reference().await;
        let order = async |what: &str| dcm.order(&format!("{LC}/{what}")).await;
        order("update").await.expect_problem(409, &[]);
        order("terminate").await.expect_problem(409, &[]);
        order("stop").await.expect_problem(409, &[]);
        assert_eq!(order("instantiate").await.expect(202)["clusters"], json!(["cluster-1"]));
        dcm.wait_for("Created").await;
        order("instantiate").await.expect_problem(409, &[]);
        assert_eq!(order("update").await.expect(202)["user"], "user-1");
        assert_eq!(order("stop").await.expect(202)["logical-cloud-name"], "lc-1");
        assert_eq!(dcm.get(&format!("{LC}/status")).await.expect(200)["status"], "Stopped");
        assert_eq!(order("terminate").await.expect(202)["namespace"], "ns-1");
        dcm.wait_for("Deleted").await;
        assert_eq!(dcm.delete(LC).await.expect(204), Value::Null);
    }
}
