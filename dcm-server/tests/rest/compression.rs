//! Compressed answers.

use std::io::Read as _;

use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    design, on_every_store,
    support::{Dcm, LC, Reply},
};

async fn get(dcm: &Dcm, path: &str, accept: &str) -> Reply {
    dcm.send(dcm.request(Method::GET, path).header("accept-encoding", accept)).await
}

fn inflate(reply: &Reply) -> Vec<u8> {
    let mut whole = Vec::new();
    flate2::read::GzDecoder::new(reply.body.as_slice()).read_to_end(&mut whole).unwrap();
    whole
}

/// A logical cloud whose answer is large, with a tag.
async fn with_large_cloud(dcm: &Dcm) -> Value {
    let mut body = design::logical_cloud();
    body["metadata"]["description"] = "x".repeat(1000).into();
    dcm.post("/v2/projects/p/logical-clouds", &body).await.expect(201);
    body
}

on_every_store! {
    async fn who_takes_gzip_gets_it(dcm) {
        with_large_cloud(dcm).await;
        let plain = dcm.get(LC).await;
        assert_eq!((plain.header("content-encoding"), plain.header("vary")), ("", "Accept-Encoding"));
        for accept in ["gzip", "br, gzip;q=0.5", "*"] {
            let small = get(dcm, LC, accept).await;
            assert_eq!((small.status, small.header("content-encoding")), (200, "gzip"), "{accept}");
            assert_eq!(small.header("vary"), "Accept-Encoding");
            assert_eq!(small.header("content-type"), "application/json");
            assert_eq!(small.header("content-length"), small.body.len().to_string());
            assert!(small.body.len() * 2 < plain.body.len(), "{} of {}", small.body.len(), plain.body.len());
            assert_eq!(inflate(&small), plain.body);
        }
        for accept in ["identity", "gzip;q=0", "br", ""] {
            let same = get(dcm, LC, accept).await;
            assert_eq!((same.header("content-encoding"), &same.body), ("", &plain.body), "{accept}");
        }
        let (metrics, problem) = (get(dcm, "/metrics", "gzip").await, get(dcm, &format!("/{}", "x".repeat(2000)), "gzip").await);
        assert!(String::from_utf8(inflate(&metrics)).unwrap().ends_with("# EOF\n"));
        assert_eq!(serde_json::from_slice::<Value>(&inflate(&problem)).unwrap()["status"], 404);
    }

    async fn what_is_small_stays_as_it_is(dcm) {
        let small = get(dcm, "/healthz", "gzip").await;
        assert_eq!((small.header("content-encoding"), small.header("vary")), ("", ""));
        assert_eq!(small.expect(200)["status"], "alive");
    }

    async fn a_large_list_is_compressed(dcm) {
        dcm.with_cloud().await;
        for n in 0..3 {
            let kv: Vec<_> = (0..500).map(|i| json!({ format!("key-{i}"): "v".repeat(200) })).collect();
            let body = json!({ "metadata": { "name": format!("kv-{n}") }, "spec": { "kv": kv } });
            dcm.post(&format!("{LC}/kv-pairs"), &body).await.expect(201);
        }
        let path = format!("{LC}/kv-pairs");
        let (plain, small) = (dcm.get(&path).await, get(dcm, &path, "gzip").await);
        assert!(plain.body.len() > 300_000 && small.body.len() < 60_000, "{} of {}", small.body.len(), plain.body.len());
        assert_eq!(inflate(&small), plain.body);
    }

    async fn either_tag_names_the_state(dcm) {
        let mut body = with_large_cloud(dcm).await;
        let (plain, small) = (dcm.get(LC).await, get(dcm, LC, "gzip").await);
        let (plain, small) = (plain.header("etag").to_owned(), small.header("etag").to_owned());
        assert_eq!(small, format!("{}-gzip\"", plain.strip_suffix('"').unwrap()));
        for tag in [&plain, &small] {
            let known = dcm.send(dcm.request(Method::GET, LC).header("accept-encoding", "gzip").header("if-none-match", tag)).await;
            assert_eq!((known.status, known.header("etag"), known.header("vary")), (304, tag.as_str(), "Accept-Encoding"));
            dcm.send(dcm.request(Method::GET, LC).header("if-match", tag)).await.expect(200);
        }
        // Who was answered compressed writes with what he was told.
        body["metadata"]["userData1"] = "changed".into();
        let put = async |tag: &str| dcm.send(dcm.request(Method::PUT, LC).header("if-match", tag).json(&body)).await;
        put(&small).await.expect(200);
        put(&small).await.expect_problem(412, &[]);
        put(&plain).await.expect_problem(412, &[]);
        let now = get(dcm, LC, "gzip").await.header("etag").to_owned();
        let delete = dcm.request(Method::DELETE, LC).header("if-match", &now);
        dcm.send(delete).await.expect(204);
    }

    async fn kubeconfigs_are_never_compressed(dcm) {
        dcm.with_applied_cloud().await;
        for path in ["/kubeconfig", "/kubeconfig?cluster-reference=cluster-1", "/cluster-references/cluster-1/kubeconfig"] {
            let reply = get(dcm, &format!("{LC}{path}"), "gzip").await;
            assert!(reply.status < 300 && reply.body.len() > 1024, "{path}");
            assert_eq!((reply.header("content-encoding"), reply.header("cache-control")), ("", "no-store"), "{path}");
        }
    }
}
