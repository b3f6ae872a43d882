use std::time::Duration;

use dcm_core::{
    credential::{CredentialMaker as _, KeyAlgorithm},
    model::kubeconfig::{Access, render},
    sync::{CertificateRequest, Synchronizer as _},
    tenancy::marks,
};
use dcm_mesh::credential::UserCredentials;
use serde_json::Value;

use crate::{
    bed::{Bed, call, client},
    cloud::Cloud,
};

/// Has the cluster sign a certificate for the cloud's user; his kubeconfig.
pub(super) async fn signed(bed: &Bed, cloud: &Cloud, algorithm: KeyAlgorithm) -> Value {
    let user = cloud.applied.spec.user.as_ref().unwrap();
    let subject = cloud.tenancy().subject(user);
    let made = UserCredentials.request(&subject, algorithm).unwrap();
    let request =
        CertificateRequest { owner: cloud.owner(), csr_pem: made.csr_pem, lifetime: Duration::from_secs(3600) };
    let pem = bed.sync.sign(&bed.access(), &request).await.unwrap();
    let facts = UserCredentials.inspect(&pem, &made.key_pem).unwrap();
    assert_eq!(facts.subject, subject);
    let life = facts.not_after.duration_since(facts.not_before).as_secs();
    assert!((3600..=3600 + 600).contains(&life), "{life}");
    let endpoint = bed.sync.probe(&bed.access()).await.unwrap().endpoint;
    render(&[Access {
        name: "c1",
        user: "user-1",
        endpoint: &endpoint,
        namespace: &cloud.namespace,
        certificate_pem: &pem,
        key_pem: &made.key_pem,
    }])
}

async fn reads(kubeconfig: &Value, path: &str) -> Result<Value, u16> {
    match call(&client(kubeconfig).await, "GET", path, "application/json", &Value::Null).await {
        Ok(value) => Ok(value),
        Err(kube::Error::Api(status)) => Err(status.code),
        Err(error) => panic!("{error}"),
    }
}

pub(crate) async fn a_certificate_works_for_its_user_and_leaves_no_request(bed: &Bed) {
    let mut cloud = Cloud::new();
    cloud.made(bed).await;
    for algorithm in [KeyAlgorithm::EcdsaP256, KeyAlgorithm::Rsa2048] {
        let user = signed(bed, &cloud, algorithm).await;
        let allowed = format!("{}/configmaps", cloud.namespace_path());
        assert!(reads(&user, &allowed).await.unwrap()["items"].is_array());
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
    assert!(reads(&user, &allowed).await.is_ok());
    cloud.applied.credential_epoch += 1;
    cloud.made(bed).await;
    let mut last = reads(&user, &allowed).await;
    for _ in 0..50 {
        if last == Err(403) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await; // The API server's own cache of bindings.
        last = reads(&user, &allowed).await;
    }
    assert_eq!(last, Err(403));
    assert_eq!(cloud.remove(bed).await.failure, None);
}
