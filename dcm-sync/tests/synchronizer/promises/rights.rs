use dcm_core::{
    credential::KeyAlgorithm,
    model::{PermissionScope, UserType},
    sync::{Reason, Synchronizer as _},
    tenancy::Identity,
};
use dcm_test_utils::rights::{CEILING, CLUSTER_ROLE};
use serde_json::json;

use super::sign::{sign, signed};
use crate::{
    account::{is_of, with_account},
    bed::{Bed, access, uid},
    cloud::{Cloud, permission},
};

/// Without `escalate` and `bind` DCM hands on what it holds, and it holds the ceiling.
pub(crate) async fn a_ceiling_is_enough_and_no_more_is_granted(bed: &Bed) {
    with_account(bed, async |account, limited| {
        let mut cloud = Cloud::new();
        let report = cloud.apply(limited).await;
        assert_eq!(report.failure.unwrap().reason, Reason::Forbidden);
        assert_eq!(report.inventory, []);

        account.grant(bed, CLUSTER_ROLE, is_of(&["core", "certificates", "cluster-wide"])).await;
        account.grant(bed, CEILING, |_| true).await;
        cloud.permissions().push(permission("wide", PermissionScope::Cluster));
        cloud.made(limited).await;
        signed(limited, &cloud, KeyAlgorithm::EcdsaP256).await;

        for (name, scope) in [("p-1", PermissionScope::Own), ("wide", PermissionScope::Cluster)] {
            let mut beyond = permission(name, scope);
            beyond.resources = vec!["secrets".to_owned()];
            let within = std::mem::replace(named(&mut cloud, name), beyond);
            let failure = cloud.apply(limited).await.failure.unwrap();
            assert_eq!(failure.reason, Reason::BeyondCeiling, "{failure}");
            *named(&mut cloud, name) = within;
            cloud.made(limited).await;
        }
        assert_eq!(cloud.remove(limited).await.failure, None);
        assert_eq!(bed.get(&cloud.namespace_path()).await, None);
    })
    .await;
}

fn named<'a>(cloud: &'a mut Cloud, name: &str) -> &'a mut dcm_core::model::UserPermission {
    cloud.permissions().iter_mut().find(|permission| permission.name.as_str() == name).unwrap()
}

pub(crate) async fn without_a_component_its_feature_is_forbidden_and_no_other(bed: &Bed) {
    with_account(bed, async |account, limited| {
        account.grant(bed, CLUSTER_ROLE, is_of(&["core", "grant"])).await;
        let mut cloud = Cloud::new();
        cloud.made(limited).await;
        let failure = sign(limited, &cloud, KeyAlgorithm::EcdsaP256).await.unwrap_err();
        assert_eq!(failure.reason, Reason::Forbidden, "{failure}");
        assert!(failure.detail.contains("certificatesigningrequests"), "{failure}");
        let keep = Identity::CommonName("dcm:p:lc:user-1:another".to_owned());
        assert_eq!(cloud.cut_off(limited, keep).await.unwrap(), []);
        cloud.permissions().push(permission("wide", PermissionScope::Cluster));
        let failure = cloud.apply(limited).await.failure.unwrap();
        assert_eq!(failure.reason, Reason::Forbidden, "{failure}");
        assert!(failure.detail.contains("clusterroles"), "{failure}");
        cloud.permissions().retain(|permission| permission.name.as_str() != "wide");
        cloud.user_is(UserType::Token);
        let failure = cloud.apply(limited).await.failure.unwrap();
        assert_eq!(failure.reason, Reason::Forbidden, "{failure}");
        assert!(failure.detail.contains("serviceaccounts"), "{failure}");
        cloud.user_is(UserType::Certificate);
        cloud.made(limited).await;
        cloud.applied.credential_epoch += 1;
        assert_eq!(cloud.cut_off(limited, cloud.identity()).await, Ok(Vec::new()));
        assert_eq!(bed.there(&cloud.bindings()).await["items"], json!([]));
        cloud.made(limited).await;
        assert_eq!(cloud.remove(limited).await.failure, None);
    })
    .await;
}

pub(crate) async fn an_unknown_credential_is_unauthorized(bed: &Bed) {
    let mut kubeconfig = bed.kubeconfig.clone();
    let token = format!("s3cret-{}", uid());
    kubeconfig["users"][0]["user"] = json!({ "token": token });
    let access = access(&kubeconfig);
    let cloud = Cloud::new();
    let probed = bed.sync.probe(&access).await.unwrap_err();
    let report = bed.sync.apply(&access, &cloud.desired()).await;
    for failure in [probed, report.failure.clone().unwrap()] {
        assert_eq!(failure.reason, Reason::Unauthorized, "{failure}");
        assert!(!failure.detail.contains("s3cret"), "{failure}");
    }
    assert_eq!(report.inventory, []);
    assert_eq!(bed.get(&cloud.namespace_path()).await, None);
}

pub(crate) async fn a_wrong_ca_is_not_trusted(bed: &Bed) {
    let other = dcm_sim::Cluster::start(dcm_sim::ClusterOptions::default()).await.unwrap();
    let mut kubeconfig = bed.kubeconfig.clone();
    let ca = "certificate-authority-data";
    kubeconfig["clusters"][0]["cluster"][ca] = other.admin_kubeconfig()["clusters"][0]["cluster"][ca].clone();
    let failure = bed.sync.probe(&access(&kubeconfig)).await.unwrap_err();
    assert_eq!(failure.reason, Reason::Unreachable);
    assert!(failure.detail.contains("unknown CA"), "{failure}");
    let mut kubeconfig = bed.kubeconfig.clone();
    kubeconfig["clusters"][0]["cluster"]["tls-server-name"] = json!("elsewhere.example.com");
    let failure = bed.sync.probe(&access(&kubeconfig)).await.unwrap_err();
    assert_eq!(failure.reason, Reason::Unreachable);
    assert!(failure.detail.contains("another name"), "{failure}");
}

pub(crate) async fn a_cluster_says_who_it_is(bed: &Bed) {
    let facts = bed.sync.probe(&bed.access()).await.unwrap();
    let system = bed.there("/api/v1/namespaces/kube-system").await;
    assert_eq!(facts.identity, system["metadata"]["uid"]);
    assert!(facts.version.starts_with("v1."), "{}", facts.version);
    let cluster = &bed.kubeconfig["clusters"][0]["cluster"];
    assert_eq!(facts.endpoint.server, cluster["server"]);
    assert!(facts.endpoint.ca_pem.unwrap().starts_with("-----BEGIN CERTIFICATE-----"));
}
