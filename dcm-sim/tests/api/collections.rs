//! Lists, collections, and which kinds there are.

use serde_json::{Value, json};

use crate::support::{Lab, MERGE, code, config_map, inside, namespace, text};

const MAPS: &str = "/api/v1/namespaces/ns/configmaps";

#[tokio::test]
async fn lists_select_and_come_in_pages() {
    let lab = Lab::with_namespace().await;
    for i in 0..5 {
        let mut map = config_map(&format!("m{i}"), json!({}));
        map["metadata"]["labels"] = json!({"odd": (i % 2 == 1).to_string()});
        lab.admin.post(MAPS, &map).await.unwrap();
    }
    let names = |list: &Value| -> Vec<String> {
        let items = list["items"].as_array().unwrap();
        items.iter().map(|item| text(item, "/metadata/name").to_owned()).collect()
    };
    let odd = lab.admin.get("/api/v1/configmaps?labelSelector=odd+in+(true)").await.unwrap();
    assert_eq!(names(&odd), ["m1", "m3"]);
    assert_eq!(odd["kind"], "ConfigMapList");
    assert!(odd["items"][0].get("kind").is_none(), "items of a list carry no kind");
    let one = lab.admin.get(&format!("{MAPS}?fieldSelector=metadata.name%3Dm2")).await.unwrap();
    assert_eq!(names(&one), ["m2"]);

    let first = lab.admin.get(&format!("{MAPS}?limit=2")).await.unwrap();
    assert_eq!(first["metadata"]["remainingItemCount"], 3);
    let next = text(&first, "/metadata/continue");
    let second = lab.admin.get(&format!("{MAPS}?limit=9&continue={next}")).await.unwrap();
    assert_eq!([names(&first), names(&second)].concat(), ["m0", "m1", "m2", "m3", "m4"]);
    lab.admin.post(MAPS, &config_map("later", json!({}))).await.unwrap();
    lab.cluster.objects().compact();
    assert_eq!(code(&lab.admin.get(&format!("{MAPS}?continue={next}")).await), 410);
}

#[tokio::test]
async fn a_collection_is_deleted_by_its_selector() {
    let lab = Lab::with_namespace().await;
    for name in ["a", "b"] {
        let mut map = config_map(name, json!({}));
        map["metadata"]["labels"] = json!({"is": name});
        lab.admin.post(MAPS, &map).await.unwrap();
    }
    lab.admin.delete(&format!("{MAPS}?labelSelector=is%3Da"), json!({})).await.unwrap();
    assert_eq!(lab.cluster.objects().list("configmaps", Some("ns")).len(), 1);
    assert_eq!(code(&lab.admin.get(&inside("configmaps/b")).await), 200);
    let all = lab.admin.delete("/api/v1/namespaces", json!({})).await;
    assert_eq!(code(&all), 405, "never all namespaces at once");
}

#[tokio::test]
async fn discovery_names_every_kind_of_the_table() {
    let lab = Lab::start().await;
    let groups = lab.admin.0.list_api_groups().await.unwrap();
    for wanted in ["apps", "batch", "certificates.k8s.io", crate::support::RBAC, "authorization.k8s.io"] {
        assert!(groups.groups.iter().any(|group| group.name == wanted), "{wanted}");
    }
    assert!(!groups.groups.iter().any(|group| group.name.ends_with("istio.io")));
    let core = lab.admin.0.list_core_api_resources("v1").await.unwrap();
    assert!(core.resources.iter().any(|resource| resource.name == "serviceaccounts/token"));
    for path in ["/openapi/v2", "/openapi/v3", "/openapi/v3/api/v1", "/version"] {
        assert!(lab.admin.get(path).await.unwrap().is_object(), "{path}");
    }
}

#[tokio::test]
async fn istio_is_there_where_it_is_asked_for() {
    let lab = Lab::with(dcm_sim::ClusterOptions::named("meshed").istio(true)).await;
    lab.admin.post("/api/v1/namespaces", &namespace("ns")).await.unwrap();
    let path = "/apis/security.istio.io/v1/namespaces/ns/peerauthentications";
    let body = json!({"metadata": {"name": "default"}, "spec": {"mtls": {"mode": "STRICT"}}});
    let stored = lab.admin.post(path, &body).await.unwrap();
    assert_eq!((text(&stored, "/kind"), &stored["metadata"]["generation"]), ("PeerAuthentication", &json!(1)));
    let changed = json!({"spec": {"mtls": {"mode": "PERMISSIVE"}}});
    let changed = lab.admin.patch(&format!("{path}/default"), MERGE, &changed).await.unwrap();
    assert_eq!(changed["metadata"]["generation"], 2);
}
