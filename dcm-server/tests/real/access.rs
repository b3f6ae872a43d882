//! Cutting a user off, tokens, previews, and what DCM may do: as a cluster and `kubectl` see it.

use std::time::{Duration, Instant};

use dcm_test_utils::patience::until_so;
use serde_json::{Value, json};

use crate::support::{Cloud, Fixture, RIGHTS_CACHE, User, eventually, permission};

fn read_config_maps() -> Value {
    json!([permission("p", "", &["configmaps"], &["get", "list"])])
}

/// The fields of a logical cloud whose user shows tokens.
fn token_user() -> Value {
    json!({ "user": { "user-name": "user-1", "type": "token", "user-permissions": read_config_maps() } })
}

async fn users(dcm: &Fixture, cloud: &Cloud<'_>) -> Vec<User> {
    let mut users = Vec::new();
    for cluster in dcm.clusters.iter() {
        users.push(cloud.user(cluster).await);
    }
    users
}

fn may_read(users: &[User]) -> Vec<bool> {
    let asked = users.iter().map(|user| user.kubectl(&["get", "configmaps"]));
    asked.inspect(|said| println!("{}", said.err)).map(|said| said.ok).collect()
}

/// Waits until these users are let in: the API servers' own caches of bindings take a moment.
async fn are_let_in(users: &[User]) {
    until_so(RIGHTS_CACHE, "let in", async || may_read(users) == [true, true]).await;
}

/// Waits until these users are denied, which they stay.
async fn are_cut_off(users: &[User]) {
    until_so(RIGHTS_CACHE, "cut off", async || may_read(users) == [false, false]).await;
    assert_eq!(may_read(users), [false, false]);
}

/// What the revoke answers, with a bound on how long the user may still get in.
async fn is_cut_off_at_once(cloud: &Cloud<'_>, old: &[User]) -> Value {
    are_let_in(old).await;
    let began = Instant::now();
    assert_eq!(may_read(old), [true, true]);
    let usual = began.elapsed();
    let began = Instant::now();
    let answer = cloud.order("user/revoke").await.expect(202);
    are_cut_off(old).await;
    // The bound is the issue's; kubectl itself takes most of it, on a busy machine more than all of it.
    let bound = Duration::from_secs(2) + 5 * usual;
    assert!(began.elapsed() < bound, "{:?} of {bound:?}", began.elapsed());
    answer
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_user_never_comes_back() {
    let Some(mut dcm) = Fixture::start("a_revoked_user_never_comes_back", 2, &["--resync-period", "1s"]).await else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    for (name, spec) in [("certificate", json!({})), ("token", token_user())] {
        let cloud = dcm.cloud_with(name, read_config_maps(), spec).await;
        cloud.apply().await;
        let old = users(&dcm, &cloud).await;
        // What would still let him in: the answer names it, and leaves it alone.
        let (cluster, namespace) = (&dcm.clusters[0], cloud.namespace.as_str());
        cluster.admin(&["create", "serviceaccount", "robot", "-n", namespace]).expect();
        let account = format!("--serviceaccount={namespace}:robot");
        cluster.admin(&["create", "rolebinding", "robot", "--clusterrole=view", &account, "-n", namespace]).expect();

        let answer = is_cut_off_at_once(&cloud, &old).await;
        let clusters = answer["clusters"].as_array().unwrap();
        assert_eq!(clusters.len(), 2, "{answer:#}");
        let first = &clusters[0][&cluster.name];
        assert_eq!(first["access"], "Revoked");
        let grants: Vec<_> = first["still-grants-access"].as_array().unwrap().iter().collect();
        let named = |kind: &str| grants.iter().any(|grant| grant["kind"] == kind && grant["name"] == "robot");
        assert!(named("RoleBinding") && named("ServiceAccount"), "{answer:#}");
        assert_eq!(clusters[1][&dcm.clusters[1].name], json!({ "access": "Revoked" }));
        assert!(cluster.object("rolebinding", namespace, "robot").is_some());

        cloud.wait_for("Created").await;
        let new = users(&dcm, &cloud).await;
        are_let_in(&new).await;
        assert_eq!(may_read(&old), [false, false], "{name}");
        // Nor by any of the ways in which bindings are made anew.
        cluster.admin(&["delete", "rolebinding", "p", "-n", namespace]).expect();
        cloud.apply().await;
        are_let_in(&new).await;
        assert_eq!(may_read(&old), [false, false], "{name}");
        cloud.order("user/renew").await.expect(202);
        cloud.wait_for("Created").await;
        let newest = users(&dcm, &cloud).await;
        are_let_in(&newest).await;
        are_cut_off(&new).await;
        cloud.terminate().await;
        cloud.apply().await;
        for before in [&old, &new] {
            assert_eq!(may_read(before), [false, false], "{name}");
        }
        are_cut_off(&newest).await;
        cloud.order("terminate").await.expect(202);
    }
    // A restart forgets nobody who was cut off.
    let cloud = dcm.cloud("restart", read_config_maps()).await;
    cloud.apply().await;
    let old = users(&dcm, &cloud).await;
    cloud.order("user/revoke").await.expect(202);
    dcm.stop_server().await;
    dcm.start_server().await;
    let cloud = dcm.known("restart");
    cloud.wait_for("Created").await;
    are_let_in(&users(&dcm, &cloud).await).await;
    are_cut_off(&old).await;
    drop(folder);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_user_has_an_account_of_his_own_and_no_more() {
    let Some(dcm) = Fixture::start("a_token_user_has_an_account", 1, &["--resync-period", "1s"]).await else { return };
    let cluster = &dcm.clusters[0];
    let cloud = dcm.cloud_with("tokens", json!([]), token_user()).await;
    cloud.apply().await;
    let accounts = cluster.made_by("serviceaccounts", &dcm.installation());
    assert_eq!(accounts.len(), 1);
    assert_eq!(accounts[0]["automountServiceAccountToken"], false);
    let user = cloud.user(cluster).await;
    user.is_allowed(&["get", "configmaps"]).await;
    user.is_forbidden(&["get", "secrets"]).await;
    let more = user.kubectl(&["create", "token", accounts[0]["metadata"]["name"].as_str().unwrap()]);
    assert!(!more.ok && more.err.contains("is forbidden"), "{}", more.err);
    let who = user.kubectl(&["auth", "whoami", "-o", "json"]).expect();
    let who: Value = serde_json::from_str(&who).unwrap();
    let name = accounts[0]["metadata"]["name"].as_str().unwrap();
    assert_eq!(
        who["status"]["userInfo"]["username"],
        format!("system:serviceaccount:{}:{name}", cloud.namespace),
        "{who:#}"
    );
    // An account that somebody deletes takes its tokens along, when the API server has forgotten that it has seen
    // them: there is another one, with another token.
    cluster.admin(&["delete", "serviceaccount", name, "-n", &cloud.namespace]).expect();
    eventually("the old token denied", || !user.kubectl(&["get", "configmaps"]).ok).await;
    let renewed = async || cloud.user(cluster).await.kubectl(&["get", "configmaps"]).ok;
    until_so(Duration::from_secs(30), "given a new token", renewed).await;
    cloud.terminate().await;
    assert_eq!(cluster.made_by("serviceaccounts", &dcm.installation()), [Value::Null; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn previews_tell_the_truth_and_change_nothing() {
    let Some(dcm) = Fixture::start("previews_tell_the_truth", 1, &["--resync-period", "0s"]).await else { return };
    let cluster = &dcm.clusters[0];
    let cloud = dcm.cloud("preview", read_config_maps()).await;
    cloud.quota("q", json!({ "pods": "5" })).await;
    let diff = async || {
        let path = format!("{}/diff?cluster-reference={}", cloud.path, cluster.name);
        dcm.get(&path).await.expect(200)["clusters"][0][&cluster.name].clone()
    };
    let changes = |diff: &Value| -> Vec<String> {
        let text = |change: &Value, field: &str| change[field].as_str().unwrap_or_default().to_owned();
        let all = diff["changes"].as_array().unwrap().iter();
        all.map(|change| format!("{} {} {}", text(change, "change"), text(change, "kind"), text(change, "name")))
            .collect()
    };
    let namespace = cloud.namespace.as_str();
    let made = [
        &format!("create Namespace {namespace}")[..],
        "create Role p",
        "create RoleBinding p",
        "create ResourceQuota q",
    ];
    let new = diff().await;
    assert_eq!(changes(&new), made);
    assert_eq!(new["changes"][0].get("note"), None);
    assert_eq!(new["changes"][1]["note"], "not checked by the cluster");
    assert_eq!(cluster.object("namespace", "", namespace), None);

    // What manifests shows is what the API server takes.
    let list = dcm.get(&format!("{}/manifests?cluster-reference={}", cloud.path, cluster.name)).await.expect(200);
    assert_eq!(list["items"].as_array().unwrap().len(), 4);
    let only = json!({ "apiVersion": "v1", "kind": "List", "items": [list["items"][0]] });
    cluster.admin_with(&["create", "--dry-run=server", "--validate=strict", "-f", "-"], &only).expect();

    cloud.apply().await;
    assert_eq!(diff().await, json!({ "changes": [] }));
    let versions = cluster.versions(&dcm.installation());
    let widened = r#"[{"op":"add","path":"/rules/0/verbs/-","value":"delete"}]"#;
    cluster.admin(&["patch", "role", "p", "-n", namespace, "--type=json", "-p", widened]).expect();
    cluster.admin(&["delete", "quota", "q", "-n", namespace]).expect();
    let drifted = diff().await;
    assert_eq!(changes(&drifted), ["update Role p", "create ResourceQuota q"]);
    assert_eq!(drifted["changes"][0]["fields"][0]["pointer"], "/rules/0/verbs", "{drifted:#}");
    assert_eq!(drifted["changes"][0]["fields"][0]["wanted"], json!(["get", "list"]));
    assert_ne!(cluster.versions(&dcm.installation()), versions, "the edit itself is there");
    assert_eq!(cluster.object("quota", namespace, "q"), None);
    cloud.apply().await;
    assert_eq!(diff().await, json!({ "changes": [] }));
    cloud.terminate().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn drift_is_only_reported_where_the_operator_wants_that() {
    let options = ["--resync-period", "1s", "--drift", "report"];
    let Some(dcm) = Fixture::start("drift_is_only_reported", 1, &options).await else { return };
    let cluster = &dcm.clusters[0];
    let cloud = dcm.cloud("report", read_config_maps()).await;
    cloud.apply().await;
    cluster.admin(&["delete", "role", "p", "-n", &cloud.namespace]).expect();
    let drifted = |status: &Value| status["clusters"][0][&cluster.name]["drift"]["objects"][0]["kind"] == "Role";
    let status = cloud.until("reported", drifted).await;
    let drift = &status["clusters"][0][&cluster.name]["drift"];
    assert_eq!((&drift["repaired"], &drift["count"]), (&json!(false), &json!(1)), "{status:#}");
    assert_eq!(status["status"], "Created");
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(cluster.object("role", &cloud.namespace, "p"), None);
    cloud.apply().await;
    assert!(cluster.object("role", &cloud.namespace, "p").is_some());
    cloud.until("clean", |status| status["clusters"][0][&cluster.name].get("drift").is_none()).await;
    cloud.terminate().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registered_cluster_says_what_dcm_may_do_there() {
    let Some(dcm) = Fixture::start("a_registered_cluster_says", 1, &[]).await else { return };
    let path = format!("/v2/cluster-providers/default/clusters/{}", dcm.clusters[0].name);
    let all = dcm.get(&path).await.expect(200)["health"]["capabilities"].clone();
    let features = all.as_object().unwrap();
    assert_eq!(features.len(), 6, "{all:#}");
    assert!(features.values().all(|state| state == "Available"), "{all:#}");
    // Somebody who may do next to nothing.
    let cluster = &dcm.clusters[0];
    let namespace = dcm.namespace("nobody");
    cluster.admin(&["create", "namespace", &namespace]).expect();
    cluster.admin(&["create", "serviceaccount", "nobody", "-n", &namespace]).expect();
    let token = cluster.admin(&["create", "token", "nobody", "-n", &namespace]).expect();
    let mut kubeconfig = cluster.kubeconfig.clone();
    kubeconfig["users"][0]["user"] = json!({ "token": token.trim() });
    let registered = dcm.register("nobody", json!({ "kubeconfig": kubeconfig })).await.expect(201);
    let health = &registered["health"];
    assert_eq!(health["connectivity"], "unavailable", "without a right to see kube-system: {registered:#}");
    assert_eq!(health["reason"], "Forbidden");
}
