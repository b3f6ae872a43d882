//! `/metrics`, read with a strict parser of its own.

use std::collections::{BTreeMap, BTreeSet};

use dcm_test_utils::patience::until_so;
use reqwest::Method;
use serde_json::json;

use crate::{
    on_every_store,
    support::{Dcm, LC},
};

type Labels = BTreeMap<String, String>;

/// What one metric says.
#[derive(Debug, Default)]
struct Family {
    kind: String,
    help: String,
    unit: Option<String>,
    samples: BTreeMap<(String, Labels), f64>,
}

/// Reads the text form as `OpenMetrics` 1.0 has it, and panics where something is not as it must be.
fn parse(text: &str) -> BTreeMap<String, Family> {
    let mut families = BTreeMap::<String, Family>::new();
    let mut current = String::new();
    let lines = text.strip_suffix("# EOF\n").expect("no end").lines();
    for line in lines {
        let Some(comment) = line.strip_prefix("# ") else {
            let family = families.get_mut(&current).expect(line);
            let (name, labels, value) = sample(line);
            let suffixes: &[&str] = match family.kind.as_str() {
                "counter" => &["_total"],
                "gauge" => &[""],
                "info" => &["_info"],
                "histogram" => &["_bucket", "_sum", "_count"],
                other => panic!("{other}"),
            };
            assert!(suffixes.iter().any(|suffix| name == format!("{current}{suffix}")), "{line} in {current}");
            assert!(family.samples.insert((name, labels), value).is_none(), "twice: {line}");
            continue;
        };
        let (what, rest) = comment.split_once(' ').expect(line);
        let (name, text) = rest.split_once(' ').expect(line);
        if current != name {
            assert!(families.insert(name.to_owned(), Family::default()).is_none(), "twice: {line}");
            current = name.to_owned();
        }
        let family = families.get_mut(name).unwrap();
        match what {
            "HELP" => family.help = text.to_owned(),
            "TYPE" => family.kind = text.to_owned(),
            "UNIT" => family.unit = Some(text.to_owned()),
            _ => panic!("{line}"),
        }
    }
    for (name, family) in &families {
        assert!(!family.help.is_empty() && !family.kind.is_empty(), "{name}");
        assert!(family.unit.as_ref().is_none_or(|unit| name.ends_with(&format!("_{unit}"))), "{name}");
        if family.kind == "histogram" {
            check_histogram(name, family);
        }
    }
    families
}

/// `name{label="value",…} number`
fn sample(line: &str) -> (String, Labels, f64) {
    let (head, value) = line.rsplit_once(' ').expect(line);
    let value = value.parse().expect(line);
    let (name, mut rest) =
        head.split_once('{').map_or((head, ""), |(name, rest)| (name, rest.strip_suffix('}').expect(line)));
    assert!(name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_'), "{line}");
    let mut labels = Labels::new();
    while !rest.is_empty() {
        let (label, quoted) = rest.split_once("=\"").expect(line);
        // None of ours has anything in it that would have to be escaped.
        let (text, after) = quoted.split_once('"').expect(line);
        assert!(!text.contains('\\'), "{line}");
        assert!(labels.insert(label.to_owned(), text.to_owned()).is_none(), "{line}");
        rest = after.strip_prefix(',').unwrap_or(after);
    }
    (name.to_owned(), labels, value)
}

/// Buckets rise to the count.
fn check_histogram(name: &str, family: &Family) {
    let mut buckets = BTreeMap::<Labels, Vec<(f64, f64)>>::new();
    for ((sample, labels), value) in &family.samples {
        if sample.ends_with("_bucket") {
            let mut labels = labels.clone();
            let bound = labels.remove("le").unwrap().replace("+Inf", "inf").parse().unwrap();
            buckets.entry(labels).or_default().push((bound, *value));
        }
    }
    for (labels, mut buckets) in buckets {
        buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
        assert!(buckets.is_sorted_by(|a, b| a.0 < b.0 && a.1 <= b.1), "{name} {buckets:?}");
        let count = family.samples[&(format!("{name}_count"), labels)];
        assert_eq!(buckets.last(), Some(&(f64::INFINITY, count)), "{name}");
    }
}

async fn read(dcm: &Dcm) -> BTreeMap<String, Family> {
    let reply = dcm.get("/metrics").await;
    assert_eq!(reply.status, 200);
    assert_eq!(reply.header("content-type"), "application/openmetrics-text; version=1.0.0; charset=utf-8");
    parse(&reply.text())
}

/// The value of a sample; 0 where there is none yet.
fn value(families: &BTreeMap<String, Family>, sample: &str, labels: &[(&str, &str)]) -> f64 {
    let labels: Labels = labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let key = (sample.to_owned(), labels);
    families.values().find_map(|family| family.samples.get(&key)).copied().unwrap_or(0.0)
}

const ONE: &str = "/v2/projects/{project}/logical-clouds/{logical-cloud}";

on_every_store! {
    async fn requests_are_counted_by_method_route_and_status(dcm) {
        dcm.with_cloud().await;
        for name in ["lc-1", "lc-1", "other-1", "other-2"] {
            dcm.get(&format!("/v2/projects/p/logical-clouds/{name}/")).await;
        }
        dcm.send(dcm.request(Method::HEAD, LC)).await;
        dcm.send(dcm.request(Method::from_bytes(b"BREW").unwrap(), LC)).await;
        for path in ["/none/1", "/none/2", "/v2/projects/p/none"] {
            dcm.get(path).await.expect(404);
        }
        let now = read(dcm).await;
        let count = |method, route, status| {
            value(&now, "dcm_http_requests_total", &[("method", method), ("route", route), ("status", status)])
        };
        assert_eq!(count("GET", ONE, "200"), 2.0);
        assert_eq!(count("GET", ONE, "404"), 2.0);
        assert_eq!(count("HEAD", ONE, "200"), 1.0);
        assert_eq!(count("other", ONE, "405"), 1.0);
        assert_eq!(count("GET", "unmatched", "404"), 3.0);
        assert_eq!(count("POST", "/v2/projects/{project}/logical-clouds", "201"), 1.0);
        let took = |suffix| {
            let name = format!("dcm_http_request_duration_seconds_{suffix}");
            value(&now, &name, &[("method", "GET"), ("route", ONE)])
        };
        assert_eq!(took("count"), 4.0);
        assert!(took("sum") > 0.0 && took("sum") < 60.0);
        // This one.
        assert_eq!(value(&now, "dcm_http_requests_in_flight", &[]), 1.0);
        assert!(value(&now, "dcm_http_connections_open", &[]) >= 1.0);
        assert!(value(&now, "dcm_http_connections_accepted_total", &[]) >= 1.0);
        assert!(value(&now, "dcm_http_request_body_bytes_total", &[]) > 100.0);
        assert!(value(&now, "dcm_http_response_body_bytes_total", &[]) > 1000.0);
    }

    async fn the_worker_and_the_process_are_counted(dcm) {
        dcm.with_applied_cloud().await;
        let carried_out = async || value(&read(dcm).await, "dcm_worker_orders_waiting", &[]) == 0.0;
        until_so(std::time::Duration::from_secs(30), format_args!("no order waits"), carried_out).await;
        let now = read(dcm).await;
        assert!(value(&now, "dcm_worker_attempts_total", &[("outcome", "done")]) >= 1.0);
        assert_eq!(value(&now, "dcm_worker_attempts_in_flight", &[]), 0.0);
        assert_eq!(value(&now, "dcm_worker_clusters_away", &[]), 0.0);
        assert_eq!(value(&now, "dcm_build_info", &[("version", env!("CARGO_PKG_VERSION"))]), 1.0);
        let started = value(&now, "process_start_time_seconds", &[]);
        let since = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs_f64() - started;
        assert!((0.0..3600.0).contains(&since), "{since}");
        assert!(value(&now, "process_resident_memory_bytes", &[]) > 1e6);
    }

    async fn no_name_that_a_client_chose_is_in_the_metrics(dcm) {
        let body = json!({ "metadata": { "name": "s3cret-name" } });
        dcm.post("/v2/projects", &body).await.expect(201);
        dcm.get("/v2/projects/s3cret-name?x=s3cret-query").await.expect(200);
        dcm.get("/s3cret-path").await.expect(404);
        dcm.send(dcm.request(Method::from_bytes(b"S3CRET").unwrap(), "/v2/projects")).await.expect(405);
        let text = dcm.get("/metrics").await.text();
        assert!(!text.to_ascii_lowercase().contains("s3cret"), "{text}");
    }

    async fn the_docs_have_every_metric(dcm) {
        dcm.with_applied_cloud().await;
        let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/operations.md")).unwrap();
        let (_, section) = page.split_once("## Metrics").unwrap();
        let section = section.split("\n## ").next().unwrap();
        // | `name` | type | `labels` | …
        let row = |line: &str| {
            let mut cells = line.split('|').skip(1).map(|cell| cell.trim().replace('`', ""));
            let (name, kind, labels) = (cells.next()?, cells.next()?, cells.next()?);
            let labels: BTreeSet<String> = labels.split(", ").filter(|label| !label.is_empty()).map(str::to_owned).collect();
            (name.starts_with("dcm_") || name.starts_with("process_")).then_some((name, (kind, labels)))
        };
        let told: BTreeMap<_, _> = section.lines().filter_map(row).collect();
        let there: BTreeMap<_, _> = read(dcm).await.into_iter().map(|(name, family)| {
            let suffix = match family.kind.as_str() { "counter" => "_total", "info" => "_info", _ => "" };
            let labels = family.samples.keys().flat_map(|(_, labels)| labels.keys().cloned()).filter(|label| label != "le").collect();
            (format!("{name}{suffix}"), (family.kind, labels))
        }).collect();
        assert_eq!(told, there);
    }
}

#[tokio::test]
async fn what_goes_on_can_be_read_while_the_server_is_busy() {
    let dcm = Dcm::start("memory", &["--max-concurrent-requests", "1", "--body-timeout", "10s"]).await;
    let head = b"POST /v2/projects HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\nExpect: 100-continue\r\n\r\n";
    let mut slow = dcm.connection(head).await;
    // Who is asked for his body is being served.
    let mut asked = [0; 25];
    tokio::io::AsyncReadExt::read_exact(&mut slow, &mut asked).await.unwrap();
    dcm.get("/v2/projects").await.expect_problem(503, &[]);
    // A scraper knows an address, and no name that the server goes by.
    let reply = dcm.send(dcm.request(Method::GET, "/metrics").header("host", "10.1.2.3:9077")).await;
    assert_eq!(reply.status, 200);
    let now = parse(&reply.text());
    assert_eq!(value(&now, "dcm_http_requests_in_flight", &[]), 2.0);
    let refused = [("method", "GET"), ("route", "unmatched"), ("status", "503")];
    assert_eq!(value(&now, "dcm_http_requests_total", &refused), 1.0);
    drop(slow);
    dcm.stop().await;
}

#[tokio::test]
async fn servers_in_one_process_count_apart() {
    let (one, other) = (Dcm::start("memory", &[]).await, Dcm::start("memory", &[]).await);
    for _ in 0..3 {
        one.get("/v2/projects").await.expect(200);
    }
    let labels = [("method", "GET"), ("route", "/v2/projects"), ("status", "200")];
    assert_eq!(value(&read(&one).await, "dcm_http_requests_total", &labels), 3.0);
    assert_eq!(value(&read(&other).await, "dcm_http_requests_total", &labels), 0.0);
    one.stop().await;
    other.stop().await;
}
