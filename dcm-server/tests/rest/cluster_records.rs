//! Labels and kv-pairs of clusters.

use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    design::{self, example},
    on_every_store,
    support::{Dcm, Reply, kubeconfig},
};

const C: &str = "/v2/cluster-providers/default/clusters/c";

async fn labels(dcm: &Dcm) -> Value {
    let cluster = dcm.get(C).await.expect(200);
    cluster["spec"].get("labels").cloned().unwrap_or_else(|| json!({}))
}

async fn under(dcm: &Dcm, method: Method, path: &str, etag: &str, body: &Value) -> Reply {
    dcm.send(dcm.request(method, path).header("if-match", etag).json(body)).await
}

on_every_store! {
    async fn a_label_is_an_entry_of_the_clusters_map(dcm) {
        dcm.with_cluster("c").await;
        let path = format!("{C}/labels");
        assert_eq!(dcm.get(&path).await.expect(200), json!([]));
        let label = |name: &str, value: &str| json!({ "label-name": name, "value": value, "clusterLabel": name });
        assert_eq!(dcm.post(&path, &json!({ "label-name": "site", "value": "edge-7" })).await.expect(201), label("site", "edge-7"));
        assert_eq!(dcm.post(&path, &json!({ "clusterLabel": "emco" })).await.expect(201), label("emco", ""));
        let prefixed = dcm.post(&path, &json!({ "name": "example.org/team", "value": "x" })).await.expect(201);
        assert_eq!(labels(dcm).await, json!({ "site": "edge-7", "emco": "", "example.org/team": "x" }));
        assert_eq!(dcm.get(&path).await.expect(200), json!([label("emco", ""), prefixed, label("site", "edge-7")]));
        assert_eq!(dcm.get(&format!("{path}/example.org%2Fteam")).await.expect(200), prefixed);
        dcm.post(&path, &json!({ "label-name": "site" })).await.expect_problem(409, &[]);
        assert_eq!(dcm.put(&format!("{path}/site"), &json!({ "value": "edge-8" })).await.expect(200), label("site", "edge-8"));
        assert_eq!(dcm.put(&format!("{path}/site?fieldValidation=Strict"), &label("site", "edge-9")).await.expect(200), label("site", "edge-9"));
        assert_eq!(dcm.delete(&format!("{path}/example.org%2fteam")).await.expect(204), Value::Null);
        dcm.delete(&format!("{path}/example.org%2Fteam")).await.expect_problem(404, &[]);
        dcm.get(&format!("{path}/none")).await.expect_problem(404, &[]);
        dcm.put(&format!("{path}/none"), &json!({ "value": "x" })).await.expect_problem(404, &[]);
        // And the other way round: the registration is the same thing.
        let spec = json!({ "spec": { "labels": { "only": "one" } } });
        dcm.put(C, &spec).await.expect(200);
        assert_eq!(dcm.get(&path).await.expect(200), json!([label("only", "one")]));
    }

    async fn a_labels_state_is_its_clusters(dcm) {
        dcm.with_cluster("c").await;
        let path = format!("{C}/labels/a");
        let made = dcm.post(&format!("{C}/labels"), &json!({ "label-name": "a" })).await;
        assert_eq!(made.header("etag"), dcm.get(C).await.header("etag"));
        let old = dcm.get(&path).await.header("etag").to_owned();
        let unchanged = dcm.send(dcm.request(Method::GET, &path).header("if-none-match", &old)).await;
        assert_eq!(unchanged.status, 304);
        let changed = under(dcm, Method::PUT, &path, &old, &json!({ "value": "1" })).await;
        changed.expect(200);
        assert_ne!(changed.header("etag"), old);
        under(dcm, Method::PUT, &path, &old, &json!({ "value": "2" })).await.expect_problem(412, &[]);
        under(dcm, Method::DELETE, &path, &old, &json!({})).await.expect_problem(412, &[]);
        assert_eq!(labels(dcm).await, json!({ "a": "1" }));
        under(dcm, Method::DELETE, &path, changed.header("etag"), &json!({})).await.expect(204);
    }

    async fn labels_come_in_pages(dcm) {
        dcm.with_cluster("c").await;
        let map: serde_json::Map<String, Value> = (0..5).map(|i| (format!("a.org/n{i}"), json!("v"))).collect();
        dcm.put(C, &json!({ "spec": { "labels": map } })).await.expect(200);
        let (mut path, mut found) = (format!("{C}/labels?limit=2"), Vec::new());
        loop {
            let page = dcm.get(&path).await;
            let entries = page.expect(200);
            found.extend(entries.as_array().unwrap().iter().map(|label| label["label-name"].clone()));
            let Some(next) = page.header("link").strip_prefix('<') else { break };
            path = next.split('>').next().unwrap().to_owned();
        }
        assert_eq!(json!(found), json!(["a.org/n0", "a.org/n1", "a.org/n2", "a.org/n3", "a.org/n4"]));
        dcm.get(&format!("{C}/labels?limit=0")).await.expect_problem(400, &[]);
    }

    async fn labels_that_cannot_be_are_named(dcm) {
        dcm.with_cluster("c").await;
        let path = format!("{C}/labels");
        dcm.post(&path, &json!({})).await.expect_problem(400, &["/label-name"]);
        dcm.post(&path, &json!({ "label-name": "", "value": "x".repeat(64) })).await.expect_problem(400, &["/label-name", "/value"]);
        // What a path cannot lead to, or what no selector can name.
        for key in ["..", ".", "/", "a/b/c", "a?b", " a", "a\nb", "-a", &"x".repeat(64)] {
            dcm.post(&path, &json!({ "label-name": key })).await.expect_problem(400, &["/label-name"]);
            dcm.patch(C, &json!({ "spec": { "labels": { (key): "v" } } })).await.expect(400);
        }
        dcm.post(&path, &json!({ "clusterLabel": 1, "value": [] })).await.expect_problem(400, &["/label-name", "/value"]);
        dcm.post(&format!("{path}?fieldValidation=Strict"), &json!({ "label-name": "a", "x": 1 })).await.expect_problem(400, &["/x"]);
        dcm.get(&format!("{path}/{}", "x".repeat(318))).await.expect_problem(400, &[]);
        dcm.post("/v2/cluster-providers/default/clusters/none/labels", &json!({ "label-name": "a" })).await.expect_problem(404, &[]);
        assert_eq!(labels(dcm).await, json!({}));
        dcm.post(&path, &json!({ "label-name": "a" })).await.expect(201);
        dcm.put(&format!("{path}/a"), &json!({ "label-name": "b" })).await.expect_problem(400, &["/label-name"]);
        let many: serde_json::Map<String, Value> = (0..256).map(|i| (format!("l{i}"), json!(""))).collect();
        dcm.put(C, &json!({ "spec": { "labels": many } })).await.expect(200);
        let refused = dcm.post(&path, &json!({ "label-name": "one-too-many" })).await.expect_problem(409, &[]);
        assert!(refused["detail"].as_str().unwrap().contains("256"), "{refused}");
        let mut many = many;
        many.insert("one-too-many".to_owned(), json!(""));
        dcm.put(C, &json!({ "spec": { "labels": many } })).await.expect_problem(400, &["/spec/labels"]);
    }

    async fn a_kv_pair_of_a_cluster_is_a_record_of_its_own(dcm) {
        dcm.with_cluster("c").await;
        let before = dcm.get(C).await.header("etag").to_owned();
        let path = format!("{C}/kv-pairs");
        assert_eq!(dcm.post(&path, &example(design::KV_PAIR)).await.expect(201), example(design::KV_PAIR));
        dcm.post(&path, &example(design::KV_PAIR)).await.expect_problem(409, &[]);
        let one = format!("{path}/kv-1");
        let got = dcm.get(&one).await;
        assert_eq!(got.expect(200), example(design::KV_PAIR));
        assert_eq!(dcm.get(&path).await.expect(200), json!([example(design::KV_PAIR)]));
        assert_eq!(dcm.get(&format!("{one}?key=key2")).await.expect(200), json!({ "value": "val2" }));
        dcm.get(&format!("{one}?key=none")).await.expect_problem(404, &[]);
        let put = dcm.put(&one, &example(design::KV_PAIR_CHANGED)).await.expect(200);
        assert_eq!(put["spec"], example(design::KV_PAIR_CHANGED)["spec"]);
        under(dcm, Method::PUT, &one, got.header("etag"), &example(design::KV_PAIR)).await.expect_problem(412, &[]);
        dcm.put(&format!("{path}/none"), &example(design::KV_PAIR_CHANGED)).await.expect_problem(404, &[]);
        dcm.post(&path, &json!({ "metadata": { "name": "a b" } })).await.expect_problem(400, &["/metadata/name", "/spec/kv"]);
        assert_eq!(dcm.get(C).await.header("etag"), before);
        assert_eq!(dcm.delete(&one).await.expect(204), Value::Null);
        dcm.delete(&one).await.expect_problem(404, &[]);
        let none = "/v2/cluster-providers/default/clusters/none/kv-pairs";
        dcm.get(none).await.expect_problem(404, &[]);
        dcm.post(none, &example(design::KV_PAIR)).await.expect_problem(404, &[]);
    }

    async fn a_cluster_takes_its_kv_pairs_along(dcm) {
        dcm.with_cluster("c").await;
        dcm.post(&format!("{C}/kv-pairs"), &example(design::KV_PAIR)).await.expect(201);
        assert_eq!(dcm.delete(C).await.expect(204), Value::Null);
        dcm.get(&format!("{C}/kv-pairs")).await.expect_problem(404, &[]);
        dcm.with_cluster("c").await;
        assert_eq!(dcm.get(&format!("{C}/kv-pairs")).await.expect(200), json!([]));
        dcm.get(&format!("{C}/kv-pairs/kv-1")).await.expect_problem(404, &[]);
    }
}

#[tokio::test]
async fn a_cluster_has_a_thousand_kv_pairs_and_no_more() {
    let dcm = Dcm::start("memory", &[]).await;
    let cluster = json!({ "metadata": { "name": "c" }, "spec": { "kubeconfig": kubeconfig() } });
    dcm.post("/v2/cluster-providers/default/clusters", &cluster).await.expect(201);
    let pair = |i: usize| json!({ "metadata": { "name": format!("kv-{i}") }, "spec": { "kv": {} } });
    for i in 0..1000 {
        dcm.post(&format!("{C}/kv-pairs"), &pair(i)).await.expect(201);
    }
    let refused = dcm.post(&format!("{C}/kv-pairs"), &pair(1000)).await.expect_problem(409, &[]);
    assert_eq!(refused["detail"], "a cluster has at most 1000 of a kv-pair");
    dcm.delete(C).await.expect(204);
    dcm.stop().await;
}
