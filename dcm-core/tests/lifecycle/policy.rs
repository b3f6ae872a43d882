//! What the operator allows.

use std::sync::Arc;

use dcm_core::{
    error::ErrorKind,
    model::{LogicalCloudInput, PermissionInput, Policy},
    name::PermissionName,
    service::{Overall, Settings},
    sync::Reason,
};
use dcm_store::memory::MemoryStore;
use dcm_test_utils::builders::{Fixture, cloud_input, permission_input};

use crate::support::{fixture, kind, overall};

#[tokio::test]
async fn a_permission_is_checked_against_the_clouds_own_namespace() {
    let f = fixture().await;
    let id = f.create_cloud("lc-1", "ns-1", &["c1"]).await.unwrap();
    let own = PermissionInput { namespace: Some("ns-1".to_owned()), ..permission_input("p", "pods") };
    assert!(f.dcm.create_permission(&id, own.into()).await.is_ok());
    let other = PermissionInput { namespace: Some("ns-2".to_owned()), ..permission_input("q", "pods") };
    assert_eq!(kind(f.dcm.create_permission(&id, other.into()).await), ErrorKind::Invalid);
    assert_eq!(kind(f.dcm.permission(&id, &PermissionName::new("q").unwrap()).await), ErrorKind::NotFound);
}

/// Whatever the operator allows: tenants do not reach into each other's namespaces.
#[tokio::test]
async fn a_permission_does_not_reach_into_another_logical_cloud() {
    let policy = Policy { foreign_namespace_permissions: true, ..Policy::default() };
    let settings = Settings { policy, ..Settings::default() };
    let f = Fixture::with_settings(Arc::new(MemoryStore::new()), settings).await.unwrap();
    f.register(&["c1"]).await.unwrap();
    f.create_applied("lc-1", "ns-1", &["c1"]).await.unwrap();
    let ours = f.create_cloud("lc-2", "ns-2", &["c1"]).await.unwrap();
    let reaching = |namespace: &str| PermissionInput {
        namespace: Some(namespace.to_owned()),
        ..permission_input("p-2", "secrets")
    };
    f.dcm.create_permission(&ours, reaching("ns-1").into()).await.unwrap();
    f.apply(&ours).await.unwrap();
    f.carry_out().await.unwrap();
    let status = f.dcm.status(&ours).await.unwrap();
    assert_eq!(status.overall, Overall::CreationFailed);
    assert_eq!(status.clusters[0].1.as_ref().unwrap().reason(), Some(Reason::NamespaceReserved));
    assert!(f.clusters.holds("default/c1").iter().all(|object| !object.contains("lc-2")));
    f.dcm.update_permission(&ours, &"p-2".parse().unwrap(), reaching("shared").into(), None).await.unwrap();
    f.apply(&ours).await.unwrap();
    f.carry_out().await.unwrap();
    assert_eq!(overall(&f, &ours).await, Overall::Created);
}

/// A server that was started again with less allowed does not carry out what was written under the old policy.
#[tokio::test]
async fn what_is_not_allowed_any_more_is_not_applied() {
    let store = Arc::new(MemoryStore::new());
    let wide = Policy { cluster_wide_permissions: true, ..Policy::default() };
    let settings = |policy: &Policy| Settings { policy: policy.clone(), ..Settings::default() };
    let f = Fixture::with_settings(Arc::clone(&store) as _, settings(&wide)).await.unwrap();
    f.register(&["c1"]).await.unwrap();
    let id = f.create_cloud("lc-1", "ns-1", &["c1"]).await.unwrap();
    let wide = PermissionInput { namespace: Some(String::new()), ..permission_input("wide", "pods") };
    f.dcm.create_permission(&id, wide.into()).await.unwrap();
    f.apply(&id).await.unwrap();
    f.carry_out().await.unwrap();
    let narrow = Policy { refuse_adoption: true, ..Policy::default() };
    let f = Fixture::with_settings(store, settings(&narrow)).await.unwrap();
    let error = f.apply(&id).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Refused);
    assert!(error.to_string().contains("the permission \"wide\""), "{error}");
    f.dcm.delete_permission(&id, &"wide".parse().unwrap(), None).await.unwrap();
    f.apply(&id).await.unwrap();
    let taking = LogicalCloudInput { adoption_policy: Some("always".to_owned()), ..cloud_input("lc-1", "ns-1") };
    assert_eq!(kind(f.dcm.update_logical_cloud(&id, taking.into(), None).await), ErrorKind::Invalid);
}
