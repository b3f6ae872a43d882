//! What a client of any kind may send.

use std::sync::Arc;

use dcm_core::store::Store;
use dcm_proto::ca_v1::{
    Cloud, GetBundleRequest, IssueIntermediateRequest, RevokeRequest, RotateRequest,
    ca_key_distribution_client::CaKeyDistributionClient,
};
use dcm_store::memory::MemoryStore;
use tonic::{
    Code, Status,
    transport::{Channel, Endpoint},
};
use tonic_types::StatusExt as _;

use crate::support::{Served, built_in};

async fn raw() -> (CaKeyDistributionClient<Channel>, Served) {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let served = Served::start(built_in(&store).await).await;
    let channel = Endpoint::from_shared(format!("http://{}", served.address)).unwrap().connect().await.unwrap();
    (CaKeyDistributionClient::new(channel), served)
}

fn bad_fields(status: &Status) -> Vec<String> {
    assert_eq!(status.code(), Code::InvalidArgument, "{status:?}");
    let violations = status.get_details_bad_request().unwrap().field_violations;
    assert!(violations.iter().all(|violation| !violation.description.is_empty()));
    violations.into_iter().map(|violation| violation.field).collect()
}

#[tokio::test]
async fn every_bad_field_is_named_at_once() {
    let (mut ca, _served) = raw().await;
    let cloud = ["cloud.uid", "cloud.project", "cloud.name", "cloud.trust_domain"];
    let all: Vec<&str> = cloud.into_iter().chain(["cluster", "generation"]).collect();
    let refused = ca.issue_intermediate(IssueIntermediateRequest::default()).await.unwrap_err();
    assert_eq!(bad_fields(&refused), all);
    let odd = |text: &str| text.to_owned();
    let refused = ca.issue_intermediate(IssueIntermediateRequest {
        cloud: Some(Cloud {
            uid: odd("5F9A6B1E-3F0C-4C57-9D5B-0D8A3F6C2E11"),
            project: odd("a/b"),
            name: odd("\"\n"),
            trust_domain: odd("ä.example/path"),
        }),
        cluster: odd("../other"),
        generation: 0,
        csr_pem: String::new(),
    });
    assert_eq!(bad_fields(&refused.await.unwrap_err()), all);
    let refused = ca.get_bundle(GetBundleRequest { cloud_uid: odd("../x") }).await.unwrap_err();
    assert_eq!(bad_fields(&refused), ["cloud_uid"]);
    let refused = ca.rotate(RotateRequest { step: 99, ..Default::default() }).await.unwrap_err();
    assert_eq!(bad_fields(&refused), ["cloud_uid", "generation", "step"]);
    let refused = ca.revoke(RevokeRequest::default()).await.unwrap_err();
    assert_eq!(bad_fields(&refused), ["cloud_uid", "cluster", "generation"]);
}

#[tokio::test]
async fn a_request_that_is_too_long_is_refused_before_it_is_read() {
    let (mut ca, _served) = raw().await;
    let request = IssueIntermediateRequest { csr_pem: "x".repeat(10 * 1024 * 1024), ..Default::default() };
    let refused = ca.issue_intermediate(request).await.unwrap_err();
    assert_eq!(refused.code(), Code::OutOfRange, "{refused:?}");
}
