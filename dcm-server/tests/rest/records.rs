//! Projects, providers, clusters: what the design takes for granted.

use serde_json::{Value, json};

use crate::{
    on_every_store,
    support::{Dcm, kubeconfig},
};

const PROVIDERS: &str = "/v2/cluster-providers";

on_every_store! {
    async fn projects_are_made_on_first_use(dcm) {
        assert_eq!(dcm.get("/v2/projects").await.expect(200), json!([]));
        dcm.with_cloud().await;
        let project = dcm.get("/v2/projects/p").await.expect(200);
        assert_eq!(project["metadata"], json!({ "name": "p" }));
        assert_eq!(dcm.get("/v2/projects").await.expect(200), json!([project]));
    }

    async fn a_project_with_logical_clouds_stays(dcm) {
        dcm.with_cloud().await;
        let problem = dcm.delete("/v2/projects/p").await.expect_problem(409, &[]);
        assert!(problem["detail"].as_str().unwrap().contains("lc-1"), "{problem}");
        dcm.delete("/v2/projects/p/logical-clouds/lc-1").await.expect(204);
        assert_eq!(dcm.delete("/v2/projects/p").await.expect(204), Value::Null);
        dcm.get("/v2/projects/p").await.expect_problem(404, &[]);
        dcm.get("/v2/projects/p/logical-clouds").await.expect_problem(404, &[]);
    }

    async fn a_project_is_made_read_changed_and_deleted(dcm) {
        let body = json!({ "metadata": { "name": "q", "description": "d" } });
        assert_eq!(dcm.post("/v2/projects", &body).await.expect(201)["metadata"], body["metadata"]);
        let put = dcm.put("/v2/projects/q", &json!({ "metadata": { "userData1": "u" } })).await.expect(200);
        assert_eq!(put["metadata"], json!({ "name": "q", "userData1": "u" }));
        dcm.put("/v2/projects/r", &json!({ "metadata": {} })).await.expect_problem(404, &[]);
        dcm.delete("/v2/projects/q").await.expect(204);
        dcm.delete("/v2/projects/q").await.expect_problem(404, &[]);
    }

    async fn the_default_provider_is_there_from_the_start(dcm) {
        let all = dcm.get(PROVIDERS).await.expect(200);
        assert_eq!(all[0]["metadata"]["name"], "default");
        dcm.post(PROVIDERS, &json!({ "metadata": { "name": "cp" } })).await.expect(201);
        dcm.post(PROVIDERS, &json!({ "metadata": { "name": "cp" } })).await.expect_problem(409, &[]);
        dcm.delete(&format!("{PROVIDERS}/cp")).await.expect(204);
    }

    async fn a_cluster_that_is_referred_to_stays(dcm) {
        dcm.with_reference().await;
        let path = format!("{PROVIDERS}/default/clusters/cluster-1");
        let cluster = dcm.get(&path).await.expect(200);
        assert_eq!(cluster["used-by"], json!([{ "project": "p", "logical-cloud": "lc-1", "cluster-reference": "cluster-1" }]));
        dcm.delete(&path).await.expect_problem(409, &[]);
        dcm.delete(&format!("{PROVIDERS}/default")).await.expect_problem(409, &[]);
        dcm.delete("/v2/projects/p/logical-clouds/lc-1").await.expect(204);
        dcm.delete(&path).await.expect(204);
        dcm.get(&path).await.expect_problem(404, &[]);
    }

    async fn a_cluster_is_changed_by_put(dcm) {
        dcm.with_cluster("c").await;
        let path = format!("{PROVIDERS}/default/clusters/c");
        let body = json!({ "metadata": { "description": "d" }, "spec": { "kubeconfig": kubeconfig(), "istio-version": "1.28.1" } });
        let made = dcm.put(&path, &body).await.expect(200);
        assert_eq!(made["spec"]["istio-version"], "1.28.1");
        assert_eq!(dcm.get(&format!("{PROVIDERS}/default/clusters")).await.expect(200).as_array().map(Vec::len), Some(1));
        dcm.get(&format!("{PROVIDERS}/none/clusters")).await.expect_problem(404, &[]);
    }
}

#[tokio::test]
async fn registered_projects_must_be_there_before() {
    let dcm = Dcm::start("memory", &["--projects", "registered"]).await;
    dcm.post("/v2/projects/p/logical-clouds", &crate::design::logical_cloud()).await.expect_problem(404, &[]);
    dcm.post("/v2/projects", &json!({ "metadata": { "name": "p" } })).await.expect(201);
    dcm.with_cloud().await;
    dcm.stop().await;
}

#[tokio::test]
async fn what_the_operator_allows_is_taken_and_shown() {
    let options = [
        "--allow-admin-clouds",
        "--allow-cluster-wide-permissions",
        "--allow-foreign-namespace-permissions",
        "--allow-privileged-permissions",
        "--allow-namespace",
        "kube-x",
    ];
    let dcm = Dcm::start("memory", &options).await;
    let permission = |name: &str, namespace: &str| json!({ "permission-name": name, "apiGroups": ["*"], "resources": ["*"], "verbs": ["*"], "namespace": namespace });
    let user = json!({ "user-name": "u", "user-permissions": [permission("a", ""), permission("b", "other"), permission("c", "kube-x")] });
    let body = json!({ "metadata": { "name": "lc-1" }, "spec": { "namespace": "kube-x", "user": user } });
    let made = dcm.post("/v2/projects/p/logical-clouds", &body).await.expect(201);
    let namespaces: Vec<Option<&str>> =
        made["spec"]["user"]["user-permissions"].as_array().unwrap().iter().map(|p| p["namespace"].as_str()).collect();
    assert_eq!(namespaces, [Some(""), Some("other"), None]);
    let admin = json!({ "metadata": { "name": "admin" }, "spec": { "level": "0" } });
    let made = dcm.post("/v2/projects/p/logical-clouds", &admin).await.expect(201);
    assert!(made.get("namespace").is_none() && made.get("user-name").is_none(), "{made}");
    dcm.get("/v2/projects/p/logical-clouds/admin/kubeconfig").await.expect_problem(409, &[]);
    dcm.stop().await;
}
