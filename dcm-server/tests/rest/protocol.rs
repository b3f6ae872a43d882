//! HTTP itself: conditions, pages, methods, paths, headers, bounds.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::{
    design, on_every_store,
    support::{Dcm, LC, PREFACE, Reply, SETTINGS, kubeconfig, until_closed},
};

async fn with_header(dcm: &Dcm, method: Method, path: &str, name: &str, value: &str, body: Option<&Value>) -> Reply {
    let mut request = dcm.request(method, path).header(name, value);
    if let Some(body) = body {
        request = request.json(body);
    }
    dcm.send(request).await
}

on_every_store! {
    async fn a_write_holds_only_for_the_state_that_was_read(dcm) {
        dcm.with_cloud().await;
        let body = design::logical_cloud();
        let old = dcm.get(LC).await.header("etag").to_owned();
        let new = dcm.put(LC, &body).await.header("etag").to_owned();
        assert_ne!(old, new);
        let put = async |tags: &str| with_header(dcm, Method::PUT, LC, "if-match", tags, Some(&body)).await;
        put(&old).await.expect_problem(412, &[]);
        put(&format!("W/{new}")).await.expect_problem(412, &[]);
        put(&format!("{old}, \"x\"")).await.expect_problem(412, &[]);
        put("7").await.expect_problem(400, &[]);
        put("*").await.expect(200);
        let now = dcm.get(LC).await.header("etag").to_owned();
        let newest = put(&format!("\"x\", {now}")).await;
        newest.expect(200);
        let newest = newest.header("etag").to_owned();
        assert_eq!(dcm.get(LC).await.header("etag"), newest);
        with_header(dcm, Method::DELETE, LC, "if-match", &old, None).await.expect_problem(412, &[]);
        with_header(dcm, Method::DELETE, LC, "if-match", &newest, None).await.expect(204);
        with_header(dcm, Method::PUT, LC, "if-match", "*", Some(&body)).await.expect_problem(404, &[]);
    }

    async fn every_single_resource_has_an_etag(dcm) {
        dcm.with_reference().await;
        dcm.post(&format!("{LC}/cluster-quotas"), &design::example(design::QUOTA)).await.expect(201);
        dcm.post(&format!("{LC}/kv-pairs"), &design::example(design::KV_PAIR)).await.expect(201);
        for path in [
            LC.to_owned(), format!("{LC}/cluster-references/cluster-1"), format!("{LC}/cluster-quotas/quota-1"),
            format!("{LC}/kv-pairs/kv-1"), format!("{LC}/user-permissions/permission-1"), "/v2/projects/p".to_owned(),
            "/v2/cluster-providers/default".to_owned(), "/v2/cluster-providers/default/clusters/cluster-1".to_owned(),
        ] {
            let tag = dcm.get(&path).await.header("etag").to_owned();
            assert!(tag.starts_with('"') && tag.ends_with('"') && tag.len() > 2, "{path}: {tag}");
            let same = with_header(dcm, Method::GET, &path, "if-none-match", &tag, None).await;
            assert_eq!((same.status, same.body.len(), same.header("etag")), (304, 0, tag.as_str()), "{path}");
            with_header(dcm, Method::GET, &path, "if-none-match", "\"x\"", None).await.expect(200);
            with_header(dcm, Method::GET, &path, "if-match", "\"x\"", None).await.expect_problem(412, &[]);
            with_header(dcm, Method::DELETE, &path, "if-match", "\"x\"", None).await.expect_problem(412, &[]);
        }
    }

    async fn lists_are_paged_by_name(dcm) {
        dcm.with_cloud().await;
        for name in ["d", "a", "c", "b", "e"] {
            let body = json!({ "metadata": { "name": name }, "spec": { "kv": [] } });
            dcm.post(&format!("{LC}/kv-pairs"), &body).await.expect(201);
        }
        let (mut names, mut path) = (Vec::new(), format!("{LC}/kv-pairs/?limit=2"));
        loop {
            let page = dcm.get(&path).await;
            names.extend(page.expect(200).as_array().unwrap().iter().map(|e| e["metadata"]["name"].as_str().unwrap().to_owned()));
            let link = page.header("link");
            if link.is_empty() {
                break;
            }
            path = link.strip_prefix('<').unwrap().strip_suffix(">; rel=\"next\"").unwrap().to_owned();
            assert!(path.starts_with(LC) && path.contains("limit=2&after="), "{path}");
        }
        assert_eq!(names, ["a", "b", "c", "d", "e"]);
        let permissions = dcm.get(&format!("{LC}/user-permissions?limit=1")).await;
        assert_eq!(permissions.expect(200)["permissions"].as_array().map(Vec::len), Some(1));
        assert!(permissions.header("link").contains("after=permission-1"));
        for bad in ["limit=0", "limit=1001", "limit=x", "limit=-1", "limit=99999999999999999999", "limit=1&limit=2", "after=a/b", "after=%00", "after=%ff", "watch=maybe"] {
            let problem = dcm.get(&format!("{LC}/kv-pairs?{bad}")).await.expect_problem(400, &[]);
            let parameter = bad.split('=').next().unwrap();
            assert_eq!(problem["errors"][0]["parameter"], parameter, "{problem}");
        }
    }

    async fn a_trailing_slash_changes_nothing(dcm) {
        let made = dcm.post("/v2/projects/p/logical-clouds/", &design::logical_cloud()).await.expect(201);
        assert_eq!(made["name"], "lc-1");
        for path in [LC, "/v2/projects", "/healthz"] {
            assert_eq!(dcm.get(&format!("{path}/")).await.expect(200), dcm.get(path).await.expect(200));
        }
    }

    async fn what_is_not_there_is_not_found(dcm) {
        for path in ["/", "/v2", "/v1/projects", "/v2/projects/p/logical-clouds/lc-1/diff", "/v2//projects", "/v2/controllers/ca"] {
            let problem = dcm.get(path).await.expect_problem(404, &[]);
            assert_eq!(problem["instance"], path);
        }
        for path in ["", "/status", "/kubeconfig", "/cluster-quotas", "/kv-pairs", "/user-permissions", "/cluster-references", "/kv-pairs/x"] {
            dcm.get(&format!("{LC}{path}")).await.expect_problem(404, &[]);
        }
        dcm.post(&format!("{LC}/kv-pairs"), &design::example(design::KV_PAIR)).await.expect_problem(404, &[]);
        dcm.order(&format!("{LC}/apply")).await.expect_problem(404, &[]);
    }

    async fn odd_paths_are_bad_requests_and_never_internal_errors(dcm) {
        dcm.with_cloud().await;
        for (name, status) in [
            ("%00", 400), ("%ff", 400), ("%c3%28", 400), ("a%2Fb", 400), ("%E2%80%AE", 400), ("..%2f..", 400), ("a%20b", 400), ("%F0%9F%92%A9", 400),
            ("a%0Ab", 400), (&"x".repeat(129), 400), (&"x".repeat(128), 404), (&"x".repeat(9000), 414),
        ] {
            for path in [format!("/v2/projects/{name}"), format!("{LC}/kv-pairs/{name}"), format!("/v2/cluster-providers/{name}/clusters/c")] {
                let answer = dcm.bytes(format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").as_bytes()).await;
                assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{path:.80}: {answer:.300}");
                assert!(answer.contains("application/problem+json"), "{answer:.300}");
            }
        }
        let problem = dcm.get("/v2/projects/a%20b").await.expect_problem(400, &[]);
        assert_eq!(problem["errors"][0]["parameter"], "project");
        let problem = dcm.get(&format!("{LC}/kubeconfig?cluster-reference=a%20b")).await.expect_problem(400, &[]);
        assert_eq!(problem["errors"][0]["parameter"], "cluster-reference");
    }

    async fn only_json_is_read(dcm) {
        let body = design::logical_cloud().to_string();
        let path = "/v2/projects/p/logical-clouds";
        for media_type in ["text/plain", "application/xml", "application/merge-patch+json", "multipart/form-data; boundary=x", "nonsense"] {
            dcm.raw(Method::POST, path, media_type, body.clone()).await.expect_problem(415, &[]);
        }
        dcm.raw(Method::POST, path, "application/x-www-form-urlencoded", body.clone()).await.expect(201);
        dcm.raw(Method::PUT, LC, "Application/JSON; charset=UTF-8", body.clone()).await.expect(200);
        dcm.send(dcm.request(Method::PUT, LC).body(body)).await.expect(200);
    }

    async fn json_is_not_sent_to_whoever_takes_none(dcm) {
        dcm.with_cloud().await;
        let accepting = async |method, path: &str, accept: &str, body: Option<&Value>| {
            with_header(dcm, method, path, "accept", accept, body).await
        };
        for good in ["*/*", "application/*", "text/html, application/json;q=0.1", "Application/JSON", "", "text/html, */*;q=0.8"] {
            accepting(Method::GET, LC, good, None).await.expect(200);
        }
        for bad in ["text/html", "application/json;q=0, */*;q=0.5", "text/event-stream", "application/yaml"] {
            for path in [LC, "/v2/projects", "/v2/projects?after=watch", "/v2/projects?watch=false", "/v2/encryption"] {
                let problem = accepting(Method::GET, path, bad, None).await.expect_problem(406, &[]);
                assert_eq!(problem["type"], "https://dcm.onap.org/problems/not-acceptable");
            }
        }
        // What is not there is told in the one form that problems have, and what is refused is not done.
        accepting(Method::GET, "/v2/nothing", "text/html", None).await.expect_problem(404, &[]);
        let project = json!({ "metadata": { "name": "other" } });
        accepting(Method::POST, "/v2/projects", "text/html", Some(&project)).await.expect_problem(406, &[]);
        dcm.get("/v2/projects/other").await.expect_problem(404, &[]);
        // Whoever asks whether the server is well hears it.
        for path in ["/healthz", "/readyz", "/metrics"] {
            for accept in ["text/html", "image/png;q=1", "*/*;q=0", "nonsense"] {
                assert_eq!(accepting(Method::GET, path, accept, None).await.status, 200, "{path}: {accept}");
            }
        }
        // What has no JSON to send asks for nothing.
        assert_eq!(accepting(Method::GET, "/docs/index.html", "text/html", None).await.status, 200);
        accepting(Method::DELETE, "/v2/projects/p/logical-clouds/lc-1/kv-pairs/none", "text/html", None).await.expect_problem(404, &[]);
    }

    async fn orders_hold_to_if_match(dcm) {
        dcm.with_reference().await;
        let order = async |order: &str, header: &str, tag: &str| {
            with_header(dcm, Method::POST, &format!("{LC}/{order}"), header, tag, None).await
        };
        let seen = dcm.get(LC).await.header("etag").to_owned();
        dcm.patch(LC, &json!({ "metadata": { "description": "edited" } })).await.expect(200);
        let before = dcm.all().await;
        for name in ["apply", "instantiate", "update", "terminate", "stop", "user/revoke", "user/renew"] {
            order(name, "if-match", &seen).await.expect_problem(412, &[]);
            order(name, "if-match", "\"x\", \"y\"").await.expect_problem(412, &[]);
            order(name, "if-none-match", "*").await.expect_problem(412, &[]);
            order(name, "if-match", "nonsense").await.expect_problem(400, &[]);
        }
        assert_eq!(dcm.all().await, before);
        assert_eq!(dcm.get(&format!("{LC}/status")).await.expect(200)["status"], "Not Created");
        for (name, status) in [("instantiate", 202), ("update", 202), ("apply", 200), ("user/renew", 202), ("user/revoke", 202), ("stop", 202), ("terminate", 202)] {
            let now = dcm.get(LC).await.header("etag").to_owned();
            order(name, "if-match", &now).await.expect(status);
            // Each order is another state.
            order(name, "if-match", &now).await.expect_problem(412, &[]);
        }
        order("apply", "if-match", "*").await.expect(200);
        // Of many at once for one state, one is taken.
        let now = dcm.get(LC).await.header("etag").to_owned();
        let many = (0..16).map(|_| order("update", "if-match", &now));
        let mut statuses: Vec<u16> = futures_util::future::join_all(many).await.iter().map(|reply| reply.status).collect();
        statuses.sort_unstable();
        assert_eq!((statuses[0], &statuses[1..]), (202, [412; 15].as_slice()));
    }

    async fn what_was_made_lies_where_its_location_says(dcm) {
        let metadata = |name: &str| json!({ "metadata": { "name": name } });
        let cluster = "/v2/cluster-providers/cp/clusters/c";
        let reference = json!({ "metadata": { "name": "r" }, "spec": { "cluster-provider": "cp", "cluster-name": "c", "loadbalancer-ip": "0.0.0.0" } });
        let permission = json!({ "name": "x", "apiGroups": [""], "resources": ["pods"], "verbs": ["get"] });
        for (path, body, location) in [
            ("/v2/projects/", metadata("p"), "/v2/projects/p"),
            ("/v2/cluster-providers", metadata("cp"), "/v2/cluster-providers/cp"),
            ("/v2/controllers", json!({ "metadata": { "name": "ca" }, "spec": { "host": "h", "port": 1 } }), "/v2/controllers/ca"),
            ("/v2/cluster-providers/cp/clusters", json!({ "metadata": { "name": "c" }, "spec": { "kubeconfig": kubeconfig() } }), cluster),
            (format!("{cluster}/labels").as_str(), json!({ "label-name": "example.org/a" }), format!("{cluster}/labels/example.org%2Fa").as_str()),
            (format!("{cluster}/kv-pairs").as_str(), design::example(design::KV_PAIR), format!("{cluster}/kv-pairs/kv-1").as_str()),
            ("/v2/projects/p/logical-clouds?fieldValidation=Strict", design::logical_cloud(), LC),
            (format!("{LC}/cluster-references/").as_str(), reference, format!("{LC}/cluster-references/r").as_str()),
            (format!("{LC}/user-permissions").as_str(), permission, format!("{LC}/user-permissions/x").as_str()),
            (format!("{LC}/cluster-quotas").as_str(), design::example(design::QUOTA), format!("{LC}/cluster-quotas/quota-1").as_str()),
            (format!("{LC}/kv-pairs").as_str(), design::example(design::KV_PAIR), format!("{LC}/kv-pairs/kv-1").as_str()),
        ] {
            let made = dcm.post(path, &body).await;
            assert_eq!(made.header("location"), location, "{}", made.text());
            assert_eq!(dcm.get(location).await.header("etag"), made.header("etag"), "{location}");
            assert_eq!(dcm.post(path, &body).await.header("location"), "");
        }
        // Nothing is made by an order, nor by a replacement.
        assert_eq!(dcm.order(&format!("{LC}/apply")).await.header("location"), "");
        assert_eq!(dcm.put(&format!("{LC}/kv-pairs/kv-1"), &design::example(design::KV_PAIR)).await.header("location"), "");
    }

    async fn requests_have_an_id(dcm) {
        let given = with_header(dcm, Method::GET, "/v2/none", "x-request-id", "my-id.1", None).await;
        assert_eq!(given.header("x-request-id"), "my-id.1");
        assert_eq!(given.json()["request-id"], "my-id.1");
        let made = with_header(dcm, Method::GET, "/healthz", "x-request-id", "not sane", None).await;
        assert!(made.header("x-request-id").len() >= 16, "{}", made.header("x-request-id"));
    }
}

#[tokio::test]
async fn strangers_are_refused() {
    let dcm = Dcm::start("memory", &["--allowed-host", "dcm.example.com"]).await;
    let body = design::logical_cloud();
    for (name, value) in [
        ("host", "example.com"),
        ("host", "dcm.example.com.evil.org"),
        ("origin", "https://example.com"),
        ("origin", "null"),
        ("origin", "http://127.0.0.1:3000"),
        ("origin", "http://localhost"),
        ("sec-fetch-site", "cross-site"),
        ("sec-fetch-site", "same-site"),
    ] {
        with_header(&dcm, Method::POST, "/v2/projects/p/logical-clouds", name, value, Some(&body))
            .await
            .expect_problem(403, &[]);
    }
    assert_eq!(dcm.get("/v2/projects").await.expect(200), json!([]));
    for (name, value) in [
        ("host", "localhost:80"),
        ("host", "dcm.example.com:9077"),
        ("host", "x.localhost"),
        ("origin", dcm.url("").as_str()),
        ("origin", "https://dcm.example.com"),
        ("sec-fetch-site", "same-origin"),
    ] {
        with_header(&dcm, Method::GET, "/v2/projects", name, value, None).await.expect(200);
    }
    let answer = dcm.bytes(b"GET /v2/projects HTTP/1.1\r\nConnection: close\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    let answer =
        dcm.bytes(b"GET http://example.com/v2/projects HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 403 "), "{answer}");
    dcm.stop().await;
}

#[tokio::test]
async fn slow_and_broken_requests_end() {
    let dcm = Dcm::start("memory", &["--header-timeout", "1s", "--body-timeout", "1s"]).await;
    let slow = b"POST /v2/projects HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\nConnection: close\r\n\r\n{";
    let answer = dcm.bytes(slow).await;
    assert!(answer.starts_with("HTTP/1.1 408 ") && answer.contains("application/problem+json"), "{answer}");
    let started = std::time::Instant::now();
    let answer = dcm.bytes(b"GET /healthz HTTP/1.1\r\nHost: local").await;
    assert!(!answer.contains("200 OK") && started.elapsed() < Duration::from_secs(15), "{answer}");
    for garbage in [&b"\x16\x03\x01\x02\x00\x01"[..], b"GET\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n"] {
        let answer = dcm.bytes(garbage).await;
        assert!(!answer.starts_with("HTTP/1.1 5"), "{answer}");
    }
    dcm.get("/healthz").await.expect(200);
    dcm.stop().await;
}

#[tokio::test]
async fn bodies_that_are_not_as_they_are_sent_are_refused() {
    let dcm = Dcm::start("memory", &[]).await;
    let body = r#"{"metadata": {"name": "p"}}"#;
    let sent = async |fields: &str| {
        let head = format!("POST /v2/projects HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{fields}");
        dcm.bytes(format!("{head}\r\n{:x}\r\n{body}\r\n0\r\n\r\n", body.len()).as_bytes()).await
    };
    for fields in [
        "Transfer-Encoding: gzip, chunked\r\n",
        "Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked, chunked\r\n",
    ] {
        let answer = sent(fields).await;
        assert!(
            answer.starts_with("HTTP/1.1 400 ") && answer.contains("Transfer-Encoding must be chunked"),
            "{answer}"
        );
    }
    let answer = sent("Transfer-Encoding: chunked\r\nContent-Encoding: gzip\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 415 "), "{answer}");
    assert_eq!(dcm.get("/v2/projects").await.expect(200), json!([]));
    let answer = sent("Transfer-Encoding: Chunked\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 201 "), "{answer}");
    dcm.stop().await;
}

#[tokio::test]
async fn large_headers_are_refused() {
    let dcm = Dcm::start("memory", &[]).await;
    let with = |bytes: usize| {
        format!("GET /healthz HTTP/1.1\r\nHost: localhost\r\nX-A: {}\r\nConnection: close\r\n\r\n", "a".repeat(bytes))
    };
    let answer = dcm.bytes(with(40_000).as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 431 ") && answer.contains("application/problem+json"), "{answer:.200}");
    let answer = dcm.bytes(with(1000).as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer:.200}");
    for (fields, status) in [(97, "200"), (101, "431")] {
        let many = format!(
            "GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{}\r\n",
            "X-A: a\r\n".repeat(fields)
        );
        let answer = dcm.bytes(many.as_bytes()).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{fields}: {answer:.200}");
    }
    dcm.stop().await;
}

#[tokio::test]
async fn too_many_requests_at_once_are_turned_away() {
    let dcm = Dcm::start("memory", &["--max-concurrent-requests", "1", "--body-timeout", "10s"]).await;
    let head = b"POST /v2/projects HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n";
    let mut slow = dcm.connection(head).await;
    // Who is asked for his body is being served.
    let mut asked = [0; 25];
    slow.read_exact(&mut asked).await.unwrap();
    assert_eq!(&asked, b"HTTP/1.1 100 Continue\r\n\r\n");
    let second = dcm.get("/v2/projects").await;
    second.expect_problem(503, &[]);
    assert!(second.header("retry-after").parse::<u64>().is_ok());
    slow.write_all(b"{").await.unwrap();
    let slow = String::from_utf8(until_closed(slow).await).unwrap();
    assert!(slow.starts_with("HTTP/1.1 408 "), "{slow}");
    dcm.get("/v2/projects").await.expect(200);
    dcm.stop().await;
}

const PING: &[u8] = &[0, 0, 8, 6, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8];

#[tokio::test]
async fn connections_without_a_request_are_closed() {
    let dcm = Dcm::start("memory", &["--header-timeout", "1s"]).await;
    let http2 = [PREFACE, SETTINGS].concat();
    for sent in [&b""[..], b"P", b"PRI * HT", &PREFACE[..23], b"GET / HT", PREFACE, &http2] {
        let started = std::time::Instant::now();
        let stream = dcm.connection(sent).await;
        until_closed(stream).await;
        let after = started.elapsed();
        assert!(after >= Duration::from_millis(900) && after < Duration::from_secs(9), "{sent:?}: {after:?}");
    }
    dcm.get("/healthz").await.expect(200);
    dcm.stop().await;
}

#[tokio::test]
async fn connections_are_closed_some_time_after_their_last_request() {
    let dcm = Dcm::start("memory", &["--header-timeout", "5s"]).await;
    let get = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let mut stream = dcm.connection(get).await;
    // It stays while it is in use.
    for _ in 0..5 {
        tokio::time::sleep(Duration::from_millis(1200)).await;
        stream.write_all(get).await.unwrap();
    }
    let answers = String::from_utf8(until_closed(stream).await).unwrap();
    assert_eq!(answers.matches("HTTP/1.1 200 OK").count(), 6, "{answers}");
    // The same over HTTP/2, with the header fields of the static table: GET, http, /, and the authority.
    let request = [&[0, 0, 14, 1, 5, 0, 0, 0, 1, 0x82, 0x86, 0x84, 0x41, 9][..], b"localhost"].concat();
    let stream = dcm.connection(&[PREFACE, SETTINGS, &request].concat()).await;
    let all = until_closed(stream).await;
    assert!(String::from_utf8_lossy(&all).contains("problems/no-such-path"), "{all:?}");
    dcm.stop().await;
}

#[tokio::test]
async fn pings_do_not_keep_a_connection() {
    let dcm = Dcm::start("memory", &["--header-timeout", "1s"]).await;
    let mut stream = dcm.connection(&[PREFACE, SETTINGS].concat()).await;
    let started = std::time::Instant::now();
    while stream.write_all(PING).await.is_ok() {
        assert!(started.elapsed() < Duration::from_secs(30));
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    dcm.stop().await;
}

#[tokio::test]
async fn silent_connections_keep_nobody_out_for_long() {
    let dcm = Dcm::start("memory", &["--max-connections", "2", "--header-timeout", "1s"]).await;
    let silent = [dcm.connection(b"").await, dcm.connection(b"PRI * HT").await];
    dcm.get("/healthz").await.expect(200);
    drop(silent);
    dcm.stop().await;
}

#[tokio::test]
async fn a_slow_request_outlasts_the_bound_for_silence() {
    let dcm = Dcm::start("memory", &["--header-timeout", "1s", "--body-timeout", "20s"]).await;
    let head = b"POST /v2/projects HTTP/1.1\r\nHost: localhost\r\nContent-Length: 30\r\nConnection: close\r\n\r\n";
    let mut stream = dcm.connection(head).await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    stream.write_all(br#"{"metadata": {"name": "slow"}}"#).await.unwrap();
    let answer = String::from_utf8(until_closed(stream).await).unwrap();
    assert!(answer.starts_with("HTTP/1.1 201 "), "{answer}");
    dcm.stop().await;
}
