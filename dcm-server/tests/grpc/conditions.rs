//! Etags: the same over both edges, and held against in the same way.

use dcm_proto::v1 as pb;
use reqwest::Method;
use serde_json::json;
use tonic::Code;

use crate::{
    asked,
    support::{Dcm, LC, cloud, refused_alike},
};

fn get(if_match: &str, if_none_match: &str) -> pb::GetLogicalCloudRequest {
    pb::GetLogicalCloudRequest {
        project: "p".to_owned(),
        name: "lc-1".to_owned(),
        if_match: if_match.to_owned(),
        if_none_match: if_none_match.to_owned(),
    }
}

#[tokio::test]
async fn an_etag_of_one_edge_is_one_of_the_other() {
    let dcm = Dcm::start(&[]).await;
    dcm.with_cloud().await;
    let etag = dcm.get(LC).await.header("etag").to_owned();
    let found = dcm.clouds().get_logical_cloud(get(&etag, "")).await.unwrap().into_inner().logical_cloud.unwrap();
    assert_eq!(found.etag, etag);
    for same in [etag.clone(), "*".to_owned(), format!("\"x\", W/{etag}")] {
        let answer = dcm.clouds().get_logical_cloud(get("", &same)).await.unwrap().into_inner();
        assert!(answer.not_modified && answer.logical_cloud.is_none(), "{same}");
        let rest = dcm.send(dcm.request(Method::GET, LC).header("if-none-match", &same)).await;
        assert_eq!(rest.status, 304);
    }
    let mut body = cloud();
    body["metadata"]["description"] = json!("another");
    let asked = pb::UpdateLogicalCloudRequest {
        project: "p".to_owned(),
        name: "lc-1".to_owned(),
        logical_cloud: asked::cloud_of(&body),
        if_match: etag.clone(),
        if_none_match: String::new(),
    };
    let updated = dcm.clouds().update_logical_cloud(asked.clone()).await.unwrap().into_inner().logical_cloud.unwrap();
    assert_eq!(dcm.get(LC).await.header("etag"), updated.etag);
    // It was changed since.
    let put = dcm.request(Method::PUT, LC).header("if-match", &etag).json(&body);
    let status = refused_alike(dcm.send(put).await, dcm.clouds().update_logical_cloud(asked).await);
    assert_eq!(status.code(), Code::Aborted);
    dcm.stop().await;
}

#[tokio::test]
async fn conditions_are_held_against_reads_writes_orders_and_deletes() {
    let dcm = Dcm::start(&[]).await;
    dcm.with_reference().await;
    let stale = "\"stale\"";
    let read = dcm.send(dcm.request(Method::GET, LC).header("if-match", stale)).await;
    refused_alike(read, dcm.clouds().get_logical_cloud(get(stale, "")).await);
    for bad in ["7", "\"7", "\"7\", *"] {
        let read = dcm.send(dcm.request(Method::GET, LC).header("if-match", bad)).await;
        let status = refused_alike(read, dcm.clouds().get_logical_cloud(get(bad, "")).await);
        assert_eq!(status.code(), Code::InvalidArgument);
    }
    let apply = pb::ApplyRequest {
        project: "p".to_owned(),
        logical_cloud: "lc-1".to_owned(),
        if_match: stale.to_owned(),
        ..Default::default()
    };
    let order = dcm.request(Method::POST, &format!("{LC}/apply")).header("if-match", stale);
    refused_alike(dcm.send(order).await, dcm.clouds().apply(apply).await);
    let delete = pb::DeleteLogicalCloudRequest {
        project: "p".to_owned(),
        name: "lc-1".to_owned(),
        if_none_match: "*".to_owned(),
        ..Default::default()
    };
    let order = dcm.request(Method::DELETE, LC).header("if-none-match", "*");
    refused_alike(dcm.send(order).await, dcm.clouds().delete_logical_cloud(delete).await);
    assert_eq!(dcm.get(LC).await.status, 200);
    dcm.stop().await;
}
