use std::time::Duration;

use data_encoding::BASE64;
use dcm_core::{
    credential::{CredentialMaker as _, KeyAlgorithm},
    model::kubeconfig::{Access, AccessProof, render},
    sync::{CertificateRequest, Failure, Synchronizer as _},
    tenancy::marks,
};
use dcm_mesh::credential::UserCredentials;
use serde_json::{Value, json};

use crate::{
    bed::{Bed, SOON, reads, soon},
    cloud::Cloud,
};

/// Has the cluster sign a certificate for the cloud's user; his kubeconfig.
pub(super) async fn signed(bed: &Bed, cloud: &Cloud, algorithm: KeyAlgorithm) -> Value {
    sign(bed, cloud, algorithm).await.unwrap()
}

pub(crate) async fn sign(bed: &Bed, cloud: &Cloud, algorithm: KeyAlgorithm) -> Result<Value, Failure> {
    let user = cloud.applied.spec.user.as_ref().unwrap();
    let subject = cloud.tenancy().subject(user);
    let made = UserCredentials.request(&subject, algorithm).unwrap();
    let request =
        CertificateRequest { owner: cloud.owner(), csr_pem: made.csr_pem, lifetime: Duration::from_secs(3600) };
    let pem = bed.sync.sign(&bed.access(), &request).await?;
    let facts = UserCredentials.inspect(&pem, &made.key_pem).unwrap();
    assert_eq!(facts.subject, subject);
    let life = facts.not_after.duration_since(facts.not_before).as_secs();
    assert!((3600..=3600 + 600).contains(&life), "{life}");
    let endpoint = bed.sync.probe(&bed.access()).await.unwrap().endpoint;
    Ok(render(&[Access {
        name: "c1",
        user: "user-1",
        endpoint: &endpoint,
        namespace: &cloud.namespace,
        proof: AccessProof::Certificate { certificate_pem: &pem, key_pem: &made.key_pem },
    }]))
}

pub(crate) async fn a_certificate_works_for_its_user_and_leaves_no_request(bed: &Bed) {
    let mut cloud = Cloud::new();
    cloud.made(bed).await;
    for algorithm in [KeyAlgorithm::EcdsaP256, KeyAlgorithm::Rsa2048] {
        let user = signed(bed, &cloud, algorithm).await;
        let allowed = format!("{}/configmaps", cloud.namespace_path());
        soon(SOON, async || reads(&user, &allowed).await.is_ok_and(|list| list["items"].is_array())).await;
        for denied in
            [format!("{}/secrets", cloud.namespace_path()), "/api/v1/namespaces/default/configmaps".to_owned()]
        {
            assert_eq!(reads(&user, &denied).await, Err(403));
        }
    }
    let selector = format!("{}%3D{}", marks::CLOUD_UID, cloud.applied.cloud);
    let requests = format!("/apis/certificates.k8s.io/v1/certificatesigningrequests?labelSelector={selector}");
    assert_eq!(bed.there(&requests).await["items"], serde_json::json!([]));
    assert_eq!(cloud.remove(bed).await.failure, None);
}

/// A certificate is an identity; what it may do hangs on the bindings alone, so that these cut it off.
pub(crate) async fn a_signed_identity_has_no_rights_of_its_own(bed: &Bed) {
    let mut cloud = Cloud::new();
    cloud.made(bed).await;
    let user = signed(bed, &cloud, KeyAlgorithm::EcdsaP256).await;
    let allowed = format!("{}/configmaps", cloud.namespace_path());
    soon(SOON, async || reads(&user, &allowed).await.is_ok()).await;
    cloud.applied.credential_epoch += 1;
    cloud.made(bed).await;
    bed.refuses(&user, &allowed, &[403]).await;
    assert_eq!(cloud.remove(bed).await.failure, None);
}

/// What a process that ended in the middle left behind goes with the next request, and nobody else's does.
pub(crate) async fn a_request_that_was_left_behind_is_swept(bed: &Bed) {
    let mut cloud = Cloud::new();
    cloud.made(bed).await;
    let requests = "/apis/certificates.k8s.io/v1/certificatesigningrequests";
    let subject = cloud.tenancy().subject(cloud.applied.spec.user.as_ref().unwrap());
    let csr = UserCredentials.request(&subject, KeyAlgorithm::EcdsaP256).unwrap().csr_pem;
    let ours = cloud.owner();
    let left = async |store_id: &str, of: &str| {
        let request = json!({
            "apiVersion": "certificates.k8s.io/v1", "kind": "CertificateSigningRequest",
            "metadata": {
                "generateName": "left-", "labels": { (marks::INSTALLATION): store_id, (marks::CLOUD_UID): of },
            },
            "spec": {
                "request": BASE64.encode(csr.as_bytes()), "signerName": "kubernetes.io/kube-apiserver-client",
                "usages": ["client auth"],
            },
        });
        let made = bed.post(requests, request).await;
        format!("{requests}/{}", made["metadata"]["name"].as_str().unwrap())
    };
    let swept = left(&ours.store_id, ours.cloud.as_str()).await;
    let others = [left(&ours.store_id, "another").await, left("another", ours.cloud.as_str()).await];
    signed(bed, &cloud, KeyAlgorithm::EcdsaP256).await;
    assert_eq!(bed.get(&swept).await, None);
    let swept = left(&ours.store_id, ours.cloud.as_str()).await;
    assert_eq!(cloud.remove(bed).await.failure, None);
    assert_eq!(bed.get(&swept).await, None);
    for other in &others {
        assert!(bed.get(other).await.is_some());
        bed.delete(other).await;
    }
}
