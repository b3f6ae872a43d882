//! Server-side apply through the API.

use serde_json::json;

use crate::support::{Lab, code, config_map, inside, namespace, quota, text, uid, version};

#[tokio::test]
async fn an_apply_creates_what_is_not_there() {
    let lab = Lab::with_namespace().await;
    let path = inside("configmaps/a");
    let created = lab.admin.apply(&path, "m", &config_map("a", json!({"x": "1"}))).await.unwrap();
    assert_eq!(created["data"]["x"], "1");
    let manager = &created["metadata"]["managedFields"][0];
    assert_eq!((&manager["manager"], &manager["operation"]), (&json!("m"), &json!("Apply")));
    let without = "/api/v1/namespaces/ns/configmaps/a";
    let refused = lab.admin.patch(without, "application/apply-patch+yaml", &config_map("a", json!({}))).await;
    assert_eq!(code(&refused), 422, "no field manager");
}

#[tokio::test]
async fn a_no_op_apply_keeps_the_resource_version() {
    let lab = Lab::with_namespace().await;
    let path = inside("configmaps/a");
    let body = config_map("a", json!({"x": "1"}));
    let first = lab.admin.apply(&path, "m", &body).await.unwrap();
    let second = lab.admin.apply(&path, "m", &body).await.unwrap();
    assert_eq!(first, second);

    let path = inside("resourcequotas/q");
    let first = lab.admin.apply(&path, "m", &quota("q", json!({"cpu": "1", "memory": "1Gi"}))).await.unwrap();
    let same = quota("q", json!({"cpu": "1000m", "memory": "1024Mi"}));
    let second = lab.admin.apply(&path, "m", &same).await.unwrap();
    assert_eq!(version(&first), version(&second), "quantities compare by value");
}

#[tokio::test]
async fn a_foreign_field_is_a_conflict_unless_forced() {
    let lab = Lab::with_namespace().await;
    let path = inside("configmaps/a");
    lab.admin.post(&inside("configmaps"), &config_map("a", json!({"x": "1", "y": "1"}))).await.unwrap();
    let body = config_map("a", json!({"x": "2"}));
    let refused = lab.admin.apply(&path, "m", &body).await.unwrap_err();
    assert_eq!((refused.code, refused.reason.as_str()), (409, "Conflict"));
    let causes = refused.details.unwrap().causes;
    assert_eq!((causes[0].reason.as_str(), causes[0].field.as_str()), ("FieldManagerConflict", ".data.x"));
    let forced = lab.admin.apply(&format!("{path}?force=true"), "m", &body).await.unwrap();
    assert_eq!(forced["data"], json!({"x": "2", "y": "1"}), "foreign keys of a map survive");
    let dropped = lab.admin.apply(&path, "m", &config_map("a", json!({}))).await.unwrap();
    assert_eq!(dropped["data"], json!({"y": "1"}));
}

#[tokio::test]
async fn labels_of_another_manager_stay() {
    let lab = Lab::with_namespace().await;
    let path = "/api/v1/namespaces/ns";
    let labelled = |key: &str| {
        let mut body = namespace("ns");
        body["metadata"]["labels"] = json!({key: "1"});
        body
    };
    lab.admin.apply(path, "a", &labelled("a")).await.unwrap();
    let both = lab.admin.apply(path, "b", &labelled("b")).await.unwrap();
    assert_eq!(both["metadata"]["labels"], json!({"a": "1", "b": "1", "kubernetes.io/metadata.name": "ns"}));
    let one = lab.admin.apply(path, "a", &namespace("ns")).await.unwrap();
    assert_eq!(one["metadata"]["labels"], json!({"b": "1", "kubernetes.io/metadata.name": "ns"}));
}

#[tokio::test]
async fn uid_and_version_in_the_body_compare_and_swap() {
    let lab = Lab::with_namespace().await;
    let path = inside("configmaps/a");
    let with = |key: &str, value: &str| {
        let mut body = config_map("a", json!({"x": "1"}));
        body["metadata"][key] = value.into();
        body
    };
    let refused = lab.admin.apply(&path, "m", &with("uid", "abc")).await.unwrap_err();
    assert_eq!((refused.code, refused.reason.as_str()), (409, "Conflict"), "not there");
    let live = lab.admin.apply(&path, "m", &config_map("a", json!({"x": "0"}))).await.unwrap();
    assert_eq!(code(&lab.admin.apply(&path, "m", &with("uid", "abc")).await), 422, "another one");
    assert_eq!(code(&lab.admin.apply(&path, "m", &with("resourceVersion", "1")).await), 409, "an older one");
    let mut body = with("uid", uid(&live));
    body["metadata"]["resourceVersion"] = version(&live).into();
    assert_eq!(lab.admin.apply(&path, "m", &body).await.unwrap()["data"]["x"], "1");
}

#[tokio::test]
async fn of_many_racing_appliers_one_wins() {
    let lab = Lab::with_namespace().await;
    let path = inside("configmaps/a");
    let live = lab.admin.apply(&path, "m0", &config_map("a", json!({}))).await.unwrap();
    let racers = (1..=16).map(|i| {
        let (admin, path) = (lab.admin.clone(), format!("{path}?force=true"));
        let mut body = config_map("a", json!({"winner": i.to_string()}));
        body["metadata"]["resourceVersion"] = version(&live).into();
        async move { admin.apply(&path, &format!("m{i}"), &body).await }
    });
    let answers = futures_util::future::join_all(racers).await;
    assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 1);
    assert!(answers.iter().all(|answer| matches!(code(answer), 200 | 409)));
}

#[tokio::test]
async fn an_apply_to_a_terminating_namespace_is_answered() {
    let lab = Lab::with_namespace().await;
    let mut held = config_map("a", json!({}));
    held["metadata"]["finalizers"] = json!(["example.com/hold"]);
    lab.admin.post(&inside("configmaps"), &held).await.unwrap();
    lab.admin.delete("/api/v1/namespaces/ns", json!({})).await.unwrap();
    let applied = lab.admin.apply("/api/v1/namespaces/ns", "m", &namespace("ns")).await.unwrap();
    assert!(!text(&applied, "/metadata/deletionTimestamp").is_empty());
}

#[tokio::test]
async fn what_an_apply_cannot_convert_is_an_internal_error() {
    let lab = Lab::with_namespace().await;
    let path = inside("resourcequotas/q");
    for hard in [json!({"pods": 5}), json!({"pods": ""}), json!({"pods": "many"})] {
        let refused = lab.admin.apply(&path, "m", &quota("q", hard.clone())).await;
        assert_eq!(code(&refused), 500, "{hard}");
    }
    let mut undeclared = quota("q", json!({"pods": "5"}));
    undeclared["spec"]["colour"] = "red".into();
    assert_eq!(code(&lab.admin.apply(&path, "m", &undeclared).await), 500);
    let null = lab.admin.apply(&path, "m", &quota("q", json!({"pods": null}))).await.unwrap();
    assert_eq!(null["spec"]["hard"]["pods"], "0");
}

#[tokio::test]
async fn an_apply_may_be_yaml() {
    let lab = Lab::with_namespace().await;
    let yaml = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\ndata:\n  text: |\n    two\n    lines\n";
    let path = inside("configmaps/a?fieldManager=m");
    let kind = "application/apply-patch+yaml";
    let applied = lab.admin.try_send("PATCH", &path, kind, yaml.into()).await.unwrap();
    assert_eq!(applied["data"]["text"], "two\nlines\n");
}
