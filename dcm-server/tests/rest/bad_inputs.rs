//! What is refused: with every bad field named, and nothing changed.

use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    design, on_every_store,
    support::{Dcm, LC, kubeconfig},
};

const CLOUDS: &str = "/v2/projects/p/logical-clouds";
const CLUSTERS: &str = "/v2/cluster-providers/default/clusters";

/// The design's logical cloud, changed.
fn cloud(change: impl FnOnce(&mut Value)) -> Value {
    let mut body = design::logical_cloud();
    body["metadata"]["name"] = json!("lc-2");
    change(&mut body);
    body
}

/// Posts what must be refused, and shows that nothing was changed.
async fn refused(dcm: &Dcm, path: &str, body: &Value, pointers: &[&str]) {
    let before = dcm.all().await;
    dcm.post(path, body).await.expect_problem(400, pointers);
    assert_eq!(dcm.all().await, before);
}

on_every_store! {
    async fn what_is_missing_is_named_all_at_once(dcm) {
        refused(dcm, CLOUDS, &json!({}), &["/metadata/name", "/spec/namespace", "/spec/user"]).await;
        refused(dcm, CLOUDS, &json!({ "metadata": null, "spec": { "namespace": "n", "user": {} } }), &["/metadata/name", "/spec/user/user-name"]).await;
        dcm.with_cloud().await;
        refused(dcm, &format!("{LC}/cluster-quotas"), &json!({}), &["/metadata/name", "/spec"]).await;
        refused(dcm, &format!("{LC}/kv-pairs"), &json!({}), &["/metadata/name", "/spec/kv"]).await;
        refused(dcm, &format!("{LC}/user-permissions"), &json!({}), &["/name", "/apiGroups", "/resources", "/verbs"]).await;
        refused(dcm, &format!("{LC}/cluster-references"), &json!({}), &["/metadata/name", "/spec/cluster-name", "/spec/loadbalancer-ip"]).await;
        refused(dcm, &format!("{LC}/cluster-references"), &json!({ "cluster-reference": "c" }), &["/loadbalancer-ip"]).await;
        refused(dcm, CLUSTERS, &json!({}), &["/metadata/name", "/spec/kubeconfig"]).await;
        refused(dcm, "/v2/projects", &json!({}), &["/metadata/name"]).await;
    }

    async fn wrong_types_say_what_was_expected(dcm) {
        dcm.with_cloud().await;
        let body = json!({
            "metadata": { "name": 1, "description": [] },
            "spec": { "namespace": true, "labels": [], "mesh": {},
                "user": { "user-name": null, "user-permissions": [7, { "permission-name": "p", "apiGroups": "x", "resources": [1], "verbs": ["get"] }] } },
        });
        let pointers = [
            "/metadata/name", "/metadata/description", "/spec/namespace", "/spec/labels", "/spec/mesh", "/spec/user/user-name",
            "/spec/user/user-permissions/0", "/spec/user/user-permissions/1/apiGroups", "/spec/user/user-permissions/1/resources/0",
        ];
        refused(dcm, CLOUDS, &body, &pointers).await;
        let problem = dcm.post(CLOUDS, &body).await.json();
        assert_eq!(problem["errors"][0], json!({ "pointer": "/metadata/name", "detail": "must be a text, not a number" }));
        for body in [json!([]), json!("x"), json!(1)] {
            let problem = dcm.post(CLOUDS, &body).await.expect_problem(400, &[""]);
            assert!(problem["detail"].as_str().unwrap().contains("must be an object"), "{problem}");
        }
        refused(dcm, CLOUDS, &json!({ "metadata": 1, "spec": 2 }), &["/metadata", "/spec"]).await;
        refused(dcm, &format!("{LC}/kv-pairs"), &json!({ "metadata": { "name": "k" }, "spec": { "kv": [{ "a": 1, "b": 2 }, 3] } }), &["/spec/kv/0", "/spec/kv/1"]).await;
        refused(dcm, &format!("{LC}/cluster-quotas"), &json!({ "metadata": { "name": "q" }, "spec": { "pods": [], "cpu": true } }), &["/spec/pods", "/spec/cpu"]).await;
    }

    async fn bad_names_are_refused(dcm) {
        for name in ["", "-a", "a b", "a/b", "ä", "a\u{0}", "..", &"x".repeat(129)] {
            refused(dcm, CLOUDS, &cloud(|c| c["metadata"]["name"] = json!(name)), &["/metadata/name"]).await;
        }
        refused(dcm, CLOUDS, &cloud(|c| c["metadata"]["description"] = json!("x".repeat(1025))), &["/metadata/description"]).await;
        refused(dcm, CLOUDS, &cloud(|c| c["metadata"]["userData2"] = json!("x".repeat(513))), &["/metadata/userData2"]).await;
    }

    async fn bad_quantities_are_refused(dcm) {
        dcm.with_cloud().await;
        let quota = json!({ "metadata": { "name": "q" }, "spec": { "cpu": "much", "pods": "1.5", "memory": "-1Gi", "count/": "1", "nodes": "1" } });
        refused(dcm, &format!("{LC}/cluster-quotas"), &quota, &["/spec/cpu", "/spec/pods", "/spec/memory", "/spec/count~1", "/spec/nodes"]).await;
    }

    async fn labels_of_the_platform_are_refused(dcm) {
        let labels = json!({ "pod-security.kubernetes.io/enforce": "privileged", "istio-injection": "enabled", "team": "a b", "istio.io/rev": "x" });
        refused(dcm, CLOUDS, &cloud(|c| c["spec"]["labels"] = labels), &[
            "/spec/labels/pod-security.kubernetes.io~1enforce", "/spec/labels/istio-injection", "/spec/labels/team", "/spec/labels/istio.io~1rev",
        ]).await;
    }

    async fn users_of_kubernetes_and_its_namespaces_are_refused(dcm) {
        for user in ["system:admin", "system:serviceaccount:a:b", "a b", ""] {
            refused(dcm, CLOUDS, &cloud(|c| c["spec"]["user"]["user-name"] = json!(user)), &["/spec/user/user-name"]).await;
        }
        for namespace in ["kube-system", "kube-x", "default", "istio-system", "A", "a.b", ""] {
            refused(dcm, CLOUDS, &cloud(|c| c["spec"]["namespace"] = json!(namespace)), &["/spec/namespace"]).await;
        }
        for user_type in ["UNPW", "password", ""] {
            refused(dcm, CLOUDS, &cloud(|c| c["spec"]["user"]["type"] = json!(user_type)), &["/spec/user/type"]).await;
        }
        refused(dcm, CLOUDS, &cloud(|c| c["spec"]["level"] = json!("0")), &["/spec/level"]).await;
    }

    async fn permissions_that_widen_rights_are_refused(dcm) {
        dcm.with_cloud().await;
        let permission = |resources: &str, verb: &str| json!({ "name": "x", "apiGroups": ["*"], "resources": [resources], "verbs": [verb] });
        let path = format!("{LC}/user-permissions");
        refused(dcm, &path, &permission("*", "*"), &["/resources"]).await;
        refused(dcm, &path, &permission("roles", "escalate"), &["/verbs"]).await;
        refused(dcm, &path, &permission("namespaces", "patch"), &["/resources"]).await;
    }

    async fn an_unknown_cluster_is_refused(dcm) {
        dcm.with_cloud().await;
        let long = json!({ "metadata": { "name": "r" }, "spec": { "cluster-provider": "none", "cluster-name": "c", "loadbalancer-ip": "0.0.0.0" } });
        refused(dcm, &format!("{LC}/cluster-references"), &long, &["/spec/cluster-name"]).await;
        let short = json!({ "cluster-reference": "none", "loadbalancer-ip": "x" });
        refused(dcm, &format!("{LC}/cluster-references"), &short, &["/loadbalancer-ip"]).await;
    }

    async fn what_is_to_be_tried_only_is_not_done(dcm) {
        dcm.with_reference().await;
        let before = dcm.all().await;
        let project = json!({ "metadata": { "name": "other" } });
        for (method, path, query) in [
            (Method::POST, "/v2/projects", "dryRun=All"), (Method::PUT, "/v2/projects/p", "dry-run"), (Method::PATCH, "/v2/projects/p", "dryRun=All&force=true"),
            (Method::DELETE, LC, "dryRun=All"), (Method::POST, format!("{LC}/apply").as_str(), "limit=1&dryRun=server"), (Method::POST, format!("{LC}/terminate").as_str(), "dryRun="),
        ] {
            let reply = dcm.raw(method, &format!("{path}?{query}"), "application/json", project.to_string()).await;
            let problem = reply.expect_problem(400, &[]);
            let parameter = problem["errors"][0]["parameter"].as_str().unwrap();
            assert!(query.contains(parameter) && problem["detail"].as_str().unwrap().contains("/diff"), "{problem}");
        }
        assert_eq!(dcm.all().await, before);
        // What changes nothing anyway is served, and told of the parameter.
        let read = dcm.get("/v2/projects?dryRun=All").await;
        read.expect(200);
        assert!(read.header("warning").contains("dryRun"), "{}", read.header("warning"));
    }

    async fn duplicates_are_refused(dcm) {
        dcm.with_reference().await;
        let before = dcm.all().await;
        dcm.post(CLOUDS, &design::logical_cloud()).await.expect_problem(409, &[]);
        dcm.post("/v2/projects", &json!({ "metadata": { "name": "p" } })).await.expect_problem(409, &[]);
        let short = json!({ "cluster-reference": "cluster-1", "loadbalancer-ip": "0.0.0.0" });
        dcm.post(&format!("{LC}/cluster-references"), &short).await.expect_problem(409, &[]);
        let cluster = json!({ "metadata": { "name": "cluster-1" }, "spec": { "kubeconfig": kubeconfig() } });
        dcm.post(CLUSTERS, &cluster).await.expect_problem(409, &[]);
        assert_eq!(dcm.all().await, before);
    }

    async fn bodies_that_are_no_json_are_refused_and_not_quoted(dcm) {
        for (body, says) in [
            (&b""[..], "is empty"),
            (b"  \n", "is empty"),
            (b"{\"metadata\": s3cret}", "is not JSON (line 1, column 14)"),
            (b"{\"a\": 1", "is not complete JSON"),
            (b"{\"a\": \"\xff\"}", "is not UTF-8"),
            (b"{} {}", "is not JSON"),
            (b"\"\\ud800\"", "is not JSON"),
        ] {
            let problem = dcm.raw(Method::POST, CLOUDS, "application/json", body).await.expect_problem(400, &[]);
            let detail = problem["detail"].as_str().unwrap();
            assert!(detail.contains(says) && !detail.contains("s3cret"), "{detail}");
        }
        assert_eq!(dcm.get("/v2/projects").await.expect(200), json!([]));
    }

    async fn bodies_that_are_too_deep_or_too_large_are_refused(dcm) {
        for deep in ["[".repeat(100_000), "{\"a\":".repeat(100_000)] {
            let problem = dcm.raw(Method::POST, CLOUDS, "application/json", deep).await.expect_problem(400, &[]);
            assert!(problem["detail"].as_str().unwrap().contains("nested too deeply"), "{problem}");
        }
        let large = cloud(|c| c["metadata"]["description"] = json!("x".repeat(1024 * 1024)));
        dcm.post(CLOUDS, &large).await.expect_problem(413, &[]);
        let wide = json!({ "metadata": { "name": "lc-2" }, "spec": { "namespace": "n", "user": { "user-name": "u", "user-permissions": vec![json!({}); 300] } } });
        refused(dcm, CLOUDS, &wide, &["/spec/user/user-permissions"]).await;
        assert_eq!(dcm.get("/v2/projects").await.expect(200), json!([]));
    }

    async fn numbers_that_would_be_changed_are_named(dcm) {
        dcm.with_cloud().await;
        let kv = r#"{"metadata": {"name": "k"}, "spec": {"kv": [{"a": 1.5}, {"b/c": [18446744073709551616]}, {"d": {"e": 1e400}}, {"f": -9223372036854775809}]}}"#;
        let path = format!("{LC}/kv-pairs");
        let before = dcm.all().await;
        let reply = dcm.raw(Method::POST, &path, "application/json", kv).await;
        let problem = reply.expect_problem(400, &["/spec/kv/1/b~1c/0", "/spec/kv/2/d/e", "/spec/kv/3/f"]);
        for error in problem["errors"].as_array().unwrap() {
            assert!(error["detail"].as_str().unwrap().contains("write it as a text"), "{problem}");
        }
        let quota = r#"{"metadata": {"name": "q"}, "spec": {"pods": 5, "cpu": 0.5, "memory": 18446744073709551616}}"#;
        let path = format!("{LC}/cluster-quotas");
        let problem = dcm.raw(Method::POST, &path, "application/json", quota).await.expect_problem(400, &["/spec/cpu", "/spec/memory"]);
        assert!(problem["errors"][0]["detail"].as_str().unwrap().contains("write the quantity in quotes"), "{problem}");
        assert_eq!(dcm.all().await, before);
        let quota = r#"{"metadata": {"name": "q"}, "spec": {"pods": 5, "memory": 18446744073709551615}}"#;
        let made = dcm.raw(Method::POST, &path, "application/json", quota).await.expect(201);
        assert_eq!(made["spec"], json!({ "pods": "5", "memory": "18446744073709551615" }));
    }

    async fn bodies_full_of_faults_get_short_answers_soon(dcm) {
        dcm.with_cloud().await;
        let list = |entry: &str, times: usize| vec![entry; times].join(",");
        let key = "k".repeat(500_000);
        let kv = |kv: String| format!("{{\"metadata\": {{\"name\": \"k\"}}, \"spec\": {{\"kv\": {kv}}}}}");
        for (path, body, says) in [
            ("kv-pairs", kv(format!("{{\"{key}\": {{{}}}}}", list("\"\":1", 100_000))), "a key of more than 1024 bytes"),
            ("kv-pairs", kv(format!("{{\"{}\": {{{}}}}}", &key[..1000], list("\"\":1", 150_000))), "more than 256 fields"),
            ("kv-pairs", kv(format!("[{}]", list("1", 250_000))), "more than 256 fields"),
            ("cluster-quotas", format!("{{\"spec\": {{{}}}}}", list("\"a\":[]", 120_000)), "more than 256 fields"),
            ("user-permissions?fieldValidation=Strict", format!("{{{}}}", list("\"x\":1", 120_000)), "more than 256 fields"),
        ] {
            let started = std::time::Instant::now();
            let reply = dcm.raw(Method::POST, &format!("{LC}/{path}"), "application/json", body).await;
            assert_eq!(reply.status, 400);
            let problem = reply.json();
            assert!(problem["detail"].as_str().unwrap().contains(says), "{:.300}", reply.text());
            assert!(reply.body.len() < 64 * 1024, "{} bytes", reply.body.len());
            assert!(started.elapsed() < std::time::Duration::from_secs(30), "{path}: {:?}", started.elapsed());
        }
    }

    async fn kubeconfigs_that_run_programs_or_read_files_are_refused(dcm) {
        let mut config = kubeconfig();
        config["users"][0]["user"] = json!({ "exec": { "command": "sh" }, "auth-provider": {}, "tokenFile": "/etc/shadow", "client-key": "/k" });
        config["clusters"][0]["cluster"] = json!({ "server": "http://h", "certificate-authority": "/ca", "insecure-skip-tls-verify": true, "proxy-url": "http://p" });
        let at = |rest: &str| format!("/spec/kubeconfig/{rest}");
        let pointers = [
            at("users/0/user/exec"), at("users/0/user/auth-provider"), at("users/0/user/tokenFile"), at("users/0/user/client-key"),
            at("clusters/0/cluster/server"), at("clusters/0/cluster/certificate-authority"),
            at("clusters/0/cluster/insecure-skip-tls-verify"), at("clusters/0/cluster/proxy-url"),
        ];
        let pointers: Vec<&str> = pointers.iter().map(String::as_str).collect();
        for kubeconfig in [config.clone(), json!(config.to_string())] {
            let body = json!({ "metadata": { "name": "c" }, "spec": { "kubeconfig": kubeconfig } });
            refused(dcm, CLUSTERS, &body, &pointers).await;
        }
        for text in ["", "a: [", "a: 1\na: 2", "just text"] {
            let body = json!({ "metadata": { "name": "c" }, "spec": { "kubeconfig": text } });
            refused(dcm, CLUSTERS, &body, &["/spec/kubeconfig"]).await;
        }
    }
}
