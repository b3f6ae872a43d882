//! Watches: what they tell, how they go on, and what is refused.

use std::{
    collections::BTreeMap,
    io::{BufRead as _, BufReader, Read as _},
    process::{Command, Stdio},
};

use dcm_test_utils::environment::skip;
use futures_util::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    events::{Event, Events},
    on_every_store,
    support::{Dcm, LC},
};

const CLUSTER_PAIRS: &str = "/v2/cluster-providers/default/clusters/cluster-1/kv-pairs";
const PAIRS: &str = "/v2/projects/p/logical-clouds/lc-1/kv-pairs";

fn pair(name: &str, value: &str) -> Value {
    json!({ "metadata": { "name": name }, "spec": { "kv": [{ "v": value }] } })
}

impl Dcm {
    async fn with_pairs(&self, names: &[&str]) {
        self.with_cloud().await;
        for name in names {
            self.post(PAIRS, &pair(name, "0")).await.expect(201);
        }
    }

    async fn set(&self, name: &str, value: &str) -> String {
        let reply = self.put(&format!("{PAIRS}/{name}"), &pair(name, value)).await;
        reply.expect(201);
        reply.header("etag").to_owned()
    }
}

/// What a client holds that does as a watch says.
fn follow(held: &mut BTreeMap<String, Value>, event: &Event) {
    match event.name.as_str() {
        "put" => drop(held.insert(event.record_name().to_owned(), event.data["record"].clone())),
        "deleted" => drop(held.remove(event.data["name"].as_str().unwrap())),
        _ => {}
    }
}

on_every_store! {
    async fn a_watch_tells_what_is_there_then_a_mark_then_what_changes(dcm) {
        dcm.with_pairs(&["b", "a"]).await;
        let mut watch = dcm.watch(PAIRS, None).await;
        let list = dcm.get(PAIRS).await.expect(200);
        for (i, name) in ["a", "b"].into_iter().enumerate() {
            let event = watch.expect("put").await;
            assert_eq!(event.data["record"], list[i]);
            assert_eq!(event.data["etag"], dcm.get(&format!("{PAIRS}/{name}")).await.header("etag"));
        }
        assert_eq!(watch.expect("synced").await.data, json!({}));
        let tag = dcm.set("a", "1").await;
        let event = watch.expect("put").await;
        assert_eq!(event.data, json!({ "etag": tag, "record": pair("a", "1") }));
        // What an event shows is what a conditional write asks for.
        let write = dcm.request(Method::DELETE, &format!("{PAIRS}/a")).header("if-match", &tag);
        dcm.send(write).await.expect(204);
        assert_eq!(watch.expect("deleted").await.data, json!({ "name": "a" }));
    }

    async fn a_watch_goes_on_after_each_of_its_events(dcm) {
        let names: Vec<String> = (0..40).map(|i| format!("n{i:02}")).collect();
        dcm.with_pairs(&names.iter().map(String::as_str).collect::<Vec<_>>()).await;
        let mut watch = dcm.watch(PAIRS, None).await;
        let mut events = watch.until_synced().await;
        let synced = events.len() - 1;
        dcm.set("n00", "1").await;
        dcm.delete(&format!("{PAIRS}/n01")).await.expect(204);
        dcm.post(PAIRS, &pair("n99", "2")).await.expect(201);
        for _ in 0..3 {
            events.push(watch.next().await.unwrap());
        }
        let (all, wanted) = (events.len(), held(&events));
        // The first and the last ones, those around a page's end and around the mark: each of them is two streams of the store.
        let mut resumed = Vec::new();
        for i in [0, 1, 30, 31, 32, synced - 1].into_iter().chain(synced..all) {
            resumed.push((i, dcm.watch(PAIRS, Some(&events[i])).await));
        }
        // A browser cannot set the header field for its first request, and sets it for those that follow.
        for name in ["lastEventId", "last-event-id"] {
            let by_query = dcm.request(Method::GET, &format!("{PAIRS}?watch=true&{name}={}", events[synced].id));
            resumed.push((synced, Events::of(by_query.send().await.unwrap()).await));
        }
        let both = dcm.request(Method::GET, &format!("{PAIRS}?watch=true&lastEventId=old"));
        let both = both.header("last-event-id", &events[synced + 2].id).send().await.unwrap();
        resumed.push((synced + 2, Events::of(both).await));
        let mut told = Vec::new();
        for (i, watch) in &mut resumed {
            told.push(if *i < synced { watch.until_synced().await } else { Vec::new() });
        }
        // What comes before it is all that there is.
        dcm.post(PAIRS, &pair("the-end", "")).await.expect(201);
        for ((i, mut watch), mut rest) in resumed.into_iter().zip(told) {
            rest.extend(watch.until_put("the-end").await);
            if i >= synced {
                assert_eq!(rest, events[i + 1..], "after event {i}");
            } else {
                assert_eq!(held(events[..=i].iter().chain(&rest)), wanted, "after event {i}");
            }
        }
    }

    async fn writers_side_by_side_and_a_watch_come_to_the_same(dcm) {
        dcm.with_pairs(&["n0", "n1", "n2"]).await;
        let mut watch = dcm.watch(PAIRS, None).await;
        let writers = (0..6).map(async |writer| {
            for i in 0..25 {
                let name = format!("n{}", (writer + i) % 10);
                let path = format!("{PAIRS}/{name}");
                // Whatever comes of it: others are at the same names.
                match i % 5 {
                    0 => dcm.delete(&path).await,
                    1 => dcm.post(PAIRS, &pair(&name, &format!("{writer}-{i}"))).await,
                    _ => dcm.put(&path, &pair(&name, &format!("{writer}-{i}"))).await,
                };
            }
        });
        join_all(writers).await;
        dcm.post(PAIRS, &pair("the-end", "")).await.expect(201);
        let mut held = BTreeMap::new();
        while !held.contains_key("the-end") {
            follow(&mut held, &watch.next().await.unwrap());
        }
        assert_eq!(Value::from_iter(held.into_values()), dcm.get(PAIRS).await.expect(200));
    }

    async fn every_list_can_be_watched_and_shows_the_same(dcm) {
        dcm.with_reference().await;
        dcm.post(PAIRS, &pair("a", "1")).await.expect(201);
        dcm.post(CLUSTER_PAIRS, &pair("a", "1")).await.expect(201);
        let controller = json!({ "metadata": { "name": "c" }, "spec": { "host": "h", "port": 9000 } });
        dcm.post("/v2/controllers", &controller).await.expect(201);
        dcm.post(&format!("{LC}/cluster-quotas"), &json!({ "metadata": { "name": "q" }, "spec": { "pods": "1" } })).await.expect(201);
        for path in [
            "/v2/projects",
            "/v2/cluster-providers",
            "/v2/cluster-providers/default/clusters",
            "/v2/projects/p/logical-clouds",
            &format!("{LC}/cluster-references"),
            &format!("{LC}/cluster-quotas"),
            PAIRS,
            CLUSTER_PAIRS,
            "/v2/controllers",
        ] {
            let mut events = dcm.watch(path, None).await.until_synced().await;
            events.pop();
            assert!(!events.is_empty(), "{path}");
            let records = events.iter().map(|event| event.data["record"].clone());
            assert_eq!(Value::from_iter(records), dcm.get(path).await.expect(200), "{path}");
        }
        for path in [format!("{LC}/user-permissions"), format!("{LC}/status")] {
            let events = dcm.watch(&path, None).await.until_synced().await;
            assert_eq!(events.len(), 2);
            assert_eq!(events[0].data["record"], dcm.get(&path).await.expect(200), "{path}");
        }
    }

    async fn a_status_is_watched_until_all_is_created(dcm) {
        dcm.with_reference().await;
        let path = format!("{LC}/status");
        let mut watch = dcm.watch(&path, None).await;
        let first = watch.expect("put").await;
        assert_eq!(first.data["record"]["status"], "Not Created");
        let mut seen: Vec<String> = Vec::new();
        dcm.order(&format!("{LC}/apply")).await.expect(200);
        while seen.last().is_none_or(|last| last != "Created") {
            let event = watch.next().await.unwrap();
            if event.name == "put" {
                seen.push(event.data["record"]["status"].as_str().unwrap().to_owned());
            }
        }
    }

    async fn a_watch_ends_with_what_its_records_belong_to(dcm) {
        dcm.with_pairs(&["a"]).await;
        let mut watch = dcm.watch(PAIRS, None).await;
        let event = watch.expect("put").await;
        watch.expect("synced").await;
        let mut status = dcm.watch(&format!("{LC}/status"), None).await;
        status.until_synced().await;
        dcm.delete(LC).await.expect(204);
        for watch in [&mut watch, &mut status] {
            while watch.next().await.unwrap().name != "ended" {}
            assert_eq!(watch.next().await, None);
        }
        dcm.refused_watch(PAIRS, Some(&event)).await.expect_problem(404, &[]);
        dcm.with_pairs(&["a"]).await;
        dcm.refused_watch(PAIRS, Some(&event)).await.expect_problem(410, &[]);
        // The event had the same name, and was another record.
        assert_eq!(dcm.watch(PAIRS, None).await.expect("put").await.record_name(), "a");
    }

    async fn what_a_selector_selects_is_watched(dcm) {
        let clusters = "/v2/cluster-providers/default/clusters";
        dcm.with_cluster("a").await;
        dcm.with_cluster("b").await;
        let label = async |cluster: &str, tier: &str| {
            let patch = json!({ "spec": { "labels": { "tier": tier } } });
            dcm.patch(&format!("{clusters}/{cluster}"), &patch).await.expect(200);
        };
        label("b", "gold").await;
        let mut watch = Events::of(dcm.request(Method::GET, &format!("{clusters}?watch=true&labelSelector=tier%3Dgold")).send().await.unwrap()).await;
        assert_eq!(watch.expect("put").await.record_name(), "b");
        let synced = watch.expect("synced").await;
        label("a", "gold").await;
        let put = watch.expect("put").await;
        assert_eq!((put.record_name(), &put.data["record"]["spec"]["labels"]["tier"]), ("a", &json!("gold")));
        label("b", "iron").await;
        assert_eq!(watch.expect("deleted").await.data, json!({ "name": "b" }));
        // With another selector it is another list.
        dcm.refused_watch(clusters, Some(&synced)).await.expect_problem(410, &[]);
        for (query, parameter) in [("watch=true&label=tier", "label"), ("watch=true&labelSelector=,", "labelSelector")] {
            let problem = dcm.get(&format!("{clusters}?{query}")).await.expect_problem(400, &[]);
            assert_eq!(problem["errors"][0]["parameter"], parameter, "{problem}");
        }
    }

    async fn what_cannot_be_watched_is_refused(dcm) {
        dcm.with_pairs(&["a"]).await;
        for (query, parameter) in [
            ("watch=true&limit=1", "limit"),
            ("watch&after=a", "after"),
            ("watch=true&labelSelector=a", "labelSelector"),
            ("watch=yes", "watch"),
            ("watch=true&watch=true", "watch"),
        ] {
            let problem = dcm.get(&format!("{PAIRS}?{query}")).await.expect_problem(400, &[]);
            assert_eq!(problem["errors"][0]["parameter"], parameter, "{problem}");
        }
        let problem = dcm.get(&format!("{LC}/manifests?watch=true")).await.expect_problem(400, &[]);
        assert_eq!(problem["errors"][0]["parameter"], "watch");
        assert!(dcm.get(&format!("{PAIRS}?watch=false")).await.expect(200).is_array());
        for path in ["/v2/projects/none/logical-clouds", "/v2/cluster-providers/none/clusters", "/v2/projects/p/logical-clouds/none/status"] {
            dcm.refused_watch(path, None).await.expect_problem(404, &[]);
        }
        let accept = |accept| dcm.request(Method::GET, &format!("{PAIRS}?watch=true")).header("accept", accept);
        dcm.send(accept("application/json")).await.expect_problem(406, &[]);
        dcm.send(accept("text/event-stream;q=0, */*")).await.expect_problem(406, &[]);
        for good in ["*/*", "text/event-stream", "application/json, text/*;q=0.1"] {
            Events::of(accept(good).send().await.unwrap()).await.expect("put").await;
        }
        let head = dcm.send(dcm.request(Method::HEAD, &format!("{PAIRS}?watch=true"))).await;
        assert_eq!((head.status, head.header("content-type")), (200, "text/event-stream"));
    }

    async fn a_position_of_another_list_server_or_nobody_is_gone(dcm) {
        dcm.with_pairs(&["a"]).await;
        let event = dcm.watch(PAIRS, None).await.expect("put").await;
        let problem = dcm.refused_watch("/v2/projects", Some(&event)).await.expect_problem(410, &[]);
        assert!(problem["type"].as_str().unwrap().ends_with("/expired"), "{problem}");
        for id in ["x", "1.2.3", "a b", &"x".repeat(5000)] {
            let event = Event { id: id.to_owned(), ..Event::default() };
            dcm.refused_watch(PAIRS, Some(&event)).await.expect_problem(410, &[]);
        }
        let other = Dcm::start("memory", &[]).await;
        other.with_pairs(&["a"]).await;
        other.refused_watch(PAIRS, Some(&event)).await.expect_problem(410, &[]);
        other.stop().await;
    }
}

fn held<'a>(events: impl IntoIterator<Item = &'a Event>) -> BTreeMap<String, Value> {
    let mut held = BTreeMap::new();
    for event in events {
        follow(&mut held, event);
    }
    held
}

#[tokio::test]
async fn curl_shows_a_watch_as_it_goes_on() {
    let dcm = Dcm::start("memory", &[]).await;
    dcm.with_pairs(&["a"]).await;
    let url = dcm.url(&format!("{PAIRS}?watch=true"));
    let arguments = ["--silent", "--no-buffer", "--noproxy", "*", "--max-time", "20", &url];
    let Ok(mut curl) = Command::new("curl").args(arguments).stdout(Stdio::piped()).spawn() else {
        return skip("there is no curl", "a watch as curl shows it");
    };
    let mut shown = BufReader::new(curl.stdout.take().unwrap());
    let until_synced = tokio::task::spawn_blocking(move || {
        let mut text = String::new();
        while !text.ends_with("event: synced\n") && shown.read_line(&mut text).unwrap() > 0 {}
        (text, shown)
    });
    let (mut text, mut shown) = until_synced.await.unwrap();
    dcm.delete(LC).await.expect(204);
    let (text, status) = tokio::task::spawn_blocking(move || {
        shown.read_to_string(&mut text).unwrap();
        (text, curl.wait().unwrap())
    })
    .await
    .unwrap();
    assert!(status.success(), "{text}");
    assert!(text.starts_with("retry: 2000\n\nid: ") && text.ends_with("event: ended\ndata: {}\n\n"), "{text}");
    dcm.stop().await;
}
