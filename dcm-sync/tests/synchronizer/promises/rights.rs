use dcm_core::{
    credential::{CredentialMaker as _, KeyAlgorithm, Subject},
    model::kubeconfig::{Access, render},
    sync::{CertificateRequest, Reason, Synchronizer as _},
};
use dcm_mesh::credential::UserCredentials;
use serde_json::{Value, json};
use std::time::Duration;

use super::sign::signed;
use crate::{
    bed::{Bed, access, uid, unique},
    cloud::Cloud,
};

const RBAC: &str = "/apis/rbac.authorization.k8s.io/v1";

/// The least that DCM needs on a cluster; `ceiling` is what it may hand on.
fn least_role(name: &str, ceiling: &Value) -> Value {
    let all = json!(["get", "list", "watch", "create", "patch", "delete"]);
    json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": { "name": name },
        "rules": [
            { "apiGroups": [""], "resources": ["namespaces", "resourcequotas", "serviceaccounts"], "verbs": all },
            { "apiGroups": ["rbac.authorization.k8s.io"], "resources": ["roles", "rolebindings"], "verbs": all },
            { "apiGroups": ["certificates.k8s.io"], "resources": ["certificatesigningrequests"], "verbs": ["get", "list", "watch", "create", "delete"] },
            { "apiGroups": ["certificates.k8s.io"], "resources": ["certificatesigningrequests/approval"], "verbs": ["update"] },
            { "apiGroups": ["certificates.k8s.io"], "resources": ["signers"], "resourceNames": ["kubernetes.io/kube-apiserver-client"], "verbs": ["approve"] },
            ceiling,
        ],
    })
}

/// A kubeconfig of a user whom nothing is bound to yet.
async fn user(bed: &Bed, name: &str) -> Value {
    let subject = Subject { common_name: name.to_owned(), organization: "test".to_owned() };
    let made = UserCredentials.request(&subject, KeyAlgorithm::EcdsaP256).unwrap();
    let request =
        CertificateRequest { owner: Cloud::new().owner(), csr_pem: made.csr_pem, lifetime: Duration::from_secs(3600) };
    let certificate_pem = bed.sync.sign(&bed.access(), &request).await.unwrap();
    let endpoint = bed.sync.probe(&bed.access()).await.unwrap().endpoint;
    render(&[Access {
        name: "c1",
        user: name,
        endpoint: &endpoint,
        namespace: "default",
        certificate_pem: &certificate_pem,
        key_pem: &made.key_pem,
    }])
}

pub(crate) async fn the_least_role_is_enough_and_no_more_is_granted(bed: &Bed) {
    let name = unique("dcm-least");
    let ceiling = json!({ "apiGroups": [""], "resources": ["configmaps"], "verbs": ["get", "list"] });
    let limited = Bed::with(bed, user(bed, &name).await).await;
    let mut cloud = Cloud::new();
    let report = cloud.apply(&limited).await;
    assert_eq!(report.failure.unwrap().reason, Reason::Forbidden);
    assert_eq!(report.inventory, []);

    bed.post(&format!("{RBAC}/clusterroles"), least_role(&name, &ceiling)).await;
    let group = "rbac.authorization.k8s.io";
    bed.post(
        &format!("{RBAC}/clusterrolebindings"),
        json!({
            "apiVersion": format!("{group}/v1"), "kind": "ClusterRoleBinding", "metadata": { "name": name },
            "roleRef": { "apiGroup": group, "kind": "ClusterRole", "name": name },
            "subjects": [{ "apiGroup": group, "kind": "User", "name": name }],
        }),
    )
    .await;
    let mut report = cloud.apply(&limited).await;
    for _ in 0..50 {
        if report.failure.is_none() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await; // The API server's own cache of bindings.
        report = cloud.apply(&limited).await;
    }
    assert_eq!(report.failure, None);
    cloud.made(&limited).await;
    signed(&limited, &cloud, KeyAlgorithm::EcdsaP256).await;

    cloud.permissions()[0].resources = vec!["secrets".to_owned()];
    let failure = cloud.apply(&limited).await.failure.unwrap();
    assert_eq!(failure.reason, Reason::BeyondCeiling, "{failure}");
    assert_eq!(cloud.remove(&limited).await.failure, None);
    assert_eq!(bed.get(&cloud.namespace_path()).await, None);
    bed.delete(&format!("{RBAC}/clusterrolebindings/{name}")).await;
    bed.delete(&format!("{RBAC}/clusterroles/{name}")).await;
}

pub(crate) async fn an_unknown_credential_is_unauthorized(bed: &Bed) {
    let mut kubeconfig = bed.kubeconfig.clone();
    let token = format!("s3cret-{}", uid());
    kubeconfig["users"][0]["user"] = json!({ "token": token });
    let access = access(&kubeconfig);
    let cloud = Cloud::new();
    let probed = bed.sync.probe(&access).await.unwrap_err();
    let report = bed.sync.apply(&access, &cloud.desired()).await;
    for failure in [probed, report.failure.clone().unwrap()] {
        assert_eq!(failure.reason, Reason::Unauthorized, "{failure}");
        assert!(!failure.detail.contains("s3cret"), "{failure}");
    }
    assert_eq!(report.inventory, []);
    assert_eq!(bed.get(&cloud.namespace_path()).await, None);
}

pub(crate) async fn a_wrong_ca_is_not_trusted(bed: &Bed) {
    let other = dcm_sim::Cluster::start(dcm_sim::ClusterOptions::default()).await.unwrap();
    let mut kubeconfig = bed.kubeconfig.clone();
    let ca = "certificate-authority-data";
    kubeconfig["clusters"][0]["cluster"][ca] = other.admin_kubeconfig()["clusters"][0]["cluster"][ca].clone();
    let failure = bed.sync.probe(&access(&kubeconfig)).await.unwrap_err();
    assert_eq!(failure.reason, Reason::Unreachable);
    assert!(failure.detail.contains("unknown CA"), "{failure}");
    let mut kubeconfig = bed.kubeconfig.clone();
    kubeconfig["clusters"][0]["cluster"]["tls-server-name"] = json!("elsewhere.example.com");
    let failure = bed.sync.probe(&access(&kubeconfig)).await.unwrap_err();
    assert_eq!(failure.reason, Reason::Unreachable);
    assert!(failure.detail.contains("another name"), "{failure}");
}

pub(crate) async fn a_cluster_says_who_it_is(bed: &Bed) {
    let facts = bed.sync.probe(&bed.access()).await.unwrap();
    let system = bed.there("/api/v1/namespaces/kube-system").await;
    assert_eq!(facts.identity, system["metadata"]["uid"]);
    assert!(facts.version.starts_with("v1."), "{}", facts.version);
    let cluster = &bed.kubeconfig["clusters"][0]["cluster"];
    assert_eq!(facts.endpoint.server, cluster["server"]);
    assert!(facts.endpoint.ca_pem.unwrap().starts_with("-----BEGIN CERTIFICATE-----"));
}
