//! The same answers in both shapes.

use reqwest::Method;
use serde_json::{Value, json};

use crate::bed::{Bed, Door, subjects};

const CLUSTERS: &str = "/v2/cluster-providers/default/clusters";

/// What differs whenever something is made anew.
fn without_chance(mut value: Value, doors: &[Door; 3]) -> Value {
    fn walk(value: &mut Value) {
        match value {
            Value::Object(fields) => {
                for at in ["checked-at", "request-id", "uid", "registered-at"] {
                    fields.remove(at);
                }
                fields.values_mut().for_each(walk);
            }
            Value::Array(values) => values.iter_mut().for_each(walk),
            _ => {}
        }
    }
    walk(&mut value);
    let mut text = value.to_string();
    for door in doors {
        let server = door.kubeconfig()["clusters"][0]["cluster"]["server"].as_str().unwrap().to_owned();
        text = text.replace(server.trim_start_matches("https://"), door.cluster.name());
    }
    serde_json::from_str(&text).unwrap()
}

/// All that is answered in a shape while a client waits for clusters.
async fn answers(bed: Bed) -> Vec<(&'static str, Value)> {
    let doors = [Door::open("c1").await, Door::open("c2").await, Door::open("c3").await];
    let mut told = Vec::new();
    let mut note = |what, value| told.push((what, without_chance(value, &doors)));
    doors[2].cluster.faults().fail_always(503);
    for (door, what) in doors.iter().zip(["health of one", "health of another", "health of one that is out of order"]) {
        let made = bed.register(door).await.expect(201);
        note(what, made["health"].clone());
    }
    note("a cluster as it is read", bed.get(&format!("{CLUSTERS}/c1")).await.expect(200));

    let cloud = bed.cloud("lc-1", &[&doors[0], &doors[1]]).await;
    let diff = format!("{cloud}/diff");
    note("a diff before anything is there", bed.get(&diff).await.expect(200));
    bed.post(&format!("{cloud}/apply"), &json!({})).await.expect(200);
    bed.wait_for(&cloud, "Created").await;
    note("a diff where nothing differs", bed.get(&diff).await.expect(200));

    let permission = json!({ "name": "more", "apiGroups": ["apps"], "resources": ["deployments"], "verbs": ["list"] });
    bed.post(&format!("{cloud}/user-permissions"), &permission).await.expect(200);
    let changed = json!({ "name": "read", "apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list"] });
    bed.call(Method::PUT, &format!("{cloud}/user-permissions/read"), Some(&changed)).await.expect(200);
    let quota = json!({ "metadata": { "name": "q" }, "spec": { "pods": "7" } });
    bed.post(&format!("{cloud}/cluster-quotas"), &quota).await.expect(201);
    let reference = json!({ "cluster-reference": "c3", "loadbalancer-ip": "0.0.0.0" });
    bed.post(&format!("{cloud}/cluster-references"), &reference).await.expect(200);
    note("a diff of edits, and of a cluster that is out of order", bed.get(&diff).await.expect(200));
    note("a diff of one cluster", bed.get(&format!("{diff}?cluster-reference=c2")).await.expect(200));
    note("the first page of a diff", bed.get(&format!("{diff}?limit=1")).await.expect(200));
    note("the last page of a diff", bed.get(&format!("{diff}?limit=2&after=c1")).await.expect(200));
    note("a diff of no cluster", bed.get(&format!("{diff}?cluster-reference=none")).await.expect(404));
    note("a diff of nothing", bed.get("/v2/projects/p/logical-clouds/none/diff").await.expect(404));
    note("a diff of no name", bed.get(&format!("{diff}?cluster-reference=-")).await.expect(400));

    note(
        "a revoke of nothing",
        bed.post("/v2/projects/p/logical-clouds/none/user/revoke", &json!({})).await.expect(404),
    );
    let revoked = bed.post(&format!("{cloud}/user/revoke"), &json!({})).await.expect(202);
    note("a revoke", revoked);
    bed.wait_for(&cloud, "Created").await;
    note("a diff after it", bed.get(&format!("{diff}?cluster-reference=c1")).await.expect(200));
    assert_eq!(subjects(&doors[0], "lc-1").len(), 1);

    let again = bed.call(Method::PUT, &format!("{CLUSTERS}/c2"), Some(&doors[1].registration())).await.expect(200);
    note("health at a change", again["health"].clone());
    bed.stop().await;
    told
}

#[tokio::test(flavor = "multi_thread")]
async fn diff_health_and_revoke_answer_the_same_in_both_shapes() {
    let all = answers(Bed::all().await).await;
    let split = answers(Bed::split().await).await;
    assert_eq!(all.len(), split.len());
    for ((what, all), (_, split)) in all.iter().zip(&split) {
        assert_eq!(split, all, "{what}");
    }
    let of = |what: &str| &all.iter().find(|(noted, _)| *noted == what).unwrap().1;
    assert_eq!(of("health of one")["connectivity"], "available");
    assert_eq!(of("health of one that is out of order")["connectivity"], "unavailable");
    assert_eq!(of("a revoke")["clusters"][0]["c1"]["access"], "Revoked");
    let fields = &of("a diff of edits, and of a cluster that is out of order")["clusters"];
    assert!(fields.to_string().contains("\"pointer\""), "{fields:#}");
}
