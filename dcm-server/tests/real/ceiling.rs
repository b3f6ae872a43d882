//! DCM with a ceiling: what it may not hand on itself, no tenant gets, whatever is asked for.

use dcm_test_utils::rights::{CEILING, objects};
use serde_json::{Value, json};

use crate::support::{Fixture, eventually, permission};

/// Takes the grants away and puts the ceiling in their place.
async fn ceiling(dcm: &Fixture) {
    let id = dcm.clusters.id.as_str();
    for cluster in dcm.clusters.iter() {
        let list = json!({ "apiVersion": "v1", "kind": "List", "items": objects(CEILING, id) });
        cluster.admin_with(&["apply", "-f", "-"], &list).expect();
        for grant in ["grant", "grant-wide"] {
            cluster.admin(&["delete", "clusterrolebinding", &format!("{id}-{grant}")]).expect();
        }
        let account = format!("--as=system:serviceaccount:kube-system:{id}");
        let may = |verb: &str, what: &str| cluster.admin(&["auth", "can-i", verb, what, "-A", &account]).ok;
        eventually("a ceiling", || !may("escalate", "roles") && !may("bind", "clusterroles") && may("get", "pods"))
            .await;
    }
}

fn place<'a>(status: &'a Value, dcm: &Fixture) -> &'a Value {
    &status["clusters"][0][&dcm.clusters[0].name]
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_beyond_the_ceiling_is_granted_and_a_higher_one_heals_by_itself() {
    let options = ["--allow-privileged-permissions", "--allow-cluster-wide-permissions", "--resync-period", "1s"];
    let Some(dcm) = Fixture::start("nothing_beyond_the_ceiling", 1, &options).await else { return };
    ceiling(&dcm).await;
    let cluster = &dcm.clusters[0];
    let within = permission("within", "", &["configmaps"], &["*"]);
    let cloud = dcm.cloud("ceiling", json!([within])).await;
    cloud.apply().await;
    let user = cloud.user(cluster).await;
    user.kubectl(&["create", "configmap", "mine"]).expect();

    for (group, resources, verbs) in [
        ("", ["secrets"], ["get"]),
        ("*", ["*"], ["*"]),
        ("", ["*"], ["get"]),
        ("rbac.authorization.k8s.io", ["roles"], ["escalate"]),
        ("", ["users"], ["impersonate"]),
    ] {
        for namespace in [None, Some("")] {
            let mut beyond = permission("beyond", group, &resources, &verbs);
            if let Some(namespace) = namespace {
                beyond["namespace"] = namespace.into();
            }
            dcm.put(&cloud.path, &cloud.body(&json!([within, beyond]), &json!({}))).await.expect(200);
            cloud.order("apply").await.expect(200);
            let status = cloud.wait_for("Creation Failed").await;
            assert_eq!(place(&status, &dcm)["reason"], "BeyondCeiling", "{beyond}: {status:#}");
            user.is_forbidden(&["get", "secrets"]).await;
        }
    }
    user.kubectl(&["get", "configmap", "mine"]).expect();

    let secrets = permission("beyond", "", &["secrets"], &["get", "list"]);
    dcm.put(&cloud.path, &cloud.body(&json!([within, secrets]), &json!({}))).await.expect(200);
    cloud.order("apply").await.expect(200);
    cloud.wait_for("Creation Failed").await;
    let wider = r#"[{"op":"add","path":"/rules/-","value":{"apiGroups":[""],"resources":["secrets"],"verbs":["*"]}}]"#;
    let role = format!("{}-ceiling", dcm.clusters.id);
    cluster.admin(&["patch", "clusterrole", &role, "--type=json", "-p", wider]).expect();
    cloud.wait_for("Created").await;
    user.kubectl(&["get", "secrets"]).expect();
    cloud.terminate().await;
    assert_eq!(cluster.object("namespace", "", &cloud.namespace), None);
}

/// What is taken away is taken away, although something else cannot be had.
#[tokio::test(flavor = "multi_thread")]
async fn a_permission_that_is_refused_keeps_no_other_one_alive() {
    let Some(dcm) = Fixture::start("a_permission_that_is_refused", 1, &[]).await else { return };
    ceiling(&dcm).await;
    let cluster = &dcm.clusters[0];
    let pods = permission("pods", "", &["pods"], &["get", "list"]);
    let config_maps = permission("config-maps", "", &["configmaps"], &["get", "list"]);
    let cloud = dcm.cloud("pruned", json!([pods, config_maps])).await;
    cloud.apply().await;
    let user = cloud.user(cluster).await;
    user.kubectl(&["get", "configmaps"]).expect();
    let beyond = permission("beyond", "", &["secrets"], &["get"]);
    dcm.put(&cloud.path, &cloud.body(&json!([pods, beyond]), &json!({}))).await.expect(200);
    cloud.order("apply").await.expect(200);
    let status = cloud.wait_for("Creation Failed").await;
    assert_eq!(place(&status, &dcm)["reason"], "BeyondCeiling");
    user.kubectl(&["get", "pods"]).expect();
    user.is_forbidden(&["get", "configmaps"]).await;

    // And a user who is replaced is cut off.
    let mut body = cloud.body(&json!([pods, beyond]), &json!({}));
    body["spec"]["user"]["user-name"] = "another".into();
    dcm.put(&cloud.path, &body).await.expect(200);
    cloud.order("apply").await.expect(200);
    cloud.until("tried", |status| place(status, &dcm)["reason"] == "BeyondCeiling").await;
    user.is_forbidden(&["get", "pods"]).await;
}
