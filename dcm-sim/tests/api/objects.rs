//! Create, read, replace, patch, delete, list.

use kube::Api;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams};
use serde_json::json;

use crate::support::{JSON, Lab, MERGE, code, config_map, inside, namespace, text, uid, version};

const MAPS: &str = "/api/v1/namespaces/ns/configmaps";

#[tokio::test]
async fn typed_clients_of_kube_work() {
    use k8s_openapi::api::core::v1::Namespace;
    let lab = Lab::start().await;
    let api: Api<Namespace> = Api::all(lab.admin.0.clone());
    let wanted: Namespace = serde_json::from_value(namespace("typed")).unwrap();
    let created = api.create(&PostParams::default(), &wanted).await.unwrap();
    assert_eq!(created.status.unwrap().phase.as_deref(), Some("Active"));
    let patch = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"labels": {"a": "b"}}});
    let applied = api.patch("typed", &PatchParams::apply("me"), &Patch::Apply(patch)).await.unwrap();
    assert_eq!(applied.metadata.labels.unwrap()["a"], "b");
    let listed = api.list(&ListParams::default().labels("a=b")).await.unwrap();
    assert_eq!(listed.items.len(), 1);
    let metadata = api.list_metadata(&ListParams::default()).await.unwrap();
    assert_eq!(metadata.items.len(), 5);
    assert!(metadata.items.iter().all(|item| item.metadata.uid.is_some()));
    assert!(api.delete("typed", &DeleteParams::default()).await.unwrap().is_left());
    assert_eq!(lab.admin.0.apiserver_version().await.unwrap().major, "1");
}

#[tokio::test]
async fn a_created_object_gets_its_metadata() {
    let lab = Lab::with_namespace().await;
    let map = lab.admin.post(MAPS, &config_map("a", json!({"x": "1"}))).await.unwrap();
    assert_eq!(text(&map, "/metadata/namespace"), "ns");
    assert_eq!(uid(&map).len(), 36);
    assert!(!text(&map, "/metadata/creationTimestamp").is_empty());
    assert!(version(&map).parse::<u64>().unwrap() > 0);
    assert_eq!(map.pointer("/metadata/managedFields/0/fieldsV1/f:data"), Some(&json!({"f:x": {}})));
    assert_eq!(lab.admin.get(&format!("{MAPS}/a")).await.unwrap(), map);
    assert_eq!(lab.cluster.objects().get("configmaps", "ns", "a").unwrap(), map);
}

#[tokio::test]
async fn a_second_creation_is_refused() {
    let lab = Lab::with_namespace().await;
    let refused = lab.admin.post("/api/v1/namespaces", &namespace("ns")).await.unwrap_err();
    assert_eq!((refused.code, refused.reason.as_str()), (409, "AlreadyExists"));
    assert_eq!(refused.message, "namespaces \"ns\" already exists");
}

#[tokio::test]
async fn names_are_made_from_a_prefix() {
    let lab = Lab::with_namespace().await;
    let body = json!({"metadata": {"generateName": "g-"}});
    let one = lab.admin.post(MAPS, &body).await.unwrap();
    let two = lab.admin.post(MAPS, &body).await.unwrap();
    assert!(text(&one, "/metadata/name").starts_with("g-"));
    assert_ne!(one["metadata"]["name"], two["metadata"]["name"]);
}

#[tokio::test]
async fn what_does_not_fit_the_path_is_refused() {
    let lab = Lab::with_namespace().await;
    let elsewhere = json!({"metadata": {"name": "a", "namespace": "other"}});
    assert_eq!(code(&lab.admin.post(MAPS, &elsewhere).await), 400);
    assert_eq!(code(&lab.admin.post(MAPS, &namespace("a")).await), 400);
    assert_eq!(code(&lab.admin.post(MAPS, &json!([])).await), 400);
    assert_eq!(code(&lab.admin.post(MAPS, &config_map("a", json!({"x": 1}))).await), 400);
    assert_eq!(code(&lab.admin.put(&format!("{MAPS}/b"), &config_map("a", json!({}))).await), 400);
    assert_eq!(code(&lab.admin.post(MAPS, &config_map("Not_A_Name", json!({}))).await), 422);
    assert_eq!(code(&lab.admin.get("/api/v1/nothings").await), 404);
    assert_eq!(code(&lab.admin.get("/nowhere").await), 404);
    assert_eq!(code(&lab.admin.patch(&format!("{MAPS}/a"), JSON, &json!({})).await), 404);
}

#[tokio::test]
async fn a_replacement_with_an_old_version_is_refused() {
    let lab = Lab::with_namespace().await;
    let path = format!("{MAPS}/a");
    let first = lab.admin.post(MAPS, &config_map("a", json!({"x": "1"}))).await.unwrap();
    let mut second = first.clone();
    second["data"]["x"] = "2".into();
    let second = lab.admin.put(&path, &second).await.unwrap();
    assert_ne!(version(&first), version(&second));
    let refused = lab.admin.put(&path, &first).await.unwrap_err();
    assert_eq!((refused.code, refused.reason.as_str()), (409, "Conflict"));
    assert_eq!(lab.admin.put(&path, &second).await.unwrap(), second, "nothing changed");
    let mut foreign = second.clone();
    foreign["metadata"]["uid"] = "00000000-0000-0000-0000-000000000000".into();
    assert_eq!(code(&lab.admin.put(&path, &foreign).await), 409);
}

#[tokio::test]
async fn patches_change_only_what_they_name() {
    let lab = Lab::with_namespace().await;
    let path = format!("{MAPS}/a");
    lab.admin.post(MAPS, &config_map("a", json!({"x": "1", "y": "2"}))).await.unwrap();
    let patch = json!({"data": {"x": null, "z": "3"}});
    let merged = lab.admin.patch(&path, MERGE, &patch).await.unwrap();
    assert_eq!(merged["data"], json!({"y": "2", "z": "3"}));
    let steps = json!([{"op": "replace", "path": "/data/y", "value": "9"}]);
    let patched = lab.admin.patch(&path, "application/json-patch+json", &steps).await.unwrap();
    assert_eq!(patched["data"], json!({"y": "9", "z": "3"}));
    let strategic = json!({"metadata": {"labels": {"l": "1"}}});
    let kind = "application/strategic-merge-patch+json";
    assert_eq!(lab.admin.patch(&path, kind, &strategic).await.unwrap()["metadata"]["labels"]["l"], "1");
    let stale = json!({"metadata": {"resourceVersion": version(&merged)}});
    assert_eq!(code(&lab.admin.patch(&path, MERGE, &stale).await), 409);
}

#[tokio::test]
async fn a_dry_run_stores_nothing() {
    let lab = Lab::with_namespace().await;
    let revision = lab.cluster.objects().revision();
    let tried = lab.admin.post(&format!("{MAPS}?dryRun=All"), &config_map("a", json!({}))).await.unwrap();
    assert!(!uid(&tried).is_empty());
    let applied = lab.admin.apply(&format!("{MAPS}/b?dryRun=All"), "m", &config_map("b", json!({"x": "1"}))).await;
    assert_eq!(applied.unwrap()["data"]["x"], "1");
    assert_eq!(code(&lab.admin.delete("/api/v1/namespaces/ns", json!({"dryRun": ["All"]})).await), 200);
    assert_eq!(code(&lab.admin.post(&format!("{MAPS}?dryRun=Some"), &config_map("a", json!({}))).await), 422);
    let absent = "/api/v1/namespaces/absent/configmaps?dryRun=All";
    let refused = lab.admin.post(absent, &config_map("a", json!({}))).await.unwrap_err();
    assert_eq!((refused.code, refused.details.unwrap().kind.as_str()), (404, "namespaces"));
    assert_eq!(lab.cluster.objects().revision(), revision);
}

#[tokio::test]
async fn a_deletion_honours_its_preconditions() {
    let lab = Lab::with_namespace().await;
    let path = format!("{MAPS}/a");
    let map = lab.admin.post(MAPS, &config_map("a", json!({}))).await.unwrap();
    for wrong in [json!({"uid": "other"}), json!({"resourceVersion": "1"})] {
        let refused = lab.admin.delete(&path, json!({"preconditions": wrong})).await.unwrap_err();
        assert_eq!((refused.code, refused.reason.as_str()), (409, "Conflict"));
    }
    let right = json!({"preconditions": {"uid": uid(&map), "resourceVersion": version(&map)}});
    let gone = lab.admin.delete(&path, right).await.unwrap();
    assert_eq!((text(&gone, "/status"), text(&gone, "/details/uid")), ("Success", uid(&map)));
    assert_eq!(code(&lab.admin.delete(&path, json!({})).await), 404);
}

#[tokio::test]
async fn finalizers_hold_an_object() {
    let lab = Lab::with_namespace().await;
    let path = format!("{MAPS}/a");
    let mut map = config_map("a", json!({}));
    map["metadata"]["finalizers"] = json!(["example.com/hold"]);
    lab.admin.post(MAPS, &map).await.unwrap();
    let held = lab.admin.delete(&path, json!({})).await.unwrap();
    assert!(!text(&held, "/metadata/deletionTimestamp").is_empty());
    let more = json!({"metadata": {"finalizers": ["example.com/hold", "example.com/more"]}});
    assert_eq!(code(&lab.admin.patch(&path, MERGE, &more).await), 422);
    let release = json!({"metadata": {"finalizers": null}});
    assert!(lab.admin.patch(&path, MERGE, &release).await.is_ok());
    assert_eq!(code(&lab.admin.get(&path).await), 404);
}

#[tokio::test]
async fn text_in_a_secret_is_encoded() {
    let lab = Lab::with_namespace().await;
    let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "stringData": {"a": "hi"}});
    let stored = lab.admin.post(&inside("secrets"), &secret).await.unwrap();
    assert_eq!(stored["data"]["a"], "aGk=");
    assert_eq!((&stored["type"], stored.get("stringData")), (&json!("Opaque"), None));
}
