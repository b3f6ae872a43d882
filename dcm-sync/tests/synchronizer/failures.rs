//! What becomes of clusters that are away, slow or hostile; on simulated ones, which can be told to be so.

use std::time::{Duration, Instant};

use dcm_core::{
    credential::{CredentialMaker as _, KeyAlgorithm},
    model::UserType,
    sync::{CertificateRequest, Part, PartState, Reason, Synchronizer as _},
    tenancy::Identity,
};
use dcm_mesh::credential::UserCredentials;
use dcm_sim::{ClusterOptions, Fault};
use dcm_sync::kube::{KubeOptions, KubeSynchronizer};
use serde_json::json;

use crate::{
    bed::{Bed, access, options},
    cloud::Cloud,
    promises::sign::sign,
};

#[tokio::test]
async fn an_unreachable_cluster_is_told_within_the_bound() {
    let bed = Bed::simulated().await;
    let mut cloud = Cloud::new();
    cloud.made(&bed).await;
    let before = cloud.inventory.clone();
    bed.simulated.as_ref().unwrap().faults().set_down(true).await;
    let start = Instant::now();
    let report = cloud.apply(&bed).await;
    assert!(start.elapsed() < Duration::from_secs(20));
    let failure = report.failure.unwrap();
    assert_eq!(failure.reason, Reason::Unreachable, "{failure}");
    assert_eq!(report.inventory, before);
    assert!(matches!(report.parts[&Part::Namespace], PartState::NotAvailable(_)));
    let report = cloud.remove(&bed).await;
    assert_eq!(report.failure.unwrap().reason, Reason::Unreachable);
    assert_eq!(report.inventory, before);
}

#[tokio::test]
async fn a_place_that_swallows_packets_is_unreachable_within_the_bound() {
    let bed = Bed::simulated().await;
    let mut kubeconfig = bed.kubeconfig.clone();
    // Full backlog: the connection is never accepted.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    kubeconfig["clusters"][0]["cluster"]["server"] = json!(format!("https://{address}"));
    let sync = KubeSynchronizer::new(KubeOptions { connect_timeout: Duration::from_millis(300), ..options() });
    let start = Instant::now();
    let failure = sync.probe(&access(&kubeconfig)).await.unwrap_err();
    assert!(start.elapsed() < Duration::from_secs(20));
    assert_eq!(failure.reason, Reason::Unreachable, "{failure}");
    assert!(failure.detail.contains(&address.to_string()), "{failure}");
}

#[tokio::test]
async fn a_cluster_that_hangs_is_a_timeout_within_the_bound() {
    let bed = Bed::simulated().await;
    bed.simulated.as_ref().unwrap().faults().add(Fault::hang());
    let sync = KubeSynchronizer::new(KubeOptions { request_timeout: Duration::from_millis(300), ..options() });
    let start = Instant::now();
    let failure = sync.probe(&bed.access()).await.unwrap_err();
    assert!(start.elapsed() < Duration::from_secs(20));
    assert_eq!(failure.reason, Reason::Timeout, "{failure}");
}

#[tokio::test]
async fn a_cluster_that_is_busy_says_when_to_come_back() {
    let bed = Bed::simulated().await;
    let faults = bed.simulated.as_ref().unwrap().faults();
    for (code, reason) in [(429, Reason::RateLimited), (503, Reason::ServerError)] {
        faults.add(Fault::status(code).retry_after(7).times(1));
        let failure = Cloud::new().apply(&bed).await.failure.unwrap();
        assert_eq!(failure.reason, reason, "{failure}");
        assert_eq!(failure.retry_after, Some(7));
    }
}

#[tokio::test]
async fn an_object_whose_answer_was_lost_is_not_forgotten() {
    let bed = Bed::simulated().await;
    let faults = bed.simulated.as_ref().unwrap().faults();
    let mut cloud = Cloud::new();
    faults.add(Fault::cut_answer().on_method("POST").on_path("/apis/rbac").times(1));
    let report = cloud.apply(&bed).await;
    assert_eq!(report.failure.unwrap().reason, Reason::ServerError);
    let unknown: Vec<_> = report.inventory.iter().filter(|item| item.uid.is_none()).collect();
    assert_eq!(unknown.len(), 1, "{unknown:?}");
    assert_eq!(unknown[0].id.kind, "Role");
    // Wherever it breaks, the next attempt finds its way on.
    for method in ["GET", "PATCH", "POST"] {
        faults.add(Fault::cut_answer().on_method(method).times(1));
        cloud.apply(&bed).await;
        faults.clear();
    }
    cloud.made(&bed).await;
    assert!(cloud.inventory.iter().all(|item| item.uid.is_some()));
    faults.add(Fault::cut_answer().on_method("DELETE").times(1));
    assert_eq!(cloud.remove(&bed).await.failure.unwrap().reason, Reason::ServerError);
    let report = cloud.remove(&bed).await;
    assert_eq!(report.failure, None);
    assert_eq!(report.inventory, []);
}

#[tokio::test]
async fn an_adoption_whose_answer_was_lost_still_is_one() {
    let bed = Bed::simulated().await;
    let name = bed.foreign_namespace(json!({})).await;
    let mut cloud = Cloud::inside(&name);
    cloud.adoption = dcm_core::model::AdoptionPolicy::Always;
    let faults = bed.simulated.as_ref().unwrap().faults();
    faults.add(Fault::cut_answer().on_method("PATCH").times(1));
    assert!(cloud.apply(&bed).await.failure.is_some());
    assert!(cloud.inventory[0].adopted);
    assert_eq!(cloud.remove(&bed).await.failure, None);
    assert!(bed.get(&cloud.namespace_path()).await.is_some());
}

#[tokio::test]
async fn an_account_whose_answer_was_lost_is_not_forgotten() {
    let bed = Bed::simulated().await;
    let mut cloud = Cloud::new();
    cloud.user_is(UserType::Token);
    cloud.made(&bed).await;
    cloud.applied.credential_epoch += 1;
    let faults = bed.simulated.as_ref().unwrap().faults();
    faults.add(Fault::cut_answer().on_method("POST").on_path("/api/v1").times(1));
    let report = cloud.apply(&bed).await;
    assert_eq!(report.failure.unwrap().reason, Reason::ServerError);
    assert!(matches!(report.parts[&Part::Credential], PartState::NotAvailable(_)));
    assert_eq!(bed.there(&cloud.accounts()).await["items"].as_array().unwrap().len(), 3);
    cloud.user_is(UserType::Certificate);
    cloud.made(&bed).await;
    assert_eq!(bed.there(&cloud.accounts()).await["items"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_cut_tries_everything_and_looks_again_at_what_changed() {
    let bed = Bed::simulated().await;
    let mut cloud = Cloud::new();
    cloud.made(&bed).await;
    let keep = Identity::CommonName("new".to_owned());
    let faults = bed.simulated.as_ref().unwrap().faults();
    let bindings = cloud.bindings();
    let left = async || bed.there(&bindings).await["items"].as_array().unwrap().len();
    faults.add(Fault::status(500).on_method("DELETE").times(1));
    let failure = cloud.cut_off(&bed, keep.clone()).await.unwrap_err();
    assert_eq!(failure.reason, Reason::ServerError, "{failure}");
    assert_eq!(left().await, 1);
    // The lists are not to be had: what the inventory knows goes all the same.
    faults.add(Fault::status(500).on_method("GET").on_path("/apis/rbac.authorization.k8s.io/v1/namespaces").times(1));
    assert!(cloud.cut_off(&bed, keep.clone()).await.is_err());
    assert_eq!(left().await, 0);

    cloud.made(&bed).await;
    faults.add(Fault::status(409).on_method("DELETE").times(1));
    cloud.cut_off(&bed, keep.clone()).await.unwrap();
    assert_eq!(left().await, 0);
    cloud.made(&bed).await;
    faults.add(Fault::status(409).on_method("DELETE"));
    let failure = cloud.cut_off(&bed, keep.clone()).await.unwrap_err();
    assert_eq!(failure.reason, Reason::Conflict, "{failure}");
    assert!(failure.detail.contains("has been modified"), "{failure}");
    faults.clear();
    // A binding that is being deleted still binds.
    bed.merge(&format!("{}/p-1", cloud.bindings()), json!({ "metadata": { "finalizers": ["example.com/held"] } }))
        .await;
    let failure = cloud.cut_off(&bed, keep).await.unwrap_err();
    assert_eq!(failure.reason, Reason::DeletionBlocked, "{failure}");
    assert_eq!(left().await, 1);
}

#[tokio::test]
async fn more_grants_than_can_be_told_are_counted() {
    let bed = Bed::simulated().await;
    let mut cloud = Cloud::new();
    cloud.made(&bed).await;
    for number in 0..105 {
        let account = json!({ "metadata": { "name": format!("account-{number}") } });
        bed.post(&cloud.accounts(), account).await;
    }
    let grants = cloud.cut_off(&bed, cloud.identity()).await.unwrap();
    assert_eq!(grants.len(), 101);
    assert!(grants[100].detail.starts_with("5 more"), "{}", grants[100].detail);
}

#[tokio::test]
async fn a_comparison_looks_again_at_what_changed_meanwhile() {
    let bed = Bed::simulated().await;
    let mut cloud = Cloud::new();
    cloud.made(&bed).await;
    cloud.applied.generation += 1;
    let faults = bed.simulated.as_ref().unwrap().faults();
    faults.add(Fault::status(409).on_method("PATCH").times(1));
    let comparison = cloud.compared(&bed).await;
    assert_eq!(comparison.differences.len(), 1);
    assert_eq!(comparison.differences[0].refusal, None);
    faults.add(Fault::status(409).on_method("PATCH"));
    let comparison = cloud.compared(&bed).await;
    assert_eq!(comparison.differences[0].refusal.as_ref().unwrap().reason, Reason::Conflict);
}

#[tokio::test]
async fn a_cluster_that_cannot_be_asked_is_not_compared() {
    let bed = Bed::simulated().await;
    let mut cloud = Cloud::new();
    let faults = bed.simulated.as_ref().unwrap().faults();
    faults.add(Fault::status(503).on_method("POST").times(1));
    let failure = bed.sync.compare(&bed.access(), &cloud.desired()).await.unwrap_err();
    assert_eq!(failure.reason, Reason::ServerError, "{failure}");
    cloud.made(&bed).await;
    faults.add(Fault::status(403).on_method("GET").on_path("/apis/").times(1));
    let failure = bed.sync.compare(&bed.access(), &cloud.desired()).await.unwrap_err();
    assert_eq!(failure.reason, Reason::Forbidden, "{failure}");
}

#[tokio::test]
async fn a_cluster_that_signs_nothing_is_told_and_keeps_no_request() {
    let bed = Bed::simulated_with(ClusterOptions::default().signs_client_certificates(false)).await;
    let cloud = Cloud::new();
    let subject = cloud.tenancy().subject(cloud.applied.spec.user.as_ref().unwrap());
    let made = UserCredentials.request(&subject, KeyAlgorithm::Ed25519).unwrap();
    let request =
        CertificateRequest { owner: cloud.owner(), csr_pem: made.csr_pem, lifetime: Duration::from_secs(3600) };
    let sync = KubeSynchronizer::new(KubeOptions { certificate_wait: Duration::from_millis(500), ..options() });
    let failure = sync.sign(&bed.access(), &request).await.unwrap_err();
    assert_eq!(failure.reason, Reason::CertificateNotIssued);
    assert!(failure.detail.contains("token"), "{failure}");
    let requests = bed.there("/apis/certificates.k8s.io/v1/certificatesigningrequests").await;
    assert_eq!(requests["items"], json!([]));
}

/// Somebody's webhook may keep an old request for good; that is no reason to make the user no credential.
#[tokio::test]
async fn an_old_request_that_stays_keeps_no_new_one_back() {
    let bed = Bed::simulated().await;
    let mut cloud = Cloud::new();
    cloud.made(&bed).await;
    let requests = "/apis/certificates.k8s.io/v1/certificatesigningrequests";
    let faults = bed.simulated.as_ref().unwrap().faults();
    faults.add(Fault::status(403).on_method("DELETE").on_path(requests));
    for left in 1..=3 {
        sign(&bed, &cloud, KeyAlgorithm::EcdsaP256).await.unwrap();
        assert_eq!(bed.there(requests).await["items"].as_array().unwrap().len(), left);
    }
    faults.clear();
    sign(&bed, &cloud, KeyAlgorithm::EcdsaP256).await.unwrap();
    assert_eq!(bed.there(requests).await["items"], json!([]));
}

#[tokio::test]
async fn a_refused_request_is_told() {
    let bed = Bed::simulated().await;
    let cloud = Cloud::new();
    let subject =
        dcm_core::credential::Subject { common_name: "anybody".to_owned(), organization: "system:masters".to_owned() };
    let made = UserCredentials.request(&subject, KeyAlgorithm::EcdsaP256).unwrap();
    let request =
        CertificateRequest { owner: cloud.owner(), csr_pem: made.csr_pem, lifetime: Duration::from_secs(3600) };
    let failure = bed.sync.sign(&bed.access(), &request).await.unwrap_err();
    assert!(matches!(failure.reason, Reason::CertificateRefused | Reason::Forbidden), "{failure}");
    let requests = bed.there("/apis/certificates.k8s.io/v1/certificatesigningrequests").await;
    assert_eq!(requests["items"], json!([]));
}

#[tokio::test]
async fn a_kubeconfig_that_needs_files_or_programs_is_refused() {
    let bed = Bed::simulated().await;
    for (field, value) in [
        (
            "exec",
            json!({ "apiVersion": "client.authentication.k8s.io/v1", "command": "touch", "args": ["/tmp/dcm-ran"] }),
        ),
        ("tokenFile", json!("/etc/hostname")),
        ("client-key", json!("/etc/hostname")),
        ("auth-provider", json!({ "name": "gcp", "config": {} })),
    ] {
        let mut kubeconfig = bed.kubeconfig.clone();
        kubeconfig["users"][0]["user"] = json!({ field: value });
        let failure = bed.sync.probe(&access(&kubeconfig)).await.unwrap_err();
        assert_eq!(failure.reason, Reason::Unauthorized, "{field}: {failure}");
        assert!(failure.detail.contains("files or programs"), "{field}: {failure}");
    }
    for broken in [json!("text"), json!({}), json!({ "current-context": "x", "contexts": [], "clusters": 3 })] {
        let failure = bed.sync.probe(&access(&broken)).await.unwrap_err();
        assert_eq!(failure.reason, Reason::Unauthorized, "{failure}");
    }
}

#[tokio::test]
async fn neither_errors_nor_debug_output_hold_a_credential() {
    let bed = Bed::simulated().await;
    let mut kubeconfig = bed.kubeconfig.clone();
    let user = &mut kubeconfig["users"][0]["user"];
    user["client-key-data"] = json!("bm90IGEga2V5IGJ1dCBzM2NyZXQ=");
    let failure = bed.sync.probe(&access(&kubeconfig)).await.unwrap_err();
    assert!(!failure.detail.contains("bm90IGEga2V5"), "{failure}");
    assert!(failure.detail.contains("client certificate or key"), "{failure}");
    let shown = format!("{:?} {:?}", bed.sync, access(&bed.kubeconfig));
    let key = bed.kubeconfig["users"][0]["user"]["client-key-data"].as_str().unwrap();
    assert!(!shown.contains(key), "{shown}");
}

#[tokio::test]
async fn a_namespace_that_goes_under_its_hands_is_made_again_once() {
    let bed = Bed::simulated().await;
    let mut cloud = Cloud::new();
    cloud.made(&bed).await;
    let cluster = bed.simulated.as_ref().unwrap();
    cloud.permissions().push(crate::cloud::permission("p-3", dcm_core::model::PermissionScope::Own));
    // Longer than this task may sleep on a busy machine.
    cluster.faults().set_latency(Duration::from_secs(1));
    cluster.clear_requests();
    let namespace = cloud.namespace.clone();
    let vanish = async {
        // The namespace was looked at; the role is not made yet.
        while !cluster.requests().iter().any(|r| r.path.contains("/roles?")) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert!(cluster.objects().remove("namespaces", "", &namespace));
        cluster.faults().set_latency(Duration::ZERO);
    };
    let desired = cloud.desired();
    let access = bed.access();
    let (report, ()) = tokio::join!(bed.sync.apply(&access, &desired), vanish);
    assert_eq!(report.failure, None);
    let missing = cluster.requests().into_iter().filter(|r| r.method == "POST" && r.status == 404);
    assert_eq!(missing.count(), 1);
    assert!(bed.get(&cloud.namespace_path()).await.is_some());
    assert!(bed.get(&format!("{}/p-3", cloud.roles())).await.is_some());
}
