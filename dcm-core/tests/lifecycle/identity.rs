//! Whose a namespace is, which cluster it is, and who the user is there.

use dcm_core::{
    error::ErrorKind,
    lifecycle::Event,
    name::ReferenceName,
    service::Overall,
    sync::{Part, PartState, Reason},
};
use dcm_test_utils::{builders::cloud_input, ports::FAKE_LIFETIME};

use crate::support::{fixture, overall};

#[tokio::test]
async fn two_clouds_never_share_a_namespace_on_one_cluster() {
    let f = fixture().await;
    let first = f.create_cloud("lc-1", "ns-1", &["c1"]).await.unwrap();
    let second = f.create_cloud("lc-2", "ns-1", &["c1", "c2"]).await.unwrap();
    f.apply(&first).await.unwrap();
    let refused = f.dcm.apply(&second, Event::Apply, false).await.unwrap_err();
    assert!(refused.to_string().contains("walmart/lc-1"), "{refused}");
    assert_eq!(refused.kind(), ErrorKind::Refused);
    assert_eq!(overall(&f, &second).await, Overall::NotCreated);
    f.carry_out().await.unwrap();
    assert!(f.clusters.holds("default/c2").is_empty());
    // Free again once the first one is gone.
    f.dcm.terminate(&first, false).await.unwrap();
    f.carry_out().await.unwrap();
    f.apply(&second).await.unwrap();
    f.carry_out().await.unwrap();
    assert_eq!(overall(&f, &second).await, Overall::Created);
}

#[tokio::test]
async fn one_api_server_registered_twice_counts_once() {
    let f = fixture().await;
    f.create_applied("lc-1", "ns-1", &["c1"]).await.unwrap();
    // The second registration is unreachable when it is applied, so its identity is found out later.
    f.clusters.set_down("default/again", true);
    f.register(&["again"]).await.unwrap();
    let second = f.create_cloud("lc-2", "ns-1", &["again"]).await.unwrap();
    f.apply(&second).await.unwrap();
    let identity = f.clusters.with("default/c1", |cluster| cluster.identity.clone());
    f.clusters.with("default/again", |cluster| {
        cluster.failure = None;
        cluster.identity = identity;
    });
    f.carry_out().await.unwrap();
    let status = f.dcm.status(&second).await.unwrap();
    assert_eq!(status.overall, Overall::CreationFailed);
    assert_eq!(status.clusters[0].1.as_ref().unwrap().reason(), Some(Reason::NamespaceReserved));
    assert!(f.clusters.holds("default/again").is_empty());
}

#[tokio::test]
async fn a_kubeconfig_that_leads_elsewhere_is_noticed() {
    let f = fixture().await;
    let id = f.create_applied("lc-1", "ns-1", &["c1"]).await.unwrap();
    f.clusters.with("default/c1", |cluster| {
        cluster.identity = "somebody-else".to_owned();
        cluster.objects.clear();
    });
    f.apply(&id).await.unwrap();
    f.carry_out().await.unwrap();
    let status = f.dcm.status(&id).await.unwrap();
    assert_eq!(status.clusters[0].1.as_ref().unwrap().reason(), Some(Reason::IdentityChanged));
    assert!(f.clusters.holds("default/c1").is_empty());
}

#[tokio::test]
async fn another_user_is_another_identity_on_the_cluster() {
    let f = fixture().await;
    let id = f.create_applied("lc-1", "ns-1", &["c1"]).await.unwrap();
    let certificate = || async {
        let config = f.dcm.kubeconfig(&id, &ReferenceName::new("c1").unwrap()).await.unwrap();
        let config: serde_json::Value = serde_json::from_slice(config.expose_json()).unwrap();
        config["users"][0]["user"]["client-certificate-data"].as_str().unwrap().to_owned()
    };
    let before = certificate().await;
    let mut input = cloud_input("lc-1", "ns-1");
    input.user.as_mut().unwrap().user_name = Some("user-2".to_owned());
    f.dcm.update_logical_cloud(&id, input.into(), None).await.unwrap();
    assert_eq!(certificate().await, before);
    f.apply(&id).await.unwrap();
    f.carry_out().await.unwrap();
    assert_ne!(certificate().await, before);
}

#[tokio::test]
async fn a_certificate_is_renewed_at_two_thirds_of_its_life() {
    let f = fixture().await;
    let id = f.create_applied("lc-1", "ns-1", &["c1"]).await.unwrap();
    let calls_of_a_look = || async {
        let before = f.clusters.with("default/c1", |cluster| cluster.calls);
        f.dcm.resync(&id).await.unwrap();
        f.carry_out().await.unwrap();
        f.clusters.with("default/c1", |cluster| cluster.calls) - before
    };
    // Who it is, and the apply.
    assert_eq!(calls_of_a_look().await, 2);
    f.clock.advance(FAKE_LIFETIME * 2 / 3);
    // And a signature.
    assert_eq!(calls_of_a_look().await, 3);
}

/// What is refused keeps nobody from what he has: his credential is renewed all the same.
#[tokio::test]
async fn a_credential_is_issued_although_an_object_is_refused() {
    let f = fixture().await;
    let id = f.create_cloud("lc-1", "ns-1", &["c1"]).await.unwrap();
    f.clusters.with("default/c1", |cluster| cluster.refuses = Some(("Role".to_owned(), Reason::BeyondCeiling)));
    f.apply(&id).await.unwrap();
    f.carry_out().await.unwrap();
    let status = f.dcm.status(&id).await.unwrap();
    assert_eq!(status.overall, Overall::CreationFailed);
    let cluster = status.clusters[0].1.as_ref().unwrap();
    assert_eq!(cluster.reason(), Some(Reason::BeyondCeiling));
    assert_eq!(
        (cluster.part(Part::Credential), cluster.part(Part::Kubeconfig)),
        (PartState::Created, PartState::Created)
    );
    assert!(f.dcm.merged_kubeconfig(&id).await.is_ok());
    f.clusters.with("default/c1", |cluster| cluster.refuses = None);
    f.carry_out().await.unwrap();
    assert_eq!(overall(&f, &id).await, Overall::Created);
}
