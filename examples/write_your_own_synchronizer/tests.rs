//! Every promise that a synchronizer gives, and what is this one's own.

use std::{fs, sync::Arc};

use dcm_core::{
    secret::Secret,
    sync::{ClusterAccess, PartState, Reason},
};
use dcm_test_utils::synchronizer::{Bed, Tenant};
use tempfile::TempDir;

use super::synchronizer::FolderSynchronizer;

async fn bed() -> (Bed, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let access = ClusterAccess {
        provider: "edge".parse().unwrap(),
        cluster: "c1".parse().unwrap(),
        kubeconfig: Secret::new(super::kubeconfig("https://c1.example:6443").to_string()),
    };
    (Bed { synchronizer: Arc::new(FolderSynchronizer::new(folder.path())), access }, folder)
}

dcm_test_utils::synchronizer_conformance!(bed);

#[tokio::test]
async fn a_file_of_others_is_refused_and_left_as_it_is_and_keeps_only_its_binding_back() {
    let (bed, folder) = bed().await;
    let mut tenant = Tenant::new();
    let path = folder.path().join(format!("edge/c1/{}", tenant.namespace()));
    fs::create_dir_all(&path).unwrap();
    let theirs = format!(
        r#"{{"apiVersion":"rbac.authorization.k8s.io/v1","kind":"Role","metadata":{{"namespace":"{}","name":"p-1"}}}}"#,
        tenant.namespace()
    );
    fs::write(path.join("Role.p-1.json"), &theirs).unwrap();
    let report = tenant.apply(&bed).await;
    assert_eq!(report.failure.unwrap().reason, Reason::NotOurs);
    assert!(report.parts.values().any(|state| *state == PartState::Pending));
    assert!(!path.join("RoleBinding.p-1.json").exists());
    assert!(path.join("RoleBinding.p-2.json").exists());
    tenant.removed(&bed).await;
    assert_eq!(fs::read_to_string(path.join("Role.p-1.json")).unwrap(), theirs);
}

#[tokio::test]
async fn a_folder_that_cannot_be_used_is_a_cluster_that_is_away() {
    let (bed, folder) = bed().await;
    fs::create_dir_all(folder.path().join("edge")).unwrap();
    fs::write(folder.path().join("edge/c1"), "no folder").unwrap();
    let failure = Tenant::new().apply(&bed).await.failure.unwrap();
    assert_eq!(failure.reason, Reason::Unreachable, "{failure}");
    assert!(bed.synchronizer.probe(&bed.access).await.is_ok());
}
