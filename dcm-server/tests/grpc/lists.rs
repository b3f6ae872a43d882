//! Lists, page by page, and by labels.

use dcm_proto::v1 as pb;
use serde_json::{Value, json};
use tonic::Code;

use crate::{
    same,
    support::{CLOUDS, CLUSTERS, Dcm, cloud, kubeconfig, refused_alike},
};

fn list(page_size: i32, page_token: &str, label_selector: &str) -> pb::ListLogicalCloudsRequest {
    pb::ListLogicalCloudsRequest {
        project: "p".to_owned(),
        page_size,
        page_token: page_token.to_owned(),
        label_selector: label_selector.to_owned(),
    }
}

impl Dcm {
    async fn with_clouds(&self, count: usize) {
        for i in 0..count {
            let mut body = cloud();
            body["metadata"]["name"] = json!(format!("lc-{i}"));
            body["spec"]["namespace"] = json!(format!("ns-{i}"));
            body["spec"]["labels"] = json!({ "parity": if i % 2 == 0 { "even" } else { "odd" } });
            self.post(CLOUDS, &body).await.expect(201);
        }
    }
}

#[tokio::test]
async fn pages_hold_the_same_and_follow_each_other_in_the_same_way() {
    let dcm = Dcm::start(&[]).await;
    dcm.with_clouds(7).await;
    for (size, selector) in [(3, ""), (2, "parity=odd"), (1, "parity!=odd"), (1000, "nothing")] {
        let (mut token, mut query, mut pages) = (String::new(), String::new(), 0);
        loop {
            let found = dcm.clouds().list_logical_clouds(list(size, &token, selector)).await.unwrap().into_inner();
            let encoded = selector.replace('=', "%3D").replace('!', "%21");
            let rest = dcm.get(&format!("{CLOUDS}?limit={size}&labelSelector={encoded}{query}")).await;
            let has_next = rest.header("link").contains("rel=\"next\"");
            let all: Vec<Value> = found.logical_clouds.iter().map(same::cloud).collect();
            assert_eq!(rest.expect(200), json!(all), "{size} {selector} after {token:?}");
            assert_eq!(has_next, !found.next_page_token.is_empty());
            pages += 1;
            if !has_next {
                break;
            }
            token = found.next_page_token;
            query = format!("&after={token}");
        }
        let expected = match selector {
            "" => 3,
            "parity=odd" => 2,
            "nothing" => 1,
            _ => 4,
        };
        assert_eq!(pages, expected, "{selector}");
    }
    dcm.stop().await;
}

#[tokio::test]
async fn what_is_no_page_and_no_selector_is_refused_in_the_same_words() {
    let dcm = Dcm::start(&[]).await;
    dcm.with_clouds(1).await;
    for (size, token, selector, query) in [
        (-1, "", "", "limit=-1"),
        (1001, "", "", "limit=1001"),
        (0, "a b", "", "after=a%20b"),
        (0, "", "a in (", "labelSelector=a%20in%20("),
        (0, "", "==", "labelSelector=%3D%3D"),
    ] {
        let rest = dcm.get(&format!("{CLOUDS}?{query}")).await;
        let status = refused_alike(rest, dcm.clouds().list_logical_clouds(list(size, token, selector)).await);
        assert_eq!(status.code(), Code::InvalidArgument);
    }
    let rest = dcm.get("/v2/projects/nowhere/logical-clouds").await;
    let asked = pb::ListLogicalCloudsRequest { project: "nowhere".to_owned(), ..Default::default() };
    refused_alike(rest, dcm.clouds().list_logical_clouds(asked).await);
    dcm.stop().await;
}

#[tokio::test]
async fn pages_of_what_is_no_record_of_its_own_follow_each_other_too() {
    let dcm = Dcm::start(&[]).await;
    let labels = json!({ "a": "1", "b": "2", "c": "3" });
    let body = json!({ "metadata": { "name": "c" }, "spec": { "kubeconfig": kubeconfig(), "labels": labels } });
    dcm.post(CLUSTERS, &body).await.expect(201);
    let asked = |token: &str| pb::ListClusterLabelsRequest {
        cluster_provider: "default".to_owned(),
        cluster: "c".to_owned(),
        page_size: 2,
        page_token: token.to_owned(),
    };
    let first = dcm.clusters().list_cluster_labels(asked("")).await.unwrap().into_inner();
    let rest = dcm.get(&format!("{CLUSTERS}/c/labels?limit=2")).await.expect(200);
    assert_eq!(rest, json!(first.cluster_labels.iter().map(same::label).collect::<Vec<_>>()));
    assert_eq!(first.next_page_token, "b");
    let second = dcm.clusters().list_cluster_labels(asked("b")).await.unwrap().into_inner();
    assert_eq!((second.cluster_labels.len(), second.next_page_token.as_str()), (1, ""));
    // Those of a user, which live in the logical cloud.
    dcm.with_cloud().await;
    let asked = |token: &str| pb::ListUserPermissionsRequest {
        project: "p".to_owned(),
        logical_cloud: "lc-1".to_owned(),
        page_size: 1,
        page_token: token.to_owned(),
    };
    let first = dcm.clouds().list_user_permissions(asked("")).await.unwrap().into_inner();
    assert_eq!(first.next_page_token, "permission-1");
    let second = dcm.clouds().list_user_permissions(asked("permission-1")).await.unwrap().into_inner();
    assert_eq!((second.user_permissions[0].name(), second.next_page_token.as_str()), ("permission-2", ""));
    // Clusters by their labels.
    let asked = |selector: &str| pb::ListClustersRequest {
        cluster_provider: "default".to_owned(),
        label_selector: selector.to_owned(),
        ..Default::default()
    };
    for (selector, count) in [("a=1", 1), ("a=2", 0)] {
        let found = dcm.clusters().list_clusters(asked(selector)).await.unwrap().into_inner();
        assert_eq!(found.clusters.len(), count);
    }
    dcm.stop().await;
}
