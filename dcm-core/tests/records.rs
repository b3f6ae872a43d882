//! Creating, changing and deleting records: expectations, limits, and parents that go while children come.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails loudly")]

use std::sync::Arc;

use dcm_core::{
    error::{Error, ErrorKind},
    model::{KvPairInput, MetadataInput, Policy, Quota},
    name::{ClusterName, ProjectName, ReferenceName},
    service::{CloudId, Page, Settings},
    store::{Revision, Scan, Store as _},
};
use dcm_store::memory::MemoryStore;
use dcm_test_utils::builders::{
    Fixture, cloud_id, cloud_input, cluster_input, metadata, permission_input, provider, quota_input, reference_input,
};

async fn fixture() -> Fixture {
    Fixture::new(Arc::new(MemoryStore::new())).await.unwrap()
}

fn kind<T: std::fmt::Debug>(result: Result<T, Error>) -> ErrorKind {
    result.unwrap_err().kind()
}

#[tokio::test]
async fn creating_twice_is_refused_and_changes_nothing() {
    let f = fixture().await;
    f.register(&["c1"]).await.unwrap();
    let id = f.create_cloud("lc-1", "ns-1", &["c1"]).await.unwrap();
    let before = f.dcm.logical_cloud(&id).await.unwrap().revision.clone();
    assert_eq!(
        kind(f.dcm.create_logical_cloud(&id.project, cloud_input("lc-1", "x").into()).await),
        ErrorKind::AlreadyExists
    );
    assert_eq!(kind(f.dcm.create_reference(&id, reference_input("c1").into()).await), ErrorKind::AlreadyExists);
    assert_eq!(kind(f.dcm.create_quota(&id, quota_input("quota-1", "9").into()).await), ErrorKind::AlreadyExists);
    assert_eq!(
        kind(f.dcm.create_permission(&id, permission_input("permission-1", "pods").into()).await),
        ErrorKind::AlreadyExists
    );
    assert_eq!(
        kind(f.dcm.create_cluster(&provider("default"), cluster_input("c1").into()).await),
        ErrorKind::AlreadyExists
    );
    assert_eq!(f.dcm.logical_cloud(&id).await.unwrap().revision, before);
    let quota = f.dcm.quota(&id, &"quota-1".parse().unwrap()).await.unwrap();
    assert_eq!(quota.value.spec["pods"], "5");
}

#[tokio::test]
async fn a_write_under_an_old_expectation_loses() {
    let f = fixture().await;
    let id = f.create_cloud("lc-1", "ns-1", &[]).await.unwrap();
    let name = "quota-1".parse().unwrap();
    let first = f.dcm.quota(&id, &name).await.unwrap().revision;
    f.dcm.update_quota(&id, &name, quota_input("quota-1", "6").into(), Some(&first)).await.unwrap();
    let lost = f.dcm.update_quota(&id, &name, quota_input("quota-1", "7").into(), Some(&first)).await;
    assert_eq!(kind(lost), ErrorKind::PreconditionFailed);
    assert_eq!(kind(f.dcm.delete_quota(&id, &name, Some(&first)).await), ErrorKind::PreconditionFailed);
    let nowhere = Revision::new("never");
    let lost = f.dcm.update_logical_cloud(&id, cloud_input("lc-1", "ns-1").into(), Some(&nowhere)).await;
    assert_eq!(kind(lost), ErrorKind::PreconditionFailed);
    assert_eq!(f.dcm.quota(&id, &name).await.unwrap().value.spec["pods"], "6");
}

#[tokio::test]
async fn limits_are_named_when_they_are_reached() {
    let f = fixture().await;
    let id = f.create_cloud("lc-1", "ns-1", &[]).await.unwrap();
    for n in 1..Quota::MOST {
        f.dcm.create_quota(&id, quota_input(&format!("more-{n}"), "1").into()).await.unwrap();
    }
    let refused = f.dcm.create_quota(&id, quota_input("one-too-many", "1").into()).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Refused);
    assert!(refused.to_string().contains("32"), "{refused}");
}

#[tokio::test]
async fn a_reference_to_an_unknown_cluster_is_an_invalid_input() {
    let f = fixture().await;
    let id = f.create_cloud("lc-1", "ns-1", &[]).await.unwrap();
    let Error::Invalid(faults) = f.dcm.create_reference(&id, reference_input("nowhere").into()).await.unwrap_err()
    else {
        panic!("an unknown cluster is a bad field")
    };
    assert_eq!(faults.as_slice()[0].pointer, "/cluster-reference");
    assert!(f.dcm.references(&id, &Page::default()).await.unwrap().entries.is_empty());
}

#[tokio::test]
async fn a_cloud_refers_to_a_cluster_once() {
    let f = fixture().await;
    f.register(&["c1"]).await.unwrap();
    let id = f.create_cloud("lc-1", "ns-1", &["c1"]).await.unwrap();
    let mut again = reference_input("c1");
    again.short = false;
    again.metadata = metadata("another-name");
    let refused = f.dcm.create_reference(&id, again.clone().into()).await.unwrap_err();
    assert!(refused.to_string().contains("\"c1\""), "{refused}");
    f.dcm.delete_reference(&id, &ReferenceName::new("c1").unwrap(), None, false).await.unwrap();
    f.dcm.create_reference(&id, again.into()).await.unwrap();
    // Found by the cluster's name, too.
    let found = f.dcm.reference(&id, &ReferenceName::new("c1").unwrap()).await.unwrap();
    assert_eq!(found.value.metadata.name.as_str(), "another-name");
}

#[tokio::test]
async fn parents_with_children_stay() {
    let f = fixture().await;
    f.register(&["c1"]).await.unwrap();
    let id = f.create_cloud("lc-1", "ns-1", &["c1"]).await.unwrap();
    let refused = f.dcm.delete_cluster(&provider("default"), &"c1".parse().unwrap(), None).await.unwrap_err();
    assert!(refused.to_string().contains("walmart/lc-1"), "{refused}");
    let refused = f.dcm.delete_provider(&provider("default"), None).await.unwrap_err();
    assert!(refused.to_string().contains("c1"), "{refused}");
    let refused = f.dcm.delete_project(&id.project, None).await.unwrap_err();
    assert!(refused.to_string().contains("lc-1"), "{refused}");
    // And they still take children in.
    f.create_cloud("lc-2", "ns-2", &["c1"]).await.unwrap();
    f.register(&["c2"]).await.unwrap();
}

#[tokio::test]
async fn projects_can_be_kept_to_those_that_are_registered() {
    let policy = Policy { registered_projects: true, ..Policy::default() };
    let settings = Settings { policy, ..Settings::default() };
    let f = Fixture::with_settings(Arc::new(MemoryStore::new()), settings).await.unwrap();
    let id = cloud_id("lc-1");
    assert_eq!(
        kind(f.dcm.create_logical_cloud(&id.project, cloud_input("lc-1", "ns-1").into()).await),
        ErrorKind::NotFound
    );
    let input = MetadataInput { name: Some("walmart".to_owned()), ..MetadataInput::default() };
    f.dcm.create_project(input.into()).await.unwrap();
    f.dcm.create_logical_cloud(&id.project, cloud_input("lc-1", "ns-1").into()).await.unwrap();
}

#[tokio::test]
async fn a_kv_pair_keeps_order_and_repeats() {
    let f = fixture().await;
    let id = f.create_cloud("lc-1", "ns-1", &[]).await.unwrap();
    let kv = vec![
        ("b".to_owned(), serde_json::json!(1)),
        ("a".to_owned(), serde_json::json!({ "x.y": null })),
        ("b".to_owned(), serde_json::json!("2")),
    ];
    let input = KvPairInput { metadata: metadata("kv-1"), kv: Some(kv.clone()) };
    f.dcm.create_kv_pair(&id, input.into()).await.unwrap();
    assert_eq!(f.dcm.kv_pair(&id, &"kv-1".parse().unwrap()).await.unwrap().value.kv, kv);
}

/// Whatever is acknowledged is visible, and nothing is visible without its parent.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_project_that_goes_while_clouds_come_never_swallows_one() {
    let f = Arc::new(fixture().await);
    let mut acknowledged_then_lost = 0;
    for round in 0..200 {
        let project = ProjectName::new(&format!("p-{round}")).unwrap();
        let input = MetadataInput { name: Some(project.to_string()), ..MetadataInput::default() };
        f.dcm.create_project(input.into()).await.unwrap();
        let creator = tokio::spawn({
            let (f, project) = (Arc::clone(&f), project.clone());
            async move { f.dcm.create_logical_cloud(&project, cloud_input("lc", "ns").into()).await.is_ok() }
        });
        let deleter = tokio::spawn({
            let (f, project) = (Arc::clone(&f), project.clone());
            async move { f.dcm.delete_project(&project, None).await.is_ok() }
        });
        let (created, deleted) = (creator.await.unwrap(), deleter.await.unwrap());
        let id = CloudId { project: project.clone(), name: "lc".parse().unwrap() };
        let visible = f.dcm.logical_cloud(&id).await.is_ok();
        acknowledged_then_lost += u32::from(created && !visible);
        assert!(!visible || created, "round {round}: visible, though its creation was refused");
        let parent = f.dcm.project(&project).await;
        assert!(!visible || parent.is_ok(), "round {round}: visible without its project");
        // Projects are made on first use, so one may be there again after its delete.
        assert!(deleted || parent.is_ok(), "round {round}");
    }
    assert_eq!(acknowledged_then_lost, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_cluster_that_goes_while_references_come_leaves_none_dangling() {
    let f = Arc::new(fixture().await);
    let id = f.create_cloud("lc-1", "ns-1", &[]).await.unwrap();
    for round in 0..200 {
        let name = format!("c{round}");
        f.register(&[&name]).await.unwrap();
        let creator = tokio::spawn({
            let (f, id, name) = (Arc::clone(&f), id.clone(), name.clone());
            async move { f.dcm.create_reference(&id, reference_input(&name).into()).await.is_ok() }
        });
        let deleter = tokio::spawn({
            let (f, name) = (Arc::clone(&f), name.clone());
            async move { f.dcm.delete_cluster(&provider("default"), &name.parse().unwrap(), None).await.is_ok() }
        });
        let (created, deleted) = (creator.await.unwrap(), deleter.await.unwrap());
        assert!(!(created && deleted), "round {round}: a reference to a cluster that is gone");
        let reference = f.dcm.reference(&id, &name.parse().unwrap()).await;
        assert_eq!(reference.is_ok(), created, "round {round}");
        let cluster = f.dcm.cluster(&provider("default"), &name.parse().unwrap()).await;
        assert_eq!(cluster.is_err(), deleted, "round {round}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_cluster_that_goes_while_kv_pairs_come_takes_them_along() {
    let store = Arc::new(MemoryStore::new());
    let f = Arc::new(Fixture::new(Arc::clone(&store) as _).await.unwrap());
    let default = provider("default");
    for round in 0..200 {
        let name: ClusterName = "c".parse().unwrap();
        f.register(&["c"]).await.unwrap();
        let creator = tokio::spawn({
            let (f, default, name) = (Arc::clone(&f), default.clone(), name.clone());
            async move {
                let input = KvPairInput { metadata: metadata("kv-1"), kv: Some(Vec::new()) };
                f.dcm.create_cluster_kv_pair((&default, &name), input.into()).await.map(drop)
            }
        });
        let deleter = tokio::spawn({
            let (f, default, name) = (Arc::clone(&f), default.clone(), name.clone());
            async move { f.dcm.delete_cluster(&default, &name, None).await }
        });
        let (created, deleted) = (creator.await.unwrap(), deleter.await.unwrap());
        deleted.unwrap();
        assert!(matches!(created, Ok(()) | Err(Error::NotFound { .. })), "round {round}: {created:?}");
        let left = store.scan(Scan::below("cluster-kv-pair".parse().unwrap(), 10)).await.unwrap();
        assert!(left.is_empty(), "round {round}: {left:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_cloud_that_goes_while_children_come_is_gone_whole() {
    let f = Arc::new(fixture().await);
    for round in 0..200 {
        let id = f.create_cloud("lc-1", "ns-1", &[]).await.unwrap();
        let creator = tokio::spawn({
            let (f, id) = (Arc::clone(&f), id.clone());
            async move { f.dcm.create_quota(&id, quota_input("late", "1").into()).await.is_ok() }
        });
        let deleter = tokio::spawn({
            let (f, id) = (Arc::clone(&f), id.clone());
            async move { f.dcm.delete_logical_cloud(&id, None).await }
        });
        creator.await.unwrap();
        deleter.await.unwrap().unwrap();
        assert_eq!(kind(f.dcm.quota(&id, &"late".parse().unwrap()).await), ErrorKind::NotFound, "round {round}");
        // One of the same name begins empty.
        f.dcm.create_logical_cloud(&id.project, cloud_input("lc-1", "ns-1").into()).await.unwrap();
        assert!(f.dcm.quotas(&id, &Page::default()).await.unwrap().entries.is_empty(), "round {round}");
        f.dcm.delete_logical_cloud(&id, None).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn concurrent_edits_of_one_cloud_are_all_kept() {
    let f = Arc::new(fixture().await);
    let id = f.create_cloud("lc-1", "ns-1", &[]).await.unwrap();
    let edits: Vec<_> = (0..12)
        .map(|n| {
            let (f, id) = (Arc::clone(&f), id.clone());
            tokio::spawn(async move {
                f.dcm.create_permission(&id, permission_input(&format!("p-{n}"), "pods").into()).await
            })
        })
        .collect();
    for edit in edits {
        edit.await.unwrap().unwrap();
    }
    assert_eq!(f.dcm.permissions(&id).await.unwrap().0.len(), 13);
}

#[tokio::test]
async fn an_update_of_a_cluster_keeps_the_credentials_that_it_leaves_out() {
    let f = fixture().await;
    let default = provider("default");
    let name = "c1".parse().unwrap();
    let mut input = cluster_input("c1");
    input.ca_certificate = Some("a certificate".to_owned());
    input.ca_key = Some(dcm_core::secret::Secret::new("a key"));
    let before = f.dcm.create_cluster(&default, input.into()).await.unwrap().cluster;
    let mut input = dcm_core::model::ClusterInput { metadata: metadata("c1"), ..Default::default() };
    input.labels.insert("site".to_owned(), "edge".to_owned());
    input.ca_certificate = Some("a certificate".to_owned());
    let after = f.dcm.update_cluster(&default, &name, input.clone().into(), None).await.unwrap().cluster;
    assert_eq!(after, dcm_core::model::Cluster { labels: input.labels.clone(), ..before });
    input.ca_certificate = Some("another certificate".to_owned());
    assert_eq!(kind(f.dcm.update_cluster(&default, &name, input.into(), None).await), ErrorKind::Invalid);
    assert_eq!(
        kind(
            f.dcm
                .create_cluster(
                    &default,
                    dcm_core::model::ClusterInput { metadata: metadata("c2"), ..Default::default() }.into()
                )
                .await
        ),
        ErrorKind::Invalid
    );
}
