//! Tokens, and credentials that are none.

use dcm_sim::ClusterOptions;
use jiff::Timestamp;
use serde_json::json;

use crate::support::{Caller, Lab, code, inside, rbac_inside, role, role_binding, text};

const WHOAMI: &str = "/apis/authentication.k8s.io/v1/selfsubjectreviews";

#[tokio::test]
async fn a_wrong_credential_is_unauthorized() {
    let lab = Lab::start().await;
    let other = Lab::start().await;
    let mut foreign = other.cluster.admin_kubeconfig();
    foreign["clusters"] = lab.cluster.admin_kubeconfig()["clusters"].clone();
    foreign["clusters"][0]["name"] = "lab".into();
    assert_eq!(code(&Caller::new(foreign).await.get("/api").await), 401, "a certificate of another CA");
    let nobody = lab.cluster.kubeconfig_with_token("no such token");
    assert_eq!(code(&Caller::new(nobody).await.get("/api").await), 401, "an unknown token");
    let mut anonymous = lab.cluster.admin_kubeconfig();
    anonymous["users"][0]["user"] = json!({});
    let anonymous = Caller::new(anonymous).await;
    assert_eq!(code(&anonymous.get("/api/v1/namespaces").await), 401);
    assert_eq!(code(&anonymous.get("/version").await), 200);
}

#[tokio::test]
async fn the_admin_token_is_the_masters() {
    let lab = Lab::with(ClusterOptions::named("c").admin_token("secret-token")).await;
    let admin = Caller::new(lab.cluster.kubeconfig_with_token("secret-token")).await;
    assert_eq!(code(&admin.get("/api/v1/secrets").await), 200);
    assert!(!format!("{:?}", lab.cluster).contains("secret-token"));
}

#[tokio::test]
async fn a_token_lives_and_dies_with_its_service_account() {
    let lab = Lab::with_namespace().await;
    let account = json!({"metadata": {"name": "robot"}});
    lab.admin.post(&inside("serviceaccounts"), &account).await.unwrap();
    let tokens = inside("serviceaccounts/robot/token");
    assert_eq!(code(&lab.admin.post(&tokens, &json!({"spec": {"expirationSeconds": 60}})).await), 422);
    let issued = lab.admin.post(&tokens, &json!({"spec": {"expirationSeconds": 600}})).await.unwrap();
    assert!(text(&issued, "/status/expirationTimestamp").parse::<Timestamp>().is_ok());
    let robot = Caller::new(lab.cluster.kubeconfig_with_token(text(&issued, "/status/token"))).await;
    let review = robot.post(WHOAMI, &json!({})).await.unwrap();
    assert_eq!(review["status"]["userInfo"]["username"], "system:serviceaccount:ns:robot");

    assert_eq!(code(&robot.get(&inside("pods")).await), 403);
    let rules = json!([{"apiGroups": [""], "resources": ["pods"], "verbs": ["list"]}]);
    lab.admin.post(&rbac_inside("roles"), &role("r", rules)).await.unwrap();
    let mut binding = role_binding("b", "r", "x");
    binding["subjects"] = json!([{"kind": "ServiceAccount", "name": "robot", "namespace": "ns"}]);
    lab.admin.post(&rbac_inside("rolebindings"), &binding).await.unwrap();
    assert_eq!(code(&robot.get(&inside("pods")).await), 200);

    lab.admin.delete(&inside("serviceaccounts/robot"), json!({})).await.unwrap();
    assert_eq!(code(&robot.get(&inside("pods")).await), 401);
    lab.admin.post(&inside("serviceaccounts"), &account).await.unwrap();
    assert_eq!(code(&robot.get(&inside("pods")).await), 401, "a new account of that name revives nothing");
}

#[tokio::test]
async fn a_dry_run_of_a_token_request_is_a_live_token() {
    let lab = Lab::with_namespace().await;
    let path = inside("serviceaccounts/default/token?dryRun=All");
    let issued = lab.admin.post(&path, &json!({})).await.unwrap();
    let account = Caller::new(lab.cluster.kubeconfig_with_token(text(&issued, "/status/token"))).await;
    assert_eq!(code(&account.get("/api").await), 200);
}
