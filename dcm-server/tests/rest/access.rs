//! The user's access as clients see it: revoke, renew, tokens, previews, drift.

use std::time::{Duration, Instant};

use kube::config::{KubeConfigOptions, Kubeconfig};
use serde_json::{Value, json};

use crate::{
    on_every_store,
    support::{Dcm, LC},
};

/// What the API server answers to a user who lists config maps in his namespace.
async fn listing(config: &Value) -> u16 {
    let kubeconfig: Kubeconfig = serde_json::from_value(config.clone()).unwrap();
    let config = kube::Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await.unwrap();
    let namespace = config.default_namespace.clone();
    let client = kube::Client::try_from(config).unwrap();
    let request = http::Request::get(format!("/api/v1/namespaces/{namespace}/configmaps")).body(Vec::new()).unwrap();
    match client.request::<Value>(request).await {
        Ok(_) => 200,
        Err(kube::Error::Api(status)) => status.code,
        Err(error) => panic!("{error}"),
    }
}

async fn kubeconfig(dcm: &Dcm) -> Value {
    dcm.get(&format!("{LC}/kubeconfig")).await.expect(200)
}

/// The design's logical cloud with a permission to read config maps, applied.
async fn applied(dcm: &Dcm, user_type: &str) {
    dcm.with_reference().await;
    let mut cloud = crate::design::logical_cloud();
    cloud["spec"]["user"] = json!({
        "user-name": "user-1", "type": user_type,
        "user-permissions": [
            { "permission-name": "p-1", "apiGroups": [""], "resources": ["configmaps"], "verbs": ["get", "list"] },
        ],
    });
    dcm.put(LC, &cloud).await.expect(200);
    dcm.order(&format!("{LC}/apply")).await.expect(200);
    dcm.wait_for("Created").await;
}

on_every_store! {
    async fn a_revoked_kubeconfig_is_denied_at_once_and_never_works_again(dcm) {
        for user_type in ["certificate", "token"] {
            if user_type == "certificate" {
                applied(dcm, user_type).await;
            } else {
                let mut cloud = dcm.get(LC).await.expect(200);
                cloud["spec"]["user"]["type"] = json!("Token");
                dcm.put(LC, &cloud).await.expect(200);
                dcm.order(&format!("{LC}/apply")).await.expect(200);
                dcm.wait_for("Created").await;
            }
            let old = kubeconfig(dcm).await;
            assert_eq!(listing(&old).await, 200, "{user_type}");
            let began = Instant::now();
            let answer = dcm.order(&format!("{LC}/user/revoke")).await.expect(202);
            let denied = listing(&old).await;
            assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
            // A token without its account is nobody's; a certificate still says who he is.
            assert_eq!(denied, if user_type == "token" { 401 } else { 403 });
            assert_eq!(answer["user"], "user-1");
            assert_eq!(answer["clusters"], json!([{ "cluster-1": { "access": "Revoked" } }]));
            dcm.wait_for("Created").await;
            let new = kubeconfig(dcm).await;
            assert_eq!((listing(&new).await, listing(&old).await), (200, denied), "{user_type}");
            dcm.order(&format!("{LC}/apply")).await.expect(200);
            dcm.wait_for("Created").await;
            assert_eq!((listing(&new).await, listing(&old).await), (200, denied), "{user_type}");
        }
    }

    async fn a_renewed_user_has_a_new_kubeconfig_and_the_old_one_is_denied(dcm) {
        applied(dcm, "certificate").await;
        let old = kubeconfig(dcm).await;
        dcm.order(&format!("{LC}/user/renew")).await.expect(202);
        dcm.wait_for("Created").await;
        let new = kubeconfig(dcm).await;
        assert_eq!((listing(&new).await, listing(&old).await), (200, 403));
    }

    async fn nobody_is_cut_off_where_nobody_has_access(dcm) {
        dcm.with_reference().await;
        for call in ["revoke", "renew"] {
            let problem = dcm.order(&format!("{LC}/user/{call}")).await.expect_problem(409, &[]);
            assert!(problem["detail"].as_str().unwrap().contains("not applied"), "{problem}");
            assert_eq!(dcm.get(&format!("{LC}/user/{call}")).await.status, 405);
            let nobody = dcm.order(&format!("/v2/projects/p/logical-clouds/nobody/user/{call}")).await;
            nobody.expect_problem(404, &[]);
        }
    }

    async fn manifests_are_what_kubectl_reads(dcm) {
        dcm.with_reference().await;
        let list = dcm.get(&format!("{LC}/manifests?cluster-reference=cluster-1")).await.expect(200);
        assert_eq!((&list["apiVersion"], &list["kind"]), (&json!("v1"), &json!("List")));
        let kinds: Vec<&str> = list["items"].as_array().unwrap().iter().filter_map(|i| i["kind"].as_str()).collect();
        assert_eq!(kinds.first(), Some(&"Namespace"));
        assert!(kinds.contains(&"RoleBinding"), "{kinds:?}");
        let all = dcm.get(&format!("{LC}/manifests")).await.expect(200);
        assert_eq!(all["clusters"][0]["cluster-1"], list);
        assert_eq!((&all["generation"], &all["logical-cloud-name"]), (&json!(1), &json!("lc-1")));
        dcm.get(&format!("{LC}/manifests?cluster-reference=nobody")).await.expect_problem(404, &[]);
        let bad = dcm.get(&format!("{LC}/diff?cluster-reference=a/b")).await;
        assert_eq!(bad.status, 400);
        assert_eq!(dcm.get(&format!("{LC}/status")).await.expect(200)["status"], "Not Created");
    }

    async fn a_diff_says_what_an_apply_would_change(dcm) {
        dcm.with_reference().await;
        let diff = async || dcm.get(&format!("{LC}/diff")).await.expect(200)["clusters"][0]["cluster-1"].clone();
        let new = diff().await;
        let changes = new["changes"].as_array().unwrap();
        assert!(changes.iter().all(|change| change["change"] == "create"), "{new:#}");
        let inside = changes.iter().find(|change| change["kind"] == "Role").unwrap();
        assert_eq!(inside["note"], "not checked by the cluster");
        assert_eq!(changes[0]["kind"], "Namespace");
        assert_eq!(changes[0].get("note"), None);
        dcm.order(&format!("{LC}/apply")).await.expect(200);
        dcm.wait_for("Created").await;
        assert_eq!(diff().await, json!({ "changes": [] }));
        let mut cloud = dcm.get(LC).await.expect(200);
        cloud["spec"]["user"]["user-permissions"][0]["verbs"] = json!(["get"]);
        dcm.put(LC, &cloud).await.expect(200);
        let changed = diff().await;
        let role = changed["changes"].as_array().unwrap().iter().find(|change| change["kind"] == "Role").unwrap();
        assert_eq!(role["change"], "update");
        assert_eq!(role["fields"][0]["wanted"], json!(["get"]), "{role:#}");
    }
}
