//! Watches.

use futures_util::{StreamExt, TryStreamExt};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::Api;
use kube::api::{WatchEvent, WatchParams};
use serde_json::json;

use crate::support::{Lab, MERGE, config_map, inside};

fn describe(event: &WatchEvent<ConfigMap>) -> String {
    let name = |map: &ConfigMap| map.metadata.name.clone().unwrap();
    match event {
        WatchEvent::Added(map) => format!("+{}", name(map)),
        WatchEvent::Modified(map) => format!("~{}", name(map)),
        WatchEvent::Deleted(map) => format!("-{}", name(map)),
        WatchEvent::Bookmark(_) => "bookmark".to_owned(),
        WatchEvent::Error(status) => format!("error {}", status.code),
    }
}

async fn seen(lab: &Lab, params: &WatchParams, version: &str, count: usize) -> Vec<String> {
    let api: Api<ConfigMap> = Api::namespaced(lab.admin.0.clone(), "ns");
    let stream = api.watch(params, version).await.unwrap().map_ok(|event| describe(&event));
    stream.take(count).try_collect().await.unwrap()
}

#[tokio::test]
async fn a_watch_from_zero_begins_with_what_is_there() {
    let lab = Lab::with_namespace().await;
    for name in ["a", "b"] {
        lab.admin.post(&inside("configmaps"), &config_map(name, json!({}))).await.unwrap();
    }
    assert_eq!(seen(&lab, &WatchParams::default(), "0", 2).await, ["+a", "+b"]);
}

#[tokio::test]
async fn a_watch_misses_nothing_after_its_version() {
    let lab = Lab::with_namespace().await;
    let version = lab.cluster.objects().revision().to_string();
    let path = inside("configmaps/a");
    let params = WatchParams::default();
    let watching = seen(&lab, &params, &version, 3);
    let writing = async {
        lab.admin.post(&inside("configmaps"), &config_map("a", json!({}))).await.unwrap();
        lab.admin.patch(&path, MERGE, &json!({"data": {"x": "1"}})).await.unwrap();
        lab.admin.delete(&path, json!({})).await.unwrap();
    };
    let (events, ()) = tokio::join!(watching, writing);
    assert_eq!(events, ["+a", "~a", "-a"]);
    assert_eq!(seen(&lab, &WatchParams::default(), &version, 3).await, ["+a", "~a", "-a"], "the past too");
}

#[tokio::test]
async fn an_object_that_leaves_the_selector_is_deleted_to_the_watch() {
    let lab = Lab::with_namespace().await;
    let version = lab.cluster.objects().revision().to_string();
    lab.admin.post(&inside("configmaps"), &config_map("a", json!({}))).await.unwrap();
    for value in ["yes", "no"] {
        let label = json!({"metadata": {"labels": {"in": value}}});
        lab.admin.patch(&inside("configmaps/a"), MERGE, &label).await.unwrap();
    }
    let params = WatchParams::default().labels("in=yes");
    assert_eq!(seen(&lab, &params, &version, 2).await, ["+a", "-a"]);
}

#[tokio::test]
async fn a_watch_from_a_forgotten_version_is_expired() {
    let lab = Lab::with_namespace().await;
    lab.cluster.objects().compact();
    assert_eq!(seen(&lab, &WatchParams::default(), "1", 1).await, ["error 410"]);
}

#[tokio::test]
async fn a_watch_ends_when_its_time_is_up_with_a_bookmark() {
    let lab = Lab::with_namespace().await;
    let api: Api<ConfigMap> = Api::namespaced(lab.admin.0.clone(), "ns");
    let params = WatchParams::default().timeout(1);
    let events: Vec<_> = api.watch(&params, "0").await.unwrap().collect().await;
    assert_eq!(events.len(), 1);
    assert!(matches!(events[0], Ok(WatchEvent::Bookmark(_))));
}

#[tokio::test]
async fn initial_events_end_with_a_marked_bookmark() {
    let lab = Lab::with_namespace().await;
    lab.admin.post(&inside("configmaps"), &config_map("a", json!({}))).await.unwrap();
    let api: Api<ConfigMap> = Api::namespaced(lab.admin.0.clone(), "ns");
    let params = WatchParams::default().initial_events();
    let events: Vec<_> = api.watch(&params, "0").await.unwrap().take(2).try_collect().await.unwrap();
    assert!(matches!(&events[0], WatchEvent::Added(map) if map.metadata.name.as_deref() == Some("a")));
    let WatchEvent::Bookmark(bookmark) = &events[1] else {
        panic!("{:?} is no bookmark", events[1]);
    };
    assert_eq!(bookmark.metadata.annotations["k8s.io/initial-events-end"], "true");
}
