//! Good bodies with something odd in a place: whatever a client sends, the server is not at fault.

use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    design::{self, example},
    support::{Dcm, LC, kubeconfig},
};

/// A small generator (xorshift) that gives the same numbers in every run.
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).unwrap() % bound
    }
}

fn odd(chance: &mut Chance) -> Value {
    let mut all = vec![
        Value::Null,
        json!(true),
        json!(-1),
        json!(1e308),
        json!(u64::MAX),
        json!(""),
        json!(" "),
        json!("\u{0}"),
        json!("\u{202e}💩ä"),
        json!("../../etc/passwd"),
        json!("system:masters"),
        json!("9999999999999999999999999999999999999999E999999999"),
        json!("1e-999999999"),
        json!("::ffff:1.2.3.4"),
        json!("x".repeat(70_000)),
        json!([]),
        json!({}),
        json!([[[[[[[[1]]]]]]]]),
        json!({ "": { "": {} }, "~/": 1 }),
        json!(vec![json!({}); 400]),
        json!((0..400).map(|i| format!("v{i}")).collect::<Vec<_>>()),
    ];
    all.swap_remove(chance.below(all.len()))
}

/// Puts something odd in the place of one value.
fn mutate(value: &mut Value, chance: &mut Chance) {
    let children = match value {
        Value::Object(map) => map.len(),
        Value::Array(list) => list.len(),
        _ => 0,
    };
    if children == 0 || chance.below(6) == 0 {
        *value = odd(chance);
        return;
    }
    let at = chance.below(children);
    match value {
        Value::Object(map) => mutate(map.values_mut().nth(at).unwrap(), chance),
        Value::Array(list) => mutate(&mut list[at], chance),
        _ => {}
    }
}

#[tokio::test]
async fn no_body_makes_the_server_fail() {
    let dcm = Dcm::start("memory", &[]).await;
    // What is mutated may still be served, and is not as described: keys in other spellings, fields left out.
    dcm.speaks_loosely();
    dcm.with_reference().await;
    dcm.post(&format!("{LC}/cluster-quotas"), &example(design::QUOTA)).await.expect(201);
    dcm.post(&format!("{LC}/kv-pairs"), &example(design::KV_PAIR)).await.expect(201);
    let cluster = json!({ "metadata": { "name": "c" }, "spec": { "kubeconfig": kubeconfig(), "ca-certificate": "x", "ca-key": "y", "istio-version": "1.28.0" } });
    let controller =
        json!({ "metadata": { "name": "ca" }, "spec": { "host": "h", "port": 1, "type": "action", "priority": 1 } });
    dcm.post("/v2/controllers", &controller).await.expect(201);
    let reference = json!({ "cluster-reference": "cluster-1", "loadbalancer-ip": "0.0.0.0" });
    let bodies = [
        (LC.to_owned(), design::logical_cloud()),
        ("/v2/projects/p/logical-clouds".to_owned(), design::logical_cloud()),
        (format!("{LC}/cluster-references"), example(design::CLUSTER_REFERENCE_LONG)),
        (format!("{LC}/cluster-references/cluster-1"), reference),
        (format!("{LC}/user-permissions"), example(design::USER_PERMISSION)),
        (format!("{LC}/user-permissions/permission-1"), example(design::USER_PERMISSION_CHANGED)),
        (format!("{LC}/cluster-quotas"), example(design::QUOTA)),
        (format!("{LC}/cluster-quotas/quota-1"), example(design::QUOTA_CHANGED)),
        (format!("{LC}/kv-pairs"), example(design::KV_PAIR)),
        (format!("{LC}/kv-pairs/kv-1"), example(design::KV_PAIR_CHANGED)),
        ("/v2/cluster-providers/default/clusters/cluster-1".to_owned(), cluster.clone()),
        (
            "/v2/cluster-providers/default/clusters/cluster-1/labels".to_owned(),
            json!({ "label-name": "a", "value": "b" }),
        ),
        ("/v2/cluster-providers/default/clusters/cluster-1/kv-pairs".to_owned(), example(design::KV_PAIR)),
        ("/v2/cluster-providers/default/clusters".to_owned(), cluster),
        ("/v2/controllers/ca".to_owned(), controller.clone()),
        ("/v2/controllers".to_owned(), controller),
        ("/v2/projects".to_owned(), json!({ "metadata": { "name": "q", "description": "d" } })),
    ];
    let mut chance = Chance(0x9e37_79b9_7f4a_7c15);
    let (mut taken, mut refused) = (0, 0);
    for round in 0..100 {
        for (path, good) in &bodies {
            let mut body = good.clone();
            for _ in 0..=chance.below(3) {
                mutate(&mut body, &mut chance);
            }
            let last = path.rsplit('/').next().unwrap();
            let is_list = last.ends_with('s');
            let method = match round % 2 {
                _ if is_list => Method::POST,
                0 => Method::PUT,
                _ => Method::PATCH,
            };
            let reply = dcm.send(dcm.request(method, path).json(&body)).await;
            assert!(reply.status < 500, "round {round}, {path}: {} for {body:.2000}", reply.text());
            if reply.status < 400 {
                taken += 1;
            } else {
                refused += 1;
                assert_eq!(reply.header("content-type"), "application/problem+json", "{path}: {body:.2000}");
                assert_eq!(reply.json()["status"], reply.status);
            }
        }
    }
    assert!(taken > 50 && refused > 500, "{taken} taken, {refused} refused: too one-sided to show anything");
    dcm.get("/readyz").await.expect(200);
    dcm.stop().await;
}
