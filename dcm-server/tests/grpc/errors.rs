//! The same bad input over both edges: the same fields are named, in the same words.

use dcm_proto::v1 as pb;
use serde_json::{Value, json};
use tonic::Code;
use tonic_types::StatusExt as _;

use crate::{
    asked,
    support::{CLOUDS, CLUSTERS, Dcm, LC, cloud, kubeconfig, refused_alike},
};

fn changed(change: impl FnOnce(&mut Value)) -> Value {
    let mut body = cloud();
    change(&mut body);
    body
}

impl Dcm {
    async fn refuses_the_cloud(&self, body: &Value) -> tonic::Status {
        let rest = self.post(CLOUDS, body).await;
        let asked = pb::CreateLogicalCloudRequest { project: "p".to_owned(), logical_cloud: asked::cloud_of(body) };
        refused_alike(rest, self.clouds().create_logical_cloud(asked).await)
    }
}

#[tokio::test]
async fn what_is_wrong_with_a_logical_cloud_is_named_in_the_same_words() {
    let dcm = Dcm::start(&[]).await;
    let permissions = |list: Value| changed(|body| body["spec"]["user"]["user-permissions"] = list);
    for body in [
        json!({}),
        json!({ "metadata": {}, "spec": { "user": {} } }),
        changed(|body| body["metadata"]["name"] = json!("")),
        changed(|body| body["metadata"]["name"] = json!("-a/b ä")),
        changed(|body| body["metadata"]["description"] = json!("x".repeat(1025))),
        changed(|body| body["metadata"]["userData2"] = json!("x".repeat(513))),
        changed(|body| body["spec"]["namespace"] = json!("")),
        changed(|body| body["spec"]["namespace"] = json!("kube-system")),
        changed(|body| body["spec"]["level"] = json!("0")),
        changed(|body| body["spec"]["level"] = json!("7")),
        changed(|body| body["spec"]["mesh"] = json!("9")),
        changed(|body| body["spec"]["trust-domain"] = json!("A_B")),
        changed(|body| {
            body["spec"]["labels"] = json!({ "istio-injection": "x", "a/b/c": "y", "kubernetes.io/z": "", "k": "ä" })
        }),
        changed(|body| body["spec"]["user"]["type"] = json!("UNPW")),
        changed(|body| body["spec"]["user"]["user-name"] = json!("system:admin")),
        permissions(
            json!([{ "permission-name": "a", "apiGroups": [], "resources": ["x y"], "verbs": ["impersonate"] }]),
        ),
        permissions(json!([
            { "permission-name": "a", "apiGroups": [""], "resources": ["pods"], "verbs": ["get"], "namespace": "" },
            { "permission-name": "a", "apiGroups": [""], "resources": ["pods"], "verbs": ["get"], "namespace": "other" },
            { "permission-name": "b", "apiGroups": [""], "resources": ["roles"], "verbs": ["create"] },
            { "permission-name": "b", "apiGroups": [""], "resources": ["pods"], "verbs": ["get"] },
        ])),
    ] {
        let status = dcm.refuses_the_cloud(&body).await;
        assert_eq!(status.code(), Code::InvalidArgument);
        assert!(!status.get_error_details().bad_request().unwrap().field_violations.is_empty());
    }
    // Nothing was made, not even the project.
    assert_eq!(dcm.get("/v2/projects").await.expect(200), json!([]));
    dcm.stop().await;
}

#[tokio::test]
async fn what_is_wrong_with_its_children_is_named_in_the_same_words() {
    let dcm = Dcm::start(&[]).await;
    dcm.with_cloud().await;
    let of = || ("p".to_owned(), "lc-1".to_owned());
    for body in [
        json!({}),
        json!({ "metadata": { "name": "r" }, "spec": { "cluster-name": "nowhere", "loadbalancer-ip": "0.0.0.0" } }),
        json!({ "metadata": { "name": "r" }, "spec": { "cluster-name": "a b", "cluster-provider": "", "loadbalancer-ip": "1.2.3" } }),
    ] {
        let (project, logical_cloud) = of();
        let asked =
            pb::CreateClusterReferenceRequest { project, logical_cloud, cluster_reference: asked::reference_of(&body) };
        let status = refused_alike(
            dcm.post(&format!("{LC}/cluster-references"), &body).await,
            dcm.clouds().create_cluster_reference(asked).await,
        );
        assert_eq!(status.code(), Code::InvalidArgument);
    }
    for body in [json!({}), json!({ "name": "p", "apiGroups": ["a b"], "resources": ["pods"], "verbs": ["bind"] })] {
        let (project, logical_cloud) = of();
        let asked =
            pb::CreateUserPermissionRequest { project, logical_cloud, user_permission: asked::permission_of(&body) };
        refused_alike(
            dcm.post(&format!("{LC}/user-permissions"), &body).await,
            dcm.clouds().create_user_permission(asked).await,
        );
    }
    for body in [
        json!({}),
        json!({ "metadata": { "name": "q" }, "spec": { "cpu": "much", "pods": "1.5", "count/": "1", "memory": "-1Gi" } }),
    ] {
        let (project, logical_cloud) = of();
        let asked = pb::CreateQuotaRequest { project, logical_cloud, quota: asked::quota_of(&body) };
        refused_alike(dcm.post(&format!("{LC}/cluster-quotas"), &body).await, dcm.clouds().create_quota(asked).await);
    }
    for body in [json!({}), json!({ "metadata": { "name": "a b" } })] {
        let (project, logical_cloud) = of();
        let asked = pb::CreateKvPairRequest { project, logical_cloud, kv_pair: asked::kv_pair_of(&body) };
        refused_alike(dcm.post(&format!("{LC}/kv-pairs"), &body).await, dcm.clouds().create_kv_pair(asked).await);
    }
    dcm.stop().await;
}

#[tokio::test]
async fn a_key_of_a_kv_pair_is_no_longer_than_over_rest() {
    let dcm = Dcm::start(&[]).await;
    dcm.with_cloud().await;
    let body = |bytes: usize| json!({ "metadata": { "name": "k" }, "spec": { "kv": [{ "k".repeat(bytes): 1 }] } });
    let asked = |bytes: usize| pb::CreateKvPairRequest {
        project: "p".to_owned(),
        logical_cloud: "lc-1".to_owned(),
        kv_pair: asked::kv_pair_of(&body(bytes)),
    };
    let status = dcm.clouds().create_kv_pair(asked(1025)).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
    let told = "has a key of more than 1024 bytes";
    assert_eq!(status.message(), format!("/spec/kv/0 {told}"));
    let rest = dcm.post(&format!("{LC}/kv-pairs"), &body(1025)).await.expect(400);
    assert!(rest["detail"].as_str().unwrap().contains(told), "{rest}");
    dcm.clouds().create_kv_pair(asked(1024)).await.unwrap();
    dcm.stop().await;
}

#[tokio::test]
async fn a_value_that_would_not_be_kept_exactly_is_refused_where_it_stands() {
    let dcm = Dcm::start(&[]).await;
    dcm.with_cloud().await;
    let deep = format!("{}1{}", "[".repeat(61), "]".repeat(61));
    for (json, told) in [
        ("123456789012345678901234567890", "cannot be kept exactly"),
        ("{\"a\": 1, \"a\": 2}", "stands there twice"),
        ("{", "must be the text of a JSON value"),
        ("", "must be the text of a JSON value"),
        ("1 2", "must be the text of a JSON value"),
        (&deep, "nested too deeply"),
    ] {
        let kv = vec![
            pb::KeyValue { key: "fine".to_owned(), json: "1".to_owned() },
            pb::KeyValue { key: "a/b".to_owned(), json: json.to_owned() },
        ];
        let pair = pb::KvPair {
            metadata: Some(pb::Metadata { name: Some("k".to_owned()), ..Default::default() }),
            spec: Some(pb::KvPairSpec { kv }),
            etag: String::new(),
        };
        let asked =
            pb::CreateKvPairRequest { project: "p".to_owned(), logical_cloud: "lc-1".to_owned(), kv_pair: Some(pair) };
        let status = dcm.clouds().create_kv_pair(asked).await.unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument);
        let details = status.get_error_details();
        let violation = &details.bad_request().unwrap().field_violations[0];
        assert!(
            violation.field.starts_with("/spec/kv/1/a~1b") && violation.description.contains(told),
            "{violation:?}"
        );
    }
    assert_eq!(dcm.get(&format!("{LC}/kv-pairs")).await.expect(200), json!([]));
    dcm.stop().await;
}

#[tokio::test]
async fn what_is_wrong_with_records_of_the_operator_is_named_in_the_same_words() {
    let dcm = Dcm::start(&[]).await;
    for body in [json!({}), json!({ "metadata": { "name": "a b" } })] {
        let asked = pb::CreateProjectRequest { project: asked::project_of(&body) };
        refused_alike(dcm.post("/v2/projects", &body).await, dcm.projects().create_project(asked).await);
        let asked = pb::CreateClusterProviderRequest { cluster_provider: asked::provider_of(&body) };
        refused_alike(
            dcm.post("/v2/cluster-providers", &body).await,
            dcm.clusters().create_cluster_provider(asked).await,
        );
    }
    for body in [
        json!({}),
        json!({ "metadata": { "name": "c" }, "spec": { "host": "https://x", "port": 70000, "type": "", "priority": 1_000_001 } }),
    ] {
        let asked = pb::CreateControllerRequest { controller: asked::controller_of(&body) };
        refused_alike(dcm.post("/v2/controllers", &body).await, dcm.controllers().create_controller(asked).await);
    }
    let mut exec = kubeconfig();
    exec["users"][0]["user"] = json!({ "exec": { "command": "sh" } });
    exec["clusters"][0]["cluster"]["server"] = json!("http://a");
    for body in [
        json!({}),
        json!({ "metadata": { "name": "c" }, "spec": { "kubeconfig": exec, "labels": { "a b": "" }, "ca-key": "k", "istio-version": "new" } }),
        json!({ "metadata": { "name": "c" }, "spec": { "kubeconfig": "{}", "ca-certificate": "no" } }),
        json!({ "metadata": { "name": "c" }, "spec": { "kubeconfig": "a: [" } }),
    ] {
        let asked =
            pb::CreateClusterRequest { cluster_provider: "default".to_owned(), cluster: asked::cluster_of(&body) };
        refused_alike(dcm.post(CLUSTERS, &body).await, dcm.clusters().create_cluster(asked).await);
    }
    let body = json!({ "metadata": { "name": "c" }, "spec": { "kubeconfig": kubeconfig() } });
    dcm.post(CLUSTERS, &body).await.expect(201);
    for body in [json!({}), json!({ "label-name": "a b", "value": "ä" })] {
        let asked = pb::CreateClusterLabelRequest {
            cluster_provider: "default".to_owned(),
            cluster: "c".to_owned(),
            cluster_label: asked::label_of(&body),
        };
        refused_alike(
            dcm.post(&format!("{CLUSTERS}/c/labels"), &body).await,
            dcm.clusters().create_cluster_label(asked).await,
        );
    }
    dcm.stop().await;
}

#[tokio::test]
async fn what_stands_against_it_is_told_in_the_same_words() {
    let dcm = Dcm::start(&[]).await;
    let name = |name: &str| pb::GetLogicalCloudRequest {
        project: "p".to_owned(),
        name: name.to_owned(),
        ..Default::default()
    };
    // Not there; the project neither.
    let status = refused_alike(dcm.get(LC).await, dcm.clouds().get_logical_cloud(name("lc-1")).await);
    assert_eq!(status.code(), Code::NotFound);
    // No name.
    let status = refused_alike(dcm.get(&format!("{CLOUDS}/a%20b")).await, {
        let asked =
            pb::GetStatusRequest { project: "p".to_owned(), logical_cloud: "a b".to_owned(), ..Default::default() };
        dcm.clouds().get_status(asked).await
    });
    assert_eq!(status.get_error_details().bad_request().unwrap().field_violations[0].field, "logical_cloud");
    // Twice.
    dcm.with_reference().await;
    let status = dcm.refuses_the_cloud(&cloud()).await;
    assert_eq!(status.code(), Code::AlreadyExists);
    // Another name than the record has.
    let body = changed(|body| body["metadata"]["name"] = json!("other"));
    let asked = pb::UpdateLogicalCloudRequest {
        project: "p".to_owned(),
        name: "lc-1".to_owned(),
        logical_cloud: asked::cloud_of(&body),
        ..Default::default()
    };
    refused_alike(dcm.put(LC, &body).await, dcm.clouds().update_logical_cloud(asked).await);
    // Orders that are not possible now.
    let update = pb::UpdateRequest { project: "p".to_owned(), logical_cloud: "lc-1".to_owned(), ..Default::default() };
    let status = refused_alike(dcm.order(&format!("{LC}/update")).await, dcm.clouds().update(update).await);
    assert_eq!(status.code(), Code::FailedPrecondition);
    // A kubeconfig that is not there yet, with a time to ask again.
    let asked =
        pb::GetKubeconfigRequest { project: "p".to_owned(), logical_cloud: "lc-1".to_owned(), ..Default::default() };
    let status = refused_alike(dcm.get(&format!("{LC}/kubeconfig")).await, dcm.clouds().get_kubeconfig(asked).await);
    assert_eq!(status.code(), Code::FailedPrecondition);
    assert!(status.get_error_details().retry_info().is_some());
    // In use.
    let asked = pb::DeleteClusterRequest {
        cluster_provider: "default".to_owned(),
        name: "cluster-1".to_owned(),
        ..Default::default()
    };
    refused_alike(dcm.delete(&format!("{CLUSTERS}/cluster-1")).await, dcm.clusters().delete_cluster(asked).await);
    let asked = pb::DeleteProjectRequest { name: "p".to_owned(), ..Default::default() };
    refused_alike(dcm.delete("/v2/projects/p").await, dcm.projects().delete_project(asked).await);
    dcm.stop().await;
}
