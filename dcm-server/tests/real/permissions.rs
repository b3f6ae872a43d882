//! What the user may do is what his permissions say, and his quotas hold him.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::{
    clusters::Said,
    support::{Fixture, eventually, permission, resources},
};

/// Resource (with its group), object name, verb; a path stands as a resource.
type Rights = BTreeSet<(String, String, String)>;

/// Reads the table of `kubectl auth can-i --list` by the columns of its header.
fn table(said: Said) -> Rights {
    let text = said.expect();
    let mut lines = text.lines();
    let header = lines.next().unwrap();
    let columns = ["Resources", "Non-Resource URLs", "Resource Names", "Verbs"].map(|name| header.find(name).unwrap());
    let mut rights = Rights::new();
    for line in lines {
        let cell = |from: usize, to: usize| line.get(from..to.min(line.len())).unwrap_or_default().trim().to_owned();
        let list = |text: String| -> Vec<String> {
            text.trim_matches(['[', ']']).split_whitespace().map(str::to_owned).collect()
        };
        let resource = cell(columns[0], columns[1]);
        let paths = list(cell(columns[1], columns[2]));
        let mut names = list(cell(columns[2], columns[3]));
        if names.is_empty() {
            names.push(String::new());
        }
        let whats = if resource.is_empty() { paths } else { vec![resource] };
        for what in &whats {
            for name in &names {
                for verb in list(cell(columns[3], usize::MAX)) {
                    rights.insert((what.clone(), name.clone(), verb));
                }
            }
        }
    }
    rights
}

/// What a permission says, in the words of the table.
fn rights(permission: &Value) -> Rights {
    let texts = |field: &str| -> Vec<String> {
        serde_json::from_value(permission.get(field).cloned().unwrap_or_else(|| json!([]))).unwrap()
    };
    let mut names = texts("resourceNames");
    if names.is_empty() {
        names.push(String::new());
    }
    let mut rights = Rights::new();
    for what in resources(permission) {
        for name in &names {
            for verb in texts("verbs") {
                rights.insert((what.clone(), name.clone(), verb));
            }
        }
    }
    rights
}

fn all<'a>(permissions: impl IntoIterator<Item = &'a Value>) -> Rights {
    permissions.into_iter().flat_map(rights).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_user_may_do_exactly_what_his_permissions_say() {
    let options = ["--allow-foreign-namespace-permissions", "--allow-cluster-wide-permissions"];
    let Some(dcm) = Fixture::start("the_user_may_do_exactly", 2, &options).await else { return };
    let (elsewhere, nowhere) = (dcm.namespace("elsewhere"), dcm.namespace("nowhere"));
    for cluster in dcm.clusters.iter() {
        for namespace in [&elsewhere, &nowhere] {
            cluster.admin(&["create", "namespace", namespace]).expect();
        }
    }
    let mut own = vec![
        permission("all-of-one", "", &["configmaps"], &["*"]),
        permission("some", "", &["pods", "pods/log", "services"], &["get", "list", "watch"]),
        permission("apps", "apps", &["deployments", "deployments/scale"], &["get", "patch"]),
        permission("custom", "example.com", &["things"], &["create"]),
    ];
    let mut named = permission("one-of-all", "", &["secrets"], &["get", "update"]);
    named["resourceNames"] = json!(["first", "second"]);
    own.push(named);
    let mut there = permission("there", "batch", &["jobs"], &["create", "delete"]);
    there["namespace"] = elsewhere.as_str().into();
    let mut wide = permission("wide", "", &["nodes", "persistentvolumes"], &["get", "list"]);
    wide["namespace"] = "".into();

    let permissions: Vec<&Value> = own.iter().chain([&there, &wide]).collect();
    let cloud = dcm.cloud("rights", json!(permissions)).await;
    cloud.apply().await;
    for cluster in dcm.clusters.iter() {
        let user = cloud.user(cluster).await;
        let nobody = ["auth", "can-i", "--list", "--as=nobody", "--as-group=system:authenticated"];
        let everybody = table(cluster.admin(&nobody));
        let list = |namespace: &str| {
            let rights = table(user.kubectl(&["auth", "can-i", "--list", "-n", namespace]));
            assert!(rights.is_superset(&everybody), "{rights:#?}");
            &rights - &everybody
        };
        assert_eq!(list(&cloud.namespace), all(own.iter().chain([&wide])));
        assert_eq!(list(&elsewhere), all([&there, &wide]));
        assert_eq!(list(&nowhere), all([&wide]));
        assert_eq!(list("kube-system"), all([&wide]));
        // And what the table says is so.
        user.kubectl(&["create", "configmap", "mine"]).expect();
        user.kubectl(&["get", "nodes"]).expect();
        user.is_forbidden(&["get", "secret", "third"]).await;
        user.is_forbidden(&["get", "configmaps", "-n", &nowhere]).await;
        user.is_forbidden(&["get", "secrets", "-A"]).await;
    }

    // A permission that is taken away is away, as soon as that was applied.
    let user = cloud.user(&dcm.clusters[0]).await;
    dcm.put(&cloud.path, &cloud.body(&json!([own[1]]), &json!({}))).await.expect(200);
    user.kubectl(&["get", "configmaps"]).expect();
    cloud.apply().await;
    user.is_forbidden(&["get", "nodes"]).await;
    user.is_forbidden(&["get", "configmaps"]).await;
    user.kubectl(&["get", "pods"]).expect();
    cloud.terminate().await;
    user.is_forbidden(&["get", "pods"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_object_beyond_the_quota_is_refused() {
    let Some(dcm) = Fixture::start("the_object_beyond_the_quota", 1, &[]).await else { return };
    let cloud = dcm.cloud("quota", json!([permission("p", "", &["configmaps", "secrets"], &["*"])])).await;
    // The cluster itself puts kube-root-ca.crt into every namespace.
    cloud.quota("small", json!({ "count/configmaps": "3", "secrets": "1" })).await;
    cloud.apply().await;
    let user = cloud.user(&dcm.clusters[0]).await;
    let begun = Instant::now();
    eventually("kube-root-ca.crt counted", || {
        // Kubernetes' quota controller may see the quota before it sees what was there, and counts again after five minutes, or
        // when something goes.
        if begun.elapsed() > Duration::from_secs(10) {
            user.kubectl(&["create", "configmap", "passing"]);
            user.kubectl(&["delete", "configmap", "passing"]);
        }
        let quota = dcm.clusters[0].object("quota", &cloud.namespace, "small").unwrap();
        quota["status"]["used"]["count/configmaps"] == "1"
    })
    .await;
    for name in ["one", "two"] {
        user.kubectl(&["create", "configmap", name]).expect();
    }
    let refused = user.kubectl(&["create", "configmap", "three"]);
    assert!(
        refused.err.contains("exceeded quota: small") && refused.err.contains("count/configmaps=3"),
        "{}",
        refused.err
    );
    user.kubectl(&["create", "secret", "generic", "one"]).expect();
    assert!(user.kubectl(&["create", "secret", "generic", "two"]).err.contains("exceeded quota"));

    // A raised quota makes room, and one that is gone limits nothing.
    let path = format!("{}/cluster-quotas/small", cloud.path);
    let raised = json!({ "metadata": { "name": "small" }, "spec": { "count/configmaps": "4", "secrets": "1" } });
    dcm.put(&path, &raised).await.expect(201);
    cloud.apply().await;
    eventually("room", || user.kubectl(&["create", "configmap", "three"]).ok).await;
    assert!(!user.kubectl(&["create", "configmap", "four"]).ok);
    dcm.delete(&path).await.expect(204);
    cloud.apply().await;
    user.is_allowed(&["create", "configmap", "four"]).await;
    user.is_allowed(&["create", "secret", "generic", "two"]).await;
    cloud.terminate().await;
}
