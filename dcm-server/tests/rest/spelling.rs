//! Fields in other spellings, in other forms, and fields that nobody knows.

use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    design, on_every_store,
    support::{LC, Reply, kubeconfig},
};

const CLOUDS: &str = "/v2/projects/p/logical-clouds";

on_every_store! {
    async fn emcos_spelling_is_taken(dcm) {
        dcm.speaks_loosely();
        let provider = json!({ "metadata": { "name": "cp-1" } });
        dcm.post("/v2/cluster-providers", &provider).await.expect(201);
        let cluster = json!({ "metadata": { "name": "c1" }, "spec": { "kubeconfig": kubeconfig() } });
        dcm.post("/v2/cluster-providers/cp-1/clusters", &cluster).await.expect(201);
        let cloud = json!({
            "Metadata": { "Name": "lc-1", "userdata1": "x" },
            "spec": { "nameSpace": "ns-1", "level": "1", "user": { "userName": "user-1", "type": "Certificate",
                "userPermissions": [{ "permissionName": "a", "api-groups": [""], "resources": ["pods"], "verbs": ["get"] }] } },
        });
        let made = dcm.post(CLOUDS, &cloud).await;
        assert_eq!(made.header("warning"), "");
        let made = made.expect(201);
        assert_eq!(made["spec"]["user"]["user-permissions"][0]["permission-name"], "a");
        assert_eq!(made["metadata"], json!({ "name": "lc-1", "userData1": "x" }));
        let reference = json!({ "metadata": { "name": "r" }, "spec": { "clusterProvider": "cp-1", "cluster": "c1", "loadBalancerIP": "192.0.2.1" } });
        let made = dcm.post(&format!("{LC}/cluster-references"), &reference).await.expect(200);
        assert_eq!(made["spec"], json!({ "cluster-provider": "cp-1", "cluster-name": "c1", "loadbalancer-ip": "192.0.2.1" }));
        let permission = json!({ "metadata": { "name": "b" }, "spec": { "apiGroups": [""], "resources": ["pods"], "verbs": ["get"], "namespace": "ns-1" } });
        let made = dcm.post(&format!("{LC}/user-permissions"), &permission).await.expect(200);
        assert_eq!(made["name"], "b");
    }

    async fn the_same_field_twice_is_refused(dcm) {
        let twice = r#"{"metadata": {"name": "lc-1"}, "spec": {"namespace": "a", "Namespace": "b", "user": {"user-name": "u", "userName": "u"}, "labels": {"x": "1", "x": "2"}}}"#;
        let reply = dcm.raw(Method::POST, CLOUDS, "application/json", twice).await;
        reply.expect_problem(400, &["/spec/namespace", "/spec/user/user-name", "/spec/labels/x"]);
    }

    async fn unknown_fields_are_warned_of_or_refused_or_ignored(dcm) {
        let mut body = design::logical_cloud();
        body["spec"]["colour"] = json!("red");
        body["x~/y"] = json!({});
        let strict = dcm.post(&format!("{CLOUDS}?fieldValidation=Strict"), &body).await;
        strict.expect_problem(400, &["/spec/colour", "/x~0~1y"]);
        dcm.post(&format!("{CLOUDS}?fieldValidation=Maybe"), &body).await.expect_problem(400, &[]);
        let warned = dcm.post(CLOUDS, &body).await;
        warned.expect(201);
        let warnings: Vec<&str> = warned.headers.get_all("warning").iter().map(|w| w.to_str().unwrap()).collect();
        assert_eq!(warnings, [r#"299 - "unknown field /spec/colour""#, r#"299 - "unknown field /x~0~1y""#]);
        let ignored = dcm.put(&format!("{LC}?fieldValidation=Ignore"), &body).await;
        ignored.expect(200);
        assert_eq!(ignored.header("warning"), "");
    }

    async fn unknown_fields_are_warned_of_in_problems_too(dcm) {
        let mut body = design::logical_cloud();
        body["spec"]["colour"] = json!("red");
        let unknown = r#"299 - "unknown field /spec/colour""#;
        dcm.post(CLOUDS, &body).await.expect(201);
        // It is there; it is invalid; it is in another state; it is not there.
        let there = dcm.post(CLOUDS, &body).await;
        there.expect_problem(409, &[]);
        let strange = dcm.patch(LC, &json!({ "spec": { "colour": "red", "namespace": "A" } })).await;
        strange.expect_problem(400, &["/spec/namespace"]);
        let past = dcm.send(dcm.request(Method::PUT, LC).header("if-match", "\"x\"").json(&body)).await;
        past.expect_problem(412, &[]);
        let none = dcm.put("/v2/projects/p/logical-clouds/none", &json!({ "spec": body["spec"] })).await;
        none.expect_problem(404, &[]);
        for reply in [there, strange, past, none] {
            assert_eq!(reply.header("warning"), unknown, "{}", reply.status);
        }
        let ignored = dcm.post(&format!("{CLOUDS}?fieldValidation=Ignore"), &body).await;
        ignored.expect_problem(409, &[]);
        assert_eq!(ignored.header("warning"), "");
    }

    async fn what_is_said_twice_and_not_alike_is_told(dcm) {
        dcm.with_reference().await;
        let told = |reply: &Reply| -> Vec<String> {
            reply.headers.get_all("warning").iter().map(|w| w.to_str().unwrap().trim_start_matches("299 - ").to_owned()).collect()
        };
        for (path, pointer, other, warning) in [
            ("/user-permissions/permission-1", "/spec/verbs", json!(["list"]), r#""/verbs differs from /spec/verbs, which counts""#),
            ("/user-permissions/permission-1", "/name", json!("other"), r#""/name differs from /metadata/name, which counts""#),
            ("/cluster-references/cluster-1", "/spec/loadbalancer-ip", json!("192.0.2.9"), r#""/loadbalancer-ip differs from /spec/loadbalancer-ip, which counts""#),
            ("/cluster-references/cluster-1", "/cluster-name", json!("other"), r#""/cluster-name differs from /spec/cluster-name, which counts""#),
            ("", "/spec/namespace", json!("ns-2"), r#""/namespace differs from /spec/namespace, which counts""#),
            ("", "/user-name", json!("other"), r#""/user-name differs from /spec/user/user-name, which counts""#),
            ("", "/logical-cloud-name", json!("other"), r#""/logical-cloud-name differs from /metadata/name, which counts""#),
        ] {
            let path = format!("{LC}{path}");
            let mut body = dcm.get(&path).await.expect(200);
            *body.pointer_mut(pointer).unwrap() = other.clone();
            let before = dcm.all().await;
            let counted = warning.trim_matches('"').split(' ').next().unwrap();
            let strict = dcm.put(&format!("{path}?fieldValidation=Strict"), &body).await;
            strict.expect_problem(400, &[counted]);
            assert_eq!(dcm.all().await, before, "{path}");
            let put = dcm.put(&path, &body).await;
            put.expect(200);
            assert_eq!(told(&put), [warning], "{path}");
            let ignored = dcm.put(&format!("{path}?fieldValidation=Ignore"), &body).await;
            assert_eq!((ignored.status, told(&ignored)), (200, vec![]), "{path}");
        }
        // A flat body whose metadata names another one: the flat name counts.
        let flat = json!({ "metadata": { "name": "a" }, "name": "b", "apiGroups": [""], "resources": ["pods"], "verbs": ["get"] });
        let made = dcm.post(&format!("{LC}/user-permissions"), &flat).await;
        assert_eq!(made.expect(200)["name"], "b");
        assert_eq!(told(&made), [r#""/metadata/name differs from /name, which counts""#]);
        // In a patch as well: what is repeated is as it was, or as it becomes.
        let path = format!("{LC}/user-permissions/b?fieldValidation=Strict");
        let verbs = |flat: &str, whole: &str| json!({ "verbs": [flat], "spec": { "verbs": [whole] } });
        dcm.patch(&path, &verbs("watch", "list")).await.expect_problem(400, &["/verbs"]);
        for flat in ["get", "list"] {
            let made = dcm.patch(&path, &verbs(flat, "list")).await;
            assert_eq!((&made.expect(200)["verbs"], made.header("warning")), (&json!(["list"]), ""), "{flat}");
        }
    }

    async fn an_unknown_verb_is_warned_of(dcm) {
        dcm.with_cloud().await;
        let permission = json!({ "name": "x", "apiGroups": [""], "resources": ["pods"], "verbs": ["frobnicate"] });
        let reply = dcm.post(&format!("{LC}/user-permissions"), &permission).await;
        reply.expect(200);
        assert!(reply.header("warning").contains("frobnicate"), "{}", reply.header("warning"));
    }

    async fn an_unknown_resource_is_warned_of_with_what_may_be_meant(dcm) {
        dcm.with_cloud().await;
        // The design's own examples: jobs are in another group, and pvc is a short name.
        for (body, meant) in [
            (design::USER_PERMISSION, r#"did you mean \"jobs\" in the API group \"batch\"?""#),
            (design::USER_PERMISSION_CHANGED, r#"did you mean \"persistentvolumeclaims\"?""#),
        ] {
            let mut body = design::example(body);
            body["name"] = json!(format!("p-{}", meant.len()));
            let reply = dcm.post(&format!("{LC}/user-permissions"), &body).await;
            reply.expect(200);
            assert!(reply.header("warning").contains(meant), "{}", reply.header("warning"));
        }
        let unknown = json!({ "name": "x", "apiGroups": ["example.com"], "resources": ["secrets"], "verbs": ["get"] });
        let reply = dcm.post(&format!("{LC}/user-permissions"), &unknown).await;
        reply.expect(200);
        assert_eq!(reply.header("warning"), "");
    }

    async fn a_quota_for_what_is_not_there_is_warned_of(dcm) {
        dcm.with_cloud().await;
        // In the design's example it is there and not set.
        let mut quota = design::example(design::QUOTA);
        let made = dcm.post(&format!("{LC}/cluster-quotas"), &quota).await;
        made.expect(201);
        assert_eq!(made.header("warning"), "");
        quota["spec"]["count/deployments.extensions"] = json!("5");
        let made = dcm.put(&format!("{LC}/cluster-quotas/quota-1"), &quota).await;
        made.expect(201);
        assert!(made.header("warning").contains(r#"in the API group \"apps\"?"#), "{}", made.header("warning"));
    }

    async fn what_was_got_can_be_put_back(dcm) {
        dcm.with_applied_cloud().await;
        dcm.post(&format!("{LC}/cluster-quotas"), &design::example(design::QUOTA)).await.expect(201);
        dcm.post(&format!("{LC}/kv-pairs"), &design::example(design::KV_PAIR)).await.expect(201);
        for path in ["", "/cluster-references/cluster-1", "/cluster-quotas/quota-1", "/kv-pairs/kv-1", "/user-permissions/permission-1"] {
            let path = format!("{LC}{path}");
            let got = dcm.get(&path).await.expect(200);
            let put = dcm.put(&format!("{path}?fieldValidation=Strict"), &got).await;
            assert!(matches!(put.status, 200 | 201), "{path}: {}", put.text());
            let again = dcm.get(&path).await.expect(200);
            assert_eq!(without_generation(again), without_generation(got), "{path}");
        }
        for path in ["/v2/projects/p", "/v2/cluster-providers/default"] {
            let got = dcm.get(path).await.expect(200);
            assert_eq!(dcm.put(&format!("{path}?fieldValidation=Strict"), &got).await.expect(200), got);
        }
    }

    async fn kv_pairs_keep_order_repetitions_and_any_value(dcm) {
        dcm.with_cloud().await;
        let kv = json!([{ "z.$": 1 }, { "a": null }, { "z.$": { "deep": [true, 1.5, "x", {}] } }, { "": 18_446_744_073_709_551_615_u64 }]);
        let body = json!({ "metadata": { "name": "k" }, "spec": { "kv": kv } });
        dcm.post(&format!("{LC}/kv-pairs"), &body).await.expect(201);
        assert_eq!(dcm.get(&format!("{LC}/kv-pairs/k")).await.expect(200), body);
        let map = json!({ "spec": { "kv": { "b": 1, "a": 2 } } });
        let made = dcm.put(&format!("{LC}/kv-pairs/k"), &map).await.expect(201);
        assert_eq!(made["spec"]["kv"], json!([{ "a": 2 }, { "b": 1 }]));
    }

    async fn a_kubeconfig_comes_as_object_as_text_or_as_a_file(dcm) {
        let clusters = "/v2/cluster-providers/default/clusters";
        let yaml = "apiVersion: v1\nkind: Config\ncurrent-context: c\nclusters: [{name: k, cluster: {server: 'https://h:1'}}]\nusers: [{name: u, user: {token: t}}]\ncontexts: [{name: c, context: {cluster: k, user: u}}]\n";
        for (i, kubeconfig) in [kubeconfig(), json!(kubeconfig().to_string()), json!(yaml)].into_iter().enumerate() {
            let body = json!({ "metadata": { "name": format!("c{i}") }, "spec": { "kubeconfig": kubeconfig } });
            dcm.post(clusters, &body).await.expect(201);
        }
        let form = |name: &str| {
            let metadata = json!({ "metadata": { "name": name, "description": "d" } }).to_string();
            let metadata = reqwest::multipart::Part::text(metadata).mime_str("application/json").unwrap();
            reqwest::multipart::Form::new().part("metadata", metadata)
        };
        let file = reqwest::multipart::Part::text(yaml).file_name("kubeconfig");
        let made = dcm.send(dcm.request(Method::POST, clusters).multipart(form("f").part("file", file))).await;
        assert_eq!(made.expect(201)["spec"]["server"], "https://h:1");
        let none = dcm.send(dcm.request(Method::POST, clusters).multipart(form("g"))).await;
        none.expect_problem(400, &["/spec/kubeconfig"]);
        let broken = dcm.raw(Method::POST, clusters, "multipart/form-data; boundary=x", "nothing").await;
        broken.expect_problem(400, &[]);
    }

    async fn a_wider_scope_is_shown_where_it_is_allowed(dcm) {
        dcm.with_cloud().await;
        let wide = json!({ "name": "x", "apiGroups": [""], "resources": ["pods"], "verbs": ["get"], "namespace": "" });
        dcm.post(&format!("{LC}/user-permissions"), &wide).await.expect_problem(400, &["/namespace"]);
    }
}

fn without_generation(mut value: Value) -> Value {
    if let Some(object) = value.as_object_mut() {
        object.remove("generation");
    }
    value
}
