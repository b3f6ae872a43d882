//! Certificates and signing requests.

use std::time::Duration;

use data_encoding::BASE64;
use dcm_sim::ClusterOptions;
use jiff::Timestamp;
use rcgen::{CertificateParams, DnType, KeyPair};
use serde_json::{Value, json};
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::support::{Caller, Lab, code, text};

const REQUESTS: &str = "/apis/certificates.k8s.io/v1/certificatesigningrequests";
const WHOAMI: &str = "/apis/authentication.k8s.io/v1/selfsubjectreviews";

fn signing_request(user: &str, organisation: &str, usages: &[&str]) -> (Value, KeyPair) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, user);
    params.distinguished_name.push(DnType::OrganizationName, organisation);
    let pem = params.serialize_request(&key).unwrap().pem().unwrap();
    let object = json!({
        "apiVersion": "certificates.k8s.io/v1",
        "kind": "CertificateSigningRequest",
        "metadata": {"generateName": "user-"},
        "spec": {
            "request": BASE64.encode(pem.as_bytes()),
            "signerName": "kubernetes.io/kube-apiserver-client",
            "usages": usages,
            "expirationSeconds": 7200,
        },
    });
    (object, key)
}

fn approved(mut object: Value) -> Value {
    object["status"]["conditions"] = json!([{"type": "Approved", "status": "True", "reason": "Test", "message": "m"}]);
    object
}

fn path(object: &Value, subresource: &str) -> String {
    format!("{REQUESTS}/{}{subresource}", text(object, "/metadata/name"))
}

/// Has a request approved, and waits for what the signer makes of it.
async fn decide(lab: &Lab, object: &Value) -> Value {
    let created = lab.admin.post(REQUESTS, object).await.unwrap();
    lab.admin.put(&path(&created, "/approval"), &approved(created.clone())).await.unwrap();
    let decided = |answer: &Result<Value, _>| {
        answer.as_ref().is_ok_and(|it| {
            it["status"].get("certificate").is_some() || it["status"]["conditions"].as_array().unwrap().len() > 1
        })
    };
    lab.admin.until(&path(&created, ""), decided).await.unwrap()
}

fn pem(object: &Value) -> Vec<u8> {
    BASE64.decode(text(object, "/status/certificate").as_bytes()).unwrap()
}

/// How long a signed certificate is good for, in seconds.
fn remaining(pem: &[u8]) -> i64 {
    let (_, pem) = x509_parser::pem::parse_x509_pem(pem).unwrap();
    let (_, certificate) = X509Certificate::from_der(&pem.contents).unwrap();
    #[allow(clippy::disallowed_methods, reason = "the test judges a certificate by the real clock")]
    let now = Timestamp::now().as_second();
    certificate.validity().not_after.timestamp() - now
}

#[tokio::test]
async fn a_certificate_names_its_user_and_groups() {
    let lab = Lab::start().await;
    let review = lab.user("alice").await.post(WHOAMI, &json!({})).await.unwrap();
    let expected = json!({"username": "alice", "groups": ["devs", "ops", "system:authenticated"]});
    assert_eq!(review["status"]["userInfo"], expected);
}

#[tokio::test]
async fn an_approved_request_is_signed_and_its_certificate_works() {
    let lab = Lab::start().await;
    let usages = ["client auth", "digital signature", "key encipherment"];
    let (request, key) = signing_request("bob", "builders", &usages);
    let signed = decide(&lab, &request).await;
    assert_eq!(text(&signed, "/spec/username"), "kubernetes-admin");
    let certificate = pem(&signed);
    let remaining = remaining(&certificate);
    assert!((7_100..=7_200).contains(&remaining), "{remaining}");

    let mut kubeconfig = lab.cluster.admin_kubeconfig();
    kubeconfig["users"][0]["user"] = json!({
        "client-certificate-data": BASE64.encode(&certificate),
        "client-key-data": BASE64.encode(key.serialize_pem().as_bytes()),
    });
    let review = Caller::new(kubeconfig).await.post(WHOAMI, &json!({})).await.unwrap();
    assert_eq!(review["status"]["userInfo"]["username"], "bob");
    assert_eq!(review["status"]["userInfo"]["groups"][0], "builders");
}

#[tokio::test]
async fn a_request_for_other_usages_fails() {
    let lab = Lab::start().await;
    let (request, _) = signing_request("bob", "builders", &["client auth", "server auth"]);
    let failed = decide(&lab, &request).await;
    let condition = &failed["status"]["conditions"][1];
    assert_eq!((text(condition, "/type"), text(condition, "/reason")), ("Failed", "SignerValidationFailure"));
    assert_eq!(failed["status"].get("certificate"), None);
}

#[tokio::test]
async fn the_group_of_masters_cannot_be_asked_for() {
    let lab = Lab::start().await;
    let (request, _) = signing_request("bob", "system:masters", &["client auth"]);
    assert_eq!(code(&lab.admin.post(REQUESTS, &request).await), 403);
}

#[tokio::test]
async fn broken_requests_are_refused() {
    let lab = Lab::start().await;
    for (key, value) in [
        ("request", json!("aGk=")),
        ("signerName", json!("nobody")),
        ("usages", json!([])),
        ("usages", json!(["fly"])),
        ("expirationSeconds", json!(599)),
    ] {
        let (mut request, _) = signing_request("bob", "builders", &["client auth"]);
        request["spec"][key] = value.clone();
        assert_eq!(code(&lab.admin.post(REQUESTS, &request).await), 422, "{key}: {value}");
    }
}

#[tokio::test]
async fn a_request_is_what_it_was_when_it_came() {
    let lab = Lab::start().await;
    let (request, _) = signing_request("bob", "builders", &["client auth"]);
    let created = lab.admin.post(REQUESTS, &request).await.unwrap();
    let (mut other, _) = signing_request("eve", "builders", &["client auth"]);
    other["metadata"] = json!({"name": text(&created, "/metadata/name")});
    let applied = lab.admin.apply(&format!("{}?force=true", path(&created, "")), "m", &other).await.unwrap();
    assert_eq!(applied["spec"], created["spec"]);
    let mut stale = approved(created.clone());
    stale["metadata"]["resourceVersion"] = "1".into();
    assert_eq!(code(&lab.admin.put(&path(&created, "/approval"), &stale).await), 409);
    let mut foreign = approved(applied.clone());
    foreign["metadata"]["uid"] = "other".into();
    assert_eq!(code(&lab.admin.put(&path(&created, "/approval"), &foreign).await), 409);
    let decided = lab.admin.put(&path(&created, "/approval"), &approved(applied)).await.unwrap();
    let mut undecided = decided.clone();
    undecided["status"] = json!({});
    undecided["metadata"]["resourceVersion"] = "".into();
    assert_eq!(code(&lab.admin.put(&path(&created, "/approval"), &undecided).await), 422);
}

#[tokio::test]
async fn an_approver_needs_a_right_on_the_signer() {
    let lab = Lab::start().await;
    let (request, _) = signing_request("bob", "builders", &["client auth"]);
    let created = lab.admin.post(REQUESTS, &request).await.unwrap();
    let group = "certificates.k8s.io";
    let mut rules =
        vec![json!({"apiGroups": [group], "resources": ["certificatesigningrequests/approval"], "verbs": ["update"]})];
    let alice = lab.user("alice").await;
    for expected in [403, 200] {
        let rbac = "/apis/rbac.authorization.k8s.io/v1";
        let body = json!({"metadata": {"name": "approver"}, "rules": rules});
        lab.admin.delete(&format!("{rbac}/clusterroles/approver"), json!({})).await.ok();
        lab.admin.post(&format!("{rbac}/clusterroles"), &body).await.unwrap();
        let binding = json!({
            "metadata": {"name": "approver"},
            "roleRef": {"kind": "ClusterRole", "name": "approver"},
            "subjects": [{"kind": "User", "name": "alice"}],
        });
        lab.admin.post(&format!("{rbac}/clusterrolebindings"), &binding).await.ok();
        let answer = alice.put(&path(&created, "/approval"), &approved(created.clone())).await;
        assert_eq!(code(&answer), expected);
        let signer = ["kubernetes.io/kube-apiserver-client"];
        rules.push(
            json!({"apiGroups": [group], "resources": ["signers"], "resourceNames": signer, "verbs": ["approve"]}),
        );
    }
}

#[tokio::test]
async fn a_cluster_may_never_sign() {
    let lab = Lab::with(ClusterOptions::named("c").signs_client_certificates(false)).await;
    let (request, _) = signing_request("bob", "builders", &["client auth"]);
    let created = lab.admin.post(REQUESTS, &request).await.unwrap();
    lab.admin.put(&path(&created, "/approval"), &approved(created.clone())).await.unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    let live = lab.admin.get(&path(&created, "")).await.unwrap();
    assert_eq!(live["status"].get("certificate"), None);
    assert_eq!(live["status"]["conditions"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_cluster_may_cap_what_it_signs() {
    let lab = Lab::with(ClusterOptions::named("c").max_certificate_lifetime(Duration::from_secs(900))).await;
    let (request, _) = signing_request("bob", "builders", &["client auth"]);
    let remaining = remaining(&pem(&decide(&lab, &request).await));
    assert!((800..=900).contains(&remaining), "{remaining}");
}

#[tokio::test]
async fn the_key_of_the_ca_signs_certificates_that_work() {
    let lab = Lab::start().await;
    let key = KeyPair::from_pem(lab.cluster.ca_key_pem().expose()).unwrap();
    let issuer = rcgen::Issuer::from_ca_cert_pem(lab.cluster.ca_pem(), key).unwrap();
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, "carol");
    params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ClientAuth];
    let key = KeyPair::generate().unwrap();
    let certificate = params.signed_by(&key, &issuer).unwrap();
    let mut kubeconfig = lab.cluster.admin_kubeconfig();
    kubeconfig["users"][0]["user"] = json!({
        "client-certificate-data": BASE64.encode(certificate.pem().as_bytes()),
        "client-key-data": BASE64.encode(key.serialize_pem().as_bytes()),
    });
    let review = Caller::new(kubeconfig).await.post(WHOAMI, &json!({})).await.unwrap();
    assert_eq!(review["status"]["userInfo"]["username"], "carol");
    assert!(!format!("{:?}", lab.cluster.ca_key_pem()).contains("PRIVATE"));
}
