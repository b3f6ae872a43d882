//! The nineteen calls of the design, each with the design's own example.

use serde_json::{Value, json};

use crate::{
    design::{self, example},
    on_every_store,
    support::{LC, kubeconfig},
};

fn without(mut value: Value, fields: &[&str]) -> Value {
    let object = value.as_object_mut().unwrap();
    for field in fields {
        object.remove(*field);
    }
    value
}

on_every_store! {
    async fn call_01_create_logical_cloud(dcm) {
        let reply = dcm.post("/v2/projects/p/logical-clouds", &design::logical_cloud()).await;
        let made = reply.expect(201);
        for (field, value) in [
            ("name", "lc-1"), ("logical-cloud-name", "lc-1"), ("namespace", "ns-1"), ("user-name", "user-1"),
        ] {
            assert_eq!(made[field], value, "{made:#}");
        }
        assert_eq!(made["metadata"], design::logical_cloud()["metadata"]);
        assert_eq!(made["spec"]["user"], design::logical_cloud()["spec"]["user"]);
        assert_eq!((&made["generation"], &made["applied-generation"]), (&json!(1), &json!(0)));
        assert!(made["uid"].as_str().is_some_and(|uid| uid.len() == 36));
        assert!(reply.header("etag").starts_with('"'));
        dcm.post("/v2/projects/p/logical-clouds", &design::logical_cloud()).await.expect_problem(409, &[]);
    }

    async fn call_02_get_kubeconfig(dcm) {
        dcm.with_reference().await;
        let path = format!("{LC}/kubeconfig?cluster-reference=cluster-1");
        let early = dcm.get(&path).await;
        early.expect_problem(409, &[]);
        assert!(early.header("retry-after").parse::<u64>().is_ok());
        dcm.order(&format!("{LC}/apply")).await.expect(200);
        dcm.wait_for("Created").await;
        let reply = dcm.get(&path).await;
        let config = reply.expect(201);
        assert_eq!(reply.header("cache-control"), "no-store");
        assert_eq!((&config["kind"], &config["apiVersion"]), (&json!("Config"), &json!("v1")));
        assert!(config["users"][0]["user"]["client-certificate-data"].is_string());
        assert!(config["users"][0]["user"]["client-key-data"].is_string());
        let context = &config["contexts"][0];
        assert_eq!(config["current-context"], context["name"]);
        assert_eq!(context["context"]["cluster"], config["clusters"][0]["name"]);
        assert_eq!(context["context"]["user"], config["users"][0]["name"]);
        assert_eq!(context["context"]["namespace"], "ns-1");
    }

    async fn call_03_update_logical_cloud(dcm) {
        dcm.with_cloud().await;
        let made = dcm.put(LC, &example(design::LOGICAL_CLOUD_CHANGED)).await.expect(200);
        assert_eq!(made["metadata"], design::logical_cloud()["metadata"]);
        assert_eq!(made["spec"]["user"], design::logical_cloud()["spec"]["user"]);
        let mut body = example(design::LOGICAL_CLOUD_CHANGED);
        body["metadata"] = json!({ "description": "another one" });
        let made = dcm.put(LC, &body).await.expect(200);
        for (field, value) in [("name", "lc-1"), ("logical-cloud-name", "lc-1"), ("namespace", "ns-1"), ("user", "user-1")] {
            assert_eq!(made[field], value, "{made:#}");
        }
        assert_eq!(made["metadata"], json!({ "name": "lc-1", "description": "another one" }));
        dcm.put("/v2/projects/p/logical-clouds/lc-2", &body).await.expect_problem(404, &[]);
        body["metadata"]["name"] = json!("lc-2");
        dcm.put(LC, &body).await.expect_problem(400, &["/metadata/name"]);
    }

    async fn call_04_associate_cluster(dcm) {
        dcm.with_cluster("cluster-name").await;
        dcm.with_cloud().await;
        let path = format!("{LC}/cluster-references/");
        let made = dcm.post(&path, &example(design::CLUSTER_REFERENCE)).await.expect(200);
        assert_eq!(made["name"], "cluster-name");
        assert_eq!(made["cluster-name"], "cluster-name");
        assert_eq!(made["loadbalancer-ip"], "0.0.0.0");
        assert_eq!(
            made["spec"],
            json!({ "cluster-provider": "default", "cluster-name": "cluster-name", "loadbalancer-ip": "0.0.0.0" })
        );
        let ipv6 = json!({ "cluster-reference": "cluster-2", "loadbalancer-ip": "2001:db8::1" });
        dcm.post(&path, &ipv6).await.expect_problem(400, &["/cluster-reference"]);
        dcm.with_cluster("cluster-2").await;
        assert_eq!(dcm.post(&path, &ipv6).await.expect(200)["loadbalancer-ip"], "2001:db8::1");
    }

    async fn call_05_get_logical_cloud(dcm) {
        dcm.with_cloud().await;
        for name in ["cluster-3", "cluster-1", "cluster-2"] {
            dcm.with_cluster(name).await;
            let body = json!({ "cluster-reference": name, "loadbalancer-ip": "0.0.0.0" });
            dcm.post(&format!("{LC}/cluster-references"), &body).await.expect(200);
        }
        let found = dcm.get(LC).await.expect(200);
        let mut spec = design::logical_cloud()["spec"].clone();
        spec["clusters"] = json!(["cluster-1", "cluster-2", "cluster-3"]);
        assert_eq!(without(found["spec"].clone(), &["level", "mesh", "adoption-policy", "delete-policy"]), spec);
        assert_eq!(found["metadata"], design::logical_cloud()["metadata"]);
        let all = dcm.get("/v2/projects/p/logical-clouds").await.expect(200);
        assert_eq!(all, json!([found]));
    }

    async fn call_06_delete_logical_cloud(dcm) {
        dcm.with_cloud().await;
        assert_eq!(dcm.delete(LC).await.expect(204), Value::Null);
        dcm.get(LC).await.expect_problem(404, &[]);
        dcm.delete(LC).await.expect_problem(404, &[]);
        dcm.with_applied_cloud().await;
        let accepted = dcm.delete(LC).await.expect(202);
        assert_eq!(accepted["logical-cloud-name"], "lc-1");
        dcm.wait_until_gone(LC).await;
    }

    async fn call_07_add_user_permission(dcm) {
        dcm.with_cloud().await;
        let path = format!("{LC}/user-permissions");
        let made = dcm.post(&path, &example(design::USER_PERMISSION)).await.expect(200);
        let flat = without(made.clone(), &["metadata", "spec"]);
        assert_eq!(flat, example(design::USER_PERMISSION));
        assert_eq!(made["metadata"], json!({ "name": "permission-3" }));
        assert_eq!(made["spec"], without(flat, &["name"]));
        dcm.post(&path, &example(design::USER_PERMISSION)).await.expect_problem(409, &[]);
    }

    async fn call_08_get_user_permissions(dcm) {
        dcm.with_cloud().await;
        let path = format!("{LC}/user-permissions");
        dcm.post(&path, &example(design::USER_PERMISSION)).await.expect(200);
        let expected = json!({ "permissions": [
            { "name": "permission-1", "apiGroups": ["stable.example.com"], "resources": ["secrets", "pods"],
              "verbs": ["get", "watch", "list", "create"] },
            { "name": "permission-2", "apiGroups": [""], "resources": ["configmaps"], "verbs": ["*"] },
            { "name": "permission-3", "apiGroups": [""], "resources": ["jobs"], "verbs": ["list"] },
        ] });
        assert_eq!(dcm.get(&path).await.expect(200), expected);
        assert_eq!(dcm.get(&format!("{path}/permission-3")).await.expect(200)["verbs"], json!(["list"]));
    }

    async fn call_09_update_user_permission(dcm) {
        dcm.with_cloud().await;
        let path = format!("{LC}/user-permissions");
        dcm.post(&path, &example(design::USER_PERMISSION)).await.expect(200);
        let path = format!("{path}/permission-3");
        let made = dcm.put(&path, &example(design::USER_PERMISSION_CHANGED)).await.expect(200);
        let expected = json!({ "name": "permission-3", "apiGroups": [""], "resources": ["pvc"], "verbs": ["list"] });
        assert_eq!(without(made, &["metadata", "spec"]), expected);
        dcm.put(&format!("{LC}/user-permissions/none"), &example(design::USER_PERMISSION_CHANGED))
            .await
            .expect_problem(404, &[]);
    }

    async fn call_10_delete_user_permission(dcm) {
        dcm.with_cloud().await;
        let path = format!("{LC}/user-permissions/permission-1");
        assert_eq!(dcm.delete(&path).await.expect(204), Value::Null);
        dcm.get(&path).await.expect_problem(404, &[]);
        dcm.delete(&path).await.expect_problem(404, &[]);
        let left = dcm.get(&format!("{LC}/user-permissions")).await.expect(200);
        assert_eq!(left["permissions"].as_array().map(Vec::len), Some(1));
    }

    async fn call_11_create_quota(dcm) {
        dcm.with_cloud().await;
        let path = format!("{LC}/cluster-quotas");
        let made = dcm.post(&path, &example(design::QUOTA)).await.expect(201);
        assert_eq!(made, example(design::QUOTA));
        dcm.post(&path, &example(design::QUOTA)).await.expect_problem(409, &[]);
    }

    async fn call_12_get_quota(dcm) {
        dcm.with_cloud().await;
        let path = format!("{LC}/cluster-quotas");
        let body = json!({ "metadata": { "name": "quota-1", "description": "desc" }, "spec": { "cpu": "400", "memory": "1000Gi", "pods": "500" } });
        dcm.post(&path, &body).await.expect(201);
        assert_eq!(dcm.get(&format!("{path}/quota-1")).await.expect(200), body);
        assert_eq!(dcm.get(&path).await.expect(200), json!([body]));
        dcm.get(&format!("{path}/quota-2")).await.expect_problem(404, &[]);
    }

    async fn call_13_update_quota(dcm) {
        dcm.with_cloud().await;
        dcm.post(&format!("{LC}/cluster-quotas"), &example(design::QUOTA)).await.expect(201);
        let path = format!("{LC}/cluster-quotas/quota-1");
        let made = dcm.put(&path, &example(design::QUOTA_CHANGED)).await.expect(201);
        assert_eq!(made["spec"], example(design::QUOTA_CHANGED)["spec"]);
        assert_eq!(made["metadata"], json!({ "name": "quota-1", "description": "desc" }));
        assert_eq!(dcm.get(&path).await.expect(200), made);
        assert_eq!(dcm.delete(&path).await.expect(204), Value::Null);
        dcm.get(&path).await.expect_problem(404, &[]);
    }

    async fn call_14_apply(dcm) {
        dcm.with_cloud().await;
        let apply = format!("{LC}/apply");
        let incomplete = dcm.order(&apply).await.expect_problem(409, &[]);
        assert!(incomplete["detail"].as_str().unwrap().contains("POST /v2/projects/p/logical-clouds/lc-1/cluster-references"));
        dcm.with_cluster("cluster-name").await;
        dcm.post(&format!("{LC}/cluster-references"), &example(design::CLUSTER_REFERENCE)).await.expect(200);
        let applied = dcm.order(&apply).await.expect(200);
        assert_eq!(
            applied,
            json!({
                "logical-cloud-name": "lc-1", "namespace": "ns-1",
                "description": "logical cloud for walmart finance department", "user": "user-1",
                "clusters": ["cluster-name"], "quotas": [],
            })
        );
        for name in ["quota-2", "quota-1"] {
            let quota = json!({ "metadata": { "name": name }, "spec": { "pods": "5" } });
            dcm.post(&format!("{LC}/cluster-quotas"), &quota).await.expect(201);
        }
        let applied = dcm.raw(reqwest::Method::POST, &format!("{apply}?force=true"), "text/plain", "no JSON").await.expect(200);
        assert_eq!((&applied["quota-name"], &applied["quotas"]), (&json!("quota-1"), &json!(["quota-1", "quota-2"])));
        let cloud = dcm.get(LC).await.expect(200);
        assert_eq!((&cloud["generation"], &cloud["applied-generation"]), (&json!(2), &json!(2)));
        dcm.order(&format!("{apply}?force=perhaps")).await.expect_problem(400, &[]);
    }

    async fn a_description_is_told_even_where_it_is_empty(dcm) {
        dcm.with_cluster("cluster-name").await;
        let mut cloud = design::logical_cloud();
        cloud["metadata"].as_object_mut().unwrap().remove("description");
        dcm.post("/v2/projects/p/logical-clouds", &cloud).await.expect(201);
        dcm.post(&format!("{LC}/cluster-references"), &example(design::CLUSTER_REFERENCE)).await.expect(200);
        assert_eq!(dcm.order(&format!("{LC}/apply")).await.expect(200)["description"], "");
        let status = dcm.get(&format!("{LC}/status")).await.expect(200);
        assert_eq!(status["metadata"], json!({ "name": "lc-1", "description": "" }));
    }

    async fn call_15_get_status(dcm) {
        dcm.with_reference().await;
        let status = dcm.get(&format!("{LC}/status")).await.expect(200);
        assert_eq!(
            status,
            json!({
                "metadata": { "name": "lc-1", "description": "logical cloud for walmart finance department" },
                "clusters": [], "status": "Not Created",
            })
        );
        dcm.order(&format!("{LC}/apply")).await.expect(200);
        let status = dcm.wait_for("Created").await;
        assert_eq!(status["clusters"].as_array().map(Vec::len), Some(1));
        let parts = &status["clusters"][0]["cluster-1"];
        for part in ["namespace", "role", "role-binding", "quota", "credential", "kubeconfig"] {
            assert_eq!(parts[format!("{part}-status")], "Created", "{status:#}");
        }
        assert_eq!(parts["connectivity"], "available");
        assert!(parts["last-attempt"].is_string());
        assert!(parts.get("reason").is_none());
    }

    async fn call_16_add_kv_pair(dcm) {
        dcm.with_cloud().await;
        let path = format!("{LC}/kv-pairs");
        assert_eq!(dcm.post(&path, &example(design::KV_PAIR)).await.expect(201), example(design::KV_PAIR));
        dcm.post(&path, &example(design::KV_PAIR)).await.expect_problem(409, &[]);
    }

    async fn call_17_update_kv_pair(dcm) {
        dcm.with_cloud().await;
        dcm.post(&format!("{LC}/kv-pairs"), &example(design::KV_PAIR)).await.expect(201);
        let path = format!("{LC}/kv-pairs/kv-1");
        let made = dcm.put(&path, &example(design::KV_PAIR_CHANGED)).await.expect(201);
        assert_eq!(made["spec"], example(design::KV_PAIR_CHANGED)["spec"]);
        assert_eq!(made["metadata"]["name"], "kv-1");
        dcm.put(&format!("{LC}/kv-pairs/kv-2"), &example(design::KV_PAIR_CHANGED)).await.expect_problem(404, &[]);
    }

    async fn call_18_get_kv_pair(dcm) {
        dcm.with_cloud().await;
        dcm.post(&format!("{LC}/kv-pairs"), &example(design::KV_PAIR)).await.expect(201);
        let found = dcm.get(&format!("{LC}/kv-pairs/kv-1")).await.expect(200);
        assert_eq!(found, example(design::KV_PAIR));
        assert_eq!(dcm.get(&format!("{LC}/kv-pairs")).await.expect(200), json!([found]));
    }

    async fn call_19_delete_kv_pair(dcm) {
        dcm.with_cloud().await;
        dcm.post(&format!("{LC}/kv-pairs"), &example(design::KV_PAIR)).await.expect(201);
        let path = format!("{LC}/kv-pairs/kv-1");
        assert_eq!(dcm.delete(&path).await.expect(204), Value::Null);
        dcm.get(&path).await.expect_problem(404, &[]);
        dcm.delete(&path).await.expect_problem(404, &[]);
    }

    async fn a_cluster_is_registered_and_shows_no_credential(dcm) {
        let body = json!({ "metadata": { "name": "c" }, "spec": { "kubeconfig": kubeconfig(), "labels": { "a": "b" }, "istio-version": "1.28.0" } });
        let made = dcm.post("/v2/cluster-providers/default/clusters", &body).await.expect(201);
        assert_eq!(made["spec"], json!({ "server": "https://127.0.0.1:1", "labels": { "a": "b" }, "istio-version": "1.28.0" }));
        assert_eq!(made["health"]["connectivity"], "available", "{made:#}");
        assert!(made["health"]["version"].is_string());
        assert!(!made.to_string().contains("t0ken-of-the-cluster"));
    }
}
