//! A status as EMCO's clients ask for it.

use dcm_sim::{ClusterOptions, Simulation};
use serde_json::{Value, json};

use crate::{
    design::{self, example},
    on_every_store,
    support::{Dcm, LC},
};

/// The objects of the design's logical cloud: group, kind and name, in the order in which they are made.
const OBJECTS: [(&str, &str, &str); 6] = [
    ("", "Namespace", "ns-1"),
    ("rbac.authorization.k8s.io", "Role", "permission-1"),
    ("rbac.authorization.k8s.io", "Role", "permission-2"),
    ("rbac.authorization.k8s.io", "RoleBinding", "permission-1"),
    ("rbac.authorization.k8s.io", "RoleBinding", "permission-2"),
    ("", "ResourceQuota", "quota-1"),
];

fn gvk(group: &str, kind: &str) -> Value {
    json!({ "Group": group, "Version": "v1", "Kind": kind })
}

/// All objects with one word each.
fn resources(field: &str, word: &str) -> Value {
    OBJECTS.map(|(group, kind, name)| json!({ "GVK": gvk(group, kind), "name": name, field: word })).to_vec().into()
}

fn cluster(name: &str, connectivity: &str, resources: &Value) -> Value {
    json!({ "clusterProvider": "default", "cluster": name, "connectivity": connectivity, "resources": resources })
}

async fn status(dcm: &Dcm, query: &str) -> Value {
    dcm.get(&format!("{LC}/status?{query}")).await.expect(200)
}

/// The states, with times left out and instances put in order.
fn states(status: &mut Value) -> Vec<(String, usize, u64)> {
    let states = status.as_object_mut().unwrap().remove("states").unwrap();
    let mut instances = vec![String::new()];
    let mut seen = Vec::new();
    for action in states["actions"].as_array().unwrap() {
        let instance = action["instance"].as_str().unwrap().to_owned();
        assert!(action["time"].as_str().unwrap().parse::<jiff::Timestamp>().is_ok(), "{action}");
        let at = instances.iter().position(|known| *known == instance).unwrap_or_else(|| {
            instances.push(instance);
            instances.len() - 1
        });
        seen.push((action["state"].as_str().unwrap().to_owned(), at, action["revision"].as_u64().unwrap()));
    }
    assert_eq!(states["statusctxid"], *instances.last().unwrap());
    seen
}

async fn with_quota(dcm: &Dcm) {
    dcm.with_reference().await;
    dcm.post(&format!("{LC}/cluster-quotas"), &example(design::QUOTA)).await.expect(201);
}

on_every_store! {
    async fn before_an_apply_only_its_creation_is_told(dcm) {
        dcm.with_reference().await;
        for query in ["status=ready", "status=deployed", "output=summary", "cluster=default%2Bcluster-1"] {
            let mut status = status(dcm, query).await;
            assert_eq!(states(&mut status), [("Created".to_owned(), 0, 0)]);
            assert_eq!(status, json!({ "project": "p", "name": "lc-1" }), "{query}");
        }
        assert_eq!(status(dcm, "clusters").await, json!({ "project": "p", "name": "lc-1", "clustersByApp": [] }));
        assert_eq!(status(dcm, "resources").await, json!({ "project": "p", "name": "lc-1", "resourcesByApp": [] }));
    }

    async fn an_applied_cloud_is_told_as_emco_does(dcm) {
        with_quota(dcm).await;
        dcm.order(&format!("{LC}/instantiate")).await.expect(202);
        dcm.wait_for("Created").await;
        let mut deployed = status(dcm, "status=deployed").await;
        let created = ("Created".to_owned(), 0, 0);
        assert_eq!(states(&mut deployed), [created, ("Instantiated".to_owned(), 1, 1)]);
        let expected = json!({
            "project": "p", "name": "lc-1", "deployedStatus": "Instantiated", "deployedCounts": { "Applied": 6 },
            "clusters": [cluster("cluster-1", "Available", &resources("deployedStatus", "Applied"))],
        });
        assert_eq!(deployed, expected);
        // `ready` and `all` are what EMCO does where nothing is said.
        for query in ["status=ready", "status=ready&output=all", "output=all", "cluster=default+cluster-1"] {
            let mut ready = status(dcm, query).await;
            states(&mut ready);
            let expected = json!({
                "project": "p", "name": "lc-1", "deployedStatus": "Instantiated",
                "readyStatus": "Ready", "readyCounts": { "Ready": 6 },
                "clusters": [cluster("cluster-1", "Available", &resources("readyStatus", "Ready"))],
            });
            assert_eq!(ready, expected, "{query}");
        }
        let mut summary = status(dcm, "output=summary&status=deployed").await;
        states(&mut summary);
        let counts = json!({ "Applied": 6 });
        assert_eq!(summary, json!({ "project": "p", "name": "lc-1", "deployedStatus": "Instantiated", "deployedCounts": counts }));
        // Without one of EMCO's parameters the design's form is answered.
        assert_eq!(dcm.get(&format!("{LC}/status?other=1")).await.expect(200)["status"], "Created");
    }

    async fn filters_leave_out_what_they_do_not_name(dcm) {
        with_quota(dcm).await;
        dcm.with_cluster("cluster-2").await;
        let second = json!({ "cluster-reference": "cluster-2", "loadbalancer-ip": "0.0.0.0" });
        dcm.post(&format!("{LC}/cluster-references"), &second).await.expect(200);
        dcm.order(&format!("{LC}/apply")).await.expect(200);
        dcm.wait_for("Created").await;
        let one = status(dcm, "cluster=default%2Bcluster-2&resource=ns-1&resource=quota-1&output=detail").await;
        assert_eq!((&one["readyCounts"], &one["readyStatus"]), (&json!({ "Ready": 2 }), &json!("Ready")));
        assert_eq!(one["clusters"].as_array().map(Vec::len), Some(1));
        assert_eq!(one["clusters"][0]["cluster"], "cluster-2");
        let quota = &one["clusters"][0]["resources"][1];
        assert_eq!((&quota["GVK"], &quota["name"]), (&gvk("", "ResourceQuota"), &json!("quota-1")));
        assert_eq!(quota["detail"]["spec"]["hard"]["pods"], "500", "{quota:#}");
        // Both a role and its binding have this name, on both clusters.
        assert_eq!(status(dcm, "resource=permission-1").await["readyCounts"], json!({ "Ready": 4 }));
        for query in ["cluster=default%2Bnone", "cluster=other%2Bcluster-1", "resource=none"] {
            let mut none = status(dcm, query).await;
            states(&mut none);
            let expected = json!({ "project": "p", "name": "lc-1", "deployedStatus": "Instantiated", "readyStatus": "NotReady" });
            assert_eq!(none, expected, "{query}");
        }
    }

    async fn clusters_and_resources_are_listed(dcm) {
        with_quota(dcm).await;
        dcm.order(&format!("{LC}/apply")).await.expect(200);
        dcm.wait_for("Created").await;
        let clusters = json!([{ "app": "logical-cloud", "clusters": [{ "clusterProvider": "default", "cluster": "cluster-1" }] }]);
        for query in ["clusters", "clusters&resources", "clusters=&status=deployed"] {
            assert_eq!(status(dcm, query).await, json!({ "project": "p", "name": "lc-1", "clustersByApp": clusters }), "{query}");
        }
        let list: Vec<Value> = OBJECTS.iter().map(|(group, kind, name)| json!({ "name": name, "GVK": gvk(group, kind) })).collect();
        let entry = json!({ "app": "logical-cloud", "clusterProvider": "default", "cluster": "cluster-1", "resources": list });
        assert_eq!(status(dcm, "resources").await["resourcesByApp"], json!([entry]));
        assert_eq!(status(dcm, "resources&cluster=default%2Bother").await["resourcesByApp"], json!([]));
    }

    async fn a_terminated_cloud_is_told_as_emco_does(dcm) {
        with_quota(dcm).await;
        dcm.order(&format!("{LC}/apply")).await.expect(200);
        dcm.wait_for("Created").await;
        dcm.order(&format!("{LC}/terminate")).await.expect(202);
        dcm.wait_for("Deleted").await;
        let mut terminated = status(dcm, "status=deployed").await;
        let expected = [("Created", 0, 0), ("Instantiated", 1, 1), ("Terminated", 1, 2)];
        assert_eq!(states(&mut terminated), expected.map(|(state, instance, revision)| (state.to_owned(), instance, revision)));
        assert_eq!(terminated, json!({ "project": "p", "name": "lc-1", "deployedStatus": "Terminated" }));
        assert_eq!(status(dcm, "status=ready").await["readyStatus"], "NotReady");
    }

    async fn an_instance_is_the_one_that_is_kept(dcm) {
        dcm.with_reference().await;
        dcm.get(&format!("{LC}/status?instance=x")).await.expect(400);
        dcm.order(&format!("{LC}/apply")).await.expect(200);
        dcm.wait_for("Created").await;
        let first = status(dcm, "output=summary").await["states"]["statusctxid"].as_str().unwrap().to_owned();
        assert_eq!(status(dcm, &format!("instance={first}")).await["readyStatus"], "Ready");
        dcm.order(&format!("{LC}/user/renew")).await.expect(202);
        dcm.wait_for("Created").await;
        let mut second = status(dcm, "output=summary").await;
        let instance = second["states"]["statusctxid"].as_str().unwrap().to_owned();
        assert_eq!(states(&mut second)[1..], [("Instantiated".to_owned(), 1, 1), ("Updated".to_owned(), 2, 2)]);
        let old = dcm.get(&format!("{LC}/status?instance={first}")).await.expect(400);
        assert_eq!(old["errors"][0]["parameter"], "instance");
        assert!(old["detail"].as_str().unwrap().contains(&instance), "{old}");
    }

    async fn a_watch_of_the_status_knows_no_parameter_of_emcos(dcm) {
        dcm.with_reference().await;
        for query in ["output=summary", "status=nonsense", "clusters"] {
            let problem = dcm.get(&format!("{LC}/status?watch=true&{query}")).await.expect_problem(400, &[]);
            assert_eq!(problem["errors"][0]["parameter"], query.split('=').next().unwrap());
        }
    }

    async fn bad_parameters_are_named_together_with_what_is_allowed(dcm) {
        dcm.with_reference().await;
        for (query, parameters, allowed) in [
            ("status=rsync", vec!["status"], "ready, deployed"),
            ("status=", vec!["status"], "ready, deployed"),
            ("output=ALL", vec!["output"], "all, summary, detail"),
            ("output=all&output=all", vec!["output"], "more than once"),
            ("cluster=cluster-1", vec!["cluster"], "<cluster provider>%2B<cluster>"),
            ("cluster=default%2Bb%2Bc", vec!["cluster"], "<cluster provider>%2B<cluster>"),
            ("cluster=default%2Bcluster-1&cluster=%2B", vec!["cluster"], "<cluster provider>%2B<cluster>"),
            ("resource=", vec!["resource"], "1 to 253 characters"),
            ("resource=a%20b", vec!["resource"], "1 to 253 characters"),
            ("clusters&instance=", vec!["instance"], "leave it out"),
            ("status=x&output=y&cluster=z&resource=a/b&instance=", vec!["status", "output", "instance", "cluster", "resource"], "5 parameters"),
        ] {
            let problem = dcm.get(&format!("{LC}/status?{query}")).await.expect(400);
            let named: Vec<&str> = problem["errors"].as_array().unwrap().iter().map(|e| e["parameter"].as_str().unwrap()).collect();
            assert_eq!(named, parameters, "{query}");
            assert!(problem["detail"].as_str().unwrap().contains(allowed), "{query}: {problem}");
        }
        dcm.get("/v2/projects/p/logical-clouds/none/status?status=ready").await.expect_problem(404, &[]);
        dcm.get(&format!("{LC}/status?type=rsync")).await.expect(200);
    }
}

/// A cluster that is there, and one that is not.
async fn with_one_away(store: &str) -> Option<(Dcm, Simulation)> {
    let dcm = Dcm::start_on(store, &["--synchronizer", "kube", "--drift", "repair"]).await?;
    let simulation = Simulation::new(ClusterOptions::default());
    let here = simulation.cluster("default", "cluster-1").await.unwrap().admin_kubeconfig();
    let mut away = here.clone();
    away["clusters"][0]["cluster"]["server"] = json!("https://127.0.0.1:1");
    for (name, kubeconfig) in [("cluster-1", here), ("cluster-2", away)] {
        let body = json!({ "metadata": { "name": name }, "spec": { "kubeconfig": kubeconfig } });
        dcm.post("/v2/cluster-providers/default/clusters", &body).await.expect(201);
    }
    dcm.with_cloud().await;
    dcm.post(&format!("{LC}/cluster-quotas"), &example(design::QUOTA)).await.expect(201);
    for name in ["cluster-1", "cluster-2"] {
        let body = json!({ "cluster-reference": name, "loadbalancer-ip": "0.0.0.0" });
        dcm.post(&format!("{LC}/cluster-references"), &body).await.expect(200);
    }
    Some((dcm, simulation))
}

async fn a_cluster_that_is_away_is_retrying(store: &str) {
    let Some((dcm, _simulation)) = with_one_away(store).await else { return };
    dcm.order(&format!("{LC}/apply")).await.expect(200);
    dcm.wait_until("made on one and tried on the other", async |dcm| {
        let now = status(dcm, "status=deployed").await;
        now["deployedCounts"]["Applied"] == 6 && now["clusters"][1]["connectivity"] == "Retrying"
    })
    .await;
    let mut deployed = status(&dcm, "status=deployed").await;
    states(&mut deployed);
    let here = cluster("cluster-1", "Available", &resources("deployedStatus", "Applied"));
    let away = cluster("cluster-2", "Retrying", &resources("deployedStatus", "Pending"));
    let expected = json!({
        "project": "p", "name": "lc-1", "deployedStatus": "Instantiating",
        "deployedCounts": { "Applied": 6, "Pending": 6 }, "clusters": [here, away],
    });
    assert_eq!(deployed, expected);
    let ready = status(&dcm, "output=summary").await;
    assert_eq!(
        (&ready["readyStatus"], &ready["readyCounts"]),
        (&json!("NotReady"), &json!({ "Ready": 6, "NotPresent": 6 }))
    );
    // What is asked about one cluster is answered about that one.
    assert_eq!(status(&dcm, "cluster=default%2Bcluster-2").await["readyStatus"], "NotReady");
    dcm.wait_until("its credential is there too", async |dcm| {
        status(dcm, "cluster=default%2Bcluster-1").await["readyStatus"] == "Ready"
    })
    .await;
    dcm.order(&format!("{LC}/stop")).await.expect(202);
    let mut stopped = status(&dcm, "output=summary").await;
    assert_eq!(stopped["deployedStatus"], "InstantiateFailed");
    assert_eq!(states(&mut stopped)[2..], [("InstantiateStopped".to_owned(), 1, 2)]);
    dcm.stop().await;
}

#[tokio::test]
async fn a_cluster_that_is_away_is_retrying_on_memory() {
    a_cluster_that_is_away_is_retrying("memory").await;
}

#[tokio::test]
async fn a_cluster_that_is_away_is_retrying_on_sled() {
    a_cluster_that_is_away_is_retrying("sled").await;
}

#[tokio::test]
async fn an_admin_cloud_has_no_objects_and_is_ready_all_the_same() {
    let dcm = Dcm::start("memory", &["--allow-admin-clouds"]).await;
    dcm.with_cluster("cluster-name").await;
    let body = json!({ "metadata": { "name": "lc-1" }, "spec": { "level": "0" } });
    dcm.post("/v2/projects/p/logical-clouds", &body).await.expect(201);
    dcm.post(&format!("{LC}/cluster-references"), &example(design::CLUSTER_REFERENCE)).await.expect(200);
    dcm.order(&format!("{LC}/apply")).await.expect(200);
    dcm.wait_for("Created").await;
    let mut status = status(&dcm, "status=ready").await;
    states(&mut status);
    let expected = json!({ "project": "p", "name": "lc-1", "deployedStatus": "Instantiated", "readyStatus": "Ready" });
    assert_eq!(status, expected);
    dcm.stop().await;
}
