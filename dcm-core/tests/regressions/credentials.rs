use dcm_core::{
    error::ErrorKind,
    service::CloudId,
    sync::{Failure, Part, PartState, Reason},
};
use dcm_test_utils::builders::{Fixture, cloud_input};

use crate::support::{memory, reference};

/// The user's name on the cluster, as the bindings there have it.
fn bound_user(f: &Fixture) -> String {
    f.clusters.with("default/c1", |cluster| {
        let binding = cluster.objects.iter().find(|(id, _)| id.kind == "RoleBinding").unwrap();
        binding.1.2["subjects"][0]["name"].as_str().unwrap().to_owned()
    })
}

async fn apply_as(f: &Fixture, id: &CloudId, user: &str) -> String {
    let mut input = cloud_input("lc-1", "ns-1");
    input.user.as_mut().unwrap().user_name = Some(user.to_owned());
    f.dcm.update_logical_cloud(id, input.into(), None).await.unwrap();
    f.apply(id).await.unwrap();
    f.carry_out().await.unwrap();
    bound_user(f)
}

/// A certificate lives for 90 days and cannot be revoked: its name must never be bound again.
#[tokio::test]
async fn a_user_who_comes_back_is_not_the_user_from_before() {
    let f = memory().await;
    let id = f.create_cloud("lc-1", "ns-1", &["c1"]).await.unwrap();
    let first = apply_as(&f, &id, "user-1").await;
    assert_eq!(apply_as(&f, &id, "user-1").await, first);
    let second = apply_as(&f, &id, "user-2").await;
    let third = apply_as(&f, &id, "user-1").await;
    assert!(first != second && first != third, "{first} {second} {third}");
    f.dcm.terminate(&id, false).await.unwrap();
    f.carry_out().await.unwrap();
    let fourth = apply_as(&f, &id, "user-1").await;
    assert!(fourth != first && fourth != third, "{fourth}");
}

/// Force is for clusters that are not there: one that answers keeps being cleaned, whatever it refuses.
#[tokio::test]
async fn force_does_not_leave_a_living_cluster_as_it_is() {
    let f = memory().await;
    let id = f.create_applied("lc-1", "ns-1", &["c1", "c2"]).await.unwrap();
    let refusing = Failure::new(Reason::Forbidden, "no right to delete");
    f.clusters.with("default/c2", |cluster| cluster.failure = Some(refusing));
    let c2 = reference("c2");
    f.dcm.delete_reference(&id, &c2, None, false).await.unwrap();
    f.carry_out().await.unwrap();
    let early = f.dcm.delete_reference(&id, &c2, None, true).await.unwrap_err();
    assert_eq!(early.kind(), ErrorKind::Refused);
    assert!(f.dcm.reference(&id, &c2).await.is_ok());
    f.clusters.with("default/c2", |cluster| cluster.failure = None);
    f.carry_out().await.unwrap();
    assert!(f.clusters.holds("default/c2").is_empty());
}

/// Whatever goes wrong, a part of the status says what.
#[tokio::test]
async fn every_failure_is_shown_by_a_part() {
    let f = memory().await;
    let id = f.create_applied("lc-1", "ns-1", &["c1"]).await.unwrap();
    f.clusters.with("default/c1", |cluster| cluster.identity = "somebody-else".to_owned());
    f.dcm.resync(&id).await.unwrap();
    f.carry_out().await.unwrap();
    let status = f.dcm.status(&id).await.unwrap();
    let part = status.clusters[0].1.as_ref().unwrap().part(Part::Namespace);
    assert!(matches!(&part, PartState::Failed(why) if why.contains("another cluster")), "{part:?}");
    f.clusters.with("default/c1", |cluster| cluster.identity = "identity-of-default-c1".to_owned());
    f.carry_out().await.unwrap();
    let status = f.dcm.status(&id).await.unwrap();
    assert_eq!(status.clusters[0].1.as_ref().unwrap().part(Part::Namespace), PartState::Created);
}

/// Who takes no more than so much is not given more, and nothing is left out without a word.
#[tokio::test]
async fn a_merged_kubeconfig_is_whole_or_refused() {
    let f = memory().await;
    let id = f.create_applied("lc-1", "ns-1", &["c1", "c2"]).await.unwrap();
    let mut bytes = 0;
    for name in ["c1", "c2"] {
        bytes += f.dcm.kubeconfig(&id, &reference(name)).await.unwrap().expose_json().len();
    }
    let whole = f.dcm.merged_kubeconfig(&id).await.unwrap();
    let bounded = f.dcm.merged_kubeconfig_of_at_most(&id, bytes).await.unwrap();
    assert_eq!(bounded.expose_json(), whole.expose_json());
    assert!(bounded.expose_json().len() <= bytes);
    let refused = f.dcm.merged_kubeconfig_of_at_most(&id, bytes - 1).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::AnswerTooLarge);
    assert!(refused.to_string().contains("ask for each by its cluster reference"), "{refused}");
}
