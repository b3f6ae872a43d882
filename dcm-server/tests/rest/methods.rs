//! OPTIONS, HEAD and `Allow`, on every route.

use reqwest::{Method, header::HeaderMap};
use serde_json::json;

use crate::{
    design, on_every_store,
    support::{Dcm, LC},
};

/// Every route that is described, for the records that [`fill`] makes, with the methods that are possible there.
async fn routes(dcm: &Dcm) -> Vec<(String, String)> {
    let names = [
        ("{project}", "p"),
        ("{logical-cloud}", "lc-1"),
        ("{cluster-reference}", "cluster-1"),
        ("{user-permission}", "permission-1"),
        ("{cluster-quota}", "quota-1"),
        ("{kv-pair}", "kv-1"),
        ("{cluster-provider}", "default"),
        ("{cluster}", "cluster-1"),
        ("{label}", "site"),
        ("{controller}", "ca"),
    ];
    let route = |(template, mut methods): (&str, Vec<String>)| {
        methods.extend(methods.contains(&"GET".to_owned()).then(|| "HEAD".to_owned()));
        methods.push("OPTIONS".to_owned());
        methods.sort_unstable();
        let path = names.iter().fold(template.to_owned(), |path, (parameter, name)| path.replace(parameter, name));
        (path, methods.join(", "))
    };
    let routes: Vec<_> = dcm.description().await.paths().map(route).collect();
    assert!(routes.len() > 30 && routes.iter().all(|(path, _)| !path.contains('{')), "{routes:?}");
    routes
}

async fn fill(dcm: &Dcm) {
    dcm.with_reference().await;
    dcm.post(&format!("{LC}/cluster-quotas"), &design::example(design::QUOTA)).await.expect(201);
    dcm.post(&format!("{LC}/kv-pairs"), &design::example(design::KV_PAIR)).await.expect(201);
    let cluster = "/v2/cluster-providers/default/clusters/cluster-1";
    dcm.post(&format!("{cluster}/labels"), &json!({ "label-name": "site" })).await.expect(201);
    dcm.post(&format!("{cluster}/kv-pairs"), &design::example(design::KV_PAIR)).await.expect(201);
    let ca = json!({ "metadata": { "name": "ca" }, "spec": { "host": "ca.example.com", "port": 9078 } });
    dcm.post("/v2/controllers", &ca).await.expect(201);
    dcm.order(&format!("{LC}/apply")).await.expect(200);
    dcm.wait_for("Created").await;
}

/// Without those that differ from request to request.
fn same(mut headers: HeaderMap) -> HeaderMap {
    for name in ["date", "x-request-id"] {
        headers.remove(name);
    }
    headers
}

on_every_store! {
    async fn every_route_tells_its_methods(dcm) {
        fill(dcm).await;
        let before = dcm.all().await;
        for (path, methods) in routes(dcm).await {
            for path in [path.clone(), format!("{path}/")] {
                let reply = dcm.send(dcm.request(Method::OPTIONS, &path)).await;
                assert_eq!((reply.status, reply.body.len(), reply.header("allow")), (204, 0, methods.as_str()), "{path}");
            }
            let brew = dcm.send(dcm.request(Method::from_bytes(b"BREW").unwrap(), &path)).await;
            brew.expect_problem(405, &[]);
            assert_eq!(brew.header("allow"), methods, "{path}");
            for method in [Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE] {
                if !methods.contains(method.as_str()) {
                    let reply = dcm.send(dcm.request(method, &path)).await;
                    reply.expect_problem(405, &[]);
                    assert_eq!(reply.header("allow"), methods, "{path}");
                }
            }
            let head = dcm.send(dcm.request(Method::HEAD, &path)).await;
            assert_eq!(head.status == 405, !methods.contains("HEAD"), "{path}");
        }
        for path in ["/", "/v2/none", "/v2/projects/p/none"] {
            dcm.send(dcm.request(Method::OPTIONS, path)).await.expect_problem(404, &[]);
        }
        assert_eq!(dcm.all().await, before);
    }

    async fn head_answers_as_get_does_without_the_body(dcm) {
        fill(dcm).await;
        let readable = routes(dcm).await.into_iter().filter(|(_, methods)| methods.contains("GET")).map(|(path, _)| path);
        // Two answers of the metrics differ in length.
        let paths = readable.filter(|path| path != "/metrics").chain(["/v2/none".to_owned(), format!("{LC}/kv-pairs/none")]);
        for path in paths {
            for coding in ["identity", "gzip"] {
                let with = |method| dcm.request(method, &path).header("accept-encoding", coding);
                let (head, get) = (dcm.send(with(Method::HEAD)).await, dcm.send(with(Method::GET)).await);
                assert_eq!((head.status, head.body.len()), (get.status, 0), "{path}");
                assert_eq!(head.header("content-length"), get.body.len().to_string(), "{path}");
                // A problem has the request's id in it; both ids have the same length.
                assert_eq!(same(head.headers), same(get.headers), "{path}");
            }
        }
        // The other methods' answer has no body either where it is a HEAD that is not possible.
        let head = dcm.send(dcm.request(Method::HEAD, &format!("{LC}/apply"))).await;
        assert_eq!((head.status, head.body.len(), head.header("allow")), (405, 0, "OPTIONS, POST"));
    }

    async fn the_server_as_a_whole_tells_all_methods(dcm) {
        let options = |host: &str| format!("OPTIONS * HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        let answer = dcm.bytes(options("localhost").as_bytes()).await.to_ascii_lowercase();
        assert!(answer.starts_with("http/1.1 204 "), "{answer}");
        assert!(answer.contains("allow: delete, get, head, options, patch, post, put\r\n"), "{answer}");
        let answer = dcm.bytes(options("example.com").as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 403 "), "{answer}");
        let answer = dcm.bytes(b"GET * HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").await;
        assert!(answer.starts_with("HTTP/1.1 4"), "{answer}");
    }

    async fn what_has_a_coding_is_not_read(dcm) {
        dcm.with_cloud().await;
        let before = dcm.all().await;
        let body = json!({ "metadata": { "name": "kv" }, "spec": { "kv": [] } });
        for coding in ["gzip", "deflate, gzip", "br", "nonsense"] {
            for (method, path) in [(Method::POST, format!("{LC}/kv-pairs")), (Method::PUT, LC.to_owned())] {
                let reply = dcm.send(dcm.request(method, &path).header("content-encoding", coding).json(&body)).await;
                let problem = reply.expect_problem(415, &[]);
                assert!(problem["detail"].as_str().unwrap().contains("Content-Encoding"), "{problem}");
                assert_eq!(reply.header("accept-encoding"), "identity");
            }
        }
        assert_eq!(dcm.all().await, before);
        let identity = dcm.request(Method::POST, &format!("{LC}/kv-pairs")).header("content-encoding", "Identity");
        dcm.send(identity.json(&body)).await.expect(201);
    }
}
