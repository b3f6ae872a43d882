//! What becomes of a logical cloud: orders, status, kubeconfigs, previews.

use dcm_proto::v1 as pb;
use serde_json::{Value, json};

use crate::{
    same,
    support::{Dcm, LC},
};

fn of() -> (String, String) {
    ("p".to_owned(), "lc-1".to_owned())
}

#[tokio::test]
async fn orders_say_the_same_over_both() {
    let dcm = Dcm::start(&[]).await;
    dcm.with_reference().await;
    let quota = json!({ "metadata": { "name": "q" }, "spec": { "pods": "10" } });
    dcm.post(&format!("{LC}/cluster-quotas"), &quota).await.expect(201);
    let (project, logical_cloud) = of();
    let asked = pb::InstantiateRequest { project, logical_cloud, ..Default::default() };
    let ordered = dcm.clouds().instantiate(asked).await.unwrap().into_inner().ordered.unwrap();
    assert_eq!(ordered.clusters, ["cluster-1"]);
    dcm.wait_for(pb::OverallStatus::Created).await;
    // What REST says to the same, over again.
    assert_eq!(dcm.order(&format!("{LC}/apply")).await.expect(200), same::ordered(&ordered));
    assert_eq!(dcm.order(&format!("{LC}/update")).await.expect(202), same::ordered(&ordered));
    for again in 0..2 {
        let (project, logical_cloud) = of();
        let taken = if again == 0 {
            let asked = pb::ApplyRequest { project, logical_cloud, ..Default::default() };
            dcm.clouds().apply(asked).await.unwrap().into_inner().ordered
        } else {
            let asked = pb::UpdateRequest { project, logical_cloud, ..Default::default() };
            dcm.clouds().update(asked).await.unwrap().into_inner().ordered
        };
        assert_eq!(taken.as_ref(), Some(&ordered));
    }
    dcm.wait_for(pb::OverallStatus::Created).await;
    let (project, logical_cloud) = of();
    let asked = pb::RenewUserRequest { project, logical_cloud, ..Default::default() };
    let renewed = dcm.clouds().renew_user(asked).await.unwrap().into_inner().accepted.unwrap();
    assert_eq!(dcm.order(&format!("{LC}/user/renew")).await.expect(202), same::accepted(&renewed));
    dcm.wait_for(pb::OverallStatus::Created).await;
    let (project, logical_cloud) = of();
    let asked = pb::RevokeUserRequest { project, logical_cloud, ..Default::default() };
    let revoked = dcm.clouds().revoke_user(asked).await.unwrap().into_inner();
    assert!(revoked.clusters.iter().all(|cluster| cluster.revoked) && revoked.clusters.len() == 1, "{revoked:?}");
    dcm.wait_for(pb::OverallStatus::Created).await;
    assert_eq!(dcm.order(&format!("{LC}/user/revoke")).await.expect(202), same::revoked(&revoked));
    dcm.wait_for(pb::OverallStatus::Created).await;
    let (project, logical_cloud) = of();
    let asked = pb::StopRequest { project, logical_cloud, ..Default::default() };
    let stopped = dcm.clouds().stop(asked).await.unwrap().into_inner().accepted.unwrap();
    dcm.wait_for(pb::OverallStatus::Stopped).await;
    let (project, logical_cloud) = of();
    let asked = pb::TerminateRequest { project, logical_cloud, ..Default::default() };
    let terminated = dcm.clouds().terminate(asked).await.unwrap().into_inner().accepted.unwrap();
    assert_eq!(terminated, stopped);
    dcm.wait_for(pb::OverallStatus::Deleted).await;
    dcm.stop().await;
}

#[tokio::test]
async fn a_delete_says_whether_clusters_are_cleaned_first() {
    let dcm = Dcm::start(&[]).await;
    dcm.with_applied_cloud().await;
    let (project, logical_cloud) = of();
    let asked = pb::DeleteClusterReferenceRequest {
        project,
        logical_cloud,
        name: "cluster-1".to_owned(),
        ..Default::default()
    };
    assert!(dcm.clouds().delete_cluster_reference(asked).await.unwrap().into_inner().accepted);
    let (project, name) = of();
    let asked = pb::DeleteLogicalCloudRequest { project, name, ..Default::default() };
    let answer = dcm.clouds().delete_logical_cloud(asked).await.unwrap().into_inner();
    assert_eq!(answer.accepted, answer.logical_cloud.is_some());
    dcm_test_utils::patience::until_so(crate::support::PATIENCE, "gone", async || dcm.get(LC).await.status == 404)
        .await;
    dcm.stop().await;
}

#[tokio::test]
async fn the_status_is_the_same_over_both() {
    let dcm = Dcm::start(&[]).await;
    dcm.with_reference().await;
    let status = async || {
        let (project, logical_cloud) = of();
        let asked = pb::GetStatusRequest { project, logical_cloud, ..Default::default() };
        dcm.clouds().get_status(asked).await.unwrap().into_inner().status.unwrap()
    };
    assert_eq!(dcm.get(&format!("{LC}/status")).await.expect(200), same::status(&status().await));
    dcm.order(&format!("{LC}/apply")).await.expect(200);
    dcm.wait_for(pb::OverallStatus::Created).await;
    let told = dcm.get(&format!("{LC}/status")).await.expect(200);
    assert_eq!(told, same::status(&status().await));
    assert_eq!(told["clusters"][0]["cluster-1"]["kubeconfig-status"], "Created");
    dcm.stop().await;
}

#[tokio::test]
async fn a_kubeconfig_is_handed_out_in_all_three_forms() {
    let dcm = Dcm::start(&[]).await;
    dcm.with_applied_cloud().await;
    let get = async |reference: Option<&str>, format: pb::KubeconfigFormat| {
        let (project, logical_cloud) = of();
        let cluster_reference = reference.map(str::to_owned);
        let asked = pb::GetKubeconfigRequest { project, logical_cloud, cluster_reference, format: format.into() };
        dcm.clouds().get_kubeconfig(asked).await.unwrap().into_inner()
    };
    let parsed = |text: &str| serde_json::from_str::<Value>(text).unwrap();
    let one = get(Some("cluster-1"), pb::KubeconfigFormat::Unspecified).await;
    assert_eq!(one.format(), pb::KubeconfigFormat::Json);
    assert_eq!(
        dcm.get(&format!("{LC}/kubeconfig?cluster-reference=cluster-1")).await.expect(201),
        parsed(&one.kubeconfig)
    );
    let all = get(None, pb::KubeconfigFormat::Json).await;
    assert_eq!(dcm.get(&format!("{LC}/kubeconfig")).await.expect(200), parsed(&all.kubeconfig));
    let yaml = get(Some("cluster-1"), pb::KubeconfigFormat::Yaml).await;
    assert_eq!(yaml.format(), pb::KubeconfigFormat::Yaml);
    let rest = dcm.request(reqwest::Method::GET, &format!("{LC}/cluster-references/cluster-1/kubeconfig"));
    assert_eq!(rest.send().await.unwrap().text().await.unwrap(), yaml.kubeconfig);
    assert!(!format!("{yaml:?}").contains("apiVersion"), "{yaml:?}");
    dcm.stop().await;
}

#[tokio::test]
async fn previews_are_the_same_over_both() {
    let dcm = Dcm::start(&[]).await;
    dcm.with_reference().await;
    for applied in [false, true] {
        let (project, logical_cloud) = of();
        let asked = pb::GetManifestsRequest { project, logical_cloud, ..Default::default() };
        let shown = dcm.clouds().get_manifests(asked).await.unwrap().into_inner();
        assert_eq!(dcm.get(&format!("{LC}/manifests")).await.expect(200), same::manifests(&shown, "lc-1"));
        assert!(shown.clusters[0].objects.len() > 3);
        let (project, logical_cloud) = of();
        let asked = pb::DiffRequest {
            project,
            logical_cloud,
            cluster_reference: Some("cluster-1".to_owned()),
            ..Default::default()
        };
        let shown = dcm.clouds().diff(asked).await.unwrap().into_inner();
        let rest = dcm.get(&format!("{LC}/diff?cluster-reference=cluster-1")).await.expect(200);
        assert_eq!(rest, same::diff(&shown, "lc-1"));
        assert_eq!(shown.clusters[0].changes.is_empty(), applied);
        dcm.order(&format!("{LC}/apply")).await.expect(200);
        dcm.wait_for(pb::OverallStatus::Created).await;
    }
    // What was edited since, field by field.
    let mut body = crate::support::cloud();
    body["spec"]["labels"] = json!({ "tier": "db" });
    dcm.put(LC, &body).await.expect(200);
    let (project, logical_cloud) = of();
    let shown =
        dcm.clouds().diff(pb::DiffRequest { project, logical_cloud, ..Default::default() }).await.unwrap().into_inner();
    assert_eq!(dcm.get(&format!("{LC}/diff")).await.expect(200), same::diff(&shown, "lc-1"));
    let fields = &shown.clusters[0].changes[0].fields;
    assert!(fields.iter().any(|field| field.wanted_json.as_deref() == Some("\"db\"")), "{fields:?}");
    dcm.stop().await;
}
