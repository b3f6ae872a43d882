//! JSON merge patches (RFC 7396).

use std::sync::Arc;

use dcm_core::store::{Scan, Store};
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    design::{self, example},
    on_every_store,
    support::{Dcm, LC, Reply, kubeconfig},
};

const CLUSTER: &str = "/v2/cluster-providers/default/clusters/cluster-1";
const MERGE_PATCH: &str = "application/merge-patch+json";

async fn patch(dcm: &Dcm, path: &str, patch: &Value) -> Reply {
    dcm.raw(Method::PATCH, path, MERGE_PATCH, patch.to_string()).await
}

/// One record of each kind that can be patched, and the status of a PUT of it.
async fn with_one_of_each(dcm: &Dcm) -> Vec<(String, u16)> {
    dcm.with_reference().await;
    dcm.post(&format!("{LC}/cluster-quotas"), &example(design::QUOTA)).await.expect(201);
    for kv_pairs in [format!("{LC}/kv-pairs"), format!("{CLUSTER}/kv-pairs")] {
        dcm.post(&kv_pairs, &example(design::KV_PAIR)).await.expect(201);
    }
    dcm.post(&format!("{CLUSTER}/labels"), &json!({ "label-name": "a", "value": "b" })).await.expect(201);
    let controller = json!({ "metadata": { "name": "ca" }, "spec": { "host": "h", "port": 1 } });
    dcm.post("/v2/controllers", &controller).await.expect(201);
    let of_cloud = |rest: &str, status| (format!("{LC}{rest}"), status);
    vec![
        ("/v2/projects/p".to_owned(), 200),
        ("/v2/cluster-providers/default".to_owned(), 200),
        (CLUSTER.to_owned(), 200),
        (format!("{CLUSTER}/labels/a"), 200),
        (format!("{CLUSTER}/kv-pairs/kv-1"), 200),
        ("/v2/controllers/ca".to_owned(), 200),
        of_cloud("", 200),
        of_cloud("/cluster-references/cluster-1", 200),
        of_cloud("/user-permissions/permission-1", 200),
        of_cloud("/cluster-quotas/quota-1", 201),
        of_cloud("/kv-pairs/kv-1", 201),
    ]
}

on_every_store! {
    async fn every_record_that_can_be_replaced_can_be_patched(dcm) {
        for (path, status) in with_one_of_each(dcm).await {
            let got = dcm.get(&path).await;
            let before = got.expect(200);
            // As it was sent, whatever the order of its fields.
            let reply = dcm.raw(Method::PATCH, &path, MERGE_PATCH, got.body.clone()).await;
            reply.expect(status);
            assert_eq!((reply.header("etag"), reply.header("warning")), (got.header("etag"), ""), "{path}");
            if !path.contains("/labels/") && !path.contains("/user-permissions/") {
                // The name is in the path, so nothing takes it away.
                let reply = patch(dcm, &path, &json!({ "metadata": { "name": null } })).await;
                reply.expect(status);
                assert_eq!((reply.header("etag"), reply.header("warning")), (got.header("etag"), ""), "{path}");
            }
            // Nothing is changed by a patch that says nothing, or what is there already.
            for same in [json!({}), json!({ "metadata": {} }), before.clone()] {
                let reply = patch(dcm, &format!("{path}?fieldValidation=Strict"), &same).await;
                if path.contains("/labels/") && same.get("metadata").is_some() {
                    reply.expect_problem(400, &["/metadata"]);
                    continue;
                }
                reply.expect(status);
                assert_eq!((reply.header("etag"), reply.header("warning")), (got.header("etag"), ""), "{path}: {same}");
                assert_eq!(dcm.get(&path).await.expect(200), before, "{path}");
            }
            // As for PUT: a name, where it cannot be another one.
            let rename = if path.contains("/labels/") { json!({ "label-name": "other" }) } else { json!({ "metadata": { "name": "other" } }) };
            let refused = patch(dcm, &path, &rename).await;
            assert_eq!(refused.status, 400, "{path}: {}", refused.text());
            for patch_body in [json!([]), json!(7), json!("x"), Value::Null, json!([{ "op": "add" }])] {
                patch(dcm, &path, &patch_body).await.expect_problem(400, &[""]);
            }
            let unknown = patch(dcm, &format!("{path}?fieldValidation=Strict"), &json!({ "colour": null })).await;
            unknown.expect_problem(400, &["/colour"]);
            assert_eq!(dcm.get(&path).await.header("etag"), got.header("etag"), "{path}");
            let allowed = dcm.send(dcm.request(Method::POST, &path)).await;
            allowed.expect_problem(405, &[]);
            assert!(allowed.header("allow").contains("PATCH"), "{path}: {}", allowed.header("allow"));
        }
    }

    async fn metadata_is_merged_and_null_takes_away(dcm) {
        for (path, status) in with_one_of_each(dcm).await {
            if path.contains("/labels/") || path.contains("/user-permissions/") {
                continue;
            }
            let before = dcm.get(&path).await.expect(200);
            let made = patch(dcm, &path, &json!({ "Metadata": { "user_data_1": "one", "description": "d" } })).await.expect(status);
            assert_eq!((&made["metadata"]["userData1"], &made["metadata"]["description"]), (&json!("one"), &json!("d")), "{path}");
            let made = patch(dcm, &path, &json!({ "metadata": { "description": null } })).await.expect(status);
            assert_eq!((&made["metadata"]["userData1"], made["metadata"].get("description")), (&json!("one"), None), "{path}");
            let after = dcm.get(&path).await.expect(200);
            assert_eq!((&after["spec"], &after["metadata"]), (&before["spec"], &made["metadata"]), "{path}");
            let bad = json!({ "metadata": { "description": "x".repeat(1025), "userData2": 7 } });
            patch(dcm, &path, &bad).await.expect_problem(400, &["/metadata/description", "/metadata/userData2"]);
        }
    }

    async fn a_logical_cloud_is_patched_field_by_field(dcm) {
        dcm.with_cloud().await;
        let before = dcm.get(LC).await.expect(200);
        let made = patch(dcm, LC, &json!({ "spec": { "user": { "userName": "user-2" }, "labels": { "a/b": "1", "a-b": "2" } } })).await.expect(200);
        assert_eq!((&made["user"], &made["spec"]["user"]["user-permissions"]), (&json!("user-2"), &before["spec"]["user"]["user-permissions"]));
        // One that changes nothing answers in the same form.
        assert_eq!(patch(dcm, LC, &json!({ "user": "user-2" })).await.expect(200), made);
        let made = patch(dcm, LC, &json!({ "spec": { "labels": { "a/b": null, "ab": "3" } } })).await.expect(200);
        assert_eq!(made["spec"]["labels"], json!({ "a-b": "2", "ab": "3" }));
        // An array is replaced.
        let one = json!([{ "permission-name": "only", "apiGroups": [""], "resources": ["pods"], "verbs": ["get"] }]);
        let made = patch(dcm, LC, &json!({ "spec": { "user": { "user-permissions": one } } })).await.expect(200);
        assert_eq!(made["spec"]["user"]["user-permissions"], one);
        let made = patch(dcm, LC, &json!({ "spec": { "labels": null, "mesh": "none" } })).await.expect(200);
        assert_eq!((made["spec"].get("labels"), &made["spec"]["mesh"]), (None, &json!("none")));
        let made = patch(dcm, LC, &json!({ "spec": { "mesh": null } })).await.expect(200);
        assert_eq!(made["spec"]["mesh"], "auto");
        for (bad, pointers) in [
            (json!({ "spec": { "namespace": null, "user": { "user-name": null } } }), &["/spec/namespace", "/spec/user/user-name"][..]),
            (json!({ "spec": null }), &["/spec/namespace", "/spec/user"]),
            (json!({ "spec": 1, "metadata": [] }), &["/spec", "/metadata"]),
            (json!({ "spec": { "user": { "user-permissions": [null, { "verbs": [1] }] }, "labels": { "istio-injection": "x", "y": 1 } } }),
                &["/spec/user/user-permissions/0", "/spec/user/user-permissions/1/permission-name", "/spec/user/user-permissions/1/apiGroups",
                  "/spec/user/user-permissions/1/resources", "/spec/user/user-permissions/1/verbs/0", "/spec/labels/istio-injection", "/spec/labels/y"]),
        ] {
            let etag = dcm.get(LC).await.header("etag").to_owned();
            patch(dcm, LC, &bad).await.expect_problem(400, pointers);
            assert_eq!(dcm.get(LC).await.header("etag"), etag);
        }
        patch(dcm, "/v2/projects/p/logical-clouds/none", &json!({})).await.expect_problem(404, &[]);
    }

    async fn what_is_fixed_while_applied_cannot_be_patched_either(dcm) {
        dcm.with_applied_cloud().await;
        patch(dcm, LC, &json!({ "spec": { "namespace": "ns-2" } })).await.expect_problem(409, &[]);
        let made = patch(dcm, LC, &json!({ "spec": { "delete-policy": "keep" } })).await.expect(200);
        assert_eq!((&made["generation"], &made["applied-generation"]), (&json!(2), &json!(1)));
    }

    async fn read_only_fields_are_told_of(dcm) {
        dcm.with_cloud().await;
        let reply = patch(dcm, LC, &json!({ "namespace": "x", "uid": "y", "spec": { "clusters": ["z"] } })).await;
        reply.expect(200);
        let warnings: Vec<&str> = reply.headers.get_all("warning").iter().map(|w| w.to_str().unwrap()).collect();
        assert_eq!(warnings.len(), 3, "{warnings:?}");
        assert!(warnings.iter().any(|warning| warning.contains("/namespace is read-only")), "{warnings:?}");
        // What is derived may have changed since it was read, so this is no fault, however strict.
        let strict = patch(dcm, &format!("{LC}?fieldValidation=Strict"), &json!({ "generation": 7 })).await;
        assert_eq!((&strict.expect(200)["generation"], strict.header("warning")), (&json!(1), "299 - \"/generation is read-only and stays as it is\""));
        assert_eq!(patch(dcm, &format!("{LC}?fieldValidation=Ignore"), &json!({ "uid": "y" })).await.header("warning"), "");
    }

    async fn a_permission_is_patched_flat_or_as_a_resource(dcm) {
        dcm.with_cloud().await;
        let path = format!("{LC}/user-permissions/permission-1");
        let made = patch(dcm, &path, &json!({ "verbs": ["get"] })).await.expect(200);
        assert_eq!((&made["verbs"], &made["spec"]["resources"]), (&json!(["get"]), &json!(["secrets", "pods"])));
        let made = patch(dcm, &path, &json!({ "spec": { "resources": ["pods"], "resourceNames": ["one"] } })).await.expect(200);
        assert_eq!((&made["verbs"], &made["resources"], &made["resourceNames"]), (&json!(["get"]), &json!(["pods"]), &json!(["one"])));
        let made = patch(dcm, &path, &json!({ "resourceNames": null })).await.expect(200);
        assert_eq!(made.get("resourceNames"), None);
        patch(dcm, &path, &json!({ "verbs": null })).await.expect_problem(400, &["/verbs"]);
        patch(dcm, &path, &json!({ "verbs": ["*"], "apiGroups": ["*"], "resources": ["roles"] })).await.expect_problem(400, &["/resources"]);
    }

    async fn a_reference_is_patched_in_both_forms(dcm) {
        let cp = json!({ "metadata": { "name": "cp-1" } });
        dcm.post("/v2/cluster-providers", &cp).await.expect(201);
        let cluster = json!({ "metadata": { "name": "c1" }, "spec": { "kubeconfig": kubeconfig() } });
        dcm.post("/v2/cluster-providers/cp-1/clusters", &cluster).await.expect(201);
        dcm.with_cloud().await;
        dcm.post(&format!("{LC}/cluster-references"), &example(design::CLUSTER_REFERENCE_LONG)).await.expect(200);
        let path = format!("{LC}/cluster-references/lc-cl-1");
        let made = patch(dcm, &path, &json!({ "spec": { "loadBalancerIP": "192.0.2.7" } })).await.expect(200);
        assert_eq!((&made["loadbalancer-ip"], &made["spec"]["cluster-provider"]), (&json!("192.0.2.7"), &json!("cp-1")));
        let made = patch(dcm, &path, &json!({ "loadbalancer-ip": "2001:db8::1" })).await.expect(200);
        assert_eq!((&made["spec"]["loadbalancer-ip"], &made["name"]), (&json!("2001:db8::1"), &json!("lc-cl-1")));
        patch(dcm, &path, &json!({ "spec": { "cluster": "c2" } })).await.expect_problem(409, &[]);
        patch(dcm, &path, &json!({ "spec": { "loadbalancer-ip": null } })).await.expect_problem(400, &["/spec/loadbalancer-ip"]);
        patch(dcm, &path, &json!({ "loadbalancer-ip": "x" })).await.expect_problem(400, &["/loadbalancer-ip"]);
    }

    async fn quotas_and_kv_pairs_are_patched_as_data(dcm) {
        dcm.with_cloud().await;
        let quota = json!({ "metadata": { "name": "q" }, "spec": { "pods": "5", "limits.cpu": "1", "count/jobs.batch": "2" } });
        dcm.post(&format!("{LC}/cluster-quotas"), &quota).await.expect(201);
        let path = format!("{LC}/cluster-quotas/q");
        let made = patch(dcm, &path, &json!({ "spec": { "pods": 7, "limits.cpu": null, "secrets": "3" } })).await.expect(201);
        assert_eq!(made["spec"], json!({ "pods": "7", "count/jobs.batch": "2", "secrets": "3" }));
        patch(dcm, &path, &json!({ "spec": { "Pods": "7", "pods": "x" } })).await.expect_problem(400, &["/spec/Pods", "/spec/pods"]);
        patch(dcm, &path, &json!({ "spec": null })).await.expect_problem(400, &["/spec"]);
        dcm.post(&format!("{LC}/kv-pairs"), &example(design::KV_PAIR)).await.expect(201);
        let path = format!("{LC}/kv-pairs/kv-1");
        let kv = json!([{ "b": null }, { "a": { "x": null } }, { "b": 1 }]);
        assert_eq!(patch(dcm, &path, &json!({ "spec": { "kv": kv } })).await.expect(201)["spec"]["kv"], kv);
        // An object in an array's place is all that is left, without what is null in it.
        let made = patch(dcm, &path, &json!({ "spec": { "kv": { "c": { "x": null, "y": 1 }, "b": null } } })).await.expect(201);
        assert_eq!(made["spec"]["kv"], json!([{ "c": { "y": 1 } }]));
        patch(dcm, &path, &json!({ "spec": { "kv": null } })).await.expect_problem(400, &["/spec/kv"]);
        patch(dcm, &path, &json!({ "spec": { "kv": [{}, 1] } })).await.expect_problem(400, &["/spec/kv/0", "/spec/kv/1"]);
    }

    async fn controllers_and_labels_are_patched(dcm) {
        with_one_of_each(dcm).await;
        let made = patch(dcm, "/v2/controllers/ca", &json!({ "spec": { "port": 2, "priority": 3 } })).await.expect(200);
        assert_eq!(made["spec"], json!({ "host": "h", "port": 2, "priority": 3 }));
        let made = patch(dcm, "/v2/controllers/ca", &json!({ "spec": { "priority": null } })).await.expect(200);
        assert_eq!(made["spec"], json!({ "host": "h", "port": 2 }));
        patch(dcm, "/v2/controllers/ca", &json!({ "spec": { "port": null, "host": "" } })).await.expect_problem(400, &["/spec/port", "/spec/host"]);
        let path = format!("{CLUSTER}/labels/a");
        assert_eq!(patch(dcm, &path, &json!({ "value": "c" })).await.expect(200)["value"], "c");
        assert_eq!(patch(dcm, &path, &json!({ "value": null })).await.expect(200)["value"], "");
    }

    async fn only_merge_patches_and_json_are_taken(dcm) {
        dcm.with_cloud().await;
        for other in ["application/json-patch+json", "application/strategic-merge-patch+json", "text/plain", "multipart/form-data; boundary=x"] {
            let refused = dcm.raw(Method::PATCH, LC, other, "{}").await;
            refused.expect_problem(415, &[]);
            assert_eq!(refused.header("accept-patch"), "application/merge-patch+json, application/json");
        }
        assert_eq!(dcm.raw(Method::PUT, LC, "text/plain", "{}").await.header("accept-patch"), "");
        for taken in [MERGE_PATCH, "application/json", "Application/Merge-Patch+JSON; charset=utf-8", "application/x-www-form-urlencoded"] {
            dcm.raw(Method::PATCH, LC, taken, "{}").await.expect(200);
        }
        dcm.raw(Method::PATCH, LC, MERGE_PATCH, "{").await.expect_problem(400, &[]);
        dcm.raw(Method::PATCH, LC, MERGE_PATCH, "").await.expect_problem(400, &[]);
        dcm.raw(Method::PATCH, LC, MERGE_PATCH, r#"{"spec": {"mesh": "none", "Mesh": null}}"#).await.expect_problem(400, &["/spec/mesh"]);
        dcm.raw(Method::PATCH, LC, MERGE_PATCH, "[".repeat(100_000)).await.expect_problem(400, &[]);
    }

    async fn a_patch_holds_to_if_match(dcm) {
        dcm.with_cloud().await;
        let under = async |header: &str, tag: &str, body: &Value| {
            let request = dcm.request(Method::PATCH, LC).header("content-type", MERGE_PATCH).header(header, tag);
            dcm.send(request.body(body.to_string())).await
        };
        let first = dcm.get(LC).await.header("etag").to_owned();
        let made = under("if-match", &first, &json!({ "metadata": { "description": "one" } })).await;
        made.expect(200);
        for body in [json!({ "metadata": { "description": "two" } }), json!({})] {
            under("if-match", &first, &body).await.expect_problem(412, &[]);
            under("if-none-match", "*", &body).await.expect_problem(412, &[]);
            under("if-match", "nonsense", &body).await.expect_problem(400, &[]);
        }
        assert_eq!(dcm.get(LC).await.header("etag"), made.header("etag"));
        under("if-match", "*", &json!({ "metadata": { "description": "two" } })).await.expect(200);
    }

    async fn patches_at_the_same_time_are_all_kept(dcm) {
        dcm.with_cloud().await;
        let patches = (0..12).map(|i| async move {
            let body = json!({ "spec": { "labels": { format!("l{i}"): "x" } } });
            patch(dcm, LC, &body).await.expect(200);
        });
        futures_util::future::join_all(patches).await;
        let labels = dcm.get(LC).await.expect(200)["spec"]["labels"].clone();
        assert_eq!(labels.as_object().map(serde_json::Map::len), Some(12));
    }
}

/// What is stored of the one cluster.
async fn stored(store: &Arc<dyn Store>) -> Value {
    let clusters = store.scan(Scan::below("cluster".parse().unwrap(), 2)).await.unwrap();
    assert_eq!(clusters.len(), 1);
    let stored: Value = serde_json::from_slice(clusters[0].body.as_bytes()).unwrap();
    stored["document"].clone()
}

fn ca() -> (String, String) {
    let key = rcgen::KeyPair::generate().unwrap();
    let mut params = rcgen::CertificateParams::default();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    (params.self_signed(&key).unwrap().pem(), key.serialize_pem())
}

#[tokio::test]
async fn secrets_of_a_cluster_stay_unless_a_patch_names_them() {
    let store = dcm_store::open(dcm_store::Config::Memory).await.unwrap();
    let dcm = Dcm::over(Arc::clone(&store)).await;
    let (certificate, key) = ca();
    let spec =
        json!({ "kubeconfig": kubeconfig(), "ca-certificate": certificate, "ca-key": key, "istio-version": "1.28.0" });
    let body = json!({ "metadata": { "name": "cluster-1" }, "spec": spec });
    dcm.post("/v2/cluster-providers/default/clusters", &body).await.expect(201);
    let before = stored(&store).await;
    assert!(before["ca-key"].is_object() && before["kubeconfig"].is_object(), "{before:#}");
    let change = json!({ "spec": { "labels": { "site": "edge" }, "istioVersion": null } });
    let made = patch(&dcm, CLUSTER, &change).await.expect(200);
    assert_eq!(
        made["spec"],
        json!({ "server": "https://127.0.0.1:1", "ca-certificate": certificate, "labels": { "site": "edge" } })
    );
    let after = stored(&store).await;
    for secret in ["kubeconfig", "ca-key", "ca-certificate", "server", "uid", "registered-at"] {
        assert_eq!(after[secret], before[secret], "{secret}");
    }
    // Named, they change, and only they.
    let mut other = kubeconfig();
    other["clusters"][0]["cluster"]["server"] = json!("https://127.0.0.1:2");
    other["preferences"] = Value::Null;
    let made = patch(&dcm, CLUSTER, &json!({ "spec": { "kubeconfig": other } })).await.expect(200);
    assert_eq!(made["spec"]["server"], "https://127.0.0.1:2");
    let renewed = stored(&store).await;
    assert_ne!(renewed["kubeconfig"], after["kubeconfig"]);
    assert_eq!((&renewed["ca-key"], &renewed["labels"]), (&after["ca-key"], &after["labels"]));
    for (bad, pointer) in [
        (json!({ "kubeconfig": null }), "/spec/kubeconfig"),
        (json!({ "kubeconfig": "" }), "/spec/kubeconfig"),
        (json!({ "ca-certificate": "another" }), "/spec/ca-key"),
        (json!({ "ca-certificate": null, "ca-key": key }), "/spec/ca-certificate"),
        (json!({ "ca-certificate": certificate, "ca-key": null }), "/spec/ca-key"),
        (json!({ "ca-key": "s3cret" }), "/spec/ca-certificate"),
        (json!({ "ca-key": 7 }), "/spec/ca-key"),
    ] {
        let refused = patch(&dcm, CLUSTER, &json!({ "spec": bad })).await;
        refused.expect_problem(400, &[pointer]);
        assert!(!refused.text().contains("s3cret"));
    }
    assert_eq!(stored(&store).await, renewed);
    // A key alone may be taken away, and its certificate goes with it; or both.
    for gone in [
        json!({ "ca-key": null }),
        json!({ "ca-certificate": null }),
        json!({ "ca-certificate": null, "ca-key": null }),
    ] {
        let with = json!({ "spec": { "ca-certificate": certificate, "ca-key": key } });
        patch(&dcm, CLUSTER, &with).await.expect(200);
        assert!(stored(&store).await["ca-key"].is_object());
        let made = patch(&dcm, CLUSTER, &json!({ "spec": gone })).await.expect(200);
        assert_eq!(made["spec"].get("ca-certificate"), None);
        let now = stored(&store).await;
        assert_eq!(
            (now.get("ca-key"), now.get("ca-certificate"), &now["kubeconfig"]),
            (None, None, &renewed["kubeconfig"])
        );
        // Where there is none, nothing is written.
        let tag = dcm.get(CLUSTER).await.header("etag").to_owned();
        let again = patch(&dcm, CLUSTER, &json!({ "spec": gone })).await;
        again.expect(200);
        assert_eq!(
            (again.header("etag"), dcm.get(CLUSTER).await.header("etag")),
            (tag.as_str(), tag.as_str()),
            "{gone}"
        );
    }
    dcm.stop().await;
}
