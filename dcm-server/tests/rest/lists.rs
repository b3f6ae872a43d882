//! Lists: pages, labels, and what becomes of parameters that are misspelt.

use serde_json::{Value, json};

use crate::{
    on_every_store,
    support::{Dcm, LC, Reply, kubeconfig},
};

const CLOUDS: &str = "/v2/projects/p/logical-clouds";
const CLUSTERS: &str = "/v2/cluster-providers/default/clusters";

async fn labelled_cloud(dcm: &Dcm, name: &str, labels: Value) {
    let user = json!({ "user-name": "u", "type": "certificate", "user-permissions": [] });
    let spec = json!({ "namespace": "ns", "user": user, "labels": labels });
    dcm.post(CLOUDS, &json!({ "metadata": { "name": name }, "spec": spec })).await.expect(201);
}

async fn labelled_cluster(dcm: &Dcm, name: &str, labels: Value) {
    let spec = json!({ "kubeconfig": kubeconfig(), "labels": labels });
    dcm.post(CLUSTERS, &json!({ "metadata": { "name": name }, "spec": spec })).await.expect(201);
}

/// Where the next page is.
fn next(page: &Reply) -> Option<String> {
    let link = page.headers.get("link")?.to_str().unwrap();
    Some(link.strip_prefix('<').unwrap().strip_suffix(">; rel=\"next\"").unwrap().to_owned())
}

/// The names on each page, from one path on along its links.
async fn pages(dcm: &Dcm, path: &str) -> Vec<Vec<String>> {
    let (mut pages, mut path) = (Vec::new(), Some(path.to_owned()));
    while let Some(at) = path {
        let page = dcm.get(&at).await;
        let names = page
            .expect(200)
            .as_array()
            .unwrap()
            .iter()
            .map(|e| e["metadata"]["name"].as_str().unwrap().to_owned())
            .collect();
        pages.push(names);
        path = next(&page);
    }
    pages
}

on_every_store! {
    async fn the_last_page_names_no_next_one(dcm) {
        for n in 1..=4 {
            labelled_cloud(dcm, &format!("lc-{n}"), json!({})).await;
        }
        assert_eq!(pages(dcm, &format!("{CLOUDS}?limit=2")).await, [["lc-1", "lc-2"], ["lc-3", "lc-4"]]);
        assert_eq!(pages(dcm, &format!("{CLOUDS}?limit=4")).await, [["lc-1", "lc-2", "lc-3", "lc-4"]]);
        assert_eq!(pages(dcm, &format!("{LC}/kv-pairs?limit=1")).await, [[""; 0]]);
        let permissions = dcm.get(&format!("{LC}/user-permissions?limit=1")).await;
        assert_eq!((permissions.expect(200), next(&permissions)), (json!({ "permissions": [] }), None));
    }

    async fn a_page_of_large_records_ends_at_some_mebibytes(dcm) {
        dcm.with_cloud().await;
        let text = "x".repeat(900_000);
        for n in 1..=7 {
            let body = json!({ "metadata": { "name": format!("kv-{n}") }, "spec": { "kv": [{ "k": text }] } });
            dcm.post(&format!("{LC}/kv-pairs"), &body).await.expect(201);
        }
        let first = dcm.get(&format!("{LC}/kv-pairs")).await;
        assert_eq!(next(&first), Some(format!("{LC}/kv-pairs?after=kv-5")));
        assert!((4 << 20..6 << 20).contains(&first.body.len()), "{} bytes", first.body.len());
        let all = pages(dcm, &format!("{LC}/kv-pairs?limit=7")).await;
        assert_eq!(all, [vec!["kv-1", "kv-2", "kv-3", "kv-4", "kv-5"], vec!["kv-6", "kv-7"]]);
    }

    async fn logical_clouds_and_clusters_are_selected_by_labels(dcm) {
        labelled_cloud(dcm, "lc-1", json!({ "tier": "gold", "example.com/region": "eu" })).await;
        labelled_cloud(dcm, "lc-2", json!({ "tier": "silver" })).await;
        labelled_cloud(dcm, "lc-3", json!({})).await;
        labelled_cluster(dcm, "c-1", json!({ "tier": "gold" })).await;
        labelled_cluster(dcm, "c-2", json!({ "tier": "silver", "edge": "" })).await;
        labelled_cluster(dcm, "c-3", json!({})).await;
        for (selector, selected) in [
            ("labelSelector=tier%3Dgold", vec!["1"]),
            ("labelSelector=tier=gold", vec!["1"]),
            ("label-selector=tier%21%3Dgold", vec!["2", "3"]),
            ("labelSelector=tier+in+(gold,silver)", vec!["1", "2"]),
            ("labelSelector=tier,tier%20notin%20(gold)", vec!["2"]),
            ("labelSelector=!tier", vec!["3"]),
            ("labelSelector=", vec!["1", "2", "3"]),
            ("labelSelector=tier=iron", vec![]),
        ] {
            for (list, prefix) in [(CLOUDS, "lc"), (CLUSTERS, "c")] {
                let expected: Vec<_> = selected.iter().map(|n| format!("{prefix}-{n}")).collect();
                assert_eq!(pages(dcm, &format!("{list}?{selector}")).await, [expected], "{list}?{selector}");
            }
        }
        let region = format!("{CLOUDS}?labelSelector=example.com/region=eu");
        assert_eq!(pages(dcm, &region).await, [["lc-1"]]);
        // EMCO asks for names.
        assert_eq!(dcm.get(&format!("{CLUSTERS}?label=tier")).await.expect(200), json!(["c-1", "c-2"]));
        assert_eq!(dcm.get(&format!("{CLUSTERS}?label=none")).await.expect(200), json!([]));
        assert_eq!(pages(dcm, &format!("{CLUSTERS}?label=")).await, [["c-1", "c-2", "c-3"]]);
        let first = dcm.get(&format!("{CLUSTERS}?label=tier&limit=1")).await;
        assert_eq!((first.expect(200), next(&first)), (json!(["c-1"]), Some(format!("{CLUSTERS}?label=tier&limit=1&after=c-1"))));
    }

    async fn the_next_page_is_of_the_same_selection(dcm) {
        for n in 0..9 {
            labelled_cloud(dcm, &format!("lc-{n}"), json!({ "a.b/c": if n % 2 == 0 { "even" } else { "odd" } })).await;
        }
        let path = format!("{CLOUDS}?limit=2&labelSelector=a.b/c%20in%20(even,%22%22)");
        dcm.get(&path).await.expect_problem(400, &[]);
        let path = format!("{CLOUDS}?limit=2&labelSelector=a.b/c+in+(even)");
        let first = next(&dcm.get(&path).await).unwrap();
        assert_eq!(first, format!("{CLOUDS}?labelSelector=a.b%2Fc%20in%20%28even%29&limit=2&after=lc-2"));
        let all = pages(dcm, &path).await;
        assert_eq!(all, [vec!["lc-0", "lc-2"], vec!["lc-4", "lc-6"], vec!["lc-8"]]);
        let long = format!("a.b/c+in+({}even)", "odd,".repeat(500));
        let page = dcm.get(&format!("{CLOUDS}?label-selector={long}&limit=1")).await;
        page.expect(200);
        dcm.get(&next(&page).unwrap()).await.expect(200);
        let spelled = dcm.get(&format!("{CLOUDS}?label-selector=a.b/c=odd&limit=1")).await;
        assert!(next(&spelled).unwrap().contains("?label-selector=a.b%2Fc%3Dodd&limit=1&after=lc-1"));
    }

    async fn a_page_without_anything_selected_leads_on(dcm) {
        let labels: serde_json::Map<_, _> = (0..6_000).map(|n| (format!("k{n}"), format!("{n:060}").into())).collect();
        for n in 0..12 {
            labelled_cloud(dcm, &format!("lc-{n:02}"), labels.clone().into()).await;
        }
        labelled_cloud(dcm, "rare", json!({ "rare": "yes" })).await;
        let first = dcm.get(&format!("{CLOUDS}?labelSelector=rare")).await;
        assert_eq!(first.expect(200), json!([]));
        assert!(next(&first).is_some());
        assert_eq!(pages(dcm, &format!("{CLOUDS}?labelSelector=rare&limit=1")).await.concat(), ["rare"]);
    }

    async fn a_bad_selector_is_told_where_it_is_wrong(dcm) {
        dcm.with_cloud().await;
        for (query, parameter, said) in [
            ("labelSelector=a+in+b", "labelSelector", "character 6"),
            ("label-selector=a,,b", "label-selector", "character 3"),
            ("labelSelector=a%3D%C3%A4", "labelSelector", "character 3"),
            ("labelSelector=a=b&labelSelector=c", "labelSelector", "more than once"),
            ("labelSelector=a&label-selector=b", "label-selector", "beside"),
            ("label=a", "label", "labelSelector="),
        ] {
            let problem = dcm.get(&format!("{CLOUDS}?{query}")).await.expect_problem(400, &[]);
            let error = &problem["errors"][0];
            assert_eq!(error["parameter"], parameter, "{problem}");
            assert!(error["detail"].as_str().unwrap().contains(said), "{problem}");
        }
        let long = format!("{CLOUDS}?labelSelector={}", "a,".repeat(2_100));
        dcm.get(&long).await.expect_problem(400, &[]);
        for query in ["label=a=1", "label=a%3D1", "label=!a", "label=a&labelSelector=b", "label=a&label=b", "labelSelector=%ff"] {
            dcm.get(&format!("{CLUSTERS}?{query}")).await.expect_problem(400, &[]);
        }
        for list in ["/v2/projects", "/v2/cluster-providers", &format!("{LC}/kv-pairs"), &format!("{LC}/cluster-quotas"), &format!("{LC}/cluster-references"), &format!("{LC}/user-permissions"), &format!("{LC}/manifests")] {
            for parameter in ["labelSelector", "label-selector", "label"] {
                let problem = dcm.get(&format!("{list}?{parameter}=a")).await.expect_problem(400, &[]);
                assert_eq!(problem["errors"][0]["parameter"], parameter, "{problem}");
            }
        }
    }

    async fn a_parameter_is_known_where_it_is_described(dcm) {
        dcm.with_reference().await;
        for (path, is_known) in [
            (format!("{CLOUDS}?label-selector=a"), true),
            (format!("{LC}?watch=true"), false),
            (format!("{LC}?limit=1"), false),
            (format!("{LC}/cluster-references/cluster-1?watch=true"), false),
            (format!("{LC}/status?limit=1"), false),
            (format!("{LC}/status?output=summary"), true),
        ] {
            let reply = dcm.get(&path).await;
            reply.expect(200);
            assert_eq!(reply.header("warning").is_empty(), is_known, "{path}: {}", reply.header("warning"));
        }
        assert!(dcm.order(&format!("{LC}/apply?force=true")).await.header("warning").is_empty());
        assert!(!dcm.put(&format!("{LC}?force=true"), &crate::design::logical_cloud()).await.header("warning").is_empty());
    }

    async fn labels_are_a_list_that_cannot_be_watched_or_selected_from(dcm) {
        dcm.with_cluster("c").await;
        let labels = "/v2/cluster-providers/default/clusters/c/labels";
        for name in ["a", "example.org/team", "z"] {
            dcm.post(labels, &json!({ "label-name": name })).await.expect(201);
        }
        for query in ["watch=true", "labelSelector=a", "label=a", "limit=0"] {
            dcm.get(&format!("{labels}?{query}")).await.expect_problem(400, &[]);
        }
        let mut next = format!("{labels}?limit=1");
        for name in ["a", "example.org/team", "z"] {
            let page = dcm.get(&next).await;
            assert_eq!(page.expect(200)[0]["label-name"], name);
            let link = page.header("link");
            next = link.split(['<', '>']).nth(1).unwrap_or_default().to_owned();
        }
        assert_eq!(next, "");
    }

    async fn an_unknown_parameter_is_warned_of(dcm) {
        dcm.with_cloud().await;
        let warnings = |reply: &Reply| -> Vec<String> {
            reply.headers.get_all("warning").iter().map(|value| value.to_str().unwrap().to_owned()).collect()
        };
        for (query, warned) in [
            ("labelselector=a", vec![r#"299 - "unknown query parameter \"labelselector\"; did you mean \"labelSelector\"?""#]),
            ("Limit=1&x", vec![r#"299 - "unknown query parameter \"Limit\"; did you mean \"limit\"?""#, r#"299 - "unknown query parameter \"x\"""#]),
            ("limit=1&after=a", vec![]),
            ("Limit=1&fieldValidation=Ignore", vec![]),
        ] {
            let reply = dcm.get(&format!("{CLOUDS}?{query}")).await;
            reply.expect(200);
            assert_eq!(warnings(&reply), warned, "{query}");
        }
        assert_eq!(warnings(&dcm.order(&format!("{LC}/terminate?Force=true")).await).len(), 1);
        let many: String = (0..500).map(|n| format!("{n}{}&", "x".repeat(8))).collect();
        let reply = dcm.get(&format!("{LC}?{many}")).await;
        reply.expect(200);
        assert_eq!(warnings(&reply).len(), 8);
        // All warnings of an answer share one bound.
        let fields: serde_json::Map<_, _> = (0..200).map(|n| (format!("field-{n}"), 1.into())).collect();
        let reply = dcm.post(&format!("/v2/projects?{many}"), &json!({ "metadata": { "name": "q" }, "spec": fields })).await;
        reply.expect(201);
        assert!(warnings(&reply).concat().len() <= 4_096);
    }
}
